//! A host is left as it was before us: what was written down there when we touched it first is put back.
//!
//! The order is the reverse of that in which a host is set up: what runs stops while all that it reads is still there,
//! and folders, which must be empty for that, go last. What we come in by goes before the port that lets us in is
//! closed, so a run that is cut off anywhere finds a way in again; the user who we are stays, and so does sudo for it. Who
//! that is the host says: the spec's word is not the last one of it.

use kubewright_model::ids::NodeName;

use super::calls::{Call, Calls, Library};
use super::{names, refuse};
use crate::HostError;

/// What a key is about, in the order in which it is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Link,
    File,
    Download,
    Block,
    Module,
    Sysctl,
    Swap,
    Hostname,
    Timezone,
    Locale,
    Unit,
    TimeService,
    Membership,
    User,
    Group,
    SshDaemon,
    PortLabel,
    OpenPort,
    Hold,
    Package,
    Repository,
    Directory,
    Folder,
}

/// How keys begin, and what they are about. A tool is a package that a deed of ours needed.
const KINDS: [(&str, Kind); 24] = [
    ("link ", Kind::Link),
    ("file ", Kind::File),
    ("download ", Kind::Download),
    ("block in ", Kind::Block),
    ("module ", Kind::Module),
    ("sysctl ", Kind::Sysctl),
    ("swap", Kind::Swap),
    ("hostname", Kind::Hostname),
    ("time zone", Kind::Timezone),
    ("locale", Kind::Locale),
    ("unit ", Kind::Unit),
    ("time service", Kind::TimeService),
    ("membership of ", Kind::Membership),
    ("user ", Kind::User),
    ("group ", Kind::Group),
    ("ssh daemon", Kind::SshDaemon),
    ("port label ", Kind::PortLabel),
    ("open port ", Kind::OpenPort),
    ("package ", Kind::Package),
    ("tool ", Kind::Package),
    ("hold ", Kind::Hold),
    ("repository ", Kind::Repository),
    ("directory ", Kind::Directory),
    ("folder ", Kind::Folder),
];

/// Where a host keeps what it remembers.
const MEMORY: &str = "/var/lib/kubewright";

/// Something to put back.
#[derive(Clone, Debug)]
struct Thing<'a> {
    /// Where in the change's list it stands.
    index: usize,
    key: &'a str,
    kind: Kind,
    /// What the key says after its kind.
    name: &'a str,
}

/// Writes the calls that put back what goes by these keys; they are told by the index from `first` on.
pub(super) fn write(calls: &mut Calls, host: &NodeName, keys: &[String], first: usize) -> Result<(), HostError> {
    let mut things = Vec::new();
    for (key, index) in keys.iter().zip(first..) {
        let found = KINDS.iter().find_map(|(start, kind)| {
            let name = key.strip_prefix(start)?;
            (start.ends_with(' ') != name.is_empty()).then_some((*kind, name))
        });
        let Some((kind, name)) = found else { return refuse(host, key, "nobody knows how to put it back".into()) };
        things.push(Thing { index, key, kind, name });
    }
    for unit in things.iter().filter(|thing| thing.kind == Kind::Unit) {
        calls.call(Library::Leave, &Call::quiet(unit.index, "kw_unit_halt", &[unit.name]));
    }
    // The deepest folders first; our own memory last.
    let depth = |thing: &Thing<'_>| if thing.name == MEMORY { 0 } else { thing.name.matches('/').count() };
    things.sort_by_key(|thing| (thing.kind, std::cmp::Reverse(depth(thing))));
    let (packages, rest): (Vec<_>, Vec<_>) = things.iter().partition(|thing| thing.kind == Kind::Package);
    let (folders, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|thing| thing.kind == Kind::Folder);
    rest.into_iter().try_for_each(|thing| put_back(calls, host, thing))?;
    remove(calls, host, &packages)?;
    folders.into_iter().try_for_each(|thing| put_back(calls, host, thing))
}

/// All packages go in one call.
fn remove(calls: &mut Calls, host: &NodeName, packages: &[&Thing<'_>]) -> Result<(), HostError> {
    let Some((first, others)) = packages.split_first() else { return Ok(()) };
    packages.iter().try_for_each(|thing| names::package(host, thing.name))?;
    let keys: Vec<&str> = packages.iter().map(|thing| thing.key).collect();
    calls.call(Library::Leave, &Call::tell(first.index, "kw_packages_back", &keys));
    if !others.is_empty() {
        let others: Vec<String> = others.iter().map(|thing| thing.index.to_string()).collect();
        calls.line(&format!("kw_also {}", others.join(" ")));
    }
    Ok(())
}

fn put_back(calls: &mut Calls, host: &NodeName, thing: &Thing<'_>) -> Result<(), HostError> {
    let Thing { key, kind, name, .. } = *thing;
    let mut back = |library, words: &[&str]| {
        calls.takes(Library::Back);
        let words: Vec<&str> = [key].iter().chain(words).copied().collect();
        calls.call(library, &Call::tell(thing.index, "kw_back", &words));
    };
    match kind {
        Kind::Link | Kind::File | Kind::Download | Kind::Block | Kind::Directory | Kind::Folder => {
            names::path(host, name)?
        }
        _ if name.is_empty() => {}
        Kind::Membership | Kind::Sysctl => {}
        _ => names::plain(host, key, name)?,
    }
    match kind {
        Kind::Link | Kind::File => back(Library::Back, &["kw_file_back", name]),
        Kind::Download => back(Library::Back, &["kw_download_back", name, &super::memory(name)]),
        Kind::Block => back(Library::Back, &["kw_block_back", name]),
        Kind::Module => back(Library::Back, &["kw_line_back", "/etc/modules-load.d/kubewright.conf", name]),
        Kind::Sysctl => back(Library::Back, &["kw_sysctl_back", &super::sysctl_file(host, name)?, name]),
        Kind::Swap => back(Library::Back, &["kw_swap_back"]),
        Kind::Hostname => back(Library::Back, &["kw_hostname_back"]),
        Kind::Timezone => back(Library::Back, &["kw_timezone_back"]),
        Kind::Locale => back(Library::Back, &["kw_locale_back"]),
        Kind::Unit => back(Library::Leave, &["kw_unit_back", name]),
        Kind::TimeService => back(Library::Leave, &["kw_time_back"]),
        Kind::Membership => {
            let Some((who, group)) = name.split_once(" in ") else {
                return refuse(host, key, "nobody knows how to put it back".into());
            };
            names::plain(host, key, who)?;
            names::plain(host, key, group)?;
            back(Library::Leave, &["kw_member_back", who, group]);
        }
        Kind::User => back(Library::Leave, &["kw_user_back", name]),
        Kind::Group => back(Library::Leave, &["kw_group_back", name]),
        Kind::SshDaemon => back(Library::Leave, &["kw_sshd_back"]),
        Kind::PortLabel => back(Library::Leave, &["kw_label_back", name]),
        Kind::OpenPort => back(Library::Leave, &["kw_port_back", name]),
        Kind::Hold => back(Library::Repositories, &["kw_unhold", name]),
        Kind::Repository => back(Library::Repositories, &["kw_unrepository", name]),
        Kind::Directory => back(Library::Back, &["kw_directory_back", name]),
        // Those that go stand in a group of their own.
        Kind::Package => {}
        Kind::Folder if name == MEMORY => back(Library::Back, &["kw_memory_back"]),
        Kind::Folder => back(Library::Back, &["kw_folder_back", name]),
    }
    Ok(())
}
