//! Backend `systemd`: a life of a task as a transient unit.

use hostler_e2e::{Value, until};
use hostler_engines::Hosted;

/// A service of backend `systemd` that runs a script.
pub(crate) fn script(host: &Hosted, name: &str, text: &str, backend: &str, more: &str) -> String {
    let path = host.script(&format!("{name}.sh"), text);
    let backend = if backend.is_empty() { String::new() } else { format!(", {backend}") };
    format!("[services.{name}]\nbackend = {{ type = \"systemd\", binary = \"{path}\"{backend} }}\n{more}\n")
}

pub(crate) const SLEEPS: &str = "exec sleep 100000";
pub(crate) const QUICKLY: &str = "restart = { backoff = { initial = \"10ms\", jitter = 0 } }";

/// The unit of a service's present life, with systemd's own word for its state.
#[track_caller]
pub(crate) fn unit(host: &Hosted, name: &str) -> String {
    let listed = host.run(&["systemctl", "list-units", "--all", "--plain", "--no-legend", "hostler-*.service"]).ok();
    let of = |line: &&str| line.contains(&format!(" {name}/0 run "));
    let last = listed.lines().rfind(of).unwrap_or_else(|| panic!("no unit of {name} among\n{listed}"));
    last.split_whitespace().next().expect("its name stands first").to_owned()
}

/// One property of a unit.
#[track_caller]
pub(crate) fn property(host: &Hosted, unit: &str, name: &str) -> String {
    host.run(&["systemctl", "show", "--value", "--property", name, "--", unit]).ok().trim().to_owned()
}

