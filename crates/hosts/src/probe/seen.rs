//! What is asked of single resources: from answers to the model's words.

use std::collections::{BTreeMap, BTreeSet};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use kubewright_model::digest::Digest;
use kubewright_model::facts::{HostFacts, Lack, Virtualisation};
use kubewright_model::host::{
    DownloadWish, FileWish, HostResource, Mode, Proof, UnitRun, UnitWish, UserWish, key_itself, short_key,
};
use kubewright_model::observed::{FileSeen, HostSeen, UnitSeen, UserSeen};

use super::answers::{Answers, Ended};
use super::{ParseError, script, settings};

/// Whether something keeps the time. A container has its hypervisor's clock and can set none.
fn time_service(answers: &Answers<'_>, facts: &HostFacts) -> Option<bool> {
    let units = answers.units.get("time")?;
    let container = matches!(facts.virtualisation, Some(Virtualisation::Lxc | Virtualisation::Container(_)));
    Some(container || units.iter().any(|unit| unit.get("ActiveState") == Some(&"active")))
}

/// Adds what was seen of each resource.
pub(super) fn resources(
    resources: &[HostResource],
    answers: &Answers<'_>,
    facts: &HostFacts,
    seen: &mut HostSeen,
) -> Result<(), ParseError> {
    let packages = Packages::of(answers);
    let boot = settings::Boot::of(answers);
    for (number, resource) in resources.iter().enumerate() {
        let look = Look { answers, index: &number.to_string(), resource };
        match resource {
            HostResource::Package(_) | HostResource::Hold(_) => look.package(&packages, facts, seen)?,
            HostResource::TimeSync => {
                let on = time_service(answers, facts).ok_or_else(|| look.unanswered())?;
                seen.settings.insert(resource.key(), if on { "on" } else { "off" }.into());
            }
            HostResource::Module(name) => {
                let loaded = look.there()?;
                if boot.module(name, loaded) {
                    seen.modules.insert(name.clone());
                }
            }
            _ if !look.there()? => look.absent(seen)?,
            _ => look.present(&boot, facts, seen)?,
        }
    }
    Ok(())
}

/// What resources name and the host has not.
pub(super) fn lacks(resources: &[HostResource], answers: &Answers<'_>) -> BTreeMap<String, Lack> {
    let lack = |(number, resource): (usize, &HostResource)| {
        let lack = match *answers.all("lacks", &number.to_string()).first()? {
            "zone" => Lack::Zone,
            "shell" => Lack::Shell,
            "user" => Lack::User,
            "group" => Lack::Group,
            "setting" => Lack::Setting,
            "folder" => Lack::Folder,
            "file" => Lack::File,
            _ => return None,
        };
        Some((resource.key(), lack))
    };
    resources.iter().enumerate().filter_map(lack).collect()
}

/// The answers for one resource.
struct Look<'a> {
    answers: &'a Answers<'a>,
    index: &'a str,
    resource: &'a HostResource,
}

impl<'a> Look<'a> {
    fn unanswered(&self) -> ParseError {
        ParseError::Unanswered { resource: self.resource.key() }
    }

    /// Whether the resource is there at all.
    fn there(&self) -> Result<bool, ParseError> {
        match self.answers.ended.get(self.index) {
            Some(Ended::Done) => Ok(true),
            Some(Ended::Absent) => Ok(false),
            Some(Ended::Denied) => Err(ParseError::Denied { resource: self.resource.key() }),
            None => Err(self.unanswered()),
        }
    }

    /// What the package manager told of a package.
    fn package(&self, packages: &Packages<'_>, facts: &HostFacts, seen: &mut HostSeen) -> Result<(), ParseError> {
        let (HostResource::Package(name) | HostResource::Hold(name)) = self.resource else { return Ok(()) };
        if facts.package_manager.is_none() || !script::package(name) {
            return Err(self.unanswered());
        }
        match self.resource {
            HostResource::Hold(_) => {
                let held =
                    packages.held.contains(name.as_str()) || self.answers.locks.iter().any(|line| locks(line, name));
                seen.settings.insert(self.resource.key(), if held { "held" } else { "free" }.into());
            }
            _ if packages.has(name) => drop(seen.packages.insert(name.clone())),
            _ => {}
        }
        Ok(())
    }

