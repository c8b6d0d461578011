//! The lock file beside the spec, `cluster.lock` for `cluster.yaml`: which chart each release was made of, to the byte.
//!
//! The spec says what is wished, and this what came of it: a version that the spec leaves open is kept here, and a chart
//! that is another one under the same version is not installed. It holds no secret and belongs in Git, beside the spec.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use kubewright_model::desired::DesiredRelease;
use kubewright_model::digest::Digest;
use kubewright_model::version::Version;
use serde::{Deserialize, Serialize};

/// The form that this program writes. It refuses another one.
const FORMAT: u32 = 1;
/// What people read first.
const HEAD: &str = "# What releases are made of. Written by `kubewright apply`; keep it in Git, beside the spec.\n\
    # An entry that is removed is written anew by the next `apply`.\n";

/// A lock file.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    /// Several releases are installed at once.
    turn: Mutex<()>,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Content {
    format: u32,
    /// The `helm` that was fetched, by its archive's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    programs: BTreeMap<String, Digest>,
    /// By namespace and name.
    #[serde(default)]
    releases: BTreeMap<String, Locked>,
}

/// The chart of a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Locked {
    /// As the spec has it.
    pub(crate) chart: String,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repository: Option<String>,
    /// None for a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<Version>,
    /// Of the chart's archive; of a folder, of its files.
    pub(crate) sha256: Digest,
}

impl LockFile {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, turn: Mutex::new(()) }
    }

    /// Its name, for people.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// What is locked for a release: of this chart, and of this version where one is wished.
    pub(crate) fn of(&self, release: &DesiredRelease) -> Result<Option<Locked>, String> {
        let locked = self.read()?.releases.remove(&key(release));
        Ok(locked.filter(|locked| {
            let same = locked.chart == release.chart && locked.repository == release.repository;
            same && (release.version.is_none() || release.version == locked.version)
        }))
    }

    /// Writes down what a release is made of, and forgets those that are wished no more.
    pub(crate) fn put(
        &self,
        release: &DesiredRelease,
        sha256: Digest,
        wished: &[DesiredRelease],
    ) -> Result<(), String> {
        let locked = Locked {
            chart: release.chart.clone(),
            repository: release.repository.clone(),
            version: release.version.clone(),
            sha256,
        };
        self.change(|content| {
            drop(content.releases.insert(key(release), locked));
            content.releases.retain(|name, _| *name == key(release) || wished.iter().any(|it| key(it) == *name));
        })
    }

    /// Writes down which program was fetched.
    pub(crate) fn put_program(&self, name: &str, sha256: Digest) -> Result<(), String> {
        self.change(|content| content.programs = [(name.to_string(), sha256)].into())
    }

    fn change(&self, change: impl FnOnce(&mut Content)) -> Result<(), String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.read()?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        let text = serde_saphyr::to_string(&after).map_err(|error| error.to_string())?;
        self.write(&format!("{HEAD}{text}")).map_err(|error| format!("{} cannot be written: {error}", self.name()))
    }

    fn read(&self) -> Result<Content, String> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Content { format: FORMAT, programs: BTreeMap::new(), releases: BTreeMap::new() });
            }
            read => read.map_err(|error| format!("{} cannot be read: {error}", self.name()))?,
        };
        let content: Content =
            serde_saphyr::from_str(&text).map_err(|error| format!("{} is no lock file: {error}", self.name()))?;
        if content.format != FORMAT {
            return Err(format!("{} has the format {}; this version knows {FORMAT}", self.name(), content.format));
        }
        Ok(content)
    }

    /// In one move, so that nobody ever reads half of it.
    fn write(&self, text: &str) -> std::io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".lock-").permissions(readable()).tempfile_in(folder)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map(drop).map_err(|error| error.error)
    }
}

/// It is no secret.
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

fn key(release: &DesiredRelease) -> String {
    format!("{}/{}", release.namespace, release.name)
}

#[cfg(test)]
mod tests {
    use kubewright_model::spec::addons::OnFailure;

    use super::*;

    fn release(name: &str, version: Option<&str>) -> DesiredRelease {
        DesiredRelease {
            name: name.into(),
            namespace: "apps".into(),
            part: "charts".into(),
            chart: "web".into(),
            repository: Some("https://charts.lab".into()),
            version: version.map(|version| version.parse().unwrap()),
            values: serde_json::json!({}),
            after: Vec::new(),
            before_ready: false,
            on_failure: OnFailure::Leave,
            timeout: None,
            digest: None,
        }
    }

    #[test]
    fn it_is_sorted_and_keeps_what_the_spec_leaves_open() {
        let folder = tempfile::tempdir().unwrap();
        let lock = LockFile::at(folder.path().join("cluster.lock"));
        let (web, api) = (release("web", Some("1.2.3")), release("api", Some("2.0.0")));
        let wished = [web.clone(), api.clone()];
        assert_eq!(lock.of(&web), Ok(None));
        lock.put(&web, Digest::of("web"), &wished).unwrap();
        lock.put(&api, Digest::of("api"), &wished).unwrap();
        let text = std::fs::read_to_string(folder.path().join("cluster.lock")).unwrap();
        let entry = |name: &str, version: &str| {
            let digest = Digest::of(name);
            format!(
                "  apps/{name}:\n    chart: web\n    repository: https://charts.lab\n    version: \"{version}\"\n    sha256: {digest}\n"
            )
        };
        assert_eq!(text, format!("{HEAD}format: 1\nreleases:\n{}{}", entry("api", "2.0.0"), entry("web", "1.2.3")));
        lock.put(&api, Digest::of("api"), &wished).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("cluster.lock")).unwrap(), text);
        assert_eq!(lock.of(&release("web", None)).unwrap().unwrap().version, web.version);
        assert_eq!(lock.of(&release("web", Some("1.2.4"))), Ok(None), "another version is another chart");
        lock.put(&web, Digest::of("web"), &wished[..1]).unwrap();
        assert_eq!(lock.of(&api), Ok(None), "it is wished no more");
        std::fs::write(folder.path().join("cluster.lock"), "format: 2\n").unwrap();
        assert_eq!(lock.of(&web).unwrap_err(), "cluster.lock has the format 2; this version knows 1");
        assert!(lock.put(&web, Digest::of("web"), &wished).is_err(), "what is not understood is not written over");
    }
}
