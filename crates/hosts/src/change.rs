//! A change of a host: its resources as one script, and what the script answered.
//!
//! What is done stands in shell files beside this one, each for one kind of resource, and a script takes only those that
//! it needs. Rust says what is wished, in words that cannot be taken for anything else; bytes go over standard input in
//! base64, so a secret is never an argument and never a text that a shell reads. A script tells of each resource by its
//! index: `c INDEX same`, `c INDEX changed`, or `c INDEX failed` and its log in hexadecimal, which ends it.

mod answer;
mod calls;
mod leave;
mod lock;
mod names;
mod repository;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod upgrade;

use std::time::Duration;

use kubewright_model::digest::Digest;
use kubewright_model::host::{
    DownloadWish, FileWish, HostResource, Judge, Proof, RepositoryWish, SshDaemonWish, UnitRun, UnitWish, UserWish,
};
use kubewright_model::ids::NodeName;
use kubewright_model::plan::HostChange;
use kubewright_model::text::Text;

use crate::probe::sysctl_path;
use crate::{Holes, HostError, Report, upload};

pub(crate) use self::answer::{Told, lines, told};
pub(crate) use self::calls::{Call, Calls, Library};
pub(crate) use self::lock::failed;
pub(crate) use self::names::{path, plain, refuse};

/// The body of the script that makes everything of a change true, in order.
pub(crate) fn script(change: &HostChange, holes: &Holes) -> Result<String, HostError> {
    let mut writer = Writer { host: &change.host, root: &*change.way.user == "root", holes, calls: Calls::default() };
    let mut rest = change.make.as_slice();
    let mut index = 0;
    if !rest.is_empty() {
        writer.calls.noting();
    }
    if let Some(owner) = &change.owner {
        // Where nothing is made, nobody comes to own it either.
        let deed = if rest.is_empty() { "kw_not_of_others" } else { "kw_owned_by" };
        writer.calls.call(Library::Before, &Call::quiet(0, deed, &[owner.0.as_str()]));
    }
    while let Some(first) = rest.first() {
        let kind = std::mem::discriminant(first);
        let together = match first {
            // systemd reads its files once, and what the kernel is told at every start stands in one file.
            HostResource::Unit(_) | HostResource::Module(_) | HostResource::Sysctl { .. } => {
                rest.iter().take_while(|other| std::mem::discriminant(*other) == kind).count()
            }
            _ => 1,
        };
        let (now, later) = rest.split_at(together);
        match first {
            HostResource::Unit(_) => writer.units(index, now)?,
            HostResource::Module(_) => writer.modules(index, now)?,
            HostResource::Sysctl { .. } => writer.sysctls(index, now)?,
            HostResource::Package(_) => writer.packages(index, &change.make)?,
            HostResource::Download(wish) if wish.member.is_some() => {
                // The archive comes once for all files of it that are wanted one after the other.
                let more = later.first().is_some_and(|next| is_of(next, wish));
                writer.calls.line(if more { "kw_more=1" } else { "kw_more=" });
                writer.download(index, wish)?;
            }
            other => writer.one(index, other)?,
        }
        index += together;
        rest = later;
    }
    leave::write(&mut writer.calls, &change.host, &change.unmake, index)?;
    Ok(writer.calls.script())
}

/// How long the SSH daemon waits for somebody to come in by the new way, before it goes back to the old one: longer than
/// three connections to a host that looks its clients up in a DNS that does not answer.
const PROVEN_WITHIN: Duration = Duration::from_secs(120);

/// The body of the script that says that the SSH daemon's new way in leads in.
pub(crate) fn ssh_daemon_proven() -> String {
    let mut calls = Calls::default();
    calls.call(Library::Sshd, &Call::tell(0, "kw_sshd_proven", &[]));
    calls.script()
}

/// The body of the script that puts back what the SSH daemon had before [`HostResource::SshDaemon`] was made true.
pub(crate) fn ssh_daemon_back() -> String {
    let mut calls = Calls::default();
    calls.call(Library::Sshd, &Call::tell(0, "kw_sshd_undo", &[]));
    calls.script()
}

