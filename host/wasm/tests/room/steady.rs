//! Many calls: memory stays flat, slots come back clean, and a call stays cheap.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_wasm::{Call, PoolOptions};
use serde_json::json;

use crate::support::{Host, call, fixture, target_of, task};

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of it");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_over_thousands_of_calls() {
    let host = Host::new();
    let plugin = host.load("naughty", fixture("naughty"), "{}").await;
    let backend = plugin.backend().expect("a backend");
    let task = task("t-1", "d", json!({}));
    let round = async || {
        for _ in 0..1_000 {
            let handle = backend.start(call(), &task).await.expect("started");
            backend.inspect(call(), &[handle]).await.expect("looked");
        }
    };
    round().await;
    let before = resident_kib();
    for _ in 0..3 {
        round().await;
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB more after 6,000 calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_call_stays_cheap() {
    let host = Host::new();
    let plugin = host.load("naughty", fixture("naughty"), "{}").await;
    let backend = plugin.backend().expect("a backend");
    let task = task("t-1", "d", json!({}));
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let begun = Instant::now();
        backend.start(call(), &task).await.expect("started");
        times.push(begun.elapsed());
    }
    times.sort();
    let median = times[times.len() / 2];
    println!("a start in a fresh instance: median {median:?}, p99 {:?}", times[times.len() * 99 / 100]);
    assert!(median < Duration::from_micros(500), "{median:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_come_back_whatever_happened_in_them() {
    let host = Host::with(None, PoolOptions { instances: 2, ..PoolOptions::default() });
    let plugin = host.load("always", fixture("always"), "{}").await;
    for round in 0..5 {
        for (verdict, breaks) in [("trap", true), ("hang", true), ("loop", true), ("fault", true), ("pass", false)] {
            let settings = json!({"verdict": verdict}).to_string();
            let check = plugin.health_check().expect("a check");
            // what ends by itself has all the time there is
            let time = if ["hang", "loop"].contains(&verdict) { Call::within(Duration::from_millis(150)) } else { call() };
            let answer = check.check(time, &target_of("story"), &settings, None).await;
            assert_eq!(answer.is_err(), breaks, "{round} {verdict}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_a_time_wait_their_turn() {
    let host = Host::with(None, PoolOptions { instances: 4, ..PoolOptions::default() });
    let plugin = host.load("always", fixture("always"), "{}").await;
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let plugin = Arc::clone(&plugin);
            tokio::spawn(async move {
                let check = plugin.health_check().expect("a check");
                check.check(call(), &target_of("story"), r#"{"verdict": "pass", "slow": 5}"#, None).await
            })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("judged");
    }
}

#[tokio::test]
async fn a_dropped_call_frees_its_slot() {
    let host = Host::with(None, PoolOptions { instances: 1, ..PoolOptions::default() });
    let plugin = host.load("always", fixture("always"), "{}").await;
    let check = plugin.health_check().expect("a check");
    let target = target_of("story");
    let slow = check.check(call(), &target, r#"{"verdict": "hang"}"#, None);
    assert!(tokio::time::timeout(Duration::from_millis(50), slow).await.is_err(), "it hangs");
    check.check(call(), &target, r#"{"verdict": "pass"}"#, None).await.expect("the only slot is free again");
}
