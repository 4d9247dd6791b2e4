//! Alerts: who is told that something is wrong, and that it is told once.

use std::time::{Duration, Instant};

use hostler_e2e::{Hook, Page, Takes, Value, Yard, fixture, json, request, until, until_some};

use crate::sleeper;

/// A sink that is a hook.
fn webhook(name: &str, hook: &Hook, more: &str) -> String {
    format!("[sinks.{name}]\ntype = \"webhook\"\nurl = \"{}\"\ngroup_wait = \"50ms\"\n{more}\n", hook.url())
}

/// A service that is as well as its page says.
fn page(yard: &Yard, name: &str) -> (Page, String) {
    let page = Page::new(yard.path(), name);
    let check = format!(
        "{{ type = \"http\", url = \"{}\", interval = \"100ms\", start_period = \"1m\", \
         failure_threshold = 2, recovery_threshold = 1, auto_recovery = false }}",
        page.url()
    );
    let service = format!("[services.{name}]\nbackend = {}\nhealth_check = {check}\n", page.backend());
    (page, service)
}

/// Services that end at once, and for good.
fn failing(names: impl IntoIterator<Item = String>) -> String {
    let one =
        |name: String| format!("[services.{name}]\nbackend = {{ type = \"process\", binary = \"false\" }}\nrestart = {{ policy = \"never\" }}\n");
    names.into_iter().map(one).collect()
}

fn firing(yard: &Yard) -> Vec<Value> {
    let list = yard.get("/alerts?state=firing").unwrap_or_default();
    list["alerts"].as_array().cloned().unwrap_or_default()
}

fn sink(yard: &Yard, name: &str) -> Value {
    let list = yard.get("/alerts").unwrap_or_default();
    list["sinks"].as_array().into_iter().flatten().find(|sink| sink["name"] == name).cloned().unwrap_or_default()
}

fn events(yard: &Yard, kind: &str) -> Vec<Value> {
    yard.events().into_iter().filter(|event| event["kind"] == kind).collect()
}

#[test]
fn a_webhook_that_fails_twice_is_told_once_of_each_change() {
    let (yard, hook) = (Yard::new(), Hook::new());
    let (web, service) = page(&yard, "web");
    yard.write("hook.key", "a secret\n");
    hook.takes_next(&[Takes::Answering(500), Takes::Answering(503)]);
    yard.up(&(webhook("ops", &hook, "secret_file = \"hook.key\"") + "[alerts]\ndefaults = true\n" + &service));
    yard.until_service("web", "it is well", |web| web["health"] == "healthy");
    web.answers("503 out of order");
    // Two alerts, of which one is tried three times.
    let taken = hook.until_taken(2);
    let of = |rule: &str, state: &str, taken: &[Value]| {
        taken.iter().filter(|body| body["rule"] == rule && body["state"] == state).cloned().collect::<Vec<Value>>()
    };
    let told = of("unhealthy", "firing", &taken);
    assert_eq!(told.len(), 1, "{taken:#?}");
    assert_eq!([&told[0]["severity"], &told[0]["count"], &told[0]["alerts"][0]["service"]], [&json!("critical"), &json!(1), &json!("web")]);
    let summary = told[0]["summary"].as_str().unwrap_or_default();
    assert!(summary.starts_with("unhealthy: web is unhealthy: check http failed"), "{summary}");
    assert_eq!(of("degraded", "firing", &taken).len(), 1);
    web.answers("200 fine");
    let taken = hook.until_taken(4);
    assert_eq!((of("unhealthy", "resolved", &taken).len(), of("degraded", "resolved", &taken).len()), (1, 1), "{taken:#?}");
    assert_eq!(of("unhealthy", "resolved", &taken)[0]["alerts"][0]["id"], told[0]["alerts"][0]["id"]);
    assert_eq!(hook.told().iter().filter(|told| !told.taken).count(), 2);
    until("nothing waits", || sink(&yard, "ops")["waiting"] == 0);
    assert_eq!([&sink(&yard, "ops")["delivered"], &sink(&yard, "ops")["trouble"]], [&json!(4), &Value::Null]);
    assert_eq!((events(&yard, "alert-fired").len(), events(&yard, "alert-resolved").len()), (2, 2));
    let history = yard.get("/alerts?history=true").unwrap_or_default();
    assert_eq!(history["alerts"].as_array().map(Vec::len), Some(2), "{history:#}");
    signed(&yard, &hook);
    let figures = request(&yard.socket(), "GET", "/metrics", b"").expect("the host answers");
    let figures = String::from_utf8_lossy(&figures.body).into_owned();
    for line in
        ["hostler_alert_deliveries_total{sink=\"ops\",result=\"delivered\"} 4", "hostler_alert_deliveries_total{sink=\"ops\",result=\"failed\"} 2"]
    {
        assert!(figures.contains(line), "{line}");
    }
}

