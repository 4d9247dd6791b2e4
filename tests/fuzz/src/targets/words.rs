//! The small languages inside a file: lengths of time, sizes, names, paths of documents, and the host's own.

use std::net::IpAddr;

use hostler_core::{ServiceName, Span, closest, parse_size};
use hostler_wasm::door;

/// One text, read as everything that a text may be.
pub(crate) fn words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Span::parse(text) {
        Ok(span) => assert_eq!(Span::parse(&span.to_string()), Ok(span), "a length is shown as it is read"),
        Err(why) => assert!(!why.is_empty()),
    }
    if let Some(bytes) = parse_size(text) {
        assert_eq!(parse_size(&bytes.to_string()), Some(bytes), "a size in plain bytes is the same size");
    }
    match ServiceName::new(text) {
        Ok(name) => assert_eq!((name.as_str(), text.len() <= 63), (text, true)),
        Err(why) => assert!(!why.is_empty()),
    }
    let names = ["web", "db", "worker-2", text];
    assert!(closest(text, names).is_none_or(|near| names.contains(&near)));
    if let Some((left, right)) = text.split_once('\n') {
        a_grant_is_never_wider_than_its_words(left, right);
        if let (Ok(schema), Ok(value)) = (serde_json::from_str(left), serde_json::from_str(right)) {
            schema_judges_the_same_twice(&schema, &value);
        }
    }
}

/// A grant of one host admits no other, and of the addresses that a name may stand for none of the machine's own.
fn a_grant_is_never_wider_than_its_words(prefix: &str, url: &str) {
    let inside =
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1", "0.0.0.0"].map(|text| text.parse().expect("an address"));
    let Ok(Some(reached)) = door::admitted(prefix, url, &inside) else { return };
    if prefix == "*" {
        assert!(reached.is_empty(), "{url} may end at {reached:?}");
        return;
    }
    let host = |text: &str| {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        rest[..rest.find('/').unwrap_or(rest.len())].to_ascii_lowercase()
    };
    let (granted, asked) = (host(prefix), host(url));
    assert!(!asked.contains('@'), "{url} names a user");
    if !granted.starts_with(['[', '*']) && !granted.contains(':') && granted.parse::<IpAddr>().is_err() {
        let name = |text: &str| text.split(':').next().unwrap_or_default().trim_end_matches('.').to_owned();
        assert_eq!(name(&granted), name(&asked), "{prefix} admits {url}");
        assert!(reached.is_empty() || name(&granted) == "localhost", "{prefix} lets {url} end at {reached:?}");
    }
}

/// What a plugin calls its schema judges a document, or is refused; what it filled in it fills in no further.
fn schema_judges_the_same_twice(schema: &serde_json::Value, value: &serde_json::Value) {
    if let Ok((problems, filled)) = door::judged(schema, value) {
        assert!(problems.iter().all(|problem| !problem.message.is_empty()), "a problem without words");
        let (again, twice) = door::judged(schema, &filled).expect("it was a schema before");
        assert_eq!(twice, filled, "defaults are filled in once");
        let _ = again;
    }
}
