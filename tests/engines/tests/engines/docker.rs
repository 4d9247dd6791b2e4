//! Backend `docker`, checks `docker-exec` and `docker-health`, against a real engine.

mod checks;
mod contract;
mod cut;
mod documents;
mod ends;
mod engine;
mod far;
mod found;
mod images;
mod instances;
mod live;
mod logs;
mod refused;
mod registry;
mod strangers;

use hostler_e2e::until;
use hostler_engines::Docked;

/// Sleeps until it is asked to end.
pub(crate) const SLEEPS: &str = "command = [\"sh\", \"-c\", \"trap 'exit 0' TERM; while :; do sleep 1000 & wait; done\"]";
pub(crate) const QUICKLY: &str = "restart = { backoff = { initial = \"10ms\", jitter = 0 } }";

/// A shell script as a command.
pub(crate) fn script(text: &str) -> String {
    format!("command = [\"sh\", \"-c\", {text:?}]")
}

#[test]
fn a_task_is_a_container_from_its_start_to_its_removal() {
    let Some(docked) = Docked::new() else { return };
    let says = script("echo hello; echo $MARK $HOSTLER_SERVICE >&2; trap 'exit 0' TERM; sleep 1000 & wait");
    docked.up(&docked.service("web", &format!("{says}, env = {{ MARK = \"a $$b\" }}, hostname = \"box\", user = \"nobody\""), QUICKLY));
    let yard = &docked.yard;
    let (id, pid) = (docked.container("web"), yard.pid("web"));
    assert_eq!(docked.inspect(&id, "{{.State.Pid}}"), pid.to_string());
    assert_eq!(docked.inspect(&id, "{{.HostConfig.RestartPolicy.Name}} {{.Config.Hostname}} {{.Config.User}}"), "no box nobody");
    let owner = yard.get("/host").expect("the host answers")["owner"].as_str().unwrap_or_default().to_owned();
    let label = |name: &str| docked.inspect(&id, &format!("{{{{index .Config.Labels \"hostler.{name}\"}}}}"));
    assert_eq!((label("owner"), label("service"), label("replica")), (owner, "web".into(), "0".into()));
    assert_eq!(docked.inspect(&id, "{{.Name}}"), format!("/hostler-{}", label("task")));
    until("its log is read", || yard.log("web").len() == 2);
    let mut log = yard.log("web");
    log.sort();
    assert_eq!(log, ["a $b web", "hello"]);

    docked.docker(&["kill", &id]).ok();
    yard.until_again("web", pid);
    let again = docked.container("web");
    assert_ne!(again, id, "each life has a container of its own");
    assert!(yard.story("web").iter().any(|line| line.starts_with("exited") && line.contains("137")), "{:#?}", yard.story("web"));
    until("the log goes on over the restart", || yard.log("web").len() == 4);

    yard.run("stop web").ok();
    yard.until_status("web", "stopped");
    assert_eq!(docked.inspect(&again, "{{.State.Running}} {{.State.ExitCode}}"), "false 0", "it had its grace");
    yard.run("start web").ok();
    yard.until_status("web", "running");
    yard.run("down").ok();
    until("no container is left", || docked.containers().is_empty());
}

#[test]
fn what_a_service_file_says_stands_in_the_container() {
    let Some(docked) = Docked::new() else { return };
    let backend = format!(
        "{SLEEPS}, read_only = true, init = true, tmpfs = {{ \"/tmp\" = \"1Mi\" }}, shm_size = \"2m\", ulimits = {{ nofile = 512 }}, cap_drop = [\"ALL\"], \
         pids_limit = 50, working_dir = \"/srv\", extra_hosts = {{ db = \"10.0.0.7\" }}, dns = [\"10.0.0.53\"], security_opt = [\"no-new-privileges\"], \
         logging = {{ driver = \"json-file\", options = {{ max-size = \"1m\" }} }}, volumes = [\"/data\"], stop_signal = \"SIGTERM\""
    );
    docked.up(&docked.service("web", &backend, "resources = { cpu = \"250m\", memory = \"64Mi\" }"));
    let id = docked.container("web");
    let host = docked.inspect(
        &id,
        "{{.HostConfig.NanoCpus}} {{.HostConfig.CpuQuota}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.ShmSize}} \
         {{.HostConfig.CapDrop}} {{.HostConfig.ExtraHosts}} {{.HostConfig.Dns}} {{.HostConfig.SecurityOpt}} {{.HostConfig.LogConfig.Config}}",
    );
    for word in ["67108864", " 50 ", " true ", " 2097152 ", "[ALL]", "[db:10.0.0.7]", "[10.0.0.53]", "no-new-privileges", "map[max-size:1m]"] {
        assert!(format!("{host} ").contains(word), "{word}: {host}");
    }
    assert!(host.starts_with("250000000 ") || host.contains(" 25000 "), "{host}");
    let inside = |line: &str| docked.docker(&["exec", &id, "sh", "-c", line]);
    assert_eq!(inside("ulimit -n; pwd").ok(), "512\n/srv\n");
    assert_ne!(inside("touch /srv/x").code, 0, "its root is read-only");
    inside("touch /tmp/x /data/x").ok();
    let usage = docked.yard.usage("web");
    assert!(usage["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{usage}");
    assert_eq!(usage["memory_limit_bytes"], 64 << 20, "{usage}");
    assert!(usage["processes"].as_u64().is_some_and(|count| count >= 2), "{usage}");
    let volume = docked.inspect(&id, "{{range .Mounts}}{{if eq .Destination \"/data\"}}{{.Name}}{{end}}{{end}}");
    docked.yard.run("down").ok();
    until("its own volume has gone with it", || docked.docker(&["volume", "inspect", &volume]).code != 0);
}

#[test]
fn a_published_port_is_an_endpoint_that_a_check_reaches() {
    let Some(docked) = Docked::new() else { return };
    let port = hostler_e2e::free_port();
    let serves = "command = [\"sh\", \"-c\", \"echo fine >/tmp/index.html; exec httpd -f -p 80 -h /tmp\"]";
    let check = format!("health_check = {{ type = \"http\", url = \"http://127.0.0.1:{port}/index.html\", interval = \"200ms\" }}");
    let fixed = docked.service("web", &format!("{serves}, ports = [\"127.0.0.1:{port}:80\"]"), &check);
    let chosen = docked.service("any", &format!("{serves}, ports = {{ \"80/tcp\" = 0 }}"), "");
    docked.up(&(fixed + &chosen));
    docked.yard.until_service("web", "it is healthy", |service| service["health"] == "healthy");
    let endpoints = docked.yard.detail("any")["replicas"][0]["endpoints"].clone();
    let published = docked.docker(&["port", &docked.container("any"), "80/tcp"]).ok();
    // For IPv6 it may be another one.
    let number: u16 = published.lines().find_map(|line| line.strip_prefix("0.0.0.0:")?.parse().ok()).expect("it is published");
    assert_eq!(endpoints.as_array().map(Vec::len), Some(1), "{endpoints}");
    assert_eq!((&endpoints[0]["name"], &endpoints[0]["host"], &endpoints[0]["port"]), (&"80/tcp".into(), &"127.0.0.1".into(), &number.into()));
}
