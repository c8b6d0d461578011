//! The store in a folder beside the spec: `.kubewright/CLUSTER/`.
//!
//! Secrets are files that only their owner reads. A journal is a file of JSON lines, flushed line by line. The lock is
//! the operating system's, so it ends with the process that held it; the file beside it says who that is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use kubewright_model::event::{EVENT_FORMAT, Event, Record};
use kubewright_model::ids::{ClusterName, RunId};
use kubewright_model::secret::Secret;

use super::{Foundation, Holder, Journal, Lock, Store, StoreError};

/// The file with what the cluster was begun with.
const FOUNDATION: &str = "foundation.json";

/// A store in a folder.
#[derive(Clone, Debug)]
pub struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    /// The store in this folder, which is made when something is kept in it for the first time.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a run's journal is.
    pub fn journal_path(&self, cluster: &ClusterName, run: &RunId) -> PathBuf {
        self.root.join(cluster.as_str()).join("journals").join(format!("{run}.jsonl"))
    }

    /// A run's journal from its beginning, read on as it grows: for who watches a run of another program.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn tail(&self, cluster: &ClusterName, run: &RunId) -> Result<Tail, StoreError> {
        let path = self.journal_path(cluster, run);
        let opened = File::open(&path).map_err(|source| file("cannot read", &path, source))?;
        Ok(Tail { file: opened, path, torn: Vec::new(), lines: 0 })
    }

    fn folder(&self, cluster: &ClusterName, name: &str) -> Result<PathBuf, StoreError> {
        let folder = self.root.join(cluster.as_str()).join(name);
        kept(&self.root).map_err(|source| file("cannot make", &self.root, source))?;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| file("cannot make", &folder, source))?;
        Ok(folder)
    }

    fn secret_path(&self, cluster: &ClusterName, name: &str) -> PathBuf {
        // Names hold slashes where they come from paths; two names never become one file.
        let name = name.replace('%', "%25").replace('/', "%2F");
        self.root.join(cluster.as_str()).join("secrets").join(name)
    }
}

fn file(what: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File { what, path: path.display().to_string(), source }
}

/// Makes the folder in which everything is kept, where it is not there: for its owner alone, and out of the spec's Git repository,
/// for secrets, journals and tokens lie in it.
///
/// # Errors
///
/// It cannot be made.
pub fn kept(root: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
    let ignore = root.join(".gitignore");
    if ignore.exists() { Ok(()) } else { fs::write(&ignore, "*\n") }
}

/// Writes a file so that it is there whole or not at all, readable by its owner only.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    // Names may have points, and each has its own file beside it.
    let mut beside = path.as_os_str().to_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).and_then(|mut it| {
            it.write_all(bytes)?;
            it.sync_all()
        });
    written.map_err(|source| file("cannot write", &beside, source))?;
    // A new name is only there for certain once its folder was written too.
    let folder = path.parent().unwrap_or(Path::new("."));
    let renamed = fs::rename(&beside, path).and_then(|()| File::open(folder)?.sync_all());
    renamed.map_err(|source| file("cannot write", path, source))
}

impl Store for FolderStore {
    fn secret(&self, cluster: &ClusterName, name: &str) -> Result<Option<Secret>, StoreError> {
        let path = self.secret_path(cluster, name);
        match fs::read_to_string(&path) {
            Ok(value) => Ok(Some(Secret::new(value))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(file("cannot read", &path, source)),
        }
    }

    fn keep_secret(&self, cluster: &ClusterName, name: &str, secret: &Secret) -> Result<(), StoreError> {
        self.folder(cluster, "secrets")?;
        write_whole(&self.secret_path(cluster, name), secret.expose().as_bytes())
    }

    fn forget_secret(&self, cluster: &ClusterName, name: &str) -> Result<(), StoreError> {
        let path = self.secret_path(cluster, name);
        match fs::remove_file(&path) {
            // It is gone for certain only when its folder was written too.
            Ok(()) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                let gone = File::open(folder).and_then(|folder| folder.sync_all());
                gone.map_err(|source| file("cannot remove", &path, source))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file("cannot remove", &path, error)),
        }
    }

