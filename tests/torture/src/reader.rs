//! Somebody reads events and logs all the time, with cursors, over hosts that come and go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use hostler_e2e::{Value, Yard, parse, request};

use crate::fleet;
use crate::witness::Witness;

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(40);

/// Reads by cursor: events first, then each counting service's log.
pub(crate) fn read(yard: &Yard, witness: &Witness, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        once(yard, witness);
        sleep(PAUSE);
    }
}

/// One round.
pub(crate) fn once(yard: &Yard, witness: &Witness) {
    let mut last = witness.lock().last_event;
    let events = lines(yard, &format!("/events?after={last}&limit=1000"));
    let mut heard = witness.lock();
    for item in &events {
        heard.event(item, &mut last, true);
    }
    heard.last_event = last;
    drop(heard);
    for name in fleet::COUNTING {
        let cursor = witness.lock().logs.get(name).and_then(|log| log.cursor.clone());
        let query = cursor.map_or_else(|| "tail=1000000".to_owned(), |cursor| format!("cursor={}", cursor.replace('@', "%40").replace(':', "%3A")));
        let items = lines(yard, &format!("/services/{name}/logs?{query}"));
        witness.lock().page(name, &items);
    }
}

/// Follows events until the host is killed, and goes on after the last one with the next host.
pub(crate) fn follow(yard: &Yard, witness: &Witness, over: &AtomicBool) {
    let mut last = 0;
    while !over.load(Ordering::Relaxed) {
        let events = lines(yard, &format!("/events?after={last}&follow=true"));
        let mut heard = witness.lock();
        events.iter().for_each(|item| heard.event(item, &mut last, false));
        heard.count("streams of events that were cut and taken up again", u64::from(!events.is_empty()));
        drop(heard);
        sleep(PAUSE);
    }
}

/// The documents of an answer; what was cut off in the middle of a line is none.
pub fn lines(yard: &Yard, path: &str) -> Vec<Value> {
    let answer = request(&yard.socket(), "GET", &format!("/api/v1{path}"), b"").filter(|answer| answer.status == 200);
    let text = answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned()).unwrap_or_default();
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).filter_map(|line| parse(line).ok()).collect()
}
