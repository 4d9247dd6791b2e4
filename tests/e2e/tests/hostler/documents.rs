//! The documents' APIs, asked by clients that know nothing but a document each.

use std::fs;
use std::time::Duration;

use hostler_e2e::{Yard, until, until_some_within};

use crate::{script, sleeper};

/// The services of the document, with its edges: `?` is an optional one.
const FOG: [(&str, &[&str]); 10] = [
    ("dao", &[]),
    ("edge", &["dao?"]),
    ("scheduler", &["dao?"]),
    ("fog_coordinator", &[]),
    ("harvest", &["edge"]),
    ("onion", &["fog_coordinator"]),
    ("p2p", &["fog_coordinator?"]),
    ("vpn_coordinator", &["fog_coordinator", "onion"]),
    ("betanet", &["p2p?", "onion?"]),
    ("bitchat", &["p2p?"]),
];

/// All ten; `dao` and `edge` have a check, `betanet` cannot come up while its script is away.
fn fog() -> Yard {
    let yard = Yard::new();
    yard.write("well", "");
    let check = |interval: &str| {
        format!(
            "health_check = {{ type = \"command\", command = \"test\", args = [\"-f\", \"well\"], interval = \"{interval}\", auto_recovery = false }}\n"
        )
    };
    let mut config = String::new();
    for (name, edges) in FOG {
        let edge = |edge: &&str| format!("{{ service = \"{}\", optional = {} }}", edge.trim_end_matches('?'), edge.ends_with('?'));
        let edges: Vec<String> = edges.iter().map(edge).collect();
        let more = format!("dependencies = [{}]\n", edges.join(", "));
        config += &match name {
            "dao" => sleeper(name, &(more + &check("100ms") + "critical = true\ncategory = \"infrastructure\"\n")),
            "edge" => sleeper(name, &(more + &check("1h"))),
            "betanet" => {
                let once = "restart = { policy = \"on-failure\", max_attempts = 1, backoff = { initial = \"10ms\", jitter = 0 } }\n";
                script(&yard, name, "exec sleep 1000", &(more + once))
            }
            _ => sleeper(name, &more),
        };
    }
    yard.up(&config);
    yard
}

#[test]
fn a_client_of_the_orchestration_document_finds_all_it_says() {
    let yard = fog();
    until("dao was watched for a while", || yard.detail("dao")["checks"][0]["uptime_1h"].is_number());
    yard.plays("fog_client.py", "refusals", &[]);
    yard.plays("fog_client.py", "well", &[]);
    until_some_within(Duration::from_secs(120), "dao was checked often", || {
        yard.detail("dao")["checks"][0]["history"].as_array().filter(|history| history.len() == 100).map(drop)
    });
    yard.plays("fog_client.py", "many", &[]);
}

#[test]
fn a_client_of_the_orchestration_document_learns_of_trouble() {
    let yard = fog();
    // Nothing that runs for a moment, which may look well: it cannot be started at all.
    let (there, away) = (yard.file("betanet.sh"), yard.file("betanet.away"));
    fs::rename(&there, &away).expect("it is ours");
    yard.plays("fog_client.py", "broken", &[]);
    fs::rename(&away, &there).expect("it is ours");
    yard.run("stop bitchat").ok();
    yard.until_status("bitchat", "stopped");
    yard.plays("fog_client.py", "mended", &[]);
    fs::remove_file(yard.file("well")).expect("it is ours");
    yard.until_service("dao", "it is unhealthy", |service| service["health"] == "unhealthy");
    yard.plays("fog_client.py", "ill", &[]);
}

#[test]
fn a_client_of_the_image_document_is_refused_as_it_says() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    yard.plays("fastapi_client.py", "refusals", &[]);
    assert_eq!(yard.status("db"), "running");
}
