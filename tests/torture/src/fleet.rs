//! The services under torture.

use std::path::Path;

/// Nobody touches these: one life for all of the torture, and every line they write.
pub(crate) const STEADY: [&str; 11] =
    ["count-0", "count-1", "count-2", "flood", "after-count", "after-after", "after-once", "web", "after-web", "door", "after-door"];
/// These end by themselves, again and again, and nobody touches them.
pub(crate) const CRASHING: [&str; 6] = ["crash-0", "crash-1", "crash-2", "crash-3", "crash-4", "crash-5"];
/// These run once to their end.
pub(crate) const ONCE: [&str; 3] = ["once-0", "once-1", "once-2"];
/// These are stopped and started.
pub(crate) const TOGGLED: [&str; 3] = ["toggle-0", "toggle-1", "toggle-2"];
/// These are restarted.
pub(crate) const RESTARTED: [&str; 2] = ["again-0", "again-1"];
/// These are told something else by each configuration.
pub(crate) const CHANGED: [&str; 2] = ["changed-0", "changed-1"];
/// This one is in every second configuration only.
pub(crate) const SOMETIMES: &str = "sometimes";
/// The ones that write numbered lines and are not touched.
pub(crate) const COUNTING: [&str; 7] = ["count-0", "count-1", "count-2", "flood", "after-count", "after-after", "after-once"];

/// Everybody, but the one that is not always there.
pub(crate) fn everybody() -> Vec<&'static str> {
    [&STEADY[..], &CRASHING, &ONCE, &TOGGLED, &RESTARTED, &CHANGED].concat()
}

/// The configuration that gives this mark. `program` is what plays the services, `dir` where their accounts are, `ports` are for who listens.
pub(crate) fn configuration(program: &Path, dir: &Path, ports: [u16; 2], mark: u64) -> String {
    let mut text = "[settings]\nmax_parallel = 8\n".to_owned();
    let mut add = |name: &str, part: &str, more: &str| {
        let port = ports[usize::from(name == "door")];
        text += &format!(
            "[services.{name}]\nbackend = {{ type = \"process\", binary = {program:?}, args = [\"be\", \"{part}\", {dir:?}, {port}] }}\n\
             stop = {{ grace = \"2s\" }}\n{more}\n"
        );
    };
    let needs = |name: &str| format!("dependencies = [{name:?}]");
    for name in &COUNTING[..3] {
        add(name, "count", "");
    }
    add("flood", "flood", "");
    add("after-count", "count", &needs("count-0"));
    add("after-after", "count", &needs("after-count"));
    add("after-once", "count", "dependencies = [{ service = \"once-0\", condition = \"completed\" }]");
    // A check fails while the machine has other things to do, and that is no kill.
    let patient = "interval = \"500ms\", timeout = \"20s\", failure_threshold = 100";
    add("web", "listen", &format!("health_check = {{ type = \"http\", url = \"http://127.0.0.1:{}/\", {patient} }}", ports[0]));
    add("after-web", "count", &needs("web"));
    add("door", "listen", &format!("health_check = {{ type = \"tcp\", host = \"127.0.0.1\", port = {}, {patient} }}", ports[1]));
    add("after-door", "count", &needs("door"));
    for name in CRASHING {
        add(name, "crash", "restart = { policy = \"always\", max_attempts = 1000000, backoff = { initial = \"10ms\", max = \"50ms\" } }");
    }
    for name in ONCE {
        add(name, "once", "kind = \"oneshot\"");
    }
    for name in TOGGLED.into_iter().chain(RESTARTED) {
        add(name, "count", "");
    }
    for name in CHANGED {
        add(name, "count", &format!("env = {{ MARK = \"{mark}\" }}"));
    }
    if mark % 2 == 1 {
        add(SOMETIMES, "count", "");
    }
    text
}