    /// A resource of which something is there.
    fn present(&self, boot: &settings::Boot, facts: &HostFacts, seen: &mut HostSeen) -> Result<(), ParseError> {
        let key = || self.resource.key();
        match self.resource {
            HostResource::Sysctl { key, value } => {
                let now = self.one("value").ok_or_else(|| self.unanswered())?;
                seen.sysctls.insert(key.clone(), boot.sysctl(key, now, value));
            }
            HostResource::File(wish) => drop(seen.files.insert(wish.path.clone(), self.file(wish)?)),
            HostResource::Directory(wish) => {
                let (mode, owners) = self.stat()?;
                seen.settings.insert(key(), format!("{mode} {}", owner(owners, &wish.owner)));
            }
            HostResource::Repository(_) => {
                seen.settings.extend(self.left("key", "list").map(|mark| (key(), mark.to_string())));
            }
            HostResource::Download(wish) => self.download(wish, seen)?,
            HostResource::Block { path, .. } => self.block(path, seen),
            HostResource::HostsEntries(_) => self.block("/etc/hosts", seen),
            HostResource::Lines { path, lines } => self.lines(path, lines, seen),
            HostResource::Link { path, .. } => {
                seen.links.insert(path.clone(), self.one("link").ok_or_else(|| self.unanswered())?.to_string());
            }
            HostResource::Unit(unit) => self.unit(unit, seen)?,
            HostResource::User(user) => self.user(user, seen),
            _ => {
                let all = |kind| self.answers.all(kind, self.index);
                seen.settings.extend(settings::setting(self.resource, &all, facts).map(|value| (key(), value)));
            }
        }
        Ok(())
    }

    /// Nothing wished is nothing lacking, also in a file that is not there.
    fn absent(&self, seen: &mut HostSeen) -> Result<(), ParseError> {
        if let HostResource::Lines { path, lines } = self.resource
            && lines.is_empty()
        {
            seen.blocks.insert(path.clone(), Vec::new());
        }
        Ok(())
    }

