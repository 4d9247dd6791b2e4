//! What a health check over HTTP costs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::pair::Pair;
use super::{head, idlers};
use crate::births::Births;
use crate::options::Options;
use crate::place::Place;
use crate::report::{Figure, Report, Unit};
use crate::target::Target;
use crate::{Fallible, clock, processes};

/// How often each service is checked, and how many times a second that is.
const INTERVALS: [(&str, usize); 2] = [("1s", 1), ("200ms", 5)];

/// As many services, each with a port of its own that is checked.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Fallible<()> {
    let place = Place::new(&options.hostler)?;
    let count = options.services;
    let births = Births::create(place.dir(), count)?;
    let target = Target::start(&place, count)?;
    let floor = floor(target.ports[0])?;
    place.run("serve --detach")?;
    for (interval, per_second) in INTERVALS {
        report.group(format!("{} HTTP checks per second: {count} services, each checked every {interval}", count * per_second));
        let check = |slot: usize| {
            let url = format!("http://127.0.0.1:{}/", target.ports[slot]);
            format!("health_check = {{ type = \"http\", url = {url:?}, interval = {interval:?} }}\n")
        };
        let file = place.write("checks.toml", &(head() + &idlers(&place, &births, 0..count, check)))?;
        place.run(&format!("up --detach --json {}", file.display()))?;
        // First checks come in a crowd.
        thread::sleep(Duration::from_secs(3));
        watch(&place, &target, options, per_second, floor, report)?;
    }
    Ok(())
}

fn watch(place: &Place, target: &Target, options: &Options, per_second: usize, floor: f64, report: &mut Report) -> Fallible<()> {
    let host = Pair::of(place)?.host;
    let look = || Fallible::Ok((Instant::now(), target.served()?, processes::cpu_seconds(host).ok_or("the host is gone")?));
    let (begun, served_before, used_before) = look()?;
    thread::sleep(Duration::from_secs(options.idle_secs));
    let (ended, served, used) = look()?;
    let checks = (served.requests - served_before.requests) as f64;
    let seconds = (ended - begun).as_secs_f64();
    let figure = Figure::new("cpu of the host for each check", Unit::Seconds, (used - used_before) / checks).at_most(40e-6);
    let figure = figure.aimed_if(options.is_full() && per_second == 1);
    report.add(figure.beside("cpu of one GET by one thread, on a connection that stays", floor));
    let wanted = (options.services * per_second) as f64;
    report.add(Figure::new("checks that arrived", Unit::PerSecond, checks / seconds).beside("as the file says", wanted).at_least(wanted * 0.98));
    let connections = (served.connections - served_before.connections) as f64;
    report.add(Figure::new("new connections", Unit::PerSecond, connections / seconds).beside("checks that arrived", checks / seconds));
    report.add(Figure::new("cpu of the host", Unit::Cores, (used - used_before) / seconds));
    Ok(())
}

/// What a client costs that does nothing but ask, on one connection: seconds of a core for each question.
fn floor(port: u16) -> Fallible<f64> {
    const ROUNDS: u32 = 2_000;
    let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
    let (mut line, mut body) = (String::new(), [0; 2]);
    let begun = clock::of_this_thread();
    for _ in 0..ROUNDS {
        stream.get_mut().write_all(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")?;
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err("the target hung up".into());
            }
        }
        stream.read_exact(&mut body)?;
        line.clear();
    }
    Ok((clock::of_this_thread() - begun) as f64 / 1e9 / f64::from(ROUNDS))
}
