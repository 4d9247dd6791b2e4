//! An engine that speaks TLS on a port, and ways to get there.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Where its port is, in the network of its own.
const PORT: u16 = 2376;

/// Certificates, as an administrator would make them with `openssl`, and the engine's port on this machine's loopback.
#[derive(Debug)]
pub struct Secured {
    dir: PathBuf,
    relay: Relay,
}

impl Secured {
    /// Makes the certificates; what is said to a `dockerd` that uses them.
    pub(crate) fn words(dir: &Path) -> Vec<String> {
        for authority in ["ca", "other-ca"] {
            openssl(
                dir,
                &format!(
                    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={authority} -keyout {authority}-key.pem -out {authority}.pem"
                ),
            );
        }
        std::fs::write(dir.join("server.cnf"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n").expect("the directory is ours");
        std::fs::write(dir.join("client.cnf"), "extendedKeyUsage=clientAuth\n").expect("the directory is ours");
        for (name, kind, authority) in [("server", "server", "ca"), ("client", "client", "ca"), ("stranger", "client", "other-ca")] {
            openssl(dir, &format!("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}-key.pem -out {name}.csr"));
            openssl(
                dir,
                &format!(
                    "x509 -req -days 2 -in {name}.csr -CA {authority}.pem -CAkey {authority}-key.pem -CAcreateserial -extfile {kind}.cnf -out {name}.pem"
                ),
            );
        }
        let at = |name: &str| dir.join(name).display().to_string();
        let mut words: Vec<String> = ["--tlsverify", "--host", &format!("tcp://0.0.0.0:{PORT}")].map(str::to_owned).into();
        words.extend(["--tlscacert".to_owned(), at("ca.pem"), "--tlscert".to_owned(), at("server.pem"), "--tlskey".to_owned(), at("server-key.pem")]);
        words
    }

    /// `pid` is the engine's: its network is entered for each connection.
    pub(crate) fn at(dir: &Path, pid: u32) -> Secured {
        let into = ["--target", &pid.to_string(), "--net", "/bin/busybox", "nc", "127.0.0.1", &PORT.to_string()].map(str::to_owned);
        let relay = Relay::through(move || {
            let mut command = Command::new("nsenter");
            command.args(&into);
            command
        });
        Secured { dir: dir.to_owned(), relay }
    }

    /// `tcp://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.relay.endpoint()
    }

    /// Keys of a grant: the authority, and whose certificate is shown; nobody's where that is empty.
    pub fn files(&self, authority: &str, client: &str) -> String {
        let at = |name: String| self.dir.join(name).display().to_string();
        let mut keys = format!(", ca = {:?}", at(format!("{authority}.pem")));
        if !client.is_empty() {
            keys += &format!(", client_certificate = {:?}, client_key = {:?}", at(format!("{client}.pem")), at(format!("{client}-key.pem")));
        }
        keys
    }
}

/// A port on loopback whose connections are carried elsewhere.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    is_over: Arc<AtomicBool>,
    carriers: Arc<Mutex<Vec<Child>>>,
    listening: Option<JoinHandle<()>>,
}

impl Relay {
    /// To a unix socket of this machine.
    pub fn to_socket(socket: &Path) -> Relay {
        let socket = socket.to_owned();
        Relay::with(move |stream| {
            let engine = UnixStream::connect(&socket).ok()?;
            let (from, back) = (stream.try_clone().ok()?, engine.try_clone().ok()?);
            std::thread::spawn(move || drop((io::copy(&mut &from, &mut &engine), engine.shutdown(Shutdown::Write))));
            std::thread::spawn(move || drop((io::copy(&mut &back, &mut &stream), stream.shutdown(Shutdown::Write))));
            None
        })
    }

    fn through(program: impl Fn() -> Command + Send + 'static) -> Relay {
        Relay::with(move |stream| {
            let input = stream.try_clone().map(OwnedFd::from).ok()?;
            program().stdin(input).stdout(OwnedFd::from(stream)).stderr(Stdio::null()).spawn().ok()
        })
    }

    /// # Panics
    /// When no port is free.
    fn with(carry: impl Fn(TcpStream) -> Option<Child> + Send + 'static) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let (is_over, carriers) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (over, all) = (Arc::clone(&is_over), Arc::clone(&carriers));
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let carrier = carry(stream);
                let mut all: std::sync::MutexGuard<'_, Vec<Child>> = all.lock().expect("nobody panics with it");
                all.retain_mut(|carrier| matches!(carrier.try_wait(), Ok(None)));
                all.extend(carrier);
            }
        });
        Relay { port, is_over, carriers, listening: Some(listening) }
    }

    /// `tcp://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes it, for the last time.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        drop(self.listening.take().map(JoinHandle::join));
        for carrier in self.carriers.lock().expect("nobody panics with it").iter_mut() {
            drop(carrier.kill());
            drop(carrier.wait());
        }
    }
}

fn openssl(dir: &Path, line: &str) {
    let made = Command::new("openssl").args(line.split(' ')).current_dir(dir).output().expect("openssl can be started");
    assert!(made.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&made.stderr));
}
