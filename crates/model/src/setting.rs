//! What is set of a machine, one sentence for each setting.
//!
//! A wish and a sight are made of the same sentences, so what differs is one comparison. A wish holds what the spec says
//! and nothing else: what nobody wishes is nobody's to change.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::spec::pools::Startup;
use crate::units::{Balloon, Size};

/// One thing that is set of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Setting {
    /// Processor cores.
    Cores(u32),
    /// Memory.
    Memory(Size),
    /// How little memory it may be left with.
    Balloon(Balloon),
    /// Swap of a container.
    Swap(Option<Size>),
    /// The system disk.
    Disk(Size),
    /// A further disk, by its number.
    ExtraDisk(u8, Size),
    /// A volume of a container beside its system disk, by the path at which it is mounted.
    Mount(String, Size),
    /// The storage that the system disk is on.
    Storage(String),
    /// The bridge that the first network card is at.
    Bridge(String),
    /// The VLAN tag of that card.
    Vlan(u16),
    /// Its queues.
    Queues(u32),
    /// The length of the network's prefix.
    Prefix(u8),
    /// The default gateway.
    Gateway(IpAddr),
    /// DNS servers.
    Nameservers(Vec<IpAddr>),
    /// DNS search domains.
    SearchDomains(Vec<String>),
    /// The type of CPU that a virtual machine sees.
    Cpu(String),
    /// The SCSI controller of a virtual machine.
    ScsiController(String),
    /// Disks of a virtual machine have an I/O thread of their own.
    IoThread(bool),
    /// A guest agent is spoken to.
    Agent(bool),
    /// It runs as root of the hypervisor's user namespace. Only containers have a word on that.
    Privileged(bool),
    /// Features of a container, in their alphabet's order.
    Features(Vec<String>),
    /// Tags or labels beside our own, in their alphabet's order.
    Tags(Vec<String>),
    /// Started with its hypervisor.
    OnBoot(bool),
    /// When it starts and stops among the others of its hypervisor.
    Startup(Startup),
    /// What its provider shows people beside it.
    Description(String),
    /// Its provider keeps it available: it is started elsewhere when its hypervisor fails.
    Ha(bool),
    /// The group of those that are kept so.
    HaGroup(String),
}

impl Setting {
    /// Features, whatever order they come in.
    pub fn features(words: &[String]) -> Self {
        Self::Features(sorted(words))
    }

    /// Tags, whatever order they come in.
    pub fn tags(words: &[String]) -> Self {
        Self::Tags(sorted(words))
    }

    /// The prefix, where an address is given. Networks of six are cut at 64 unless somebody says otherwise, as Linux' own
    /// autoconfiguration has it; those of four at 24.
    pub fn prefix(address: Option<IpAddr>, prefix: Option<u8>) -> Option<Self> {
        address.map(|address| Self::Prefix(prefix.unwrap_or(if address.is_ipv6() { 64 } else { 24 })))
    }

    /// The gateway, where it can be reached from the address.
    pub fn gateway(address: Option<IpAddr>, gateway: Option<IpAddr>) -> Option<Self> {
        gateway.filter(|gateway| address.is_some_and(|own| own.is_ipv6() == gateway.is_ipv6())).map(Self::Gateway)
    }

    /// DNS servers, where some are said.
    pub fn nameservers(servers: &[IpAddr]) -> Option<Self> {
        (!servers.is_empty()).then(|| Self::Nameservers(servers.to_vec()))
    }

    /// DNS search domains, where some are said.
    pub fn search_domains(domains: &[String]) -> Option<Self> {
        (!domains.is_empty()).then(|| Self::SearchDomains(domains.to_vec()))
    }

    /// What it is called: a machine has one of each name.
    pub fn name(&self) -> Cow<'static, str> {
        self.place().1
    }

    /// Its place among others, and its name.
    fn place(&self) -> (u8, Cow<'static, str>) {
        let (place, name) = match self {
            Self::Cores(_) => (0, "cores"),
            Self::Memory(_) => (1, "memory"),
            Self::Balloon(_) => (2, "balloon"),
            Self::Swap(_) => (3, "swap"),
            Self::Disk(_) => (4, "disk"),
            Self::Mount(path, _) => return (6, format!("mount {path}").into()),
            Self::ExtraDisk(number, _) => return (5, format!("disk {number}").into()),
            Self::IoThread(_) => (6, "I/O thread"),
            Self::ScsiController(_) => (7, "SCSI controller"),
            Self::Storage(_) => (8, "storage"),
            Self::Cpu(_) => (9, "CPU"),
            Self::Bridge(_) => (10, "bridge"),
            Self::Vlan(_) => (11, "VLAN"),
            Self::Queues(_) => (12, "network queues"),
            Self::Prefix(_) => (13, "prefix"),
            Self::Gateway(_) => (14, "gateway"),
            Self::Nameservers(_) => (15, "nameservers"),
            Self::SearchDomains(_) => (16, "search domains"),
            Self::Tags(_) => (17, "tags"),
            Self::OnBoot(_) => (18, "on boot"),
            Self::Startup(_) => (19, "startup"),
            Self::Description(_) => (20, "description"),
            Self::Ha(_) => (30, "HA"),
            Self::HaGroup(_) => (31, "HA group"),
            Self::Agent(_) => (21, "guest agent"),
            Self::Features(_) => (22, "features"),
            Self::Privileged(_) => (23, "privileged"),
        };
        (place, name.into())
    }
}

