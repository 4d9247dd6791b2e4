//! Figures: what they say is so, they are those that the table has, and a real Prometheus reads them.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hostler_api::metrics::{Metric, Type};
use hostler_e2e::{Ran, Stream, Value, Yard, can, fixture, free_port, kill, parse, request, root, until, until_some};

use crate::sleeper;

/// One line of a scrape.
struct Line {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

fn scrape(yard: &Yard) -> String {
    let answer = request(&yard.socket(), "GET", "/metrics", b"").expect("the host answers");
    assert!(answer.status == 200 && answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    String::from_utf8(answer.body).expect("it is text")
}

fn lines(text: &str) -> Vec<Line> {
    let read = |line: &str| {
        let (series, value) = line.rsplit_once(' ').expect("a value stands last");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty());
        let labels =
            labels.filter_map(|pair| pair.split_once("=\"")).map(|(label, value)| (label.to_owned(), value.trim_end_matches('"').to_owned()));
        Line { name: name.to_owned(), labels: labels.collect(), value: value.parse().expect("a number") }
    };
    text.lines().filter(|line| !line.starts_with('#')).map(read).collect()
}

/// The value of the one series with these labels among others.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let fits = |line: &Line| line.name == name && labels.iter().all(|(label, value)| line.labels.iter().any(|(l, v)| l == label && v == value));
    lines(text).iter().find(|line| fits(line)).map(|line| line.value)
}

/// The metric that a series belongs to.
fn metric(name: &str) -> Option<Metric> {
    let family =
        ["_bucket", "_sum", "_count"].iter().find_map(|end| Metric::of(name.strip_suffix(end)?).filter(|metric| metric.kind() == Type::Histogram));
    Metric::of(name).or(family)
}

