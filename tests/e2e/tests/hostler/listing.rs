//! Services as lists and one by one: what is asked for, page by page, and never older than what was done.

use std::collections::BTreeSet;

use hostler_e2e::{Value, Yard, json, request, until};

use crate::sleeper;

fn many() -> String {
    let mut text = String::new();
    for n in 0..7 {
        let more = format!("category = \"{}\"\nlabels = {{ tier = \"{}\", uptime_ms = \"0\" }}", ["ai", "monitoring"][n % 2], n % 3);
        text += &sleeper(&format!("s{n}"), &more);
    }
    text + "[services.off]\nenabled = false\nbackend = { type = \"process\", binary = \"/bin/true\" }\n"
}

fn list(yard: &Yard, query: &str) -> Value {
    yard.get(&format!("/services?{query}")).unwrap_or_else(|| panic!("no list for {query}"))
}

fn names(list: &Value) -> Vec<String> {
    list["services"].as_array().into_iter().flatten().map(|service| service["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Without what time changes, and what is only measured when somebody asks.
fn still(mut document: Value) -> Value {
    match &mut document {
        Value::Object(map) => {
            for key in ["uptime_ms", "next_in_ms", "usage", "started_at"] {
                map.remove(key);
            }
            map.values_mut().for_each(|value| *value = still(value.take()));
        }
        Value::Array(all) => all.iter_mut().for_each(|value| *value = still(value.take())),
        _ => {}
    }
    document
}

#[test]
fn a_list_holds_what_was_asked_for() {
    let yard = Yard::new();
    yard.up(&many());
    let of = |query: &str| names(&list(&yard, query)).join(" ");
    assert_eq!(of(""), "off s0 s1 s2 s3 s4 s5 s6");
    assert_eq!(of("status=disabled"), "off");
    assert_eq!(of("status=running,disabled&category=ai"), "s0 s2 s4 s6");
    assert_eq!(of("label=tier%3D1&category=monitoring"), "s1");
    assert_eq!(of("label=tier"), "s0 s1 s2 s3 s4 s5 s6");
    assert_eq!(of("names=s3,s1&status=running"), "s3 s1");
    assert_eq!(of("backend=docker"), "");
    assert_eq!(of("health=unknown&after=s4"), "s5 s6");
    assert_eq!(yard.run("ps --status disabled --json").json()["services"][0]["name"], "off");
    assert!(yard.run("ps --label tier=1 --category ai").ok().contains("s4"));
    assert!(yard.run("ps --category infrastructure").ok().contains("no service is like that"));
    for (query, told) in
        [("status=odd", "`status`"), ("health=ill", "`health`"), ("category=x", "`category`"), ("limit=0", "`limit`"), ("x=1", "`x`")]
    {
        let answer = request(&yard.socket(), "GET", &format!("/api/v1/services?{query}"), b"").expect("an answer");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(answer.status == 400 && text.contains(told), "{query}: {} {text}", answer.status);
    }
    assert_eq!(request(&yard.socket(), "GET", "/api/v1/services?names=s0,nobody", b"").expect("an answer").status, 404);
}

#[test]
fn pages_together_are_the_whole() {
    let yard = Yard::new();
    yard.up(&many());
    for limit in [1, 3, 8, 100] {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = list(&yard, &format!("limit={limit}{after}"));
            let some = names(&page);
            assert!((1..=limit).contains(&some.len()), "{page}");
            all.extend(some);
            let Some(next) = page["next"].as_str() else { break };
            assert_eq!(Some(next), all.last().map(String::as_str));
            after = format!("&after={next}");
        }
        assert_eq!(all.join(" "), "off s0 s1 s2 s3 s4 s5 s6", "{limit} each");
    }
    // The whole is settled, whichever page one looks at.
    assert_eq!(list(&yard, "limit=1")["settled"], true);
}

#[test]
fn what_was_drawn_is_what_would_be_drawn_now() {
    let yard = Yard::new();
    let text = r#"check "quoted\n": "uptime_ms":0"#;
    yard.up(&many());
    yard.run("stop s3").ok();
    for name in ["s0", "s3", "off"] {
        for _ in 0..3 {
            let (drawn, anew) = (yard.detail(name), yard.detail(&format!("{name}?usage=true")));
            assert_eq!(still(drawn.clone()), still(anew), "{name}: {text}");
            assert_eq!(still(drawn["service"].clone()), still(list(&yard, &format!("names={name}"))["services"][0].clone()));
        }
    }
    // Only time goes on.
    let uptime = || yard.service("s0")["uptime_ms"].as_u64().expect("it is up");
    let before = uptime();
    until("time goes on", || uptime() > before);
    assert_eq!(yard.detail("s0")["labels"]["uptime_ms"], "0");
}

#[test]
fn whoever_was_answered_never_reads_what_was_before() {
    let yard = Yard::new();
    yard.up(&many());
    let act = |what: &str, body: Value| {
        let path = format!("/api/v1/services/{what}");
        let answer = request(&yard.socket(), "POST", &path, body.to_string().as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["last_event"].as_u64().expect("a number")
    };
    for round in 0..20 {
        list(&yard, "");
        let stopped = act("stop", json!({ "services": ["s1"] }));
        let (one, all) = (yard.service("s1"), list(&yard, ""));
        assert!(one["wanted"] == "stopped" && one["stopped_by_hand"] == true, "round {round}: {one}");
        assert!(all["last_event"].as_u64() >= Some(stopped), "round {round}: {all}");
        yard.until_status("s1", "stopped");
        act("start", json!({ "services": ["s1"] }));
        assert_eq!(yard.service("s1")["wanted"], "running");
        yard.until_status("s1", "running");
    }
    // A label alone changes no task, and is read at once.
    let configuration = many().replace("tier = \"0\"", "tier = \"9\"");
    yard.up(&configuration);
    let tiers: BTreeSet<String> = ["s0", "s3", "s6"].iter().map(|name| yard.detail(name)["labels"]["tier"].to_string()).collect();
    assert_eq!(tiers, BTreeSet::from(["\"9\"".to_owned()]));
    yard.run("down --keep").ok();
}
