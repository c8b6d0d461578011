//! Charts: pulled once, verified against the lock file, kept in the user's cache by their digest, and read from there alone.
//!
//! A chart that no lock file knows yet is believed the first time, and from then on the lock file holds its digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use kubewright_model::change::Subject;
use kubewright_model::desired::DesiredRelease;
use kubewright_model::digest::Digest;
use kubewright_model::plan::{Note, Weight};
use kubewright_model::version::Version;
use serde_json::Value;

use super::Helm;
use super::program::Said;
use crate::foreign::no_yaml;
use crate::lockfile::Locked;

/// A chart by where it comes from: its name, its repository, its version.
type Origin = (String, Option<String>, Option<Version>);

/// What was pulled in this run: nothing is pulled twice, for the second time it may be another one.
#[derive(Default)]
pub(super) struct Pulled(Mutex<BTreeMap<Origin, Digest>>);

impl Pulled {
    fn get(&self, release: &DesiredRelease) -> Option<Digest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&origin(release)).cloned()
    }

    fn put(&self, release: &DesiredRelease, digest: &Digest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(origin(release), digest.clone());
    }
}

fn origin(release: &DesiredRelease) -> Origin {
    (release.chart.clone(), release.repository.clone(), release.version.clone())
}

/// A chart where Helm reads it.
pub(super) struct Chart {
    /// Its folder, as the spec has it, or its archive.
    pub(super) place: String,
    /// Of the archive, or of the folder's files.
    pub(super) digest: Digest,
}

/// Why there is no chart.
pub(super) enum Fault {
    /// It is another one than the lock file has: the two digests.
    Another(Box<(Digest, Digest)>),
    /// It cannot be had.
    Said(Said),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Said(why.into())
    }
}

impl Fault {
    /// In words, about a release.
    pub(super) fn said(self, release: &DesiredRelease) -> Said {
        match self {
            Self::Said(said) => said,
            Self::Another(digests) => Said::from(another(release, &digests)),
        }
    }
}

fn another(release: &DesiredRelease, (locked, came): &(Digest, Digest)) -> String {
    let version = release.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    format!("the chart {}{version} is another one than before: its digest is {came}, and was {locked}", release.chart)
}

impl Helm {
    /// Fills in what the spec leaves open and the lock file or the world knows: versions, digests.
    pub(in super::super) async fn settle(&self, releases: &mut [DesiredRelease]) -> Vec<Note> {
        let mut notes = Vec::new();
        for release in releases {
            if let Err(why) = self.settle_one(release).await {
                let help = "mend that, or write the chart's exact version into the spec";
                notes.push(note(release, Weight::Blocks, why, help.into()));
            }
        }
        notes
    }

    async fn settle_one(&self, release: &mut DesiredRelease) -> Result<(), String> {
        if release.is_folder() {
            // Where it is not there, whoever installs it says so.
            release.digest = of_folder(&self.folder.join(&release.chart)).ok();
            return Ok(());
        }
        let locked = self.lock.as_ref().map(|lock| lock.of(release)).transpose()?.flatten();
        if self.closed {
            return self.settle_closed(release, locked);
        }
        if let Some(locked) = locked {
            release.version = locked.version;
            release.digest = Some(locked.sha256);
        } else if release.version.is_none() {
            let unknown = |why| format!("nobody knows which version of {} is the newest: {why}", release.chart);
            let version = self.newest(release).await.map_err(|fault| unknown(fault.said(release).why))?;
            release.version = Some(version);
        }
        Ok(())
    }

    /// The bundle has said which chart it is; a lock file may only agree. What the bundle lacks the plan tells.
    fn settle_closed(&self, release: &DesiredRelease, locked: Option<Locked>) -> Result<(), String> {
        match locked.map(|locked| locked.sha256).zip(release.digest.clone()) {
            Some(digests) if digests.0 != digests.1 => Err(format!("in the bundle, {}", another(release, &digests))),
            _ => Ok(()),
        }
    }

    /// The version of the newest chart, which is pulled for that.
    async fn newest(&self, release: &DesiredRelease) -> Result<Version, Fault> {
        let chart = self.chart(release).await?;
        let words = ["show", "chart", chart.place.as_str()].map(String::from);
        let said = self.program.run(None, &words, None).await.map_err(Fault::Said)?;
        let about: Value = serde_saphyr::from_str(&said).map_err(|error| no_yaml(&error))?;
        let version = about.get("version").and_then(Value::as_str).unwrap_or_default();
        let version: Version = version.parse().map_err(|error| format!("its version `{version}`: {error}"))?;
        self.pulled.put(&DesiredRelease { version: Some(version.clone()), ..release.clone() }, &chart.digest);
        Ok(version)
    }

