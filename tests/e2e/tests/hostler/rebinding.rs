//! A name that leads elsewhere when it is asked for again, from a name server of one's own: what a check may reach is decided
//! for the address that is connected to, each time.

use std::process::{Child, Command, Stdio};

use hostler_e2e::{Yard, can, json, program, request, until};

/// Plays the network in a place of its own, where the addresses of strangers, that of a cloud's metadata and the machine's own, a public one
/// among them, all lead to one listener. It writes down by which of them somebody came, and says of every name what the file `leads` says at
/// that moment.
const NETWORK: &str = r#"
import itertools, socket, struct, subprocess, sys, threading
hostler, port = sys.argv[1], int(sys.argv[2])

def ip(words):
    subprocess.run(["ip", *words.split()], check=True)

ip("link set lo up")
# two of one network: the kernel answers from the first of them
for address in ["198.51.99.7/24", "198.51.99.8/24"]:
    ip(f"addr add {address} dev lo")
# packets to strangers end up here too, but as somebody else's
for address in ["93.184.215.0/24", "169.254.169.254"]:
    ip(f"route add local {address} dev lo src 127.0.0.1")
with open("resolv.conf", "w") as file:
    file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
subprocess.run(["mount", "--bind", "resolv.conf", "/etc/resolv.conf"], check=True)

def names():
    turn = itertools.count()
    while True:
        query, whoever = server.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        leads = open("leads").read().split()
        if leads[0] == "by-turns":
            leads = [leads[1 + next(turn) % (len(leads) - 1)]]
        wants_v4 = query[end - 4:end - 2] == b"\0\1"
        answers = [b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address) for address in leads if wants_v4]
        head = query[:2] + b"\x81\x80\0\1" + struct.pack(">HHH", len(answers), 0, 0)
        server.sendto(head + query[12:end] + b"".join(answers), whoever)
        with open("asked", "a") as file:
            file.write("v4\n" if wants_v4 else "v6\n")

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
listener = socket.create_server(("0.0.0.0", port))
threading.Thread(target=names, daemon=True).start()
subprocess.run([hostler, "serve", "--detach"], check=True)
open("ready", "w").close()
while True:
    stream, _ = listener.accept()
    with open("came", "a") as file:
        file.write(stream.getsockname()[0] + "\n")
    stream.settimeout(0.2)
    try:
        stream.recv(1024)
        stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    except OSError:
        pass
    stream.close()
"#;

const STRANGER: &str = "93.184.215.14";
/// Addresses that anybody in the world could reach this machine by.
const OWN: [&str; 2] = ["198.51.99.7", "198.51.99.8"];
const PORT: u16 = 8099;

/// Its process, as long as it is needed.
struct Network(Child);

impl Drop for Network {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Network {
    fn of(yard: &Yard) -> Option<Network> {
        let works = |flags: &&str| {
            let tried = Command::new("unshare").args([*flags, "sh", "-c", "mount --bind /dev/null /etc/resolv.conf"]).output();
            tried.is_ok_and(|output| output.status.success())
        };
        let flags = ["-mn", "-rmn"].into_iter().find(works);
        let has_ip = Command::new("ip").arg("-V").output().is_ok_and(|output| output.status.success());
        if !can("a network of one's own (unshare -mn, ip)", flags.is_some() && has_ip) {
            return None;
        }
        let script = yard.write("network.py", NETWORK);
        let mut command = Command::new("unshare");
        command.arg(flags?).arg("/usr/bin/python3").arg(script).arg(program()).arg(PORT.to_string());
        command.current_dir(yard.path()).env("HOSTLER_STATE_DIR", yard.state()).stdout(Stdio::null());
        let network = Network(command.spawn().expect("it was tried"));
        until("the host runs in it", || yard.file("ready").exists());
        Some(network)
    }
}

/// Where names lead from now on. It is read at any moment, and so not written in place.
fn lead(yard: &Yard, to: &str) {
    let next = yard.write("leads.next", to);
    std::fs::rename(next, yard.file("leads")).expect("both are ours");
}

fn last_verdict(yard: &Yard, service: &str) -> Option<String> {
    let told = yard.get(&format!("/services/{service}/history?workspace=acme&limit=1"))?;
    told["results"][0]["verdict"].as_str().map(str::to_owned)
}

fn lines(yard: &Yard, file: &str) -> Vec<String> {
    std::fs::read_to_string(yard.file(file)).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_name_that_leads_elsewhere_the_next_time_reaches_nothing_private() {
    let yard = Yard::new();
    lead(&yard, STRANGER);
    let Some(_network) = Network::of(&yard) else { return };
    yard.run("workspace create acme --plugin process --plugin tcp --plugin http").ok();
    let checks = [
        ("tcp", json!({ "type": "tcp", "host": "rebind.test", "port": PORT })),
        ("web", json!({ "type": "http", "url": format!("http://rebind.test:{PORT}/") })),
    ];
    for (name, mut check) in checks {
        let every = json!({ "interval": "100ms", "timeout": "2s", "failure_threshold": 1, "recovery_threshold": 1, "auto_recovery": false });
        check.as_object_mut().expect("a table").extend(every.as_object().cloned().expect("a table"));
        let service = json!({ "service": { "backend": { "type": "process", "binary": "/bin/sleep", "args": ["1000"] }, "health_check": check } });
        let path = format!("/api/v1/services/{name}?workspace=acme");
        let answer = request(&yard.socket(), "PUT", &path, service.to_string().as_bytes()).expect("the host answers");
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
    let verdicts = || ["tcp", "web"].map(|name| last_verdict(&yard, name).unwrap_or_default());
    until("the stranger is reached by name", || verdicts() == ["pass", "pass"]);
    for (leads, fails) in [
        ("127.0.0.1", true),
        ("169.254.169.254", true),
        ("10.0.0.1 127.0.0.1", true),
        (OWN[0], true),
        (OWN[1], true),
        ("by-turns 93.184.215.14 127.0.0.1 169.254.169.254", false),
        ("127.0.0.1 93.184.215.14", false),
        (&format!("{STRANGER} {}", OWN[1]), false),
    ] {
        lead(&yard, leads);
        if fails {
            until("neither gets through", || !verdicts().contains(&"pass".to_owned()));
        }
        let before = lines(&yard, "asked").len();
        until("it was asked for many times", || lines(&yard, "asked").len() >= before + 20);
        let came = lines(&yard, "came");
        assert!(!came.is_empty() && came.iter().all(|address| address == STRANGER), "{leads}: {came:?}");
    }
    yard.run("workspace set acme --allow 127.0.0.0/8 --allow 198.51.99.0/24").ok();
    for own in ["127.0.0.1", OWN[0], OWN[1]] {
        lead(&yard, own);
        until("what is allowed is reached", || verdicts() == ["pass", "pass"] && lines(&yard, "came").contains(&own.to_owned()));
    }
}
