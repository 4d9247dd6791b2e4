//! Connecting over `wasi:sockets`, within a deadline.

use hostler_sdk::deadline::Deadline;
use std::net::IpAddr;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// Why there is no connection, by what it means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The target was too slow.
    Late,
    /// The target refused, or is not there.
    Target(&'static str),
    /// The check itself could not be made.
    Checker(String),
    /// The grants do not cover it.
    Denied,
}

/// Connects to the first address of a name that takes the connection.
pub(crate) fn connect_by_name(name: &str, port: u16, deadline: &Deadline) -> Result<(), Trouble> {
    let addresses = resolve_addresses(&instance_network(), name).map_err(trouble)?;
    let mut last = Trouble::Target("the name does not resolve");
    loop {
        // the resolver answers one by one, and `would-block` until it knows
        match addresses.resolve_next_address() {
            Ok(Some(address)) => match connect(standard(address), port, deadline) {
                Ok(()) => return Ok(()),
                Err(Trouble::Late) => return Err(Trouble::Late),
                Err(trouble) => last = trouble,
            },
            Ok(None) => return Err(last),
            Err(ErrorCode::WouldBlock) if deadline.wait(&addresses.subscribe()) => {}
            Err(ErrorCode::WouldBlock) => return Err(Trouble::Late),
            Err(code) => return Err(trouble(code)),
        }
    }
}

/// Connects to one address, and closes the connection.
pub(crate) fn connect(address: IpAddr, port: u16, deadline: &Deadline) -> Result<(), Trouble> {
    let (family, remote) = remote(address, port);
    let socket = create_tcp_socket(family).map_err(trouble)?;
    socket.start_connect(&instance_network(), remote).map_err(trouble)?;
    loop {
        match socket.finish_connect() {
            Ok(_streams) => return Ok(()),
            Err(ErrorCode::WouldBlock) if deadline.wait(&socket.subscribe()) => {}
            Err(ErrorCode::WouldBlock) => return Err(Trouble::Late),
            Err(code) => return Err(trouble(code)),
        }
    }
}

fn standard(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => IpAddr::from([a, b, c, d]),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => IpAddr::from([a, b, c, d, e, f, g, h]),
    }
}

fn remote(address: IpAddr, port: u16) -> (IpAddressFamily, IpSocketAddress) {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (a, b, c, d) }))
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            let address = (a, b, c, d, e, f, g, h);
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 }))
        }
    }
}

fn trouble(code: ErrorCode) -> Trouble {
    match code {
        ErrorCode::AccessDenied => Trouble::Denied,
        ErrorCode::Timeout => Trouble::Late,
        ErrorCode::ConnectionRefused => Trouble::Target("connection refused"),
        ErrorCode::ConnectionReset | ErrorCode::ConnectionAborted => Trouble::Target("the connection was cut off at once"),
        ErrorCode::RemoteUnreachable => Trouble::Target("the host cannot be reached"),
        ErrorCode::NameUnresolvable | ErrorCode::PermanentResolverFailure => Trouble::Target("the name does not resolve"),
        ErrorCode::TemporaryResolverFailure => Trouble::Checker("names cannot be resolved now".into()),
        other => Trouble::Checker(format!("the host does not connect: {}", other.message())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_target_and_a_broken_check_are_told_apart() {
        assert_eq!(trouble(ErrorCode::ConnectionRefused), Trouble::Target("connection refused"));
        assert_eq!(trouble(ErrorCode::AccessDenied), Trouble::Denied);
        assert_eq!(trouble(ErrorCode::Timeout), Trouble::Late);
        assert!(matches!(trouble(ErrorCode::NewSocketLimit), Trouble::Checker(_)));
        assert!(matches!(trouble(ErrorCode::TemporaryResolverFailure), Trouble::Checker(_)));
    }

    #[test]
    fn addresses_survive_the_way_to_the_host() {
        for text in ["127.0.0.1", "::1", "2001:db8::7"] {
            let address: IpAddr = text.parse().expect("it is an address");
            let back = match remote(address, 1).1 {
                IpSocketAddress::Ipv4(remote) => {
                    let (a, b, c, d) = remote.address;
                    standard(IpAddress::Ipv4((a, b, c, d)))
                }
                IpSocketAddress::Ipv6(remote) => standard(IpAddress::Ipv6(remote.address)),
            };
            assert_eq!(back, address);
        }
    }
}
