//! A stranger has the number that a task had: it is nobody's business.

use hostler_e2e::{Value, json, parse, root, until};

use super::Far;

/// One task over there, called through the component alone: no host that would look between two steps.
struct Task<'a> {
    far: &'a Far,
    handle: Value,
    /// Its directory over there.
    dir: String,
    pid: u32,
}

impl<'a> Task<'a> {
    #[track_caller]
    fn start(far: &'a Far, line: &str, nth: u32) -> Task<'a> {
        let args: Vec<&str> = line.split(' ').skip(1).collect();
        let settings = json!({
            "host": far.host.address(), "user": "deploy", "key_file": far.host.key_file(), "known_hosts": far.host.known_hosts(),
            "binary": "/bin/sleep", "args": args,
        });
        let id = format!("stranger-{nth}");
        let task = json!({
            "id": { "id": id, "workspace": "w", "service": id, "replica": 0, "run": 1 }, "spec-digest": "d", "settings": settings, "env": [],
            "resources": { "cpu-millis": null, "memory-bytes": null, "storage-bytes": null }, "labels": [],
        });
        let answer = call(far, "start", &json!([task]));
        let pid = far.process(line);
        let dir = far.host.sh(&format!("echo /home/deploy/.local/state/hostler/*/{id}")).ok().trim().to_owned();
        Task { far, handle: answer["ok"].clone(), dir, pid }
    }

    /// Its supervisor dies, then itself: nobody writes how it ended.
    #[track_caller]
    fn dies_unseen(&self) {
        self.far.host.sh(&format!("read -r p rest <{}/supervisor; kill -KILL $p {}", self.dir, self.pid)).ok();
        until("it is dead", || self.far.host.sh(&format!("kill -0 {}", self.pid)).code != 0);
    }

    /// Every way there is to hurt it, and what is said of it, all of which is to leave the stranger alone.
    #[track_caller]
    fn leaves_alone(&self, stranger: u32, reason: &str) {
        let alive = || self.far.processes("sleep 6499").contains(&stranger);
        let phase = &call(self.far, "inspect", &json!([[self.handle]]))["ok"][0]["phase"];
        assert!(phase["exited"]["reason"].as_str().is_some_and(|why| why.contains(reason)), "{phase:#}");
        call(self.far, "signals.send", &json!([self.handle, "SIGKILL"]));
        assert!(alive(), "a signal reached the stranger");
        let stopped = call(self.far, "stop", &json!([self.handle, "SIGKILL", 100]));
        assert!(!stopped["ok"]["phase"]["exited"].is_null(), "{stopped:#}");
        assert!(alive(), "a stop reached the stranger");
        assert!(call(self.far, "stats.measure", &json!([[self.handle]]))["ok"][0].is_null(), "the stranger is measured");
        call(self.far, "destroy", &json!([self.handle, true]));
        assert!(alive(), "a removal reached the stranger");
        assert!(self.far.tasks().is_empty(), "{:?}", self.far.tasks());
    }
}

/// Calls one function of the real component, with the real ssh.
#[track_caller]
fn call(far: &Far, function: &str, arguments: &Value) -> Value {
    let (component, grants) = (root().join("target/plugins/ssh.wasm"), root().join("plugins/ssh/grants.json"));
    let config = json!({ "control_persist": 0 });
    let line = format!("plugin call {} {function} {arguments} --against real --grants {} --config {config}", component.display(), grants.display());
    let ran = far.yard.run(&line);
    parse(&ran.out).unwrap_or_else(|error| panic!("{line}: {error}: {}{}", ran.out, ran.err))
}

/// A process over there of the same user, alone in a session and a group of its own, with exactly this number.
#[track_caller]
fn stranger(far: &Far, pid: u32) -> u32 {
    far.host.sh("mountpoint -q /run/pids || { mkdir -p /run/pids && mount -t proc proc /run/pids; }").ok();
    let script = format!(
        "tries=0
         while [ $tries -lt 300 ]; do
           tries=$((tries + 1))
           echo {} >/run/pids/sys/kernel/ns_last_pid || exit 1
           setsid sh -c 'exec </dev/null >/dev/null 2>&1; [ $$ = {pid} ] || exit 0; exec setpriv --reuid deploy --regid deploy --clear-groups sleep 6499' &
           [ $! = {pid} ] && exit 0
         done
         exit 2",
        pid - 1
    );
    far.host.sh(&script).ok();
    assert_eq!(far.process("sleep 6499"), pid, "the number is taken again");
    pid
}

#[test]
fn a_number_that_is_taken_again_is_a_strangers() {
    let Some(far) = Far::boot() else { return };
    let task = Task::start(&far, "/bin/sleep 6401", 1);
    task.dies_unseen();
    task.leaves_alone(stranger(&far, task.pid), "supervisor was killed");
}

#[test]
fn a_number_of_before_a_restart_is_a_strangers() {
    let Some(far) = Far::boot() else { return };
    let task = Task::start(&far, "/bin/sleep 6402", 2);
    far.host.reboot();
    // its supervisor's number, too, is somebody's by now
    task.leaves_alone(stranger(&far, task.pid), "started anew");
}

#[test]
fn a_number_that_was_written_into_its_file_is_a_strangers() {
    let Some(far) = Far::boot() else { return };
    for (nth, with_exit) in [(3, false), (4, true)] {
        let task = Task::start(&far, "/bin/sleep 6403", nth);
        task.dies_unseen();
        far.host.sh("setsid setpriv --reuid deploy --regid deploy --clear-groups sleep 6499 </dev/null >/dev/null 2>&1 &").ok();
        let other = far.process("sleep 6499");
        let rewrite = |file: &str| format!("read -r p s b rest <{0}/{file}; echo {other} $s $b $rest >{0}/{file}", task.dir);
        far.host.sh(&format!("set -e; {}; {}", rewrite("task"), rewrite("supervisor"))).ok();
        if with_exit {
            far.host.sh(&format!("echo '{other} $(kill -KILL {other}); -1' >{}/exit", task.dir)).ok();
        }
        task.leaves_alone(other, if with_exit { "no readable record" } else { "supervisor was killed" });
        far.host.run(&["kill", "-KILL", &other.to_string()]).ok();
    }
}
