//! The four checks, against targets that are well, ill, slow and absent.

use std::net::TcpListener;

use hostler_e2e::{Page, Value, Yard, free_port, until, until_some};

use crate::sleeper;

/// What was said of the service with this number.
#[track_caller]
fn result_of(now: &Value, number: usize) -> &Value {
    let name = format!("s{number}");
    let result = now["results"].as_array().into_iter().flatten().find(|result| result["service_name"] == name.as_str());
    result.unwrap_or_else(|| panic!("no result of {name}: {now:#}"))
}

/// Starts a service for each check, asks all of them now, and holds each one's verdict and words against what is expected.
#[track_caller]
fn check(yard: &Yard, more: &str, expected: &[(&str, &str, &str)]) {
    let service = |(number, (settings, ..)): (usize, &(&str, &str, &str))| {
        sleeper(
            &format!("s{number}"),
            &format!("health_check = {{ interval = \"100ms\", {settings}, auto_recovery = false, failure_threshold = 1 }}"),
        )
    };
    let config: String = expected.iter().enumerate().map(service).collect();
    yard.config(&(config + more));
    // What fails its first check is settled, too, and no failure of `up`: it is judged here.
    yard.run("up --detach");
    until("everything that a check looks at is up", || yard.get("/services").is_some_and(|list| list["settled"] == true));
    // A check has a moment to say that its time is up: one that is late with that is asked again.
    let now = until_some("no check is late with its verdict", || {
        let now = yard.run("health --now --json").json();
        let is_late = |(number, (_, verdict, _)): (usize, &(&str, &str, &str))| *verdict == "fail" && result_of(&now, number)["verdict"] == "unknown";
        let is_one_late = expected.iter().enumerate().any(is_late);
        (!is_one_late).then_some(now)
    });
    for (number, (settings, verdict, words)) in expected.iter().enumerate() {
        let result = result_of(&now, number);
        let message = result["message"].as_str().unwrap_or_default();
        assert_eq!(result["verdict"], *verdict, "{settings}: {message}");
        assert!(message.contains(words), "{settings}: `{words}` is missing in `{message}`");
        let health = if *verdict == "pass" { "healthy" } else { "unhealthy" };
        // What came up after its first checks needs a few more of them.
        yard.until_service(&format!("s{number}"), health, |service| service["health"] == health);
    }
}

/// A service that is the page itself, up before anybody looks at it.
fn served(page: &Page, name: &str) -> String {
    format!(
        "[services.{name}]\nbackend = {}\n\
         health_check = {{ type = \"tcp\", port = {}, interval = \"50ms\", start_period = \"1m\", auto_recovery = false }}\n",
        page.backend(),
        page.port
    )
}

#[test]
fn http_knows_statuses_by_number_range_and_list() {
    let yard = Yard::new();
    let (fine, gone) = (Page::new(yard.path(), "fine"), Page::new(yard.path(), "gone"));
    fine.answers("204");
    gone.answers("410 gone");
    let http = |page: &Page, more: &str| format!("type = \"http\", url = \"{}\"{more}", page.url());
    let cases = [
        (http(&fine, ""), "pass", "204"),
        (http(&gone, ""), "fail", "410"),
        (http(&gone, ", expected_status = 410"), "pass", "410"),
        (http(&gone, ", expected_status = 200"), "fail", "410"),
        (http(&gone, ", expected_status = \"400-499\""), "pass", "410"),
        (http(&gone, ", expected_status = \"500-599\""), "fail", "410"),
        (http(&gone, ", expected_status = [200, \"404-410\"]"), "pass", "410"),
        (http(&fine, ", expected_status = [200, \"404-410\"]"), "fail", "204"),
    ];
    let cases: Vec<(&str, &str, &str)> = cases.iter().map(|(settings, verdict, words)| (settings.as_str(), *verdict, *words)).collect();
    check(&yard, &(served(&fine, "fine") + &served(&gone, "gone")), &cases);
}

#[test]
fn http_sends_method_and_headers_and_reads_the_body() {
    let yard = Yard::new();
    let page = Page::new(yard.path(), "page");
    page.answers("200 all is well");
    let http = |more: &str| format!("type = \"http\", url = \"{}ready?deep=1\", {more}", page.url());
    let cases = [
        (http("body_contains = \"all is well\""), "pass", "200"),
        (http("body_contains = \"all is lost\""), "fail", "body"),
        (http("method = \"POST\", body_contains = \"POST /ready?deep=1\""), "pass", "200"),
        (http("headers = { x-who = \"me\" }, body_contains = \"GET /ready?deep=1 me \""), "pass", "200"),
        (http("method = \"HEAD\""), "pass", "HEAD"),
    ];
    let cases: Vec<(&str, &str, &str)> = cases.iter().map(|(settings, verdict, words)| (settings.as_str(), *verdict, *words)).collect();
    check(&yard, &served(&page, "page"), &cases);
    let answer = yard.run("status s1").ok();
    assert!(!answer.contains("all is well"), "the body is never shown: {answer}");
}