    fn one(&self, kind: &'a str) -> Option<&'a str> {
        self.answers.one(kind, self.index)
    }

    /// Mode, owner by name and by number, size and time of change.
    fn stat(&self) -> Result<(Mode, [&'a str; 2]), ParseError> {
        let words: Vec<&str> = self.one("stat").unwrap_or_default().split(' ').collect();
        let [mode, owner, numbers, _, _] = words.as_slice() else { return Err(self.unanswered()) };
        let mode = u32::from_str_radix(mode, 8).map_err(|_| self.unanswered())?;
        Ok((Mode(mode), [owner, numbers]))
    }

    fn sum(&self) -> Result<Digest, ParseError> {
        self.answers.sums.get(self.index).cloned().ok_or_else(|| self.unanswered())
    }

    fn file(&self, wish: &FileWish) -> Result<FileSeen, ParseError> {
        let (mode, owners) = self.stat()?;
        let owner = owner(owners, &wish.owner).to_string();
        Ok(FileSeen { digest: self.sum()?, mode, owner, text: self.text() })
    }

    /// What is in a file, as far as it was told.
    fn text(&self) -> Option<String> {
        let bytes = BASE64_STANDARD.decode(self.one("content")?).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// A download that was verified and that nobody touched since is not read again: its mark is enough.
    fn download(&self, wish: &DownloadWish, seen: &mut HostSeen) -> Result<(), ParseError> {
        let (mode, owners) = self.stat()?;
        let held = Held::of(self.answers, self.index);
        if let Some(held) = &held {
            seen.settings.insert(self.resource.key(), held.mark.to_string());
        }
        let known = held.is_some_and(|held| held.mark == wish.artifact.mark().as_str());
        let digest = match &wish.artifact.proof {
            Proof::Sha256(digest) if known => digest.clone(),
            Proof::Checksums { .. } if known => wish.artifact.mark(),
            Proof::Sha256(_) | Proof::Checksums { .. } => self.sum()?,
        };
        seen.files.insert(wish.path.clone(), FileSeen { digest, mode, owner: owners[0].to_string(), text: None });
        Ok(())
    }

    /// The text of our blocks. A block that never ends is none: nobody knows what of the rest is ours.
    fn block(&self, path: &str, seen: &mut HostSeen) {
        let (mut lines, mut inside, mut blocks) = (Vec::new(), false, 0);
        for &line in self.answers.all("text", self.index) {
            match line {
                "# BEGIN kubewright" if !inside => inside = true,
                "# END kubewright" if inside => (inside, blocks) = (false, blocks + 1),
                _ => lines.push(line.to_string()),
            }
        }
        if blocks > 0 && !inside {
            seen.blocks.insert(path.to_string(), lines);
        }
    }

    fn lines(&self, path: &str, wanted: &[String], seen: &mut HostSeen) {
        let there: BTreeSet<String> =
            self.answers.all("text", self.index).iter().map(|line| settings::canonical(line)).collect();
        let found = wanted.iter().filter(|line| there.contains(&settings::canonical(line)));
        let found: Vec<String> = found.cloned().collect();
        if !found.is_empty() || wanted.is_empty() {
            seen.blocks.insert(path.to_string(), found);
        }
    }

    fn unit(&self, wish: &UnitWish, seen: &mut HostSeen) -> Result<(), ParseError> {
        let units = self.answers.units.get(self.index).ok_or_else(|| self.unanswered())?;
        let [shown] = units.as_slice() else { return Err(self.unanswered()) };
        let property = |name| shown.get(name).copied().unwrap_or_default();
        let content = self.answers.sums.get(self.index).cloned();
        if property("LoadState") == "not-found" && content.is_none() {
            return Ok(());
        }
        let reads = self.one("record").and_then(|text| Digest::parse(text.trim()));
        let active = match (property("ActiveState"), wish.run) {
            ("active" | "reloading", _) => true,
            // It has been started, and systemd goes on trying.
            ("activating", UnitRun::ByRecipe) => true,
            // It has done its work and is gone.
            ("inactive", UnitRun::Oneshot) => reads.as_ref() == Some(&wish.reads),
            _ => false,
        };
        let enabled = match property("UnitFileState") {
            "enabled" => true,
            // Others decide when it starts, so it can neither be enabled nor disabled.
            "static" | "alias" | "indirect" | "generated" => {
                wish.enabled && (wish.run != UnitRun::ByRecipe || reads.is_some())
            }
            _ => false,
        };
        seen.units.insert(wish.name.clone(), UnitSeen { content, enabled, active, reads });
        Ok(())
    }

    fn user(&self, wish: &UserWish, seen: &mut HostSeen) {
        let all = |kind| self.answers.all(kind, self.index).iter().map(|line| (*line).to_string());
        let wished: BTreeSet<&str> = wish.authorized_keys.iter().filter_map(|key| key_itself(key)).collect();
        let is_others = |line: &String| key_itself(line).is_some_and(|key| !wished.contains(key));
        let fine = |line: String| short_key(&line.replace(char::is_control, " "));
        let sudo = self.answers.sums.get(format!("{}.sudo", self.index).as_str());
        let there = UserSeen {
            shell: self.one("user").unwrap_or_default().to_string(),
            groups: all("group").collect(),
            keys: all("text").collect(),
            other_keys: all("other").filter(is_others).map(fine).collect(),
            sudo: sudo.map(|digest| *digest == Digest::of(format!("{}\n", wish.sudo_rule()))),
            mark: self.one("record").and_then(|record| Digest::parse(record.split_whitespace().next()?)),
        };
        seen.users.insert(wish.name.clone(), there);
    }

    /// The mark of what is as we left it: both its files have the digests that were written down then.
    fn left(&self, one: &str, other: &str) -> Option<Digest> {
        let mut words = self.one("record").unwrap_or_default().split_whitespace();
        let mark = Digest::parse(words.next()?)?;
        let mut same = |part: &str| {
            let now = self.answers.sums.get(format!("{}.{part}", self.index).as_str());
            words.next() == Some(now.map_or("-", Digest::as_str))
        };
        (same(one) && same(other)).then_some(mark)
    }
}

/// An owner may be wished by number, who has no name yet or another one.
fn owner<'a>(owners: [&'a str; 2], wished: &str) -> &'a str {
    if owners[1] == wished { owners[1] } else { owners[0] }
}