/// What a change came to, by its script's answer.
pub(crate) fn outcome(change: &HostChange, holes: &Holes, answer: &str) -> Result<Report, HostError> {
    let mut report = Report::default();
    let mut done = vec![false; change.make.len() + change.unmake.len()];
    for told in told(answer) {
        let index = told.index();
        let Some(done) = done.get_mut(index) else { continue };
        match told {
            Told::Same(_) => *done = true,
            Told::Changed(_) => (*done, report.changed) = (true, true),
            Told::Remark(_, lines) => report.told.extend(lines),
            Told::Failed(_, log) => return Err(failed(&change.host, deed(change, index), &log, holes)),
        }
    }
    match done.iter().position(|done| !done) {
        None => Ok(report),
        Some(index) => {
            refuse(&change.host, &deed(change, index), "the host stopped to answer in the middle of it".into())
        }
    }
}

/// What a change does at an index, for people.
fn deed(change: &HostChange, index: usize) -> String {
    match (change.make.get(index), change.unmake.get(index.saturating_sub(change.make.len()))) {
        (Some(resource), _) => in_words(resource, change),
        (None, key) => format!("putting back {}", key.map_or("it", String::as_str).escape_debug()),
    }
}

/// A text with its holes filled.
pub(crate) fn filled(host: &NodeName, text: &Text, holes: &Holes) -> Result<String, HostError> {
    text.fill(|hole| holes.get(hole).map(|secret| secret.expose().as_str()))
        .map_err(|hole| HostError::Hole { host: host.clone(), hole })
}

/// A file's call, as changes and recipes make it.
pub(crate) fn write_file(
    calls: &mut Calls,
    index: usize,
    host: &NodeName,
    file: &FileWish,
    holes: &Holes,
) -> Result<(), HostError> {
    path(host, &file.path)?;
    let content = filled(host, &file.content, holes)?;
    let digest = Digest::of(&content);
    let mode = format!("{:o}", file.mode.0);
    let words = [file.path.as_str(), &mode, &file.owner, digest.as_str()];
    let words: Vec<&str> = words.into_iter().chain(file.judge.map(Judge::command)).collect();
    calls.call(Library::Files, &Call::tell(index, "kw_file", &words).reading(content));
    Ok(())
}

/// What is being done, for people: `{what} failed on HOST`.
fn in_words(resource: &HostResource, change: &HostChange) -> String {
    let text = match resource {
        HostResource::Package(_) => format!("installing {}", packages(&change.make).join(", ")),
        HostResource::Repository(wish) => format!("adding the repository {}", wish.name),
        HostResource::Hold(name) => format!("holding {name}"),
        HostResource::Module(name) => format!("loading the module {name}"),
        HostResource::Sysctl { key, .. } => format!("setting {key}"),
        HostResource::File(file) => format!("writing {}", file.path),
        HostResource::Directory(wish) => format!("making {}", wish.path),
        HostResource::Block { path, .. } | HostResource::Lines { path, .. } => format!("changing lines of {path}"),
        HostResource::Download(download) => format!("downloading {}", download.artifact.name),
        HostResource::Link { path, .. } => format!("linking {path}"),
        HostResource::Unit(unit) => format!("setting up {}", unit.name),
        HostResource::User(user) => format!("setting up the user {}", user.name),
        HostResource::Hostname(name) => format!("naming the host {name}"),
        HostResource::HostsEntries(_) => "changing lines of /etc/hosts".into(),
        HostResource::Timezone(zone) => format!("setting the time zone {zone}"),
        HostResource::Locale(locale) => format!("setting the locale {locale}"),
        HostResource::SwapOff => "turning swap off".into(),
        HostResource::TimeSync => "setting up the time service".into(),
        HostResource::SshDaemon(_) => "setting up the SSH daemon".into(),
        HostResource::TalosImage(_) | HostResource::MachineConfig(_) => format!("setting the {}", resource.key()),
    };
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Whether a resource is another file of the archive that a download is taken out of.
fn is_of(resource: &HostResource, wish: &DownloadWish) -> bool {
    match resource {
        HostResource::Download(other) => other.member.is_some() && other.artifact == wish.artifact,
        _ => false,
    }
}

fn packages(resources: &[HostResource]) -> Vec<&str> {
    let names = resources.iter().filter_map(|resource| match resource {
        HostResource::Package(name) => Some(name.as_str()),
        _ => None,
    });
    names.collect()
}

/// Lines, each with its end.
fn ended<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> String {
    lines.into_iter().flat_map(|line| [line.as_ref().to_string(), "\n".into()]).collect()
}

/// Writes a change's calls.
struct Writer<'a> {
    host: &'a NodeName,
    /// We come in as root, who then must not be locked out.
    root: bool,
    holes: &'a Holes,
    calls: Calls,
}

