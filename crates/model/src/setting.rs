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
    /// The type of a cloud's server: how large it is.
    ServerType(String),
    /// Its provider refuses to delete it.
    Protected(bool),
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
            Self::ExtraDisk(number, _) => return (5, format!("disk {number}").into()),
            Self::Mount(path, _) => return (6, format!("mount {path}").into()),
            Self::IoThread(_) => (7, "I/O thread"),
            Self::ScsiController(_) => (8, "SCSI controller"),
            Self::Storage(_) => (9, "storage"),
            Self::Cpu(_) => (10, "CPU"),
            Self::Bridge(_) => (11, "bridge"),
            Self::Vlan(_) => (12, "VLAN"),
            Self::Queues(_) => (13, "network queues"),
            Self::Prefix(_) => (14, "prefix"),
            Self::Gateway(_) => (15, "gateway"),
            Self::Nameservers(_) => (16, "nameservers"),
            Self::SearchDomains(_) => (17, "search domains"),
            Self::Tags(_) => (18, "tags"),
            Self::OnBoot(_) => (19, "on boot"),
            Self::Startup(_) => (20, "startup"),
            Self::Description(_) => (21, "description"),
            Self::Agent(_) => (22, "guest agent"),
            Self::Features(_) => (23, "features"),
            Self::Privileged(_) => (24, "privileged"),
            Self::Ha(_) => (25, "HA"),
            Self::HaGroup(_) => (26, "HA group"),
            Self::ServerType(_) => (27, "server type"),
            Self::Protected(_) => (28, "protected"),
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
            | Self::HaGroup(word)
            | Self::ServerType(word) => f.write_str(word),
            Self::Gateway(address) => write!(f, "{address}"),
            Self::Nameservers(list) => f.write_str(&list.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")),
            Self::Privileged(yes)
            | Self::OnBoot(yes)
            | Self::IoThread(yes)
            | Self::Agent(yes)
            | Self::Ha(yes)
            | Self::Protected(yes) => {
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
    // Proxmox keeps each once.
    words.dedup();
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

    /// Takes one away that has the name of another one.
    pub fn unset(&mut self, like: &Setting) {
        self.0.retain(|setting| setting.place() != like.place());
    }

    /// What is wished here and is otherwise or not at all there, each with what is there.
    pub fn differing<'a>(&'a self, there: &'a Self) -> impl Iterator<Item = (&'a Setting, Option<&'a Setting>)> {
        self.0.iter().map(|wish| (wish, there.like(wish))).filter(|(wish, there)| *there != Some(*wish))
    }

    fn said<'a, T>(&'a self, of: impl Fn(&'a Setting) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(of)
    }

    /// Processor cores.
    pub fn cores(&self) -> Option<u32> {
        self.said(|it| if let Setting::Cores(number) = it { Some(*number) } else { None })
    }

    /// Memory.
    pub fn memory(&self) -> Option<Size> {
        self.said(|it| if let Setting::Memory(size) = it { Some(*size) } else { None })
    }

    /// The system disk.
    pub fn disk(&self) -> Option<Size> {
        self.said(|it| if let Setting::Disk(size) = it { Some(*size) } else { None })
    }

    /// The storage that the system disk is on.
    pub fn storage(&self) -> Option<&str> {
        self.said(|it| if let Setting::Storage(name) = it { Some(name.as_str()) } else { None })
    }

    /// The group of those that its provider keeps available.
    pub fn ha_group(&self) -> Option<&str> {
        self.said(|it| if let Setting::HaGroup(name) = it { Some(name.as_str()) } else { None })
    }

    /// Whether it runs as root of the hypervisor's user namespace; none of what is no container.
    pub fn privileged(&self) -> Option<bool> {
        self.said(|it| if let Setting::Privileged(yes) = it { Some(*yes) } else { None })
    }

    /// Features of a container.
    pub fn features(&self) -> &[String] {
        self.said(|it| if let Setting::Features(words) = it { Some(words.as_slice()) } else { None })
            .unwrap_or_default()
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
    fn words_that_stand_twice_are_one() {
        let words = ["b", "a", "b"].map(String::from);
        assert_eq!(Setting::tags(&words), Setting::tags(&words[..2]));
    }

    #[test]
    fn a_machine_without_swap_is_read_back() {
        for swap in [None, Some(Size::from_mib(512))] {
            let text = serde_json::to_string(&Setting::Swap(swap)).unwrap();
            assert_eq!(serde_json::from_str::<Setting>(&text).unwrap(), Setting::Swap(swap), "{text}");
        }
    }
}
