//! Units that are made for a task, and go with it.

use hostler_sdk::settings::Text;
use hostler_sdk::{Fault, Resources, Task, TaskId};

use crate::engine::{Scope, Trouble, underway, until};
use crate::facts::{self, Facts, Held};
use crate::settings::Settings;
use crate::unit::{End, Unit, show_one};

/// A unit to be made.
pub(crate) struct Plan {
    pub(crate) facts: Facts,
    title: String,
    options: Vec<String>,
    limits: Vec<String>,
    program: Vec<String>,
    env: Vec<(String, String)>,
}

/// What it takes to start a task.
pub(crate) fn plan(owner: &str, scope: Scope, task: Task<Settings>) -> Plan {
    let title = facts::title(&task);
    let settings = &task.settings;
    let env = environment(&task.id, &task.env, settings);
    let program: Vec<String> = settings.binary.iter().cloned().chain(settings.args.iter().map(|arg| unexpanded(&arg.0))).collect();
    let own = own_options(scope, &task);
    let same = facts::digest(&(&own, &program, &env));
    let facts = Facts::of(owner, &task, same, None);
    let mut options = own;
    options.push(property("SyslogIdentifier", identifier(scope, &task.id, &facts)));
    options.push(property("LogExtraFields", &format!("HOSTLER_LOG={}", facts.log)));
    Plan { facts, title, options, limits: limits(&task.resources), program, env }
}

/// Brings it up. A unit of that name that is there already is the answer, when it is the same task.
pub(crate) fn start(scope: Scope, plan: Plan) -> Result<Held, Fault> {
    let held = plan.facts.handle(scope);
    if present(&held, &plan.facts)? {
        return Ok(held);
    }
    let mut options = vec![format!("--unit={}", held.unit), format!("--description={}", plan.facts.written(&plan.title))];
    options.extend(plan.options);
    options.extend(plan.limits);
    let (mut inherited, mut spoken) = (Vec::new(), Vec::new());
    for (name, value) in plan.env {
        if leads_astray(&name) { spoken.push(format!("--setenv={name}={value}")) } else { inherited.push((name, value)) }
    }
    // Without a value systemd-run takes its own: what it is called with, everybody can read.
    options.extend(inherited.iter().map(|(name, _)| format!("--setenv={name}")));
    options.extend(spoken);
    match scope.systemd_run(options, plan.program, inherited) {
        Ok(()) => Ok(held),
        Err(Trouble::Refused(why)) => refused(&held, &plan.facts, why).map_err(underway),
        Err(trouble) => Err(trouble.into()),
    }
}

/// Is this task there already, exited or not? Leftovers of a start that failed are cleared away.
fn present(held: &Held, facts: &Facts) -> Result<bool, Fault> {
    // A call before this one may have been cut short while systemd went on.
    let settled = until(|| Ok(Some(show_one(held.scope, &held.unit)?).filter(|unit| unit.active_state() != "activating")))?;
    let Some(unit) = settled else { return Err(Fault::Interrupted(format!("{} is still starting", held.unit))) };
    if !unit.is_there() {
        return Ok(false);
    }
    match Facts::read(unit.description()) {
        Some(found) if found.digest == facts.digest && found.id == facts.id => {}
        Some(found) => return Err(Fault::Conflict(format!("{} is there already, from another spec ({})", held.unit, found.digest))),
        None => return Err(Fault::Conflict(format!("{} is there already, and no task of a host", held.unit))),
    }
    if unit.never_ran() {
        clear(held)?;
        return Ok(false);
    }
    Ok(true)
}

/// systemd said no: what it left is cleared away, and the reason told at its place.
fn refused(held: &Held, facts: &Facts, why: String) -> Result<Held, Fault> {
    let unit = show_one(held.scope, &held.unit)?;
    if unit.is_there() && unit.never_ran() {
        let fault = could_not_run(&unit);
        clear(held)?;
        return Err(fault);
    }
    // Another call may have made it meanwhile.
    if present(held, facts)? {
        return Ok(held.clone());
    }
    let at = match () {
        () if why.contains("find executable") => "/binary",
        () if ["Failed to parse", "Unknown assignment", "Invalid", "not permitted here"].iter().any(|word| why.contains(word)) => "/properties",
        () => return Err(Fault::Other(why)),
    };
    Err(Fault::invalid(at, why))
}

/// The steps between systemd's fork and the program, by the exit codes of systemd.exec(5).
fn could_not_run(unit: &Unit) -> Fault {
    let (at, what) = match unit.end() {
        Some(End::Code(200)) => ("/working_dir", "cannot be entered"),
        Some(End::Code(203)) => ("/binary", "cannot be executed"),
        Some(End::Code(216)) => ("/user", "names no group"),
        Some(End::Code(217)) => ("/user", "names nobody"),
        Some(End::Code(code)) => return Fault::invalid("/properties", format!("systemd could not set it up: exit code {code}, see systemd.exec(5)")),
        Some(End::Signal(_)) | None => return Fault::invalid("/properties", format!("systemd could not set it up: {}", unit.result())),
    };
    Fault::invalid(at, what)
}

/// Makes systemd forget an ended unit.
pub(crate) fn clear(held: &Held) -> Result<(), Trouble> {
    let gone = until(|| {
        let unit = show_one(held.scope, &held.unit)?;
        if !unit.is_there() {
            return Ok(Some(()));
        }
        match held.scope.systemctl(&["reset-failed", "--", &held.unit]) {
            // It has just gone.
            Ok(_) | Err(Trouble::Refused(_)) => {}
            Err(trouble) => return Err(trouble),
        }
        Ok((!show_one(held.scope, &held.unit)?.is_there()).then_some(()))
    })?;
    gone.ok_or_else(|| Trouble::Lost(format!("systemd does not forget {}", held.unit)))
}