impl Writer<'_> {
    fn tell(&mut self, library: Library, index: usize, function: &'static str, words: &[&str]) {
        self.calls.call(library, &Call::tell(index, function, words));
    }

    fn one(&mut self, index: usize, resource: &HostResource) -> Result<(), HostError> {
        match resource {
            // They stand in groups of their own.
            HostResource::Package(_)
            | HostResource::Unit(_)
            | HostResource::Module(_)
            | HostResource::Sysctl { .. } => {}
            HostResource::Repository(wish) => self.repository(index, wish)?,
            HostResource::Hold(name) => {
                names::package(self.host, name)?;
                self.tell(Library::Repositories, index, "kw_hold", &[name]);
            }
            HostResource::File(file) => write_file(&mut self.calls, index, self.host, file, self.holes)?,
            HostResource::Directory(wish) => {
                names::path(self.host, &wish.path)?;
                let mode = format!("{:o}", wish.mode.0);
                self.tell(Library::Files, index, "kw_directory", &[&wish.path, &mode, &wish.owner]);
            }
            HostResource::Block { path, lines } => self.lines(index, "kw_block", path, lines)?,
            HostResource::Lines { path, lines } => self.lines(index, "kw_their_lines", path, lines)?,
            HostResource::HostsEntries(entries) => {
                let lines: Vec<String> = entries.iter().map(kubewright_model::host::HostsEntry::line).collect();
                self.calls.call(Library::Files, &Call::tell(index, "kw_hosts", &[]).reading(ended(lines)));
            }
            HostResource::Download(wish) => self.download(index, wish)?,
            HostResource::Link { path, target } => {
                names::path(self.host, path)?;
                self.tell(Library::Files, index, "kw_link", &[path, target]);
            }
            HostResource::User(user) => self.user(index, user)?,
            HostResource::Hostname(name) => {
                plain(self.host, "a host's name", name)?;
                self.tell(Library::System, index, "kw_hostname", &[name]);
            }
            HostResource::Timezone(zone) => {
                path(self.host, &format!("/{zone}"))?;
                self.tell(Library::System, index, "kw_timezone", &[zone]);
            }
            HostResource::Locale(locale) => {
                plain(self.host, "a locale", locale)?;
                self.tell(Library::System, index, "kw_locale", &[locale, &listed(locale)]);
            }
            HostResource::SwapOff => self.tell(Library::Kernel, index, "kw_swap_off", &[]),
            HostResource::TimeSync => self.tell(Library::System, index, "kw_time_sync", &[]),
            HostResource::SshDaemon(wish) => self.ssh_daemon(index, wish),
            HostResource::TalosImage(_) | HostResource::MachineConfig(_) => {
                names::refuse(self.host, &resource.key(), "Talos has no shell, and this host has one".into())?;
            }
        }
        Ok(())
    }

    /// All packages are installed at the place of the first one, in one call.
    fn packages(&mut self, index: usize, resources: &[HostResource]) -> Result<(), HostError> {
        let at = |(at, resource): (usize, &HostResource)| matches!(resource, HostResource::Package(_)).then_some(at);
        let all: Vec<usize> = resources.iter().enumerate().filter_map(at).collect();
        if all.first() != Some(&index) {
            return Ok(());
        }
        let names = packages(resources);
        names.iter().try_for_each(|name| names::package(self.host, name))?;
        self.tell(Library::Packages, index, "kw_packages", &names);
        if let [_, others @ ..] = all.as_slice()
            && !others.is_empty()
        {
            let others: Vec<String> = others.iter().map(usize::to_string).collect();
            self.calls.line(&format!("kw_also {}", others.join(" ")));
        }
        Ok(())
    }

    fn repository(&mut self, index: usize, wish: &RepositoryWish) -> Result<(), HostError> {
        plain(self.host, "a repository", &wish.name)?;
        let mark = wish.mark();
        let call = Call::tell(index, "kw_repository", &[&wish.name, mark.as_str()])
            .reading(ended(wish.key.lines()))
            .reading(repository::deb822(wish))
            .reading(repository::repo(wish));
        self.calls.call(Library::Repositories, &call);
        Ok(())
    }

    fn modules(&mut self, index: usize, modules: &[HostResource]) -> Result<(), HostError> {
        let mut words = Vec::new();
        for (index, resource) in (index..).zip(modules) {
            let HostResource::Module(name) = resource else { continue };
            plain(self.host, "a kernel module", name)?;
            words.extend([index.to_string(), name.clone(), name.replace('-', "_")]);
        }
        self.together("kw_modules", &words);
        Ok(())
    }

    fn sysctls(&mut self, index: usize, sysctls: &[HostResource]) -> Result<(), HostError> {
        let mut words = Vec::new();
        for (index, resource) in (index..).zip(sysctls) {
            let HostResource::Sysctl { key, value } = resource else { continue };
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            words.extend([index.to_string(), sysctl_file(self.host, key)?, key.clone(), value]);
        }
        self.together("kw_sysctls", &words);
        Ok(())
    }

    fn together(&mut self, function: &'static str, words: &[String]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.calls.plain(Library::Kernel, function, &words);
    }

    fn lines(&mut self, index: usize, how: &'static str, path: &str, lines: &[String]) -> Result<(), HostError> {
        names::path(self.host, path)?;
        self.calls.call(Library::Files, &Call::tell(index, how, &[path]).reading(ended(lines)));
        Ok(())
    }

    fn download(&mut self, index: usize, wish: &DownloadWish) -> Result<(), HostError> {
        path(self.host, &wish.path)?;
        let words = download_words(wish);
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        if upload::is_ours(wish) {
            self.tell(Library::Upload, index, "kw_uploaded", &words);
            return Ok(());
        }
        let artifact = &wish.artifact;
        words.push(&artifact.url);
        match &artifact.proof {
            Proof::Sha256(digest) => words.push(digest.as_str()),
            Proof::Checksums { url, file } => words.extend([url.as_str(), file]),
        }
        self.tell(Library::Download, index, "kw_download", &words);
        Ok(())
    }

    fn units(&mut self, index: usize, units: &[HostResource]) -> Result<(), HostError> {
        let units = (index..).zip(units).filter_map(|(index, resource)| match resource {
            HostResource::Unit(unit) => Some((index, unit)),
            _ => None,
        });
        let mut written = Vec::new();
        for (index, unit) in units.clone() {
            plain(self.host, "a unit", &unit.name)?;
            let Some(content) = &unit.content else { continue };
            let content = filled(self.host, content, self.holes)?;
            let digest = Digest::of(&content);
            let call = Call::quiet(index, "kw_unit_file", &[&unit.name, digest.as_str()]).reading(content);
            self.calls.call(Library::Units, &call);
            self.calls.line(&format!("kw_file_{index}=$kw_verdict"));
            written.push(format!("$kw_file_{index}"));
        }
        if !written.is_empty() {
            self.calls.call(Library::Units, &Call::quiet(index, "kw_reload", &[]).and(written.join(" ")));
        }
        for (index, unit) in units {
            self.unit(index, unit);
        }
        Ok(())
    }

    fn unit(&mut self, index: usize, unit: &UnitWish) {
        let run = match unit.run {
            UnitRun::Running => "running",
            UnitRun::Reloading => "reloading",
            UnitRun::Oneshot => "oneshot",
            UnitRun::ByRecipe => "byrecipe",
        };
        let words = [&unit.name, yes(unit.enabled), run, unit.reads.as_str()];
        let written = unit.content.as_ref().map_or_else(|| "same".into(), |_| format!("$kw_file_{index}"));
        self.calls.call(Library::Units, &Call::tell(index, "kw_unit", &words).and(written));
    }

    fn user(&mut self, index: usize, user: &UserWish) -> Result<(), HostError> {
        names::login(self.host, &user.name)?;
        user.groups.iter().try_for_each(|group| plain(self.host, "a group", group))?;
        path(self.host, &user.shell)?;
        let hash = user.password_hash.as_ref().map(|hash| filled(self.host, hash, self.holes)).transpose()?;
        if hash.as_ref().is_some_and(|hash| hash.trim().contains([':', '\n'])) {
            return refuse(
                self.host,
                &format!("setting up the user {}", user.name),
                "its password's hash is none".into(),
            );
        }
        let keys = (!user.authorized_keys.is_empty()).then(|| ended(&user.authorized_keys).into_bytes());
        let mark = user.mark();
        let groups = user.groups.join(",");
        let words = [&user.name, &user.shell, &groups, yes(user.sudo), mark.as_str()];
        let call = Call::tell(index, "kw_user", &words).reading_maybe(keys);
        let call = call.reading_maybe(hash.map(|hash| hash.trim().as_bytes().to_vec()));
        self.calls.call(Library::Users, &call);
        Ok(())
    }

    fn ssh_daemon(&mut self, index: usize, wish: &SshDaemonWish) {
        let root = if self.root { "prohibit-password" } else { "no" };
        let within = PROVEN_WITHIN.as_secs().to_string();
        let port = wish.port.to_string();
        let call = Call::tell(index, "kw_sshd", &[&within, &port, yes(wish.harden), root]);
        let back = format!("kw_main() {{\n{}}}\nkw_main\n", ssh_daemon_back());
        self.calls.call(Library::Sshd, &call.reading(back));
    }
}