/// Every message bears the signature that anybody with the secret can make.
#[track_caller]
fn signed(yard: &Yard, hook: &Hook) {
    for told in hook.told() {
        yard.write("body", &told.raw);
        let program = "import hmac,sys; print(hmac.new(b'a secret', open(sys.argv[1],'rb').read(), 'sha256').hexdigest())";
        let made = std::process::Command::new("python3").args(["-c", program]).arg(yard.file("body")).output().expect("python is there");
        let expected = format!("hostler-signature: sha256={}", String::from_utf8_lossy(&made.stdout).trim());
        assert!(told.head.contains(&expected), "{expected}: {}", told.head);
    }
}

#[test]
fn a_host_that_is_killed_between_firing_and_telling_repeats_nothing_and_loses_nothing() {
    let (yard, hook) = (Yard::new(), Hook::new());
    hook.takes(Takes::Hanging);
    yard.up(&(webhook("ops", &hook, "timeout = \"60s\"") + "[alerts.gone]\non = \"failed\"\n" + &sleeper("db", "")));
    yard.config(
        &(webhook("ops", &hook, "timeout = \"60s\"") + "[alerts.gone]\non = \"failed\"\n" + &sleeper("db", "") + &failing(["one".to_owned()])),
    );
    yard.run("apply --no-wait").ok();
    until("the hook is being told", || hook.told().len() == 1);
    assert_eq!(hook.taken().len(), 0);
    yard.kill_host();
    hook.takes(Takes::Answering(200));
    yard.serve();
    let taken = hook.until_taken(1);
    assert_eq!([&taken[0]["state"], &taken[0]["alerts"][0]["service"]], ["firing", "one"], "{taken:#?}");
    assert_eq!(taken[0]["alerts"][0]["id"], hook.told()[0].body["alerts"][0]["id"], "it is the same one");
    // Once more: nothing is told again of what was taken.
    until("nothing waits", || sink(&yard, "ops")["waiting"] == 0);
    yard.kill_host();
    yard.serve();
    assert_eq!(firing(&yard).len(), 1);
    yard.run("stop one").ok();
    let taken = hook.until_taken(2);
    assert_eq!((taken.len(), &taken[1]["state"]), (2, &json!("resolved")), "{taken:#?}");
    assert_eq!((events(&yard, "alert-fired").len(), events(&yard, "alert-resolved").len()), (1, 1));
}

#[test]
fn a_storm_is_one_message_with_a_list_and_a_count() {
    let (yard, hook) = (Yard::new(), Hook::new());
    // They fail all at once, however slow the disk is.
    let sink = "[settings]\nmax_parallel = 100\n".to_owned() + &webhook("ops", &hook, "").replace("50ms", "5s");
    yard.up(&(sink.clone() + "[alerts.gone]\non = \"failed\"\n" + &sleeper("db", "")));
    yard.config(
        &(sink
            + "[alerts.gone]\non = \"failed\"\nseverity = \"critical\"\n"
            + &sleeper("db", "")
            + &failing((0..100).map(|number| format!("s{number:02}")))),
    );
    yard.run("apply --no-wait").ok();
    until("all have failed", || firing(&yard).len() == 100);
    until("all are told", || hook.taken().iter().filter_map(|body| body["count"].as_u64()).sum::<u64>() == 100);
    let taken = hook.taken();
    assert!(taken.len() <= 10, "{} messages", taken.len());
    let largest = taken.iter().max_by_key(|body| body["count"].as_u64()).expect("there is one");
    assert_eq!(largest["alerts"].as_array().map(Vec::len), largest["count"].as_u64().map(|count| usize::try_from(count).unwrap_or(0).min(100)));
    assert!(largest["summary"].as_str().is_some_and(|text| text.contains(" alerts: ") && text.contains(" more")), "{}", largest["summary"]);
    let mut ids: Vec<u64> =
        taken.iter().flat_map(|body| body["alerts"].as_array().cloned().unwrap_or_default()).filter_map(|alert| alert["id"].as_u64()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 100, "each once");
}

