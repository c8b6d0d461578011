//! Addresses, ranges, networks and ports. The arithmetic is `ipnet`'s and the standard library's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{IpAddrRange, IpNet, Ipv4AddrRange, Ipv6AddrRange};
use serde::{Deserialize, Serialize};

use crate::ids::{Namespace, ObjectName};
use crate::spec::formats::{Format, dns_label, dns_subdomain, schema_for_format};

/// Implements `Format`, `TryFrom<String>` and `Display`-based serialisation for a type that has `FromStr` and `Display`.
macro_rules! text_format {
    ($name:ident, $format:literal, $example:literal) => {
        impl Format for $name {
            const NAME: &'static str = $format;
            const EXAMPLE: &'static str = $example;

            fn check(text: &str) -> Result<(), String> {
                text.parse::<$name>().map(drop)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }

        schema_for_format!($name);
    };
}
pub(crate) use text_format;

/// One address or a run of them: `192.168.1.40`, `192.168.1.41-42`, `10.0.0.100-10.0.0.110`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// The range from `first` to `last`, or nothing if they are of two families or out of order.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// Addresses as runs: those that follow one another are one range. They come out in their order.
    pub fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Self> {
        let sorted: std::collections::BTreeSet<IpAddr> = addresses.into_iter().collect();
        let mut ranges: Vec<Self> = Vec::new();
        for address in sorted {
            let next = |range: &Self| Self::new(range.last, address).is_some_and(|both| both.count() == 2);
            match ranges.last_mut() {
                Some(range) if next(range) => range.last = address,
                _ => ranges.push(Self { first: address, last: address }),
            }
        }
        ranges
    }

    /// The range's lowest address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The range's highest address.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// The addresses in order.
    pub fn iter(&self) -> IpAddrRange {
        match (self.first, self.last) {
            (IpAddr::V4(a), IpAddr::V4(b)) => IpAddrRange::V4(Ipv4AddrRange::new(a, b)),
            (IpAddr::V6(a), IpAddr::V6(b)) => IpAddrRange::V6(Ipv6AddrRange::new(a, b)),
            // The constructors refuse mixed families.
            _ => IpAddrRange::V4(Ipv4AddrRange::new(Ipv4Addr::BROADCAST, Ipv4Addr::UNSPECIFIED)),
        }
    }

    /// How many addresses the range holds.
    pub fn count(&self) -> u128 {
        match (self.first, self.last) {
            (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(u32::from(b) - u32::from(a)) + 1,
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(b) - u128::from(a)).saturating_add(1),
            _ => 0,
        }
    }

    /// Whether the address lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether the two ranges share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = |part: &str| part.parse::<IpAddr>().map_err(|_| format!("`{part}` is not an IP address"));
        let Some((left, right)) = text.split_once('-') else {
            let only = address(text)?;
            return Ok(Self { first: only, last: only });
        };
        let first = address(left)?;
        // The end may be the last part alone: `192.168.1.41-42`.
        let last = match (first, right.parse::<u8>()) {
            (IpAddr::V4(v4), Ok(octet)) => {
                let [a, b, c, _] = v4.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, octet))
            }
            _ => address(right)?,
        };
        Self::new(first, last).ok_or_else(|| {
            if first.is_ipv4() == last.is_ipv4() {
                format!("it ends at {last}, before it starts at {first}")
            } else {
                "it starts in one address family and ends in the other".to_string()
            }
        })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (a, b) if a == b => write!(f, "{a}"),
            (IpAddr::V4(a), IpAddr::V4(b)) if a.octets()[..3] == b.octets()[..3] => write!(f, "{a}-{}", b.octets()[3]),
            (a, b) => write!(f, "{a}-{b}"),
        }
    }
}

text_format!(AddressRange, "address-range", "192.168.1.41-42");

/// A network in CIDR notation, with no host bits set: `10.42.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr(IpNet);

impl Cidr {
    /// Makes a network from text that is known to be well-formed; the empty network `0.0.0.0/32` otherwise.
    pub fn known(text: &str) -> Self {
        text.parse().unwrap_or(Self(IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 32))))
    }

    /// The network of an address, by the length of its prefix; none where that is too long.
    pub fn around(address: IpAddr, prefix: u8) -> Option<Self> {
        Some(Self(IpNet::new(address, prefix).ok()?.trunc()))
    }

    /// The network as `ipnet` knows it.
    pub fn net(&self) -> IpNet {
        self.0
    }

    /// Whether the address lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether the two networks share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    /// The n-th address of the network, counted from its base address; none outside of it.
    pub fn nth(&self, n: u32) -> Option<IpAddr> {
        let address = match self.0.network() {
            IpAddr::V4(base) => IpAddr::V4(u32::from(base).checked_add(n)?.into()),
            IpAddr::V6(base) => IpAddr::V6(u128::from(base).checked_add(u128::from(n))?.into()),
        };
        self.contains(address).then_some(address)
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let net: IpNet =
            text.parse().map_err(|_| "a network is an address, a slash and a prefix length".to_string())?;
        if net.addr() != net.network() {
            return Err(format!("it has host bits set; the network is {}", net.trunc()));
        }
        Ok(Self(net))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

text_format!(Cidr, "cidr", "10.42.0.0/16");

/// A host and a port: `10.0.0.10:5432`, `db.example.org:5432`, `[fd00::1]:6443`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    /// An address or a DNS name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl HostPort {
    /// Puts a host and a port together.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// The host as an address, when it is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').ok_or("the port is missing: write host:port")?;
        let port: u16 = port.parse().map_err(|_| format!("`{port}` is not a port (1-65535)"))?;
        if port == 0 {
            return Err("port 0 does not exist (1-65535)".into());
        }
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if bare.parse::<IpAddr>().is_err() {
            dns_subdomain(&bare.to_ascii_lowercase()).map_err(|why| format!("`{bare}` is no host: {why}"))?;
        }
        Ok(Self::new(bare, port))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

text_format!(HostPort, "host-port", "10.0.0.10:5432");

/// A Kubernetes Service and one of its ports: `monitoring/prometheus-grafana:80`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceRef {
    /// The Service's namespace.
    pub namespace: Namespace,
    /// The Service's name.
    pub name: ObjectName,
    /// The Service's port, by number.
    pub port: u16,
}