#[test]
fn tcp_asks_whether_somebody_listens() {
    let yard = Yard::new();
    let listening = TcpListener::bind(("127.0.0.1", 0)).expect("there is a port");
    let (open, closed) = (listening.local_addr().expect("it is bound").port(), free_port());
    let tcp = |port: u16, more: &str| format!("type = \"tcp\", port = {port}{more}");
    let cases = [
        (tcp(open, ""), "pass", ""),
        (tcp(open, ", host = \"localhost\""), "pass", ""),
        (tcp(closed, ""), "fail", "refused"),
        (tcp(open, ", host = \"no-such-host.invalid\""), "fail", "no-such-host.invalid"),
    ];
    let cases: Vec<(&str, &str, &str)> = cases.iter().map(|(settings, verdict, words)| (settings.as_str(), *verdict, *words)).collect();
    check(&yard, "", &cases);
}

#[test]
fn command_and_script_judge_by_exit_code() {
    let yard = Yard::new();
    yard.script("three.sh", "exit 3");
    yard.script("says.sh", "echo \"$HOSTLER_SERVICE/$HOSTLER_REPLICA of $HOSTLER_WORKSPACE in $PWD\" > said.$1; test \"$1\" = well");
    check(
        &yard,
        "",
        &[
            ("type = \"command\", command = \"true\"", "pass", ""),
            ("type = \"command\", command = \"false\"", "fail", "1"),
            ("type = \"command\", command = [\"sh\", \"-c\", \"exit 3\"], expected_exit_code = 3", "pass", "3"),
            ("type = \"command\", command = \"sh\", args = [\"-c\", \"exit 4\"], expected_exit_code = 3", "fail", "4"),
            ("type = \"command\", command = \"test\", args = [\"-f\", \"hostler.toml\"]", "pass", ""),
            ("type = \"script\", path = \"./says.sh\", args = [\"well\"]", "pass", "exited with 0"),
            ("type = \"script\", path = \"./says.sh\", args = [\"ill\"]", "fail", "exited with 1, expected 0"),
            ("type = \"script\", path = \"./three.sh\", expected_exit_code = 3", "pass", "3"),
            ("type = \"script\", path = \"./three.sh\"", "fail", "3"),
        ],
    );
    assert_eq!(yard.read("said.well"), format!("s5/0 of default in {}\n", yard.path().display()), "it is told whom it judges");
}

#[test]
fn arguments_reach_a_command_as_they_were_written() {
    let yard = Yard::new();
    yard.script("exact.sh", "[ \"$#\" = 3 ] && [ \"$1\" = '; rm -rf /' ] && [ \"$2\" = '$(id)' ] && [ \"$3\" = '-x y' ]");
    check(
        &yard,
        "",
        &[
            ("type = \"command\", command = \"./exact.sh\", args = [\"; rm -rf /\", \"$$(id)\", \"-x y\"]", "pass", ""),
            ("type = \"command\", command = [\"./exact.sh\", \"; rm -rf /\", \"$$(id)\", \"-x y\"]", "pass", ""),
        ],
    );
}

#[test]
fn a_target_that_does_not_answer_in_time_has_failed() {
    let yard = Yard::new();
    let page = Page::new(yard.path(), "page");
    page.answers("hang");
    yard.script("slow.sh", "sleep 100");
    let http = format!("type = \"http\", timeout = \"200ms\", url = \"{}\"", page.url());
    check(
        &yard,
        &served(&page, "page"),
        &[
            (&http, "fail", "no answer within 200ms"),
            ("type = \"command\", timeout = \"200ms\", command = \"sleep\", args = [100]", "fail", "did not end in time"),
            ("type = \"script\", timeout = \"200ms\", path = \"./slow.sh\"", "fail", "did not end in time"),
        ],
    );
    until("nothing that a check started is left", || {
        let services: Vec<u32> = (0..3).map(|number| yard.pid(&format!("s{number}"))).collect();
        yard.processes().into_iter().all(|pid| services.contains(&pid) || !sleeps(pid))
    });
}

fn sleeps(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep"))
}

#[test]
fn a_target_that_cannot_be_reached_has_failed() {
    let yard = Yard::new();
    let http = format!("type = \"http\", url = \"http://127.0.0.1:{}/\"", free_port());
    check(&yard, "", &[(&http, "fail", "refused"), ("type = \"http\", url = \"http://no-such-host.invalid/\"", "fail", "the name does not resolve")]);
}