/// The file of a kernel setting under /proc/sys.
fn sysctl_file(host: &NodeName, key: &str) -> Result<String, HostError> {
    let file = sysctl_path(key);
    path(host, &file)?;
    plain(host, "a kernel setting", &key.replace('/', "."))?;
    Ok(file.replacen("/proc/sys/", "", 1))
}

/// A download's first words: its path, mode, our name for its memory, its mark, what it is, and what of it is wanted.
pub(crate) fn download_words(wish: &DownloadWish) -> [String; 6] {
    let name = wish.artifact.name.chars().filter(|c| !c.is_control()).collect();
    let member = wish.member.clone().unwrap_or_default();
    [
        wish.path.clone(),
        format!("{:o}", wish.mode.0),
        memory(&wish.path),
        wish.artifact.mark().to_string(),
        name,
        member,
    ]
}

/// Our name for what a host remembers of what was downloaded to a path.
pub(crate) fn memory(path: &str) -> String {
    Digest::of(path).as_str().chars().take(32).collect()
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// A locale as the C library lists it: `fr_FR.utf8` for `fr_FR.UTF-8`.
fn listed(locale: &str) -> String {
    match locale.split_once('.') {
        None => locale.into(),
        Some((language, rest)) => {
            let (charset, variant) = rest.split_once('@').map_or((rest, None), |(charset, of)| (charset, Some(of)));
            let charset: String = charset.chars().filter(char::is_ascii_alphanumeric).collect();
            let variant = variant.map(|of| format!("@{of}")).unwrap_or_default();
            format!("{language}.{}{variant}", charset.to_ascii_lowercase())
        }
    }
}