    /// What is wrong with the locked chart of a release that is to be installed.
    pub(in super::super) async fn doubt(&self, release: &DesiredRelease) -> Option<Note> {
        if release.digest.is_none() || release.is_folder() {
            return None;
        }
        match self.chart(release).await {
            Ok(_) => None,
            Err(Fault::Said(said)) => {
                let help = "it is tried again when it is installed";
                Some(note(release, Weight::Warns, format!("its chart cannot be pulled now: {}", said.why), help.into()))
            }
            Err(Fault::Another(digests)) => {
                let lock = self.lock.as_ref().map_or_else(|| "the lock file".into(), |lock| lock.name());
                let help = format!(
                    "find out who changed it; if the new one is wanted, remove `{}/{}` from {lock}",
                    release.namespace, release.name
                );
                Some(note(release, Weight::Blocks, another(release, &digests), help))
            }
        }
    }

    /// The chart of a release, verified.
    pub(super) async fn chart(&self, release: &DesiredRelease) -> Result<Chart, Fault> {
        if release.is_folder() {
            let digest = of_folder(&self.folder.join(&release.chart))?;
            return match &release.digest {
                Some(planned) if *planned != digest => {
                    Err(format!("the files in {} were changed after this was planned", release.chart).into())
                }
                _ => Ok(Chart { place: release.chart.clone(), digest }),
            };
        }
        let cache = self.cache.as_deref().ok_or_else(|| "there is no folder to keep charts in".to_string())?;
        let cache = cache.join("charts");
        let at = |digest: &Digest| cache.join(format!("{digest}.tgz"));
        let locked = release.digest.clone();
        if let Some(digest) = locked.clone().or_else(|| self.pulled.get(release)) {
            let there = tokio::fs::read(at(&digest)).await;
            if there.is_ok_and(|bytes| Digest::of(bytes) == digest) {
                return Ok(Chart { place: at(&digest).display().to_string(), digest });
            }
        }
        if self.closed {
            return Err(format!("the bundle holds no chart {}", release.chart).into());
        }
        let (beside, archive) = self.pull(release, &cache).await?;
        let bytes = tokio::fs::read(&archive).await.map_err(|error| error.to_string())?;
        let digest = Digest::of(bytes);
        if let Some(locked) = locked.or_else(|| self.pulled.get(release)).filter(|locked| *locked != digest) {
            return Err(Fault::Another(Box::new((locked, digest))));
        }
        tokio::fs::rename(&archive, at(&digest)).await.map_err(|error| error.to_string())?;
        drop(beside);
        self.pulled.put(release, &digest);
        Ok(Chart { place: at(&digest).display().to_string(), digest })
    }

    /// Pulls a chart into a folder of its own, which is gone with what is returned.
    async fn pull(&self, release: &DesiredRelease, cache: &Path) -> Result<(tempfile::TempDir, PathBuf), Fault> {
        let unwritable = |error: std::io::Error| format!("{}: {error}", cache.display());
        tokio::fs::create_dir_all(cache).await.map_err(unwritable)?;
        let beside = tempfile::Builder::new().prefix(".pulled-").tempdir_in(cache).map_err(unwritable)?;
        let to = beside.path().display().to_string();
        let mut words = ["pull", release.chart.as_str(), "--destination", to.as_str()].map(String::from).to_vec();
        if let Some(version) = &release.version {
            words.extend(["--version".into(), version.to_string()]);
        }
        if let Some(repository) = &release.repository {
            words.extend(["--repo".into(), repository.clone()]);
        }
        self.program.run(None, &words, None).await.map_err(Fault::Said)?;
        let files = std::fs::read_dir(beside.path()).map_err(unwritable)?.filter_map(Result::ok);
        let archive = files.map(|file| file.path()).find(|file| file.extension().is_some_and(|end| end == "tgz"));
        let archive = archive.ok_or_else(|| format!("Helm pulled no archive of {}", release.chart))?;
        Ok((beside, archive))
    }
}

fn note(release: &DesiredRelease, weight: Weight, message: String, help: String) -> Note {
    Note { weight, subject: Subject::Release(release.name.clone()), message, help: Some(help), stages: Vec::new() }
}

/// The digest of a folder's files: of their names and of what is in them, in the order of the names.
fn of_folder(folder: &Path) -> Result<Digest, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let unreadable = |error: std::io::Error| format!("{}: {error}", next.display());
        for entry in std::fs::read_dir(&next).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
                drop(files.insert(name, Digest::of(std::fs::read(&path).map_err(unreadable)?)));
            }
        }
    }
    Ok(Digest::of_value(&files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("templates")).unwrap();
        write("Chart.yaml", "name: web");
        write("templates/a.yaml", "a");
        let first = of_folder(folder.path()).unwrap();
        assert_eq!(of_folder(folder.path()).unwrap(), first);
        write("templates/a.yaml", "b");
        let second = of_folder(folder.path()).unwrap();
        write("templates/a.yaml", "a");
        assert_eq!((first == second, of_folder(folder.path()).unwrap()), (false, first.clone()));
        std::fs::rename(folder.path().join("templates/a.yaml"), folder.path().join("templates/b.yaml")).unwrap();
        assert_ne!(of_folder(folder.path()).unwrap(), first, "a name is part of it");
        assert!(of_folder(Path::new("/nowhere")).unwrap_err().starts_with("/nowhere: "));
    }
}