fn promtool(yard: &Yard, words: &[&str], input: &str) -> Option<String> {
    let started =
        Command::new("promtool").args(words).current_dir(yard.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = started else {
        can("promtool", false);
        return None;
    };
    child.stdin.take().expect("it was asked to be a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {words:?}: {said}");
    Some(said)
}

#[test]
fn figures_say_what_is_so() {
    let yard = Yard::new();
    let checked = "health_check = { type = \"command\", command = \"true\", interval = \"100ms\" }";
    yard.up(&(sleeper("db", checked) + &sleeper("web", "") + &sleeper("off", "enabled = false")));
    let of = |text: &str, name: &str, more: &[(&str, &str)]| value(text, &format!("hostler_{name}"), more);
    until("some checks were made", || of(&scrape(&yard), "check_duration_seconds_count", &[("service", "db")]) >= Some(5.0));
    let before = of(&scrape(&yard), "service_restarts_total", &[("service", "db")]).expect("it is counted");
    let pid = yard.pid("db");
    kill(pid);
    yard.until_again("db", pid);
    yard.until_service("db", "it is healthy", |service| service["health"] == "healthy");
    yard.run("stop web").ok();
    // A scrape goes out without what engines have not said within a second.
    let text = until_some("a whole scrape", || Some(scrape(&yard)).filter(|text| of(text, "scrape_complete", &[]) == Some(1.0)));
    assert_eq!(["db", "web", "off"].map(|name| of(&text, "service_up", &[("service", name)])), [Some(1.0), Some(0.0), Some(0.0)]);
    assert_eq!(of(&text, "service_status", &[("service", "web"), ("status", "stopped")]), Some(1.0));
    assert_eq!(of(&text, "service_status", &[("service", "web"), ("status", "running")]), None);
    assert_eq!(of(&text, "service_health", &[("service", "db"), ("health", "healthy")]), Some(1.0));
    assert_eq!(of(&text, "service_restarts_total", &[("service", "db")]), Some(before + 1.0));
    assert!(of(&text, "service_failures_total", &[("service", "db")]) >= Some(1.0));
    assert!(of(&text, "service_memory_bytes", &[("service", "db")]) > Some(10_000.0), "a process has memory");
    assert!(of(&text, "service_cpu_seconds_total", &[("service", "db")]).is_some());
    assert_eq!(of(&text, "service_memory_bytes", &[("service", "web")]), None, "what does not run uses nothing that could be measured");
    let ratio = |window| of(&text, "check_uptime_ratio", &[("service", "db"), ("window", window)]);
    assert!(ratio("1h").is_some_and(|ratio| ratio > 0.0 && ratio <= 1.0), "{:?}", ratio("1h"));
    assert_eq!(of(&text, "check_uptime_ratio", &[("service", "web")]), None, "nobody watched");
    assert!(of(&text, "check_results_total", &[("service", "db"), ("verdict", "pass")]) >= Some(5.0));
    assert!(of(&text, "plugin_calls_total", &[("plugin", "process")]) > Some(2.0));
    assert!(of(&text, "events_total", &[("kind", "started")]) >= Some(3.0));
    assert!(of(&text, "store_commits_total", &[]) > Some(2.0) && of(&text, "store_bytes", &[]) > Some(4_096.0));
    assert_eq!((of(&text, "host_ready", &[]), of(&text, "store_trouble", &[]), of(&text, "scrape_complete", &[])), (Some(1.0), Some(0.0), Some(1.0)));
    for name in ["process_open_fds", "process_max_fds", "process_resident_memory_bytes", "process_cpu_seconds_total", "loop_rounds_total"] {
        assert!(of(&text, name, &[]) > Some(0.0), "{name}");
    }
    // What is asked for in vain is one series, whatever it says.
    for path in ["/nothing", "/api/v1/nothing", "/%00"] {
        request(&yard.socket(), "GET", path, b"").expect("it is refused");
    }
    request(&yard.socket(), "GET", "/api/v1/services/nobody", b"").expect("it is refused");
    let stream = Stream::open(&yard.socket(), "/api/v1/events", &["accept: text/event-stream"]);
    let text = scrape(&yard);
    assert_eq!(of(&text, "http_requests_total", &[("route", "other"), ("code", "404")]), Some(3.0));
    assert_eq!(of(&text, "http_requests_total", &[("route", "/api/v1/services/{name}"), ("code", "404")]), Some(1.0));
    assert_eq!(of(&text, "event_streams", &[]), Some(1.0));
    drop(stream);
    until("nobody follows any more", || of(&scrape(&yard), "event_streams", &[]) == Some(0.0));
}

#[test]
fn every_series_is_in_the_table_with_its_labels_and_promtool_finds_nothing() {
    let yard = Yard::new();
    yard.up(&sleeper("db", "health_check = { type = \"command\", command = \"true\", interval = \"100ms\" }"));
    until("a check was made twice", || scrape(&yard).contains("\nhostler_check_uptime_ratio{"));
    let text = scrape(&yard);
    let mut seen = BTreeSet::new();
    for line in lines(&text) {
        let metric = metric(&line.name).unwrap_or_else(|| panic!("{} is in no table", line.name));
        let labels: Vec<&str> = line.labels.iter().map(|(label, _)| label.as_str()).filter(|label| *label != "le").collect();
        assert_eq!(labels, metric.labels(), "{}", line.name);
        seen.insert(metric);
    }
    // These need something that this host has not, or something to be wrong.
    let network = [Metric::ServiceNetworkReceivedBytes, Metric::ServiceNetworkSentBytes];
    let absent = [&network[..], &[Metric::ServiceMemoryLimitBytes, Metric::ServiceProcesses, Metric::Alerts]].concat();
    let missing: Vec<&Metric> = Metric::ALL.iter().filter(|metric| !seen.contains(metric) && !absent.contains(metric)).collect();
    assert_eq!(missing, Vec::<&Metric>::new());
    promtool(&yard, &["check", "metrics"], &text);
}

#[test]
fn one_service_has_the_same_figures_as_a_document() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "health_check = { type = \"command\", command = \"true\", interval = \"100ms\" }") + &sleeper("web", "")));
    until("a check was made", || {
        yard.get("/services/db/metrics").is_some_and(|figures| figures["checks"][0]["duration"]["count"].as_u64() > Some(2))
    });
    let figures =
        until_some("its engine has said what it uses", || yard.get("/services/db/metrics").filter(|figures| figures["memory_bytes"].is_u64()));
    assert_eq!((&figures["up"], &figures["status"], &figures["restarts"]), (&Value::from(true), &Value::from("running"), &Value::from(0)));
    assert!(figures["memory_bytes"].as_u64() > Some(10_000) && figures["replicas"][0]["memory_bytes"] == figures["memory_bytes"], "{figures:#}");
    assert!(figures["uptime_seconds"].as_f64() > Some(0.0) && figures["cpu_seconds"].is_f64(), "{figures:#}");
    assert!(figures["checks"][0]["results"]["pass"].as_u64() > Some(2) && figures["checks"][0]["duration"]["p95_seconds"].is_f64(), "{figures:#}");
    yard.run("stop web").ok();
    let figures = yard.get("/services/web/metrics").expect("it is there");
    assert_eq!((&figures["up"], &figures["memory_bytes"], &figures["uptime_seconds"]), (&Value::from(false), &Value::Null, &Value::Null));
    assert_eq!(request(&yard.socket(), "GET", "/api/v1/services/nobody/metrics", b"").map(|answer| answer.status), Some(404));
}

