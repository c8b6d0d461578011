//! Writes the script of a look: the parts that never change, and a call for each resource.

use std::fmt::Write as _;

use kubewright_model::host::{DirectoryWish, FileWish, HostResource};
use kubewright_model::observed::SHOWN_TEXT;
use kubewright_model::programs::PROGRAMS;

use crate::change::memory;
use crate::shell::quote;
use crate::upload;

/// Services that keep the clock right, of which a distribution has one.
pub(super) const TIME_SERVICES: [&str; 5] =
    ["systemd-timesyncd.service", "chrony.service", "chronyd.service", "ntpsec.service", "ntpd.service"];

/// The parts that never change.
const PARTS: [&str; 6] = [
    include_str!("facts.sh"),
    include_str!("first.sh"),
    include_str!("resources.sh"),
    include_str!("settings.sh"),
    include_str!("rounds.sh"),
    include_str!("updates.sh"),
];

/// The body of a script that answers everything that a look needs of these resources. It times the disk of a host that
/// is to hold a datastore and holds none, and asks for packages that wait for an update.
///
/// It asks in two rounds: first the shell itself looks, without a process, and notes what only a program can tell; then
/// each program runs once for all. A resource whose name no such thing can have is not asked for, and so has no answer.
pub(crate) fn script(resources: &[HostResource], holds_data: bool, updates: bool) -> String {
    let mut body = String::with_capacity(24 * 1024);
    for part in PARTS {
        // Comments and margins are for those who read the parts, not for the line to the host.
        for line in part.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            body.push_str(line);
            body.push('\n');
        }
    }
    for program in &PROGRAMS {
        let record = download_record(program.path);
        let _ = writeln!(body, "kw_download {} {} {}", program.name, path(program.path), path(&record));
    }
    entries(resources, &mut body);
    for (index, resource) in resources.iter().enumerate() {
        for call in call(index, resource).into_iter().chain(names(index, resource)) {
            body.push_str(&call);
            body.push('\n');
        }
    }
    body.push_str("kw_run_settings\nkw_run_stat\n");
    for (index, resource) in resources.iter().enumerate() {
        if let HostResource::Download(wish) = resource
            && plain(&wish.path)
        {
            let _ = writeln!(body, "kw_held {index} {} {}", path(&wish.path), wish.artifact.mark());
        }
    }
    let _ = writeln!(body, "kw_run_sum {SHOWN_TEXT}\nkw_run_links\nkw_run_units");
    search(resources, &mut body);
    first(resources, holds_data, &mut body);
    if updates {
        body.push_str("kw_updates\n");
    }
    let names = resources.iter().filter_map(|resource| match resource {
        HostResource::Package(name) | HostResource::Hold(name) if package(name) => Some(name.as_str()),
        _ => None,
    });
    if resources.iter().any(|resource| matches!(resource, HostResource::Hold(_))) {
        body.push_str("kw_locks\n");
    }
    let _ = writeln!(body, "kw_packages {}", names.collect::<Vec<_>>().join(" "));
    body
}

/// What only a host without Kubernetes is asked.
fn first(resources: &[HostResource], holds_data: bool, body: &mut String) {
    if holds_data {
        body.push_str("kw_flush\n");
    }
    for resource in resources {
        match resource {
            HostResource::Download(wish) if plain(&wish.path) && !upload::is_ours(wish) => {
                let _ = writeln!(body, "kw_source {} {}", quote(&origin(&wish.artifact.url)), path(&wish.path));
            }
            HostResource::Repository(wish) if word(&wish.name) => {
                let record = format!("/var/lib/kubewright/repositories/{}", wish.name);
                let _ = writeln!(body, "kw_source {} {}", quote(&origin(&wish.url)), path(&record));
            }
            _ => {}
        }
    }
}