/// Units of this host that are there.
#[track_caller]
pub(crate) fn units(host: &Hosted) -> Vec<String> {
    let listed = host.run(&["systemctl", "list-units", "--all", "--plain", "--no-legend", "hostler-*"]).ok();
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn a_task_is_a_unit_from_its_start_to_its_removal() {
    let Some(host) = Hosted::boot() else { return };
    let web = script(&host, "web", "echo hello; echo $MARK $HOSTLER_SERVICE; sleep 100000 & wait", "env = { MARK = \"a $b\" }", QUICKLY);
    host.up(&web);
    let pid = host.pid("web");
    let unit_name = unit(&host, "web");
    assert_eq!(property(&host, &unit_name, "MainPID"), pid.to_string());
    assert_eq!(property(&host, &unit_name, "Restart"), "no", "the host restarts");
    until("its log is read", || host.log("web") == ["hello", "a $b web"]);
    host.run(&["kill", "-9", &pid.to_string()]).ok();
    let again = host.until_again("web", pid);
    let story = host.story("web");
    assert!(story.iter().any(|line| line.starts_with("exited") && line.contains("SIGKILL")), "{story:#?}");
    until("the tree of the first life has gone with its first process", || host.run(&["pgrep", "-c", "-f", "sleep 100000"]).out.trim() == "1");
    host.hostler("stop web").ok();
    host.until_status("web", "stopped");
    assert_eq!(host.run(&["test", "-d", &format!("/proc/{again}")]).code, 1);
    host.hostler("start web").ok();
    host.until_status("web", "running");
    host.hostler("down").ok();
    until("no unit is left", || units(&host).is_empty());
    assert_eq!(host.run(&["systemctl", "is-system-running"]).out.trim(), "running", "nothing is left as failed");
}

#[test]
fn an_end_is_known_by_code_and_a_completed_task_is_not_run_again() {
    let Some(host) = Hosted::boot() else { return };
    let done = script(&host, "done", "echo once >> /srv/hostler/done.starts; sleep 0.2 & exit 0", "", "kind = \"oneshot\"");
    let three = script(&host, "three", "exit 3", "", "restart = { policy = \"never\" }");
    let after = script(&host, "after", SLEEPS, "", "dependencies = [\"done\"]");
    host.config(&(done + &three + &after));
    host.hostler("up --detach");
    host.until_status("done", "completed");
    host.until_status("after", "running");
    host.until_status("three", "failed");
    let detail = host.get("/services/three").expect("the host answers");
    assert_eq!(detail["replicas"][0]["last_exit"]["code"], 3, "{detail:#}");
    host.kill_host();
    host.serve();
    assert_eq!(host.service("done")["status"], "completed");
    assert_eq!(host.read("/srv/hostler/done.starts"), "once\n");
}

#[test]
fn limits_stand_in_the_cgroup() {
    let Some(host) = Hosted::boot() else { return };
    let properties = "properties = { TasksMax = 20, LimitNOFILE = 512, NoNewPrivileges = true, ReadOnlyPaths = [\"/etc\", \"/usr\"] }";
    let web = |resources: &str| script(&host, "web", SLEEPS, properties, &format!("resources = {{ {resources} }}"));
    host.up(&web("cpu = 0.25, memory = \"64Mi\""));
    let (unit, pid) = (unit(&host, "web"), host.pid("web"));
    assert_eq!(property(&host, &unit, "CPUQuotaPerSecUSec"), "250ms");
    assert_eq!(property(&host, &unit, "MemoryMax"), (64 << 20).to_string());
    assert_eq!(property(&host, &unit, "ReadOnlyPaths"), "/etc /usr");
    // The kernel's own word, in either generation of cgroups.
    let limit = "group=$(systemctl show --value --property ControlGroup -- \"$1\"); cat /sys/fs/cgroup/memory$group/memory.limit_in_bytes /sys/fs/cgroup$group/memory.max 2>/dev/null";
    assert_eq!(host.run(&["sh", "-c", limit, "limit", &unit]).out.trim(), (64 << 20).to_string());
    assert!(host.read(&format!("/proc/{pid}/limits")).lines().any(|line| line.starts_with("Max open files") && line.contains(" 512 ")));
    assert!(host.read(&format!("/proc/{pid}/status")).contains("NoNewPrivs:\t1"));
    let detail = host.get("/services/web?usage=true").expect("the host answers");
    let usage = |detail: &Value| detail["replicas"][0]["usage"].clone();
    assert!(usage(&detail)["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{detail:#}");
    assert_eq!(usage(&detail)["processes"], 1, "{detail:#}");

    // Others are set under the task that runs, and a host that comes later knows them.
    host.config(&web("cpu = 0.5, memory = \"96Mi\""));
    host.hostler("apply").ok();
    until("the kernel knows the new limit", || host.run(&["sh", "-c", limit, "limit", &unit]).out.trim() == (96 << 20).to_string());
    assert_eq!(property(&host, &unit, "CPUQuotaPerSecUSec"), "500ms");
    until("it is told", || host.story("web").iter().any(|line| line.starts_with("updated")));
    host.kill_host();
    host.serve();
    host.until_status("web", "running");
    assert_eq!((host.pid("web"), &host.service("web")["restart_count"]), (pid, &0.into()));
}

#[test]
fn a_task_lives_in_the_systemd_of_a_user() {
    let Some(host) = Hosted::boot() else { return };
    let web = script(&host, "web", "id -un; exec sleep 100000", "scope = \"user\", user = \"deploy\"", QUICKLY);
    host.up(&web);
    let pid = host.pid("web");
    assert!(host.read(&format!("/proc/{pid}/cgroup")).contains("user@1000.service"));
    until("its log is read", || host.log("web") == ["deploy"]);
    host.kill_host();
    host.serve();
    assert_eq!(host.pid("web"), pid);
    host.run(&["kill", "-9", &pid.to_string()]).ok();
    host.until_again("web", pid);
    until("the log goes on over the restart", || host.log("web") == ["deploy", "deploy"]);
    host.hostler("down").ok();
    assert_eq!(host.run(&["pgrep", "-u", "deploy", "sleep"]).code, 1);
    let left = host.run(&["systemctl", "--user", "--machine=1000@.host", "list-units", "--all", "--plain", "--no-legend", "hostler-*"]).ok();
    assert_eq!(left, "");
}

#[test]
fn the_check_says_what_systemd_says() {
    let Some(host) = Hosted::boot() else { return };
    let check = |more: &str| {
        format!("health_check = {{ type = \"systemd-unit\"{more}, interval = \"200ms\", failure_threshold = 1, auto_recovery = false }}")
    };
    let own = script(&host, "own", SLEEPS, "", &check(""));
    let nginx = script(&host, "proxy", SLEEPS, "", &check(", unit = \"nginx.service\""));
    let user = script(&host, "user", SLEEPS, "scope = \"user\", user = \"deploy\"", &check(""));
    // One of them is ill from the beginning.
    host.config(&(own + &nginx + &user));
    host.hostler("up --detach");
    let healthy = |name: &str, health: &str| host.until_service(name, &format!("it is {health}"), |service| service["health"] == health);
    healthy("own", "healthy");
    healthy("user", "healthy");
    healthy("proxy", "unhealthy");
    host.run(&["systemctl", "start", "nginx.service"]).ok();
    healthy("proxy", "healthy");
    let checks = host.hostler("status proxy").out;
    assert!(checks.contains("nginx.service is active (running) since"), "{checks}");
}