#[test]
fn a_hook_that_hangs_delays_neither_another_sink_nor_the_host() {
    let (yard, hanging, good) = (Yard::new(), Hook::new(), Hook::new());
    hanging.takes(Takes::Hanging);
    let sinks = webhook("slow", &hanging, "timeout = \"5m\"") + &webhook("good", &good, "");
    let rule = "[alerts.gone]\non = \"failed\"\n";
    yard.up(&(sinks.clone() + rule + &sleeper("db", "")));
    yard.config(&(sinks.clone() + rule + &sleeper("db", "") + &failing(["one".to_owned()])));
    yard.run("apply --no-wait").ok();
    good.until_taken(1);
    until("the other one hangs", || hanging.told().len() == 1);
    let begun = Instant::now();
    yard.config(&(sinks + rule + &sleeper("db", "") + &failing(["one".to_owned(), "two".to_owned()])));
    yard.run("apply --no-wait").ok();
    assert_eq!(good.until_taken(2)[1]["alerts"][0]["service"], "two");
    yard.run("restart db").ok();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((hanging.told().len(), &sink(&yard, "slow")["waiting"]), (1, &json!(2)));
    hanging.takes(Takes::Answering(200));
}

#[test]
fn nobody_is_told_of_what_is_silenced_until_it_is_not() {
    let (yard, hook) = (Yard::new(), Hook::new());
    let config = webhook("ops", &hook, "") + "[alerts.gone]\non = \"failed\"\n";
    yard.up(&(config.clone() + &sleeper("db", "")));
    let made = yard.run("silence add --service one-* --for 1h --comment works --json").ok();
    let made: Value = hostler_e2e::parse(&made).expect("it is a document");
    let id = made["silence"]["id"].as_str().unwrap_or_default().to_owned();
    assert!(yard.run("silence ls").ok().contains("works"));
    yard.config(&(config + &sleeper("db", "") + &failing(["one-a".to_owned(), "two".to_owned()])));
    yard.run("apply --no-wait").ok();
    until("both fire", || firing(&yard).len() == 2);
    assert_eq!(hook.until_taken(1)[0]["alerts"][0]["service"], "two");
    let silenced = events(&yard, "alert-fired").into_iter().find(|event| event["service"] == "one-a").expect("it is told as an event");
    assert_eq!(silenced["data"]["silenced_by"], id.as_str());
    let listed = yard.run("alerts").ok();
    assert!(listed.contains("silenced") && listed.contains("firing"), "{listed}");
    // A silence outlives the host.
    yard.kill_host();
    yard.serve();
    assert_eq!(firing(&yard).iter().filter(|alert| alert["silenced_by"] == id.as_str()).count(), 1);
    assert_eq!(hook.taken().len(), 1);
    yard.run(&format!("silence rm {id}")).ok();
    assert_eq!(hook.until_taken(2)[1]["alerts"][0]["service"], "one-a");
    yard.run(&format!("silence rm {id}")).fails(1);
    yard.run("silence add --rule x --until 2020-01-01T00:00:00Z").fails(2);
}

#[test]
fn what_was_silenced_to_its_end_is_told_to_nobody() {
    let (yard, hook) = (Yard::new(), Hook::new());
    let config = webhook("ops", &hook, "") + "[alerts.gone]\non = \"failed\"\n";
    yard.up(&(config.clone() + &sleeper("db", "")));
    yard.run("silence add --rule gone --for 1h").ok();
    yard.config(&(config.clone() + &sleeper("db", "") + &failing(["one".to_owned()])));
    yard.run("apply --no-wait").ok();
    until("it fires", || firing(&yard).len() == 1);
    yard.run("stop one").ok();
    until("it is over", || events(&yard, "alert-resolved").len() == 1);
    yard.run("alerts test ops").ok();
    let taken = hook.taken();
    assert_eq!((taken.len(), &taken[0]["test"]), (1, &json!(true)), "{taken:#?}");
}