#[test]
fn an_engine_that_hangs_holds_up_no_scrape() {
    let yard = Yard::new();
    let plugin = format!("[plugins.naughty]\nsource = \"{}\"\n", fixture("naughty").display());
    let hangs = "[services.hangs]\nbackend = { type = \"naughty\", at = \"measure\", do = \"hang\" }\n";
    yard.up(&(sleeper("db", "") + &plugin + hangs));
    until("others are measured", || value(&scrape(&yard), "hostler_service_memory_bytes", &[("service", "db")]).is_some());
    for _ in 0..3 {
        let begun = Instant::now();
        let text = scrape(&yard);
        // A backend has 10 s to measure.
        assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
        assert_eq!(value(&text, "hostler_service_up", &[("service", "hangs")]), Some(1.0));
        assert_eq!(value(&text, "hostler_scrape_complete", &[]), Some(0.0));
        assert!(value(&text, "hostler_service_memory_bytes", &[("service", "db")]).is_some(), "others stay measured");
    }
}

#[test]
fn an_engine_that_fails_makes_no_scrape_whole() {
    let yard = Yard::new();
    let plugin = format!("[plugins.naughty]\nsource = \"{}\"\n", fixture("naughty").display());
    let fails = "[services.fails]\nbackend = { type = \"naughty\", at = \"measure\", do = \"fail\" }\n";
    yard.up(&(sleeper("db", "") + &plugin + fails));
    until("the others are measured", || value(&scrape(&yard), "hostler_service_memory_bytes", &[("service", "db")]).is_some());
    assert_eq!(value(&scrape(&yard), "hostler_scrape_complete", &[]), Some(0.0));
    yard.config(&(sleeper("db", "") + &plugin));
    yard.run("apply").ok();
    until("all that is left says it", || value(&scrape(&yard), "hostler_scrape_complete", &[]) == Some(1.0));
}

/// The names of metrics that a text has.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("hostler_")).map(str::to_owned).collect()
}

#[test]
fn rules_and_dashboard_speak_of_metrics_that_there_are() {
    let folder = root().join("examples/monitoring");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (rules, dashboard) = (read("rules.yml"), read("dashboard.json"));
    for (file, text) in [("rules.yml", &rules), ("dashboard.json", &dashboard)] {
        let odd: Vec<String> = names(text).into_iter().filter(|name| metric(name).is_none()).collect();
        assert!(odd.is_empty() && names(text).len() > 8, "{file}: {odd:?}");
    }
    let panels = parse::<Value>(&dashboard).expect("it is JSON");
    assert!(panels["panels"].as_array().is_some_and(|panels| panels.iter().all(|panel| panel["targets"][0]["expr"].is_string())));
    // Each alert is in the guide, and no other.
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let guide = std::fs::read_to_string(root().join("docs/OPERATIONS.md")).expect("it is there");
    let (_, table) =
        guide.split_once("\n| alert | severity | what it says | when | for |\n|---|---|---|---|---|\n").expect("the guide has the table");
    let told = table.lines().take_while(|line| line.starts_with('|')).filter_map(|line| line.split('`').nth(1));
    assert_eq!(told.collect::<Vec<_>>(), alerts);
    let yard = Yard::new();
    promtool(&yard, &["check", "rules", &folder.join("rules.yml").display().to_string()], "");
    promtool(&yard, &["check", "config", &folder.join("prometheus.yml").display().to_string()], "");
}

