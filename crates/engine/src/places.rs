//! Where a spec's secrets are looked for: its folder, and its SOPS file, which is opened once.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kubewright_model::desired::Desired;
use kubewright_model::digest::Digest;
use kubewright_model::secret::Secret;

use crate::holes;
use crate::sops::{self, Form, Identities, KeyPath, Openers, SopsFile, Sources};

/// Where secrets are.
#[derive(Clone, Debug, Default)]
pub struct Places {
    folder: PathBuf,
    sops: Option<PathBuf>,
    sources: Sources,
    /// What came of opening the file with this digest. A command that gives its key is asked once.
    opened: Arc<Mutex<Option<Opened>>>,
}

#[derive(Clone, Debug)]
struct Opened {
    digest: Digest,
    file: Result<Arc<SopsFile>, String>,
}

impl Places {
    /// A folder without a SOPS file.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder, ..Self::default() }
    }

    /// The folder of a spec, and the SOPS file that it names; keys are looked for in these sources.
    pub fn new(folder: PathBuf, desired: &Desired, sources: Sources) -> Self {
        let sops = desired.sops_file.as_deref().map(|file| holes::path(file, &folder));
        Self { folder, sops, sources, ..Self::default() }
    }

    /// The spec's folder: a file that the spec names relatively is beside it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The value under a key of the SOPS file.
    pub(crate) fn sops(&self, key: &str) -> Result<Secret, String> {
        let place: KeyPath = key.parse()?;
        self.opened()?.value(&place)
    }

    /// Who can open the SOPS file.
    pub(crate) fn openers(&self) -> Option<Openers> {
        let path = self.sops.as_deref()?;
        sops::openers(Form::of(path).ok()?, &std::fs::read_to_string(path).ok()?).ok()
    }

    /// For whom the SOPS file is.
    pub(crate) fn recipients(&self) -> Option<Vec<String>> {
        self.openers().map(|openers| openers.recipients)
    }

    /// Whether the SOPS file that is named is not there.
    pub(crate) fn lacks_its_file(&self) -> bool {
        self.sops.as_deref().is_some_and(|path| !path.exists())
    }

    /// For whom the program `sops` would encrypt the file, by the nearest `.sops.yaml`.
    pub(crate) fn config_recipients(&self) -> Option<Vec<String>> {
        let path = std::path::absolute(self.sops.as_deref()?).ok()?;
        let at = sops::Config::nearest(&path)?;
        let config = sops::Config::read(&std::fs::read_to_string(&at).ok()?).ok()?;
        let name = path.strip_prefix(at.parent()?).ok()?.display().to_string();
        config.recipients(&name)
    }

    /// The SOPS file, or why it is not open: who could open it, and where keys were looked for.
    pub(crate) fn opened(&self) -> Result<Arc<SopsFile>, String> {
        let path = self.sops.as_deref().ok_or("nothing says which SOPS file it is")?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("there is no {}; `kubewright secrets init` makes it", path.display()),
            _ => format!("{}: {error}", path.display()),
        })?;
        let digest = Digest::of(&text);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = opened.as_ref().filter(|opened| opened.digest == digest) {
            return opened.file.clone();
        }
        let open = |form| SopsFile::open(form, &text, &Identities::look(&self.sources));
        let file = Form::of(path).and_then(open).map(Arc::new).map_err(|error| format!("{name}: {}", error.told()));
        *opened = Some(Opened { digest, file: file.clone() });
        file
    }
}