/// `https://example.org` of an address there.
fn origin(url: &str) -> String {
    url.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// What the shell itself looks at for a resource.
fn call(index: usize, resource: &HostResource) -> Option<String> {
    let at = |verb: &str, place: &str| plain(place).then(|| format!("{verb} {index} {}", path(place)));
    match resource {
        // One program answers for all packages.
        HostResource::Package(_) | HostResource::Hold(_) => None,
        // A host with a shell has neither.
        HostResource::TalosImage(_) | HostResource::MachineConfig(_) => None,
        HostResource::Repository(wish) => word(&wish.name).then(|| format!("kw_repository {index} {}", wish.name)),
        HostResource::Module(name) => word(name).then(|| format!("kw_module {index} {}", name.replace('-', "_"))),
        HostResource::Sysctl { key, .. } => at("kw_sysctl", &sysctl_path(key)),
        HostResource::File(wish) => {
            let call = at("kw_file", &wish.path)?;
            Some(wish.content.digest().map_or(call.clone(), |wanted| format!("{call} {}", wanted.as_str())))
        }
        HostResource::Directory(wish) => at("kw_directory", &wish.path),
        HostResource::Block { path, .. } => at("kw_block", path),
        HostResource::HostsEntries(_) => at("kw_block", "/etc/hosts"),
        HostResource::Lines { path, .. } => at("kw_lines", path),
        HostResource::Download(wish) => {
            Some(format!("{} {}", at("kw_download", &wish.path)?, path(&download_record(&wish.path))))
        }
        HostResource::Link { path, .. } => at("kw_link", path),
        HostResource::Unit(unit) => word(&unit.name).then(|| format!("kw_unit {index} {}", quote(&unit.name))),
        HostResource::User(user) => word(&user.name).then(|| {
            let (record, sudo) = (format!("/var/lib/kubewright/users/{}", user.name), sudoers(&user.name));
            let groups: Vec<&str> = user.groups.iter().map(String::as_str).filter(|group| word(group)).collect();
            let groups = groups.join(",");
            let (name, groups) = (quote(&user.name), quote(&groups));
            format!("kw_user {index} {name} {} {} {groups} \"${{kw_entry_{index}-}}\"", path(&record), path(&sudo))
        }),
        HostResource::Hostname(_) => Some(format!("kw_hostname {index}")),
        HostResource::Timezone(zone) => at("kw_timezone", &format!("/usr/share/zoneinfo/{zone}")),
        HostResource::Locale(_) => Some(format!("kw_locale {index}")),
        HostResource::SwapOff => Some(format!("kw_swap {index}")),
        HostResource::TimeSync => Some(time_services()),
        HostResource::SshDaemon(_) => Some(format!("kw_ssh {index}")),
    }
}

fn time_services() -> String {
    let tokens = " time".repeat(TIME_SERVICES.len());
    let names = TIME_SERVICES.map(|name| format!("${{kw_nl}}{name}")).concat();
    format!("kw_unit_for=\"$kw_unit_for{tokens}\" kw_unit_of=\"$kw_unit_of{names}\"")
}

/// What a resource names that a host need not have.
fn names(index: usize, resource: &HostResource) -> Option<String> {
    let owner = match resource {
        HostResource::User(user) if plain(&user.shell) => {
            return Some(format!("kw_shell {index} {}", path(&user.shell)));
        }
        HostResource::File(FileWish { owner, .. }) | HostResource::Directory(DirectoryWish { owner, .. }) => owner,
        _ => return None,
    };
    let (user, group) = owner.split_once(':').filter(|both| *both != ("root", "root"))?;
    (word(user) && word(group)).then(|| format!("kw_owner {index} {user} {group}"))
}

/// The entries of all users that are asked for, from their own groups on, in one reading of `/etc/passwd`.
fn entries(resources: &[HostResource], body: &mut String) {
    let users = resources.iter().enumerate().filter_map(|(index, resource)| match resource {
        HostResource::User(user) if word(&user.name) => Some((index, &user.name)),
        _ => None,
    });
    let mut arms = String::new();
    for (index, name) in users {
        let _ = writeln!(arms, "\t\t{}) kw_entry_{index}=$kw_up ;;", quote(name));
    }
    if !arms.is_empty() {
        let _ = write!(
            body,
            "while IFS=: read -r kw_value kw_x kw_x kw_up; do\n\
             \tcase $kw_value in\n{arms}\tesac\ndone <etc/passwd\n"
        );
    }
}

/// What is looked for in the files that set modules and kernel settings at every start.
fn search(resources: &[HostResource], body: &mut String) {
    let mut patterns = std::collections::BTreeSet::new();
    let (mut modules, mut sysctls) = (false, false);
    for resource in resources {
        match resource {
            HostResource::Module(name) if word(name) => {
                modules = true;
                patterns.extend([name.replace('-', "_"), name.replace('_', "-")]);
            }
            HostResource::Sysctl { key, .. } if plain(key) => {
                sysctls = true;
                patterns.extend(key.rsplit(['.', '/']).next().map(str::to_string));
            }
            _ => {}
        }
    }
    if sysctls {
        body.push_str("kw_conf sysctl.d\n");
    }
    if modules {
        body.push_str("kw_conf modules-load.d\n");
        body.push_str("kw_conf_of=\"$kw_conf_of${kw_nl}lib/modules/$kw_kernel/modules.builtin\"\n");
    }
    let patterns: String = patterns.iter().map(|pattern| format!("{pattern}\n")).collect();
    let _ = writeln!(body, "kw_run_search {}", quote(&patterns));
}

/// A path of the host as a word, seen from the root folder.
fn path(absolute: &str) -> String {
    quote(&format!(".{absolute}")).into_owned()
}

/// Whether a path can be one line of a list.
fn plain(path: &str) -> bool {
    !path.is_empty() && !path.contains(char::is_control)
}

/// Whether a name is one word that means nothing else to a shell or a program.
fn word(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "_.@:+-\\".contains(c);
    !name.is_empty() && !name.starts_with(['-', '.']) && name.chars().all(fine)
}

/// Whether a name can be a package's.
pub(super) fn package(name: &str) -> bool {
    word(name) && !name.contains('\\')
}

/// Where a kernel setting is. Whichever of both signs comes first parts the names; the other one is a sign in a name.
pub(crate) fn sysctl_path(key: &str) -> String {
    let slashes = key.find(['.', '/']).is_some_and(|at| key[at..].starts_with('/'));
    let inner = if slashes { key.to_string() } else { key.chars().map(swapped).collect() };
    format!("/proc/sys/{inner}")
}

/// Points part a name, and a slash in it stands for a point: `net.ipv4.conf.eth0/100.forwarding`.
fn swapped(c: char) -> char {
    match c {
        '.' => '/',
        '/' => '.',
        other => other,
    }
}

/// Where it is written down what was downloaded to a path.
pub(super) fn download_record(path: &str) -> String {
    format!("/var/lib/kubewright/downloads/{}", memory(path))
}

/// What lets a user use sudo. sudo does not read files with a point in their name.
fn sudoers(user: &str) -> String {
    format!("/etc/sudoers.d/kubewright-{}", user.replace('.', "_"))
}