#[test]
fn a_program_is_told_what_is_wrong_and_told_again_when_it_fails() {
    let yard = Yard::new();
    yard.script(
        "page.sh",
        "cd \"$(dirname \"$0\")\"\necho \"$@\" >> args\nif ! test -e paper; then echo no paper >&2; exit 3; fi\ncat > message.json; env > seen",
    );
    let config =
        "[sinks.page]\ntype = \"command\"\ncommand = [\"./page.sh\", \"a b\", \"$(id)\"]\ngroup_wait = \"50ms\"\n[alerts.gone]\non = \"failed\"\n";
    yard.up(&(config.to_owned() + &sleeper("db", "")));
    yard.config(&(config.to_owned() + &sleeper("db", "") + &failing(["one".to_owned()])));
    yard.run("apply --no-wait").ok();
    let trouble = until_some("it is said why", || sink(&yard, "page")["trouble"].as_str().map(str::to_owned));
    assert_eq!(trouble, "the program exited with 3: no paper");
    yard.write("paper", "");
    let message: Value = until_some("it took it", || hostler_e2e::parse(&yard.read("message.json")).ok());
    assert_eq!([&message["rule"], &message["alerts"][0]["service"]], ["gone", "one"]);
    let args = yard.read("args");
    assert!(args.lines().count() >= 2 && args.lines().all(|line| line == "a b $(id)"), "no shell read it: {args}");
    until("it has ended", || !yard.read("seen").is_empty());
    assert!(!yard.read("seen").contains("HOSTLER"), "{}", yard.read("seen"));
}

#[test]
fn whoever_never_takes_it_is_given_up_and_that_is_told() {
    let (yard, hook) = (Yard::new(), Hook::new());
    hook.takes(Takes::Elsewhere("http://169.254.169.254/latest".to_owned()));
    let config = webhook("ops", &hook, "attempts = 2") + "[alerts.gone]\non = \"failed\"\n";
    yard.up(&(config.clone() + &sleeper("db", "")));
    let refused = yard.run("alerts test ops").fails(1);
    assert!(refused.contains("302") && refused.contains("redirects are not followed"), "{refused}");
    yard.run("alerts test opps").fails(1);
    yard.config(&(config + &sleeper("db", "") + &failing(["one".to_owned()])));
    yard.run("apply --no-wait").ok();
    until("it is given up", || events(&yard, "alert-undelivered").len() == 1);
    let told = events(&yard, "alert-undelivered").remove(0);
    assert!(told["message"].as_str().is_some_and(|text| text.contains("ops") && text.contains("gone: one failed")), "{told}");
    let given_up = || {
        let sink = sink(&yard, "ops");
        sink["given_up"] == 1 && sink["waiting"] == 0
    };
    until("it is counted", given_up);
}

#[test]
fn restarts_and_figures_fire_and_are_over() {
    let (yard, hook) = (Yard::new(), Hook::new());
    yard.script("again.sh", "test -e calm && exec sleep 1000; sleep 0.2; exit 1");
    let again = "[services.again]\nbackend = { type = \"process\", binary = \"./again.sh\" }\nrestart = { policy = \"always\", max_attempts = 100, backoff = { initial = \"50ms\", max = \"50ms\" } }\n";
    let rules = "[alerts.flaps]\non = \"restarts\"\ncount = 3\nwithin = \"20s\"\nservices = [\"again\"]\n\
                 [alerts.fat]\non = \"metric\"\nmetric = \"memory\"\nabove = \"1k\"\nservices = [\"d*\"]\n\
                 [alerts.many]\non = \"metric\"\nmetric = \"processes\"\nabove = 1000\n";
    yard.config(&(webhook("ops", &hook, "") + rules + &sleeper("db", "") + again));
    yard.run("serve hostler.toml --detach").ok();
    let rules = |state: &str| {
        let mut rules: Vec<String> =
            hook.taken().iter().filter(|body| body["state"] == state).filter_map(|body| body["rule"].as_str().map(str::to_owned)).collect();
        rules.sort();
        rules
    };
    until("both fire", || rules("firing") == ["fat", "flaps"]);
    yard.write("calm", "");
    yard.run("stop db").ok();
    until("both are over", || rules("resolved") == ["fat", "flaps"]);
    let over = hook.taken().into_iter().find(|body| body["rule"] == "fat" && body["state"] == "resolved").expect("it was told");
    let message = over["alerts"][0]["message"].as_str().unwrap_or_default();
    assert!(["is stopping now", "is stopped now"].contains(&message), "{message}");
}

/// Sends one heartbeat.
fn beats(yard: &Yard, name: &str, ttl_ms: u64) {
    let body = json!({ "ttl_ms": ttl_ms }).to_string();
    let answer = request(&yard.socket(), "POST", &format!("/api/v1/services/{name}/heartbeat"), body.as_bytes());
    assert!(answer.as_ref().is_some_and(|answer| answer.status == 200), "{answer:?}");
}

