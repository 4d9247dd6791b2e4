//! What a plugin call costs inside the host.
//!
//! The detail of a service is one read of the loop and, because the backend measures what the service uses, one call into the plugin in a
//! fresh instance, with one question to the keeper in it. The explanation of a service is the same read without a call. Asked over
//! one connection, one after the other, they differ by the call.

use std::hint::black_box;

use super::{idler, pid_in};
use crate::http::Connection;
use crate::place::Place;
use crate::report::{Figure, Report, Unit};
use crate::stats::Samples;
use crate::{Fallible, clock, processes};

/// Asks for both this many times.
pub(crate) fn measure(place: &Place, rounds: usize, report: &mut Report) -> Fallible<()> {
    let mut host = place.connect()?;
    let path = format!("/api/v1/services/{}", idler(0));
    let measured = format!("{path}?usage=true");
    let detail = host.get(&measured)?;
    let pid = pid_in(&detail["service"]["pid"]).ok_or("the service has no process")?;
    if detail["replicas"][0]["usage"]["memory_bytes"].is_null() {
        return Err("the backend does not measure: there is no plugin call in the detail of a service".into());
    }
    let (mut with, mut without) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        with.add_nanos(asked(&mut host, &measured)?);
        without.add_nanos(asked(&mut host, &format!("{path}/explain"))?);
    }
    let call = with.median() - without.median();
    report.add(
        Figure::new("one service over the socket, with a plugin call", Unit::Seconds, with.median()).beside("the same without one", without.median()),
    );
    let figure = Figure::new("so a plugin call: fresh instance, one question to the keeper", Unit::Seconds, call);
    report.add(figure.beside("this program reads cpu and memory from /proc", native(pid, rounds)));
    Ok(())
}

/// How long one answer takes, in nanoseconds.
pub(super) fn asked(host: &mut Connection, path: &str) -> Fallible<u64> {
    let begun = clock::now();
    host.get_bytes(path)?;
    Ok(clock::now() - begun)
}

/// The same knowledge without a plugin and without a keeper.
fn native(pid: u32, rounds: usize) -> f64 {
    let mut samples = Samples::default();
    for _ in 0..rounds {
        let begun = clock::now();
        black_box((processes::cpu_seconds(pid), processes::resident(pid)));
        samples.add_nanos(clock::now() - begun);
    }
    samples.median()
}