/// Whether a line of dnf's or zypper's lists holds a package: `solvable_name: NAME`, `name = "NAME"`, or
/// `NAME-EPOCH:VERSION`.
fn locks(line: &str, name: &str) -> bool {
    let line = line.trim();
    let word = |key: &str, by: char| line.strip_prefix(key).and_then(|rest| rest.trim_start().strip_prefix(by));
    let exact = line.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')).is_some_and(|rest| {
        let epoch = rest.split_once(':').map_or("", |(epoch, _)| epoch);
        !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit())
    });
    let listed = word("solvable_name", ':').or_else(|| word("name", '='));
    exact || listed.is_some_and(|value| settings::unquoted(value) == name)
}

/// What was written down about a download that nobody touched since.
pub(super) struct Held<'a> {
    pub(super) mark: &'a str,
    pub(super) name: &'a str,
}

impl<'a> Held<'a> {
    pub(super) fn of(answers: &Answers<'a>, index: &str) -> Option<Self> {
        let last = |kind: &'static str| answers.of.get(&(kind, index))?.last().copied();
        let (mark, rest) = last("record")?.trim_start().split_once(' ')?;
        let (size, rest) = rest.split_once(' ')?;
        let (time, name) = rest.split_once(' ')?;
        let mut words = last("stat")?.split(' ').skip(3);
        let same = words.next() == Some(size) && words.next() == Some(time);
        same.then_some(Self { mark, name })
    }
}

/// Whether a download is the one that is wished.
pub(super) fn holds(wish: &DownloadWish, resource: &HostResource, seen: &HostSeen) -> bool {
    let known = seen.settings.get(&resource.key()).map(String::as_str) == Some(wish.artifact.mark().as_str());
    let right = |file: &FileSeen| match &wish.artifact.proof {
        Proof::Sha256(digest) => file.digest == *digest,
        Proof::Checksums { .. } => known,
    };
    seen.files.get(&wish.path).is_some_and(right)
}

/// What the package manager told.
struct Packages<'a> {
    installed: BTreeSet<&'a str>,
    on: BTreeSet<(&'a str, &'a str)>,
    held: BTreeSet<&'a str>,
    provided: BTreeSet<&'a str>,
}

impl<'a> Packages<'a> {
    fn of(answers: &Answers<'a>) -> Self {
        let mut packages =
            Self { installed: BTreeSet::new(), on: BTreeSet::new(), held: BTreeSet::new(), provided: BTreeSet::new() };
        for line in &answers.packages {
            let mut words = line.split(' ');
            // A package whose triggers wait is unpacked and configured.
            if let (Some("installed" | "triggers-awaited" | "triggers-pending"), Some(name), Some(arch)) =
                (words.next(), words.next(), words.next())
            {
                packages.installed.insert(name);
                packages.on.insert((name, arch));
                packages.held.extend((words.nth(1) == Some("hold")).then_some(name));
            }
        }
        for line in &answers.provides {
            let provided = line.strip_prefix("installed ").unwrap_or_default();
            packages.provided.extend(provided.split(',').filter_map(|one| one.split_whitespace().next()));
        }
        packages
    }

    /// A name may be that of a package, of a package of an architecture, or one that others provide.
    fn has(&self, name: &str) -> bool {
        let of_architecture = |at: char| name.rsplit_once(at).is_some_and(|both| self.on.contains(&both));
        self.installed.contains(name) || self.provided.contains(name) || of_architecture(':') || of_architecture('.')
    }
}