#[test]
fn a_new_life_is_not_told_to_be_silent_before_its_time() {
    let (yard, hook) = (Yard::new(), Hook::new());
    yard.up(&(webhook("ops", &hook, "") + "[alerts.silent]\non = \"heartbeat-missed\"\n" + &sleeper("db", "")));
    let states = || hook.taken().iter().filter_map(|body| body["state"].as_str().map(str::to_owned)).collect::<Vec<_>>();
    beats(&yard, "db", 1_000);
    until("it is told", || states() == ["firing"]);
    yard.run("stop db").ok();
    until("whoever is stopped owes none", || states() == ["firing", "resolved"]);
    let begun = Instant::now();
    yard.run("start db").ok();
    until("its new life is silent, too", || states() == ["firing", "resolved", "firing"]);
    assert!(begun.elapsed() > Duration::from_millis(2_500), "{:?}", begun.elapsed());
    beats(&yard, "db", 60_000);
    until("it is over", || states() == ["firing", "resolved", "firing", "resolved"]);
}

#[test]
fn an_engine_that_hangs_while_it_measures_keeps_no_alert_back() {
    let (yard, hook) = (Yard::new(), Hook::new());
    let rules = "[alerts.gone]\non = \"failed\"\n[alerts.fat]\non = \"metric\"\nmetric = \"memory\"\nabove = \"1Gi\"\n";
    let plugin = format!("[plugins.naughty]\nsource = \"{}\"\n", fixture("naughty").display());
    let hung = "[services.hung]\nbackend = { type = \"naughty\", at = \"measure\", do = \"hang\" }\n";
    let config = webhook("ops", &hook, "") + rules + &plugin + hung + &sleeper("db", "");
    yard.up(&config);
    yard.config(&(config + &failing(["one".to_owned()])));
    yard.run("apply --no-wait").ok();
    let begun = Instant::now();
    assert_eq!(hook.until_taken(1)[0]["alerts"][0]["service"], "one");
    // A backend has 10 s to measure.
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[test]
fn a_rule_with_a_mistake_is_refused_where_it_stands() {
    let yard = Yard::with("[alerts.sick]\non = \"unhealty\"\nsinks = [\"pager\"]\n\n[sinks.ops]\ntype = \"webhook\"\nurl = \"ops.example\"\n");
    let said = yard.run("validate --json").fails(3);
    for expected in ["/alerts/sick/on", "did you mean `unhealthy`?", "/sinks/ops/url", "write https://HOST/PATH"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let said = yard.run("validate").fails(3);
    assert!(said.contains("unhealty") && said.contains("hostler.toml:3"), "{said}");
}

#[test]
fn without_a_rule_nobody_is_told_and_rules_that_go_end_their_alerts() {
    let (yard, hook) = (Yard::new(), Hook::new());
    let sink = webhook("ops", &hook, "");
    yard.config(&(sink.clone() + &sleeper("db", "") + &failing(["one".to_owned()])));
    yard.run("serve hostler.toml --detach").ok();
    yard.until_status("one", "failed");
    assert_eq!(firing(&yard), [] as [Value; 0]);
    yard.config(&(sink.clone() + "[alerts.gone]\non = \"failed\"\n" + &sleeper("db", "") + &failing(["one".to_owned()])));
    yard.run("apply --no-wait").ok();
    assert_eq!(hook.until_taken(1)[0]["state"], "firing", "what was wrong before the rule is wrong");
    yard.config(&(sink + &sleeper("db", "") + &failing(["one".to_owned()])));
    yard.run("apply --no-wait").ok();
    assert_eq!(hook.until_taken(2)[1]["alerts"][0]["message"], "its rule is gone");
}

#[test]
fn the_example_tells_its_program() {
    let yard = Yard::new();
    let port = hostler_e2e::free_port();
    let from = hostler_e2e::root().join("examples/alerts");
    std::fs::create_dir(yard.file("page")).expect("the yard is ours");
    for file in ["hostler.toml", "tell.py", "page/health"] {
        std::fs::copy(from.join(file), yard.file(file)).expect("it is there");
    }
    let run = |line: &str| {
        let mut command = yard.command(line);
        command.env("ALERTS_PORT", port.to_string());
        hostler_e2e::Ran::of(&mut command)
    };
    run("up --detach").ok();
    run("alerts test diary").ok();
    assert_eq!(yard.read("told.txt"), "firing info test: this is a test, and nothing is wrong\n");
    std::fs::rename(yard.file("page/health"), yard.file("page/gone")).expect("it is there");
    until("both are told", || yard.read("told.txt").lines().count() == 3);
    std::fs::rename(yard.file("page/gone"), yard.file("page/health")).expect("it is there");
    until("both are over", || yard.read("told.txt").lines().filter(|line| line.starts_with("resolved ")).count() == 2);
    assert!(yard.run("alerts --history").ok().contains("resolved"));
}