/// Everything but its name, its facts and its limits.
fn own_options(scope: Scope, task: &Task<Settings>) -> Vec<String> {
    let settings = &task.settings;
    let mut options = vec!["--service-type=exec".to_owned()];
    let fixed = [
        ("Restart", "no"),
        // A unit that ends well is forgotten at once, and with it how it ended; and what its first process left behind would live on where
        // it is kept. One whose last step fails is kept until it is destroyed, and all of it is ended first.
        ("ExecStopPost", "/bin/false"),
        ("CPUAccounting", "yes"),
        ("MemoryAccounting", "yes"),
        ("TasksAccounting", "yes"),
        // A line is what the task wrote, also when it begins with `<3>`.
        ("SyslogLevelPrefix", "no"),
    ];
    options.extend(fixed.map(|(name, value)| property(name, value)));
    options.extend(settings.working_dir.iter().map(|directory| property("WorkingDirectory", directory)));
    if let (Scope::System, Some(Text(user))) = (scope, &settings.user) {
        let (user, group) = user.split_once(':').map_or((user.as_str(), None), |(user, group)| (user, Some(group)));
        options.push(property("User", user));
        options.extend(group.map(|group| property("Group", group)));
    }
    for (name, values) in &settings.properties {
        options.extend(values.all().iter().map(|value| property(name, &value.0)));
    }
    options
}

/// The service's name, for people who read the journal. A user's systemd writes no extra fields: there the lines are found by this.
fn identifier<'a>(scope: Scope, id: &'a TaskId, facts: &'a Facts) -> &'a str {
    match scope {
        Scope::System => &id.service,
        Scope::User(_) => &facts.log,
    }
}

/// What of a task's resources systemd holds it to.
pub(crate) fn limits(resources: &Resources) -> Vec<String> {
    let cpu = resources.cpu_millis.map(|millis| property("CPUQuota", &format!("{}.{}%", millis / 10, millis % 10)));
    let memory = resources.memory_bytes.map(|bytes| property("MemoryMax", &bytes.to_string()));
    cpu.into_iter().chain(memory).collect()
}

fn property(name: &str, value: &str) -> String {
    format!("--property={name}={value}")
}

/// systemd expands `$NAME` in arguments, and `$$` to `$`.
fn unexpanded(arg: &str) -> String {
    arg.replace('$', "$$")
}

/// The host's variables, then who the task is, then the user's own; the later wins.
fn environment(id: &TaskId, host: &[(String, String)], settings: &Settings) -> Vec<(String, String)> {
    let mut env: std::collections::BTreeMap<String, String> = host.iter().cloned().collect();
    env.insert("HOSTLER_WORKSPACE".into(), id.workspace.clone());
    env.insert("HOSTLER_SERVICE".into(), id.service.clone());
    env.insert("HOSTLER_REPLICA".into(), id.replica.to_string());
    env.insert("HOSTLER_RUN".into(), id.run.to_string());
    env.extend(settings.env.iter().map(|(name, value)| (name.clone(), value.0.clone())));
    env.into_iter().collect()
}

/// Would this variable change what systemd-run itself does?
fn leads_astray(name: &str) -> bool {
    const HEADS: [&str; 10] = ["LD_", "SYSTEMD_", "DBUS_", "XDG_", "GLIBC_", "MALLOC_", "LC_", "LANG", "LISTEN_", "GCONV_"];
    const NAMES: [&str; 9] = ["PATH", "TZ", "TZDIR", "LOCPATH", "NLSPATH", "NOTIFY_SOCKET", "TERM", "TMPDIR", "HOME"];
    HEADS.iter().any(|head| name.starts_with(head)) || NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::settings;

    fn planned(text: &str) -> Plan {
        let id = TaskId { id: "h-web-0-7".into(), workspace: "main".into(), service: "web".into(), replica: 0, run: 7 };
        let resources = Resources { cpu_millis: Some(255), memory_bytes: Some(64 << 20), storage_bytes: None };
        let settings = settings::parse(text).expect("the test's settings are readable");
        plan(
            "h",
            Scope::System,
            Task { id, spec_digest: "d".into(), settings, env: vec![("A".into(), "host".into())], resources, labels: Vec::new() },
        )
    }

    #[test]
    fn arguments_arrive_as_they_are() {
        let plan = planned(r#"{"binary": "/bin/$x", "args": ["$(id)", "$HOME", "$$", "-x", "a b", "%n", "\n"]}"#);
        assert_eq!(plan.program, ["/bin/$x", "$$(id)", "$$HOME", "$$$$", "-x", "a b", "%n", "\n"]);
    }

    #[test]
    fn limits_are_systemds() {
        assert_eq!(planned(r#"{"binary": "/x"}"#).limits, ["--property=CPUQuota=25.5%", "--property=MemoryMax=67108864"]);
    }

    #[test]
    fn limits_alone_leave_a_task_the_same() {
        let (one, other) = (planned(r#"{"binary": "/x"}"#), planned(r#"{"binary": "/x", "args": ["y"]}"#));
        assert_ne!(one.facts.same, other.facts.same);
        assert_eq!(one.facts.same, planned(r#"{"binary": "/x"}"#).facts.same);
    }

    #[test]
    fn what_leads_systemd_run_astray_is_none_of_its_environment() {
        for name in ["LD_PRELOAD", "DBUS_SYSTEM_BUS_ADDRESS", "XDG_RUNTIME_DIR", "SYSTEMD_LOG_TARGET", "PATH", "LANG"] {
            assert!(leads_astray(name), "{name}");
        }
        assert!(!leads_astray("DATABASE_URL") && !leads_astray("HOSTLER_RUN"));
    }
}