    fn secrets(&self, cluster: &ClusterName) -> Result<Vec<String>, StoreError> {
        let folder = self.root.join(cluster.as_str()).join("secrets");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(file("cannot list", &folder, source)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // What is beside a secret while it is written is none.
        let names = names.filter(|name| !name.ends_with(".new"));
        let mut names: Vec<String> = names.map(|name| name.replace("%2F", "/").replace("%25", "%")).collect();
        names.sort();
        Ok(names)
    }

    fn foundation(&self, cluster: &ClusterName) -> Result<Option<Foundation>, StoreError> {
        let path = self.root.join(cluster.as_str()).join(FOUNDATION);
        let malformed = |why: String| StoreError::Malformed { path: path.display().to_string(), line: 1, why };
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| malformed(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(file("cannot read", &path, source)),
        }
    }

    fn keep_foundation(&self, cluster: &ClusterName, foundation: &Foundation) -> Result<(), StoreError> {
        let folder = self.folder(cluster, "")?;
        write_whole(&folder.join(FOUNDATION), &serde_json::to_vec(foundation).unwrap_or_default())
    }

    fn forget_secrets(&self, cluster: &ClusterName) -> Result<(), StoreError> {
        let foundation = self.root.join(cluster.as_str()).join(FOUNDATION);
        match fs::remove_file(&foundation) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file("cannot remove", &foundation, error));
            }
            Ok(()) | Err(_) => {}
        }
        let folder = self.root.join(cluster.as_str()).join("secrets");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file("cannot remove", &folder, error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn lock(&self, cluster: &ClusterName, holder: &Holder) -> Result<Box<dyn Lock>, StoreError> {
        let folder = self.folder(cluster, "")?;
        let path = folder.join("lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let lock = opened.map_err(|source| file("cannot open", &path, source))?;
        let who = folder.join("holder.json");
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(file("cannot lock", &path, source)),
            Err(TryLockError::WouldBlock) => {
                let told = fs::read(&who).ok().and_then(|text| serde_json::from_slice(&text).ok());
                // The other one has the lock and has not written its name yet.
                let unknown = Holder { who: "somebody".into(), pid: 0, since: holder.since, what: "a run".into() };
                return Err(StoreError::Busy { cluster: cluster.clone(), holder: told.unwrap_or(unknown) });
            }
        }
        write_whole(&who, &serde_json::to_vec(holder).unwrap_or_default())?;
        Ok(Box::new(Held { _file: lock, holder: who }))
    }

    fn holder(&self, cluster: &ClusterName) -> Result<Option<Holder>, StoreError> {
        let folder = self.root.join(cluster.as_str());
        // A holder writes its name and takes it away again, so that the lock is only tried where somebody was killed.
        let Ok(told) = fs::read(folder.join("holder.json")) else { return Ok(None) };
        let Ok(lock) = File::open(folder.join("lock")) else { return Ok(None) };
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Ok(serde_json::from_slice(&told).ok()),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(None),
        }
    }

    fn start_journal(&self, cluster: &ClusterName, run: &RunId) -> Result<Box<dyn Journal>, StoreError> {
        self.folder(cluster, "journals")?;
        let path = self.journal_path(cluster, run);
        let opened = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
        let lines = opened.map_err(|source| file("cannot make", &path, source))?;
        Ok(Box::new(Lines { file: lines, path }))
    }

    fn runs(&self, cluster: &ClusterName) -> Result<Vec<RunId>, StoreError> {
        let folder = self.root.join(cluster.as_str()).join("journals");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(file("cannot list", &folder, source)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut runs: Vec<RunId> = names.filter_map(|name| name.strip_suffix(".jsonl").map(RunId::from)).collect();
        runs.sort();
        Ok(runs)
    }

    fn journal(&self, cluster: &ClusterName, run: &RunId) -> Result<Vec<Record>, StoreError> {
        let path = self.journal_path(cluster, run);
        let whole = fs::read(&path).map_err(|source| file("cannot read", &path, source))?;
        let complete = whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        read_lines(&whole[..complete], 0, &path).collect()
    }
}

/// A journal that somebody else may still write.
pub struct Tail {
    file: File,
    path: PathBuf,
    /// The beginning of a line whose end is not written yet.
    torn: Vec<u8>,
    /// How many lines were read.
    lines: usize,
}

/// What a journal has grown by.
#[derive(Debug, Default)]
pub struct Grown {
    /// The records, but for lines that are none.
    pub records: Vec<Record>,
    /// The lines that are no records, each once, and why.
    pub bad: Vec<StoreError>,
}

impl Tail {
    /// What was written since the last time. A line that is no record takes none of the others with it.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn more(&mut self) -> Result<Grown, StoreError> {
        self.file.read_to_end(&mut self.torn).map_err(|source| file("cannot read", &self.path, source))?;
        let complete = self.torn.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.torn.drain(..complete).collect();
        let mut grown = Grown::default();
        for read in read_lines(&lines, self.lines, &self.path) {
            match read {
                Ok(record) => grown.records.push(record),
                Err(bad) => grown.bad.push(bad),
            }
        }
        self.lines += lines.iter().filter(|byte| **byte == b'\n').count();
        Ok(grown)
    }
}

/// Records line by line, after so many lines before. A run that was killed may have left half a line at the end, without the
/// end of a line: that is not given here.
fn read_lines<'a>(
    complete: &'a [u8],
    before: usize,
    path: &'a Path,
) -> impl Iterator<Item = Result<Record, StoreError>> + 'a {
    let lines = complete.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(move |(i, line)| {
        let number = before + i + 1;
        let malformed = |why| StoreError::Malformed { path: path.display().to_string(), line: number, why };
        match serde_json::from_slice::<Record>(line) {
            Ok(record) if record.format != EVENT_FORMAT => {
                Err(malformed(format!("format {} is not known to this version", record.format)))
            }
            Ok(record) => Ok(record),
            Err(error) => Err(malformed(error.to_string())),
        }
    })
}

struct Held {
    _file: File,
    holder: PathBuf,
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        // The lock itself ends with its file; a holder's note that stays behind only tells who was last.
        let _ = fs::remove_file(&self.holder);
    }
}

struct Lines {
    file: File,
    path: PathBuf,
}

impl Journal for Lines {
    fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        let mut line = serde_json::to_vec(record).unwrap_or_default();
        line.push(b'\n');
        // A crash may lose what a step told or waited for; that a step began and how it ended it may not.
        let survives = matches!(
            record.event,
            Event::RunStarted { .. }
                | Event::StepStarted { .. }
                | Event::StepEnded { .. }
                | Event::VerifyEnded { .. }
                | Event::RunEnded { .. }
        );
        let sync = |()| if survives { self.file.sync_data() } else { Ok(()) };
        let written = (&self.file).write_all(&line).and_then(sync);
        written.map_err(|source| file("cannot write", &self.path, source))
    }
}