impl FromStr for ServiceRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, port) = text.rsplit_once(':').ok_or("the port is missing: write namespace/service:port")?;
        let (namespace, name) = path.split_once('/').ok_or("the namespace is missing: write namespace/service:port")?;
        let port =
            port.parse().ok().filter(|port| *port != 0).ok_or_else(|| format!("`{port}` is not a port (1-65535)"))?;
        dns_label(namespace).map_err(|why| format!("namespace: {why}"))?;
        dns_label(name).map_err(|why| format!("service: {why}"))?;
        Ok(Self { namespace: namespace.into(), name: name.into(), port })
    }
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.name, self.port)
    }
}

text_format!(ServiceRef, "service", "monitoring/prometheus-grafana:80");

/// One number or a run of them: `400`, `401-402`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NumberRange {
    /// The lowest number.
    pub first: u32,
    /// The highest number.
    pub last: u32,
}

impl NumberRange {
    /// The numbers in order.
    pub fn iter(&self) -> std::ops::RangeInclusive<u32> {
        self.first..=self.last
    }

    /// How many numbers the range holds.
    pub fn count(&self) -> u64 {
        u64::from(self.last - self.first) + 1
    }
}

impl FromStr for NumberRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |part: &str| part.parse::<u32>().map_err(|_| format!("`{part}` is not a number up to {}", u32::MAX));
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        if last < first {
            return Err(format!("it ends at {last}, before it starts at {first}"));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

text_format!(NumberRange, "number-range", "401-402");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_may_end_in_its_last_part_alone() {
        let range: AddressRange = "192.168.1.41-42".parse().unwrap();
        let all: Vec<String> = range.iter().map(|a| a.to_string()).collect();
        assert_eq!(all, ["192.168.1.41", "192.168.1.42"]);
        assert_eq!(range.to_string(), "192.168.1.41-42");
        assert_eq!("10.0.0.250-10.0.1.3".parse::<AddressRange>().unwrap().count(), 10);
        assert_eq!("fd00::1-fd00::3".parse::<AddressRange>().unwrap().count(), 3);
    }

    #[test]
    fn addresses_that_follow_one_another_are_one_range() {
        let of = |texts: &[&str]| {
            let ranges = AddressRange::of(texts.iter().map(|text| text.parse().unwrap()));
            ranges.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of(&["10.0.0.3", "10.0.0.1", "10.0.0.2", "10.0.0.5"]), ["10.0.0.1-3", "10.0.0.5"]);
        assert_eq!(of(&["10.0.0.255", "10.0.1.0", "10.0.0.255"]), ["10.0.0.255-10.0.1.0"]);
        assert_eq!(of(&["fd00::1", "fd00::2", "10.0.0.1"]), ["10.0.0.1", "fd00::1-fd00::2"]);
    }

    #[test]
    fn a_network_is_found_around_an_address() {
        let around = |text: &str, prefix| Cidr::around(text.parse().unwrap(), prefix).map(|net| net.to_string());
        assert_eq!(around("10.10.10.101", 24).as_deref(), Some("10.10.10.0/24"));
        assert_eq!(around("10.10.10.101", 33), None);
    }

    #[test]
    fn ranges_that_cannot_be_say_why() {
        for (text, why) in [
            ("192.168.1.42-41", "before it starts"),
            ("192.168.1.1-fd00::1", "family"),
            ("192.168.1", "not an IP address"),
            ("192.168.1.1-300", "`300` is not an IP address"),
        ] {
            let error = text.parse::<AddressRange>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_network_has_no_host_bits() {
        assert_eq!("10.42.0.1/16".parse::<Cidr>().unwrap_err(), "it has host bits set; the network is 10.42.0.0/16");
        let net: Cidr = "10.43.0.0/16".parse().unwrap();
        assert_eq!(net.nth(10).unwrap().to_string(), "10.43.0.10");
        assert_eq!(net.nth(70_000), None);
    }

    #[test]
    fn hosts_with_ports() {
        assert_eq!("[fd00::1]:6443".parse::<HostPort>().unwrap().to_string(), "[fd00::1]:6443");
        assert!("10.0.0.1".parse::<HostPort>().is_err());
        assert!("10.0.0.1:70000".parse::<HostPort>().is_err());
        assert!("monitoring/grafana:80".parse::<ServiceRef>().is_ok());
        assert!("grafana:80".parse::<ServiceRef>().is_err());
    }
}
