use crate::house::*;
use hostler_keeper::protocol::*;
use std::time::Instant;
#[test]
fn speed() {
  for args in [&[][..], &["--no-cgroups"]] {
    let house = House::with(args);
    let mut c = house.client();
    c.subscribe().unwrap();
    let n = 1000;
    for prog in [("/bin/sleep","1000"),("/bin/true","")] {
    let t = Instant::now();
    let ids: Vec<u64> = (0..n).map(|i| c.send(&Request::Spawn{key: format!("{}-{i}", &prog.0[5..]), owner:"o".into(), command: command(prog.0,&[prog.1])}).unwrap()).collect();
    for id in ids { c.wait(id).unwrap(); }
    eprintln!("{args:?} {} spawn {:?} = {:.0}/s", prog.0, t.elapsed(), n as f64/t.elapsed().as_secs_f64());
    }
    let t = Instant::now(); let m = c.ask(&Request::Measure{keys:(0..n).map(|i| format!("sleep-{i}")).collect()}).unwrap(); eprintln!("measure {:?} {}", t.elapsed(), matches!(m.0, Response::Usage(_)));
    let stat = std::fs::read_to_string(format!("/proc/{}/status", house.pid())).unwrap();
    eprintln!("{:?}", stat.lines().filter(|l| l.starts_with("VmRSS")||l.starts_with("VmHWM")).collect::<Vec<_>>());
    eprintln!("fds {}", std::fs::read_dir(format!("/proc/{}/fd", house.pid())).unwrap().count());
    let t = Instant::now();
    let ids: Vec<u64> = (0..n).map(|i| c.send(&Request::Stop{key: format!("sleep-{i}"), signal:"TERM".into(), grace_ms: 5000}).unwrap()).collect();
    for id in ids { c.wait(id).unwrap(); }
    eprintln!("stop {:?}", t.elapsed());
    let t = Instant::now();
    let ids: Vec<u64> = (0..n).flat_map(|i| [c.send(&Request::Forget{key: format!("sleep-{i}")}).unwrap(), c.send(&Request::Forget{key: format!("true-{i}")}).unwrap()]).collect();
    for id in ids { c.wait(id).unwrap(); }
    eprintln!("forget 2000 {:?}", t.elapsed());
    let t = Instant::now();
    for i in 0..200 { c.spawn(&format!("x{i}"), "o", command("/bin/true",&[])).unwrap(); let mut k=c.next_event(LONG).unwrap(); while !matches!(&k, Some(Event::Exited{key,..}) if *key==format!("x{i}")) { k=c.next_event(LONG).unwrap(); } }
    eprintln!("spawn+exit event roundtrip {:?}", t.elapsed()/200);
  }
}
