//! Where an engine is, and how bytes get there.

use std::path::PathBuf;
use std::process::Stdio;

use rustls::pki_types::{IpAddr as TlsAddress, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;
use tokio_rustls::TlsConnector;

use super::carried::Carried;

use crate::capability::http::trust;
use crate::grant::host::Host;
use crate::grant::{EndpointGrant, EngineGrant};

/// Where an engine is.
pub(super) enum Endpoint {
    Socket(PathBuf),
    Tcp {
        host: Host,
        port: u16,
        tls: Option<(ServerName<'static>, TlsConnector)>,
    },
    /// `docker system dial-stdio` there, which connects its own input and output to the engine's socket.
    Ssh {
        target: String,
        port: Option<u16>,
    },
}

/// Bytes in both directions.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Endpoint {
    pub(super) fn settle(grant: &EngineGrant) -> Result<Endpoint, String> {
        let text = grant.endpoint.as_str();
        let wrong = |why: &str| format!("endpoint `{text}`: {why}; write `unix:///var/run/docker.sock`, `tcp://10.0.0.1:2376` or `ssh://user@host`");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let files = grant.ca.is_some() || grant.client_certificate.is_some() || grant.client_key.is_some();
        if files && scheme != "tcp" {
            return Err(wrong("certificates are for `tcp`"));
        }
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Endpoint::Socket(rest.into())),
            "unix" => Err(wrong("a socket has an absolute path")),
            "tcp" => tcp(rest, grant, files).map_err(|why| wrong(&why)),
            "ssh" => ssh(rest).map_err(|why| wrong(&why)),
            _ => Err(wrong("only unix, tcp and ssh exist")),
        }
    }

    /// How many requests that only wait may be made beside each other. Over ssh each is a login of its own, and an sshd turns more than ten away that
    /// come at the same moment (`MaxStartups`).
    pub(super) fn side_by_side(&self) -> usize {
        match self {
            Endpoint::Socket(_) | Endpoint::Tcp { .. } => 256,
            Endpoint::Ssh { .. } => 6,
        }
    }

    /// The socket of an engine on this machine.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        match self {
            Endpoint::Socket(path) => Some(path.clone()),
            Endpoint::Tcp { .. } | Endpoint::Ssh { .. } => None,
        }
    }

    /// Where ports of its containers are reached; nothing of one on this machine.
    pub(super) fn host(&self) -> Option<String> {
        match self {
            Endpoint::Socket(_) => None,
            Endpoint::Tcp { host: Host::Name(name), .. } => Some(name.clone()),
            Endpoint::Tcp { host: Host::Address(address), .. } => Some(address.to_string()),
            Endpoint::Ssh { target, .. } => Some(target.rsplit('@').next().unwrap_or(target).to_owned()),
        }
    }

    pub(super) async fn dial(&self) -> std::io::Result<Box<dyn Duplex>> {
        match self {
            Endpoint::Socket(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Endpoint::Tcp { host, port, tls } => {
                let stream = match host {
                    Host::Name(name) => TcpStream::connect((name.as_str(), *port)).await?,
                    Host::Address(address) => TcpStream::connect((*address, *port)).await?,
                };
                let _ = stream.set_nodelay(true);
                match tls {
                    Some((name, connector)) => Ok(Box::new(connector.connect(name.clone(), stream).await?)),
                    None => Ok(Box::new(stream)),
                }
            }
            Endpoint::Ssh { target, port } => through_ssh(target, *port),
        }
    }
}

fn tcp(rest: &str, grant: &EngineGrant, files: bool) -> Result<Endpoint, String> {
    let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or("it has no port")?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or("its port is none")?;
    let host = Host::parse(host)?;
    if !files {
        return Ok(Endpoint::Tcp { host, port, tls: None });
    }
    let named = EndpointGrant {
        url: grant.endpoint.clone(),
        ca: grant.ca.clone(),
        client_certificate: grant.client_certificate.clone(),
        client_key: grant.client_key.clone(),
        ..EndpointGrant::default()
    };
    let connector = trust(&named, true)?.ok_or("it has no certificates")?;
    let name = match &host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| "no certificate can have its name".to_owned())?,
        Host::Address(address) => ServerName::IpAddress(TlsAddress::from(*address)),
    };
    Ok(Endpoint::Tcp { host, port, tls: Some((name, connector)) })
}

fn ssh(rest: &str) -> Result<Endpoint, String> {
    let rest = rest.trim_end_matches('/');
    let (target, port) = match rest.rsplit_once(':') {
        Some((target, port)) => (target, Some(port.parse().map_err(|_| "its port is none")?)),
        None => (rest, None),
    };
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    if target.is_empty() || target.starts_with('-') || !target.bytes().all(fine) {
        return Err("it is no `user@host`".to_owned());
    }
    Ok(Endpoint::Ssh { target: target.to_owned(), port })
}

/// As Docker's own client does it; whom to trust and how to log in is in the ssh configuration of the host's user. It never asks.
fn through_ssh(target: &str, port: Option<u16>) -> std::io::Result<Box<dyn Duplex>> {
    let mut ssh = Command::new("ssh");
    ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15", "-T"]);
    if let Some(port) = port {
        ssh.args(["-p", &port.to_string()]);
    }
    ssh.args(["--", target, "docker", "system", "dial-stdio"]);
    ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let carrier = ssh.spawn().map_err(|error| std::io::Error::new(error.kind(), format!("ssh cannot be started: {error}")))?;
    hostler_keeper::open_files::give_back(carrier.id());
    let stream = Carried::by(carrier).ok_or_else(|| std::io::Error::other("ssh has no pipes"))?;
    Ok(Box::new(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(endpoint: &str) -> Result<Endpoint, String> {
        Endpoint::settle(&serde_json::from_value(serde_json::json!({ "endpoint": endpoint })).expect("a grant"))
    }

    #[test]
    fn an_endpoint_is_a_socket_a_port_or_a_machine() {
        let check = |endpoint: &str, host: Option<&str>| {
            let settled = settle(endpoint).unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(settled.host().as_deref(), host, "{endpoint}");
            assert_eq!(settled.side_by_side() < 10, endpoint.starts_with("ssh:"), "{endpoint}");
        };
        check("unix:///var/run/docker.sock", None);
        check("tcp://10.0.0.1:2375", Some("10.0.0.1"));
        check("ssh://ops@build-1", Some("build-1"));
        check("ssh://build-1:2222", Some("build-1"));
        for wrong in ["/var/run/docker.sock", "unix://docker.sock", "tcp://10.0.0.1", "ssh://-oProxyCommand=x", "ssh://", "http://x:1", "tcp://x:0"] {
            assert!(settle(wrong).is_err(), "{wrong}");
        }
    }
}
