//! Which IP addresses may be reached, decided after names are resolved.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The internet.
    Public,
    /// This machine or this network: loopback, private and shared ranges, and with [`place_from_here`] every address of this machine.
    Private,
    /// Where nobody has business by accident: link-local (cloud metadata), multicast, reserved.
    Forbidden,
}

/// Looks through every way to write an IPv4 address as an IPv6 one, then classifies.
pub(crate) fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(v4) => place_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => place_v4(v4),
            None => place_v6(v6),
        },
    }
}

/// As [`place`], but an address that this machine has itself leads to this machine, however public it is. One that a router in between
/// leads here is not known.
pub(crate) fn place_from_here(address: IpAddr) -> Place {
    seen(address, own_addresses)
}

fn seen(address: IpAddr, own: impl FnOnce() -> io::Result<Vec<IpAddr>>) -> Place {
    match place(address) {
        // Where nobody can say which are its own, none is taken for a stranger's.
        Place::Public if own().map_or(true, |own| own.contains(&plain(address))) => Place::Private,
        place => place,
    }
}

/// Those of all interfaces at this moment: they come and go.
fn own_addresses() -> io::Result<Vec<IpAddr>> {
    Ok(if_addrs::get_if_addrs()?.iter().map(if_addrs::Interface::ip).collect())
}

fn place_v4(address: Ipv4Addr) -> Place {
    let [a, b, c, _] = address.octets();
    if address.is_loopback() || address.is_private() || (a == 100 && (64..128).contains(&b)) {
        return Place::Private;
    }
    let reserved = a == 0
        || address.is_link_local()
        || address.is_multicast()
        || a >= 240
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        || address.is_documentation();
    if reserved { Place::Forbidden } else { Place::Public }
}

fn place_v6(address: Ipv6Addr) -> Place {
    let first = address.segments()[0];
    if address.is_loopback() || (first & 0xfe00) == 0xfc00 {
        // fd00:ec2::254 is a cloud's metadata service inside the private range
        return if address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254) { Place::Forbidden } else { Place::Private };
    }
    let global = (first & 0xe000) == 0x2000 && !(first == 0x2001 && address.segments()[1] == 0xdb8);
    if global { Place::Public } else { Place::Forbidden }
}

/// The address that another one leads to.
pub(crate) fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, NAT64, 6to4, Teredo.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let pair = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(pair(high, low)),
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(pair(high, low)),
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, high, low] => Some(pair(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(pair(high, low)),
        [0x2002, high, low, ..] => Some(pair(high, low)),
        [0x2001, 0, .., high, low] => Some(pair(!high, !low)),
        _ => None,
    }
}

/// A range of addresses, `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    base: IpAddr,
    bits: u8,
}

impl Range {
    pub(crate) fn parse(text: &str) -> Result<Range, String> {
        let wrong = || format!("`{text}` is no range of addresses; write `10.0.0.0/8`, or one address");
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if bits > most || (base.to_canonical() != base) {
            return Err(wrong());
        }
        Ok(Range { base, bits })
    }

    /// Is this address in it? Addresses where nobody has business by accident are only in narrow ranges: who writes
    /// `0.0.0.0/0` did not think of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let narrow = if self.base.is_ipv4() { 16 } else { 32 };
        (self.bits >= narrow || place(address) != Place::Forbidden) && self.covers(address.to_canonical())
    }

    pub(crate) fn covers(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => same_start(base.to_bits().into(), address.to_bits().into(), 32 - self.bits),
            (IpAddr::V6(base), IpAddr::V6(address)) => same_start(base.to_bits(), address.to_bits(), 128 - self.bits),
            _ => false,
        }
    }
}

/// Are two addresses the same but for the last `free` bits?
fn same_start(one: u128, other: u128, free: u8) -> bool {
    (one ^ other).checked_shr(free.into()).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_it_covers_and_nothing_odd_by_accident() {
        let check = |range: &str, address: &str, expected: bool| {
            let range = Range::parse(range).expect("a range");
            assert_eq!(range.contains(address.parse().expect("an address")), expected, "{range:?} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("10.0.0.1", "10.0.0.1", true);
        check("10.0.0.1", "10.0.0.2", false);
        check("0.0.0.0/0", "8.8.8.8", true);
        check("0.0.0.0/0", "169.254.169.254", false);
        check("0.0.0.0/0", "::1", false);
        check("169.254.0.0/16", "169.254.169.254", true);
        check("::/0", "2606:4700::1", true);
        check("::/0", "64:ff9b::a9fe:a9fe", false);
        check("fd00::/8", "fd12::1", true);
        for text in ["10.0.0.0/33", "10.0.0", "10.0.0.0/x", "example.com", "::/129", "::ffff:10.0.0.0/104", ""] {
            assert!(Range::parse(text).is_err_and(|why| why.contains("range")), "{text}");
        }
    }

    #[test]
    fn an_address_of_this_machine_is_no_strangers() {
        assert!(own_addresses().is_ok_and(|own| own.contains(&Ipv4Addr::LOCALHOST.into())), "every machine has that");
        let own = || Ok(vec![IpAddr::from([93, 184, 215, 14]), "2606:4700::1".parse().expect("an address")]);
        for (text, expected) in [
            ("93.184.215.14", Place::Private),
            ("::ffff:93.184.215.14", Place::Private),
            ("64:ff9b::5db8:d70e", Place::Private),
            ("2606:4700::1", Place::Private),
            ("93.184.215.15", Place::Public),
            ("2606:4700::2", Place::Public),
            ("169.254.169.254", Place::Forbidden),
        ] {
            assert_eq!(seen(text.parse().expect("an address"), own), expected, "{text}");
        }
        assert_eq!(seen(IpAddr::from([93, 184, 215, 15]), || Err(io::ErrorKind::Other.into())), Place::Private);
    }

    #[test]
    fn addresses_are_seen_through_their_disguises() {
        let check = |text: &str, expected: Place| {
            let address: IpAddr = text.parse().expect("an address");
            assert_eq!(place(address), expected, "{text}");
        };
        check("93.184.216.34", Place::Public);
        check("2606:4700::1111", Place::Public);
        check("127.0.0.1", Place::Private);
        check("127.8.9.1", Place::Private);
        check("10.1.2.3", Place::Private);
        check("172.16.0.1", Place::Private);
        check("192.168.1.1", Place::Private);
        check("100.64.0.1", Place::Private);
        check("::1", Place::Private);
        check("fd12::1", Place::Private);
        check("169.254.169.254", Place::Forbidden);
        check("fd00:ec2::254", Place::Forbidden);
        check("fe80::1", Place::Forbidden);
        check("0.0.0.0", Place::Forbidden);
        check("::", Place::Forbidden);
        check("224.0.0.1", Place::Forbidden);
        check("255.255.255.255", Place::Forbidden);
        check("::ffff:127.0.0.1", Place::Private);
        check("::ffff:169.254.169.254", Place::Forbidden);
        check("::ffff:0:169.254.169.254", Place::Forbidden);
        check("::169.254.169.254", Place::Forbidden);
        check("64:ff9b::a9fe:a9fe", Place::Forbidden);
        check("2002:a9fe:a9fe::1", Place::Forbidden);
        check("2002:7f00:1::", Place::Private);
        check("2001:0:1:2:3:4:5601:5601", Place::Forbidden);
        check("::ffff:8.8.8.8", Place::Public);
    }
}