#[test]
fn a_checker_that_cannot_be_run_says_nothing_about_the_service() {
    let yard = Yard::new();
    let check = |settings: &str| format!("health_check = {{ interval = \"50ms\", failure_threshold = 1, {settings} }}");
    let missing = [("a", "type = \"command\", command = \"no-such-program\""), ("b", "type = \"script\", path = \"./no-such-script.sh\"")];
    yard.config(&missing.map(|(name, settings)| sleeper(name, &check(settings))).concat());
    yard.run("up --detach --timeout 500ms").fails(1);
    for (name, _) in missing {
        until("it was asked some times", || yard.detail(name)["checks"][0]["history"].as_array().is_some_and(|history| history.len() > 2));
        let detail = yard.detail(name);
        let history: Vec<&Value> = detail["checks"][0]["history"].as_array().into_iter().flatten().collect();
        assert!(history.iter().all(|result| result["verdict"] == "unknown"), "{detail:#}");
        assert_eq!([&detail["service"]["health"], &detail["service"]["restart_count"]], [&Value::from("unknown"), &Value::from(0)]);
        assert!(yard.run(&format!("explain {name}")).ok().contains("no-such-"), "it is said why nobody knows");
    }
}

#[test]
fn failures_degrade_first_and_then_make_unhealthy_and_passes_recover() {
    let yard = Yard::new();
    // A hundred results are remembered: all that is looked for below has to be among them.
    let check = "health_check = { type = \"command\", command = \"test\", args = [\"-f\", \"well\"], interval = \"200ms\", \
                 failure_threshold = 3, recovery_threshold = 2, auto_recovery = false }";
    yard.write("well", "");
    yard.up(&sleeper("db", check));
    assert_eq!(yard.run("health --json").json()["composite_health"], "healthy");
    let pid = yard.pid("db");
    std::fs::remove_file(yard.file("well")).expect("it is ours");
    yard.until_service("db", "it is unhealthy", |service| service["health"] == "unhealthy");
    assert_eq!([&yard.service("db")["status"], &yard.run("health --json").json()["unhealthy_services"][0]], ["unhealthy", "db"]);
    yard.write("well", "");
    yard.until_service("db", "it is healthy again", |service| service["health"] == "healthy");
    let turns: Vec<String> = yard.story("db").into_iter().filter(|line| line.starts_with("health-changed")).collect();
    let words: Vec<&str> = turns.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(words, ["unknown -> healthy", "healthy -> degraded", "degraded -> unhealthy", "unhealthy -> healthy"], "{turns:#?}");
    assert_eq!(yard.pid("db"), pid, "without auto_recovery nobody restarts it");

    let told = yard.get("/services/db/history").unwrap_or_default();
    let mut words: Vec<&str> = told["results"].as_array().into_iter().flatten().filter_map(|result| result["status"].as_str()).collect();
    words.dedup();
    assert_eq!(words, ["healthy", "degraded", "unhealthy", "healthy"], "each with what it made of the health: {told:#}");
    assert_eq!(told["health"], "healthy");
    let failed = yard.get("/services/db/history?check=command&replica=0&verdict=fail&limit=2").unwrap_or_default();
    let verdicts: Vec<&Value> = failed["results"].as_array().into_iter().flatten().map(|result| &result["verdict"]).collect();
    assert_eq!(verdicts, ["fail", "fail"], "{failed:#}");
    assert!(yard.run("health --history db --limit 1").ok().contains("now: healthy"));
    assert!(yard.run("health --history db --check commando").fails(1).contains("it has command"));
    assert!(yard.run("health --history nobody").fails(1).contains("there is no service"));

    let checks = &yard.detail("db")["checks"][0];
    let history: Vec<&Value> = checks["history"].as_array().into_iter().flatten().collect();
    assert!(history.len() >= 5 && history.iter().all(|result| result["response_time_ms"].is_number()), "{checks:#}");
    assert!(checks["uptime_1h"].as_f64().is_some_and(|percent| percent > 0.0 && percent < 100.0), "{checks:#}");
    let log = || yard.read("state/services/db/health.log");
    until("all four stand in the file", || log().lines().count() >= 4);
    assert_eq!(log().lines().count(), 4, "and nothing but what changes:\n{}", log());
}

#[test]
fn a_start_period_forgives() {
    let yard = Yard::new();
    let check = "health_check = { type = \"command\", command = \"test\", args = [\"-f\", \"well\"], interval = \"50ms\", failure_threshold = 1, start_period = \"1h\" }";
    yard.config(&sleeper("db", check));
    yard.run("up --detach --timeout 300ms").fails(1);
    let pid = yard.pid("db");
    until("it failed several checks", || yard.detail("db")["checks"][0]["history"].as_array().is_some_and(|history| history.len() > 5));
    assert_eq!((yard.status("db").as_str(), yard.pid("db")), ("starting", pid), "{:#}", yard.detail("db"));
    yard.write("well", "");
    yard.until_service("db", "it is healthy", |service| service["health"] == "healthy");
}
