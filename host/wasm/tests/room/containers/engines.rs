//! Engines that are too old, lie, flood or break off, played on a socket.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::yard::Yard;

const VERSION: &str = r#"{"Version":"24.0","ApiVersion":"1.43","MinAPIVersion":"1.12"}"#;

/// Answers each request by its first line; nothing breaks off.
fn engine(answer: impl Fn(&str) -> Option<Vec<u8>> + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("tcp://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream, answer));
        }
    });
    endpoint
}

fn serve(mut stream: TcpStream, answer: impl Fn(&str) -> Option<Vec<u8>>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length) = stream.read(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let Some(bytes) = answer(text.lines().next().unwrap_or_default()) else { return };
        if length == 0 || stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn says(status: u16, body: &str) -> Option<Vec<u8>> {
    Some(format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

#[tokio::test]
async fn an_engine_that_is_too_old_says_its_version() {
    let old = engine(|_| says(200, r#"{"Version":"19.03.1","ApiVersion":"1.40"}"#));
    let answer = Yard::at(&old, Value::Null).await.does_one(json!("info")).await;
    assert!(answer.starts_with("unavailable: ") && answer.contains("19.03.1") && answer.contains("1.41"), "{answer}");
}

#[tokio::test]
async fn what_was_not_heard_of_may_have_happened() {
    // it hears everything, and answers nothing but its version
    let deaf = engine(|line| if line.contains("/version") { says(200, VERSION) } else { None });
    let yard = Yard::at(&deaf, json!({ "strangers": "take" })).await;
    let id = "a".repeat(64);
    assert_eq!(yard.does_one(json!({ "create": ["web", { "image": "x" }] })).await, "timeout", "it may be there");
    for look in [json!({ "look": id }), json!({ "list": "ours" }), json!({ "measure": id }), json!({ "log": [id, 1] })] {
        let answer = yard.does_one(look).await;
        assert!(answer.starts_with("unavailable: "), "nobody may take it for gone: {answer}");
    }
    let owned = format!(
        r#"{{"Id":"{id}","Name":"/web","State":{{"Status":"running","Running":true}},"Config":{{"Labels":{{"hostler.owner":"test-host"}}}}}}"#
    );
    let half = engine(move |line| match line {
        line if line.contains("/version") => says(200, VERSION),
        line if line.starts_with("GET") && line.contains("/json") => says(200, &owned),
        _ => None,
    });
    let yard = Yard::at(&half, Value::Null).await;
    for change in
        [json!({ "start": id }), json!({ "stop": [id, "SIGTERM", 0] }), json!({ "remove": [id, true] }), json!({ "signal": [id, "SIGHUP"] })]
    {
        assert_eq!(yard.does_one(change.clone()).await, "timeout", "{change}");
    }
}

#[tokio::test]
async fn an_answer_without_end_costs_no_memory() {
    let flood = engine(|line| match line {
        line if line.contains("/version") => says(200, VERSION),
        line if line.contains("/logs") => {
            Some([b"HTTP/1.1 200 X\r\nContent-Length: 400000000\r\n\r\n\x01\0\0\0\xff\xff\xff\xff".to_vec(), vec![b'x'; 200 << 20]].concat())
        }
        line if line.contains("/containers/json") => {
            Some([b"HTTP/1.1 200 X\r\nContent-Length: 400000000\r\n\r\n[".to_vec(), vec![b' '; 200 << 20]].concat())
        }
        line if line.contains("/json") => {
            says(200, &format!(r#"{{"Id":"{}","Name":"/web","Config":{{"Labels":{{"hostler.owner":"test-host"}}}}}}"#, "b".repeat(64)))
        }
        _ => says(500, &"m".repeat(1 << 20)),
    });
    let yard = Yard::at(&flood, Value::Null).await;
    let before = resident();
    let id = "b".repeat(64);
    let answers = yard.does_within(Duration::from_secs(20), json!([{ "list": "ours" }, { "start": id }, { "look": id }])).await;
    assert!(answers[0].starts_with("other: ") && answers[0].contains("bytes"), "{}", answers[0]);
    assert!(answers[1].len() < 8 << 10, "{}", answers[1].len());
    assert!(answers[2].starts_with("other: "), "a state that is not known is no end: {}", answers[2]);
    let endless = yard.does_late(Duration::from_secs(3), json!({ "log": [id, 1_000] })).await;
    assert_eq!(endless, "timeout");
    // what the played engine itself holds to send is here, too: twice 200 MiB
    assert!(resident().saturating_sub(before) < 700 << 20, "{} MiB", resident().saturating_sub(before) >> 20);
}

#[tokio::test]
async fn lies_are_told_apart_from_answers() {
    let liar = engine(|line| match line {
        line if line.contains("/version") => says(200, VERSION),
        line if line.contains("/logs") => says(200, "HTTP/1.1 what"),
        line if line.contains("/containers/json") => says(200, "{}"),
        line if line.contains("/stats") => says(200, "[]"),
        line if line.contains("/json") => {
            says(200, &format!(r#"{{"Id":"{}","Name":"/other","Config":{{"Labels":{{"hostler.owner":"test-host"}}}}}}"#, "c".repeat(64)))
        }
        _ => says(200, "not json"),
    });
    let yard = Yard::at(&liar, Value::Null).await;
    let id = "c".repeat(64);
    let answers = yard
        .does(json!([{ "list": "ours" }, { "log": [id, 1_000] }, { "create": ["web", { "image": "x" }] }, { "measure": id }, { "look": "ccc" }]))
        .await;
    assert!(answers[0].starts_with("other: "), "{}", answers[0]);
    assert!(answers[1].starts_with("other: "), "{}", answers[1]);
    assert_eq!(answers[2], "timeout", "it may be there");
    assert_eq!(answers[3..], ["nothing", "absent"], "the beginning of an id is none");
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("ours");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}