/// The value, for people.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cores(number) | Self::Queues(number) => write!(f, "{number}"),
            Self::Vlan(number) => write!(f, "{number}"),
            Self::Prefix(length) => write!(f, "/{length}"),
            Self::Balloon(balloon) => write!(f, "{balloon}"),
            Self::Swap(None) => f.write_str("none"),
            Self::Memory(size)
            | Self::Swap(Some(size))
            | Self::Disk(size)
            | Self::ExtraDisk(_, size)
            | Self::Mount(_, size) => write!(f, "{size}"),
            Self::Storage(word)
            | Self::Bridge(word)
            | Self::Cpu(word)
            | Self::ScsiController(word)
            | Self::HaGroup(word) => f.write_str(word),
            Self::Gateway(address) => write!(f, "{address}"),
            Self::Nameservers(list) => f.write_str(&list.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")),
            Self::Privileged(yes) | Self::OnBoot(yes) | Self::IoThread(yes) | Self::Agent(yes) | Self::Ha(yes) => {
                write!(f, "{yes}")
            }
            Self::Features(words) | Self::Tags(words) | Self::SearchDomains(words) => f.write_str(&words.join(" ")),
            Self::Startup(startup) => write!(f, "{startup}"),
            Self::Description(text) => f.write_str(text),
        }
    }
}

fn sorted(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    words.sort();
    words
}

/// Settings, one of each name, in their own order.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(Vec<Setting>);

impl Settings {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// The setting with the name of another one.
    pub fn like(&self, other: &Setting) -> Option<&Setting> {
        let at = self.0.binary_search_by(|setting| setting.place().cmp(&other.place())).ok()?;
        self.0.get(at)
    }

    /// Sets one, in the place of the one that has its name.
    pub fn set(&mut self, setting: Setting) {
        match self.0.binary_search_by(|old| old.place().cmp(&setting.place())) {
            Ok(at) => self.0[at] = setting,
            Err(at) => self.0.insert(at, setting),
        }
    }

    /// What is wished here and is otherwise or not at all there, each with what is there.
    pub fn differing<'a>(&'a self, there: &'a Self) -> impl Iterator<Item = (&'a Setting, Option<&'a Setting>)> {
        self.0.iter().map(|wish| (wish, there.like(wish))).filter(|(wish, there)| *there != Some(*wish))
    }

    /// Processor cores.
    pub fn cores(&self) -> Option<u32> {
        self.0.iter().find_map(|setting| if let Setting::Cores(number) = setting { Some(*number) } else { None })
    }

    /// Memory.
    pub fn memory(&self) -> Option<Size> {
        self.0.iter().find_map(|setting| if let Setting::Memory(size) = setting { Some(*size) } else { None })
    }

    /// The system disk.
    pub fn disk(&self) -> Option<Size> {
        self.0.iter().find_map(|setting| if let Setting::Disk(size) = setting { Some(*size) } else { None })
    }

    /// The storage that the system disk is on.
    pub fn storage(&self) -> Option<&str> {
        self.0.iter().find_map(|setting| if let Setting::Storage(name) = setting { Some(name.as_str()) } else { None })
    }

    /// Whether it runs as root of the hypervisor's user namespace; none of what is no container.
    pub fn privileged(&self) -> Option<bool> {
        self.0.iter().find_map(|setting| if let Setting::Privileged(yes) = setting { Some(*yes) } else { None })
    }

    /// Features of a container.
    pub fn features(&self) -> &[String] {
        let features = self.0.iter().find_map(|setting| match setting {
            Setting::Features(words) => Some(words.as_slice()),
            _ => None,
        });
        features.unwrap_or_default()
    }

    /// Whether it starts with its hypervisor.
    pub fn on_boot(&self) -> bool {
        self.0.contains(&Setting::OnBoot(true))
    }
}

/// Settings by themselves, the later of two with one name.
impl FromIterator<Setting> for Settings {
    fn from_iter<T: IntoIterator<Item = Setting>>(settings: T) -> Self {
        let mut all = Self::default();
        settings.into_iter().for_each(|setting| all.set(setting));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_swap_is_read_back() {
        for swap in [None, Some(Size::from_mib(512))] {
            let text = serde_json::to_string(&Setting::Swap(swap)).unwrap();
            assert_eq!(serde_json::from_str::<Setting>(&text).unwrap(), Setting::Swap(swap), "{text}");
        }
    }
}