#[test]
fn who_is_down_as_wanted_misses_no_replicas() {
    let yard = Yard::new();
    let figures = |instance: &str, service: &str, status: &str, running: u32| {
        let of = format!("{{instance=\"{instance}\",job=\"hostler\",service=\"{service}\"");
        format!(
            "      - {{ series: 'hostler_service_replicas_wanted{of}}}', values: '1+0x20' }}\n\
             \x20     - {{ series: 'hostler_service_replicas_running{of}}}', values: '{running}+0x20' }}\n\
             \x20     - {{ series: 'hostler_service_status{of},status=\"{status}\"}}', values: '1+0x20' }}\n"
        )
    };
    let as_wanted = ["stopped", "completed", "disabled", "not-found"].map(|status| figures("here", status, status, 0));
    // Another host has stopped one of that name.
    let series =
        [&as_wanted[..], &[figures("here", "web", "pending", 0), figures("there", "web", "stopped", 0), figures("here", "db", "running", 1)]];
    let told = "exp_labels: { severity: warning, instance: here, job: hostler, service: web }, exp_annotations: { summary: web has fewer replicas than are wanted. }";
    yard.write(
        "missing.yml",
        format!(
            "rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n{}    alert_rule_test:\n      \
             - {{ eval_time: 9m, alertname: HostlerReplicasMissing, exp_alerts: [] }}\n      \
             - {{ eval_time: 15m, alertname: HostlerReplicasMissing, exp_alerts: [{{ {told} }}] }}\n",
            root().join("examples/monitoring/rules.yml").display(),
            series.concat().concat()
        ),
    );
    promtool(&yard, &["test", "rules", "missing.yml"], "");
}

#[test]
fn a_real_prometheus_reads_the_host_that_runs_it() {
    let there = Command::new("prometheus").arg("--version").output().is_ok_and(|output| output.status.success());
    if !can("Prometheus (prometheus)", there) {
        return;
    }
    let yard = Yard::new();
    let [figures, web] = [free_port(), free_port()].map(|port| port.to_string());
    for name in ["hostler.toml", "figures.py", "prometheus.yml", "rules.yml"] {
        let text = std::fs::read_to_string(root().join("examples/monitoring").join(name)).expect("the example is whole");
        // The example's own ports may be taken; and nobody waits a quarter of a minute.
        yard.write(name, text.replace("19464", &figures).replace("19091", &web).replace("15s", "1s"));
    }
    yard.run("up --detach").ok();
    let ask = |query: &str| {
        let url = format!("http://127.0.0.1:{web}/api/v1/query?query={query}");
        let answer = Ran::of(Command::new("curl").args(["-sf", &url])).ok();
        parse::<Value>(&answer)
            .ok()
            .map(|answer| answer["data"]["result"].clone())
            .filter(|result| result.as_array().is_some_and(|all| !all.is_empty()))
    };
    let up = until_some("Prometheus has asked once", || ask("hostler_service_up").filter(|up| up.as_array().is_some_and(|all| all.len() == 2)));
    let services: BTreeSet<&str> = up.as_array().into_iter().flatten().filter_map(|one| one["metric"]["service"].as_str()).collect();
    assert_eq!(services, BTreeSet::from(["figures", "prometheus"]));
    let is_one = |query: &str| ask(query).is_some_and(|found| found.as_array().into_iter().flatten().all(|one| one["value"][1] == "1"));
    until("it reads that both are up", || is_one("hostler_service_up"));
    until("its last look at the host went well", || is_one("up"));
    until("a histogram can be asked for", || ask("histogram_quantile(0.5,hostler_check_duration_seconds_bucket)").is_some());
    yard.run("down").ok();
}

#[test]
fn the_figures_of_a_check_go_with_its_name() {
    let yard = Yard::new();
    let named = |name: &str| {
        let check = format!("{{ type = \"command\", command = \"true\", interval = \"50ms\", name = \"{name}\" }}");
        sleeper("db", &format!("health_checks = [{check}]"))
    };
    let asked = |name: &str| value(&scrape(&yard), "hostler_check_duration_seconds_count", &[("service", "db"), ("check", name)]);
    yard.up(&named("one"));
    until("it was made", || asked("one") > Some(0.0));
    yard.config(&named("two"));
    yard.run("apply").ok();
    until("the new one was made, and the old one is not told of", || asked("two") > Some(0.0) && asked("one").is_none());
}
