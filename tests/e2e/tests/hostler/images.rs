//! Images as replica sets, as far as no engine is needed: none of them is to run.

use std::thread;

use hostler_e2e::{Answer, Value, Yard, ask, json, request};

use crate::{listening, sleeper, token};

#[track_caller]
fn own(yard: &Yard, method: &str, path: &str, body: &Value) -> Answer {
    request(&yard.socket(), method, path, body.to_string().as_bytes()).unwrap_or_else(|| panic!("{method} {path}: no answer"))
}

/// Wants containers of an image, none of which is to run.
#[track_caller]
fn stands_by(yard: &Yard, image: &str, min: u32) {
    let resources = json!({ "cpu": "500m", "memory": "64m", "status": "stopped" });
    let answer = own(yard, "POST", "/start/container", &json!({ "image": image, "min_replicas": min, "max_replicas": 3, "resources": resources }));
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("stopped")), "{image}: {}", answer.json());
}

/// The service of each image, and how many are wanted.
fn services(yard: &Yard) -> Vec<(String, String, u64)> {
    let images = yard.get("/images").expect("the host answers")["images"].as_array().cloned().unwrap_or_default();
    let text = |image: &Value, key: &str| image[key].as_str().unwrap_or_default().to_owned();
    images.iter().map(|image| (text(image, "image"), text(image, "service"), image["replicas"].as_u64().unwrap_or_default())).collect()
}

fn of(image: &str, service: &str, count: u64) -> (String, String, u64) {
    (image.to_owned(), service.to_owned(), count)
}

#[test]
fn an_image_whose_name_somebody_has_gets_another_one() {
    let yard = Yard::new();
    yard.up(&sleeper("redis", ""));
    for image in ["a/nginx:1", "b/nginx:1", "redis", "a/nginx:1"] {
        stands_by(&yard, image, 1);
    }
    assert_eq!(services(&yard), [of("a/nginx:1", "nginx-1", 1), of("b/nginx:1", "nginx-1-2", 1), of("redis", "redis-2", 1)]);
    assert_eq!(yard.status("redis"), "running", "nobody touched it");
}

#[test]
fn whoever_starts_an_image_of_which_none_is_left_wants_one() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    stands_by(&yard, "nginx:1", 0);
    let scaled = own(&yard, "POST", "/api/v1/services/scale", &json!({ "services": { "nginx-1": 0 } }));
    assert_eq!(scaled.status, 200, "{}", scaled.json());
    assert_eq!(services(&yard), [of("nginx:1", "nginx-1", 0)]);
    stands_by(&yard, "nginx:1", 0);
    assert_eq!(services(&yard), [of("nginx:1", "nginx-1", 1)]);
}

#[test]
fn an_image_that_is_to_be_stopped_is_not_started_first() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    stands_by(&yard, "nginx:1", 1);
    let story = yard.story("nginx-1");
    assert!(!story.iter().any(|line| line.contains("start")), "{story:?}");
}

#[test]
fn an_image_that_was_removed_is_not_brought_back_by_whoever_scales_it() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    for round in 0..20 {
        stands_by(&yard, "nginx:1", 1);
        let removed = thread::scope(|scope| {
            for min in 0..3 {
                let yard = &yard;
                scope.spawn(move || own(yard, "POST", "/images/nginx:1/scale", &json!({ "min_replicas": min, "max_replicas": 3 })));
            }
            scope.spawn(|| own(&yard, "DELETE", "/api/v1/images/nginx%3A1", &Value::Null).status).join().expect("it does not break")
        });
        assert_eq!((removed, services(&yard)), (200, Vec::new()), "round {round}");
    }
}

#[test]
fn whoever_refuses_speaks_the_words_of_the_document() {
    let (yard, port) = listening("");
    yard.run("workspace create acme --plugin process").ok();
    let (viewer, tenant) = (token(&yard, "looks", "viewer"), token(&yard, "tenant", "viewer --workspace acme"));
    let long = vec![b' '; (1 << 20) + 1];
    for (path, fog) in [("/start/container", false), ("/containers/x", false), ("/images", false), ("/api/orchestration/restart/db", true)] {
        let method = if path == "/containers/x" { "PATCH" } else { "POST" };
        let read = if fog { "/api/orchestration/services" } else { "/images" };
        let asked = [
            (ask(port, None, method, path, b"{}"), if path == "/images" { 405 } else { 401 }),
            (ask(port, Some("hst_nobody"), method, path, b"{}"), 401),
            (ask(port, Some(&viewer), method, path, b"{}"), if path == "/images" { 405 } else { 403 }),
            (ask(port, Some(&tenant), "GET", read, b""), 404),
            (request(&yard.socket(), "PUT", path, b"{}"), 405),
            (request(&yard.socket(), method, path, &long), if path == "/images" { 405 } else { 413 }),
        ];
        for (answer, status) in asked {
            let answer = answer.expect("it answers");
            let said = answer.json();
            assert!(answer.status == status || (answer.status, status) == (401, 405), "{path}: {} and not {status}: {said}", answer.status);
            assert_eq!(answer.header("content-type"), Some("application/json"), "{path} {status}");
            assert!(said["detail"].is_string(), "{path} {status}: {said}");
            assert_eq!(
                (&said["success"], said["message"].is_string()),
                (if fog { &json!(false) } else { &Value::Null }, fog),
                "{path} {status}: {said}"
            );
        }
    }
}
