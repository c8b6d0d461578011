//! The world that a spec is worked on in: the real one, or a pretend one that is kept in a folder. Every front end opens it
//! here, so that all stand in the same world and wait for the same locks.
//!
//! What is opened lives on the thread that opens it, with a clock of its own: that of a pretend world goes ahead by itself
//! whenever nobody has anything to do.

use std::cell::Cell;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kubewright_model::desired::Desired;
use kubewright_model::ids::RunId;
use kubewright_model::units::Moment;

use crate::engine::{Engine, EngineError, Listener};
use crate::sim::{self, DataCentre};
use crate::store::folder::FolderStore;
use crate::store::{Holder, Store as _};
use crate::world::{Prompt, World};

/// The word for standard input in the place of a spec's file.
pub const STANDARD_INPUT: &str = "-";
/// The folder beside a spec that holds what its environments say.
pub const ENVIRONMENTS: &str = "environments";
/// The folder beside the spec in which journals and secrets are kept.
const STORE: &str = ".kubewright";
/// The file that holds the pretend data centre of a cluster, and the one that whoever changes it holds: environments of one
/// spec stand side by side in a folder, each in a data centre of its own.
const DATA_CENTRE: &str = "data-centre";
/// What chance follows in a pretend data centre that is kept.
const SEED: u64 = 1;
/// Pretend data centres of so many machines are kept after every step; larger ones now and then, because writing one
/// down takes as long as it has machines.
const KEPT_AT_ONCE: usize = 50;
/// How often larger ones are kept.
const NOW_AND_THEN: Duration = Duration::from_millis(500);

/// Where a spec is, and in which world it is worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The spec's file.
    pub spec: PathBuf,
    /// The environment on top of it.
    pub environment: Option<String>,
    /// The folder of a pretend world; none for the real one.
    pub simulated: Option<PathBuf>,
}

impl Place {
    /// The folder that the spec lies in.
    pub fn folder(&self) -> &Path {
        self.spec.parent().unwrap_or(Path::new(""))
    }

    /// The folder in which journals and secrets are kept.
    pub fn kept(&self) -> PathBuf {
        self.simulated.as_deref().unwrap_or_else(|| self.folder()).join(STORE)
    }

    /// Where the lock file of the spec is: each environment has its own.
    pub fn lock_file(&self) -> PathBuf {
        let beside = self.folder().join(ENVIRONMENTS);
        let layer = self.environment.as_ref().map(|name| beside.join(format!("{name}.yaml")));
        match layer.filter(|file| file.is_file()) {
            Some(file) => file.with_extension("lock"),
            None => self.spec.with_extension("lock"),
        }
    }
}

/// Who hears what a world tells while it is worked in, and answers what it asks.
#[derive(Clone)]
pub struct Voices {
    /// Asks a person for what nobody may see.
    pub prompt: Prompt,
    /// Hears of keys of hosts that are learnt.
    pub learns: Listener,
    /// Hears what is waited for before a run begins.
    pub waits: Listener,
}

/// Why a world could not be opened, or not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A file or folder of it cannot be made or opened.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried: `cannot make`.
        what: &'static str,
        /// What it was tried with.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It cannot be opened.
    #[error("{0}")]
    Closed(String),
    /// Nothing runs here.
    #[error("cannot start: {0}")]
    Start(io::Error),
    /// Another program works on the cluster.
    #[error(transparent)]
    Busy(EngineError),
    /// What became of a pretend world could not be written down.
    #[error("{0}")]
    Unkept(String),
}

/// An engine in its world.
pub struct Site {
    /// The engine.
    pub engine: Engine,
    pretend: Option<Pretend>,
}

/// A pretend data centre and where it is kept.
struct Pretend {
    centre: DataCentre,
    file: PathBuf,
    machines: usize,
    kept: Cell<Instant>,
}

impl Pretend {
    fn keep(&self) -> Result<(), SiteError> {
        self.kept.set(Instant::now());
        self.centre.save(&self.file).map_err(SiteError::Unkept)
    }
}

impl Site {
    /// Opens the world of a place and does something in it. What changes a pretend world waits for nobody: where another
    /// program is at it, that is an error; afterwards it is kept.
    ///
    /// # Errors
    ///
    /// What the work came to, or a [`SiteError`].
    pub fn open<T, E: From<SiteError>>(
        place: &Place,
        desired: &Desired,
        changes: bool,
        voices: Voices,
        work: impl AsyncFnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        match &place.simulated {
            None => Self::real(place, desired, voices, work),
            Some(folder) => Self::pretend(place, folder, desired, changes, voices.waits, work),
        }
    }

    fn real<T, E: From<SiteError>>(
        place: &Place,
        desired: &Desired,
        voices: Voices,
        work: impl AsyncFnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let kept = place.kept();
        // What comes from standard input has no place beside it.
        let lock = (place.spec != Path::new(STANDARD_INPUT)).then(|| place.lock_file());
        let world = World::real(place.folder(), lock, &kept, desired, voices.prompt, voices.learns);
        let engine = Engine::new(world.map_err(SiteError::Closed)?, Arc::new(FolderStore::new(kept)));
        let site = Self { engine: engine.telling(voices.waits), pretend: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(SiteError::Start)?.block_on(work(&site))
    }

    fn pretend<T, E: From<SiteError>>(
        place: &Place,
        folder: &Path,
        desired: &Desired,
        changes: bool,
        waits: Listener,
        work: impl AsyncFnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|source| SiteError::File { what: "cannot make", path: folder.into(), source })?;
        let store = FolderStore::new(place.kept());
        let _turn = if changes { Some(turn(folder, &store, desired)?) } else { None };
        let ran = sim::run(async {
            let file = data_centre(folder, desired, "json");
            let centre = DataCentre::open(&file, SEED).map_err(SiteError::Closed)?;
            centre.furnish(desired);
            let engine = Engine::new(centre.world(desired), Arc::new(store)).telling(waits);
            let pretend = Pretend { centre, file, machines: desired.machines.len(), kept: Cell::new(Instant::now()) };
            let site = Self { engine, pretend: Some(pretend) };
            let done = work(&site).await;
            if let Some(pretend) = site.pretend.as_ref().filter(|_| changes) {
                pretend.centre.announce_life();
                pretend.keep()?;
            }
            done
        });
        ran.map_err(SiteError::Start)?
    }

    /// What was asked of the pretend data centre that no right plan asks for.
    pub fn breaches(&self) -> Vec<String> {
        let breaches = self.pretend.iter().flat_map(|pretend| pretend.centre.breaches());
        breaches.map(|breach| breach.what).collect()
    }

    /// The cluster is meant to end now.
    pub fn announce_end(&self) {
        self.pretend.iter().for_each(|pretend| pretend.centre.announce_end());
    }

    /// A step has ended: a pretend world is kept, so that a program that is killed leaves behind what it has done.
    pub fn keep_up(&self) {
        if let Some(pretend) = &self.pretend
            && (pretend.machines <= KEPT_AT_ONCE || pretend.kept.get().elapsed() > NOW_AND_THEN)
        {
            // What cannot be written now is told when it is written for the last time.
            let _ = pretend.keep();
        }
    }
}

/// A file of the pretend data centre that a cluster is in.
fn data_centre(folder: &Path, desired: &Desired, extension: &str) -> PathBuf {
    folder.join(format!("{DATA_CENTRE}-{}.{extension}", desired.cluster))
}

/// The turn to change a pretend data centre: one program after the other, and the second is told who is at it.
fn turn(folder: &Path, store: &FolderStore, desired: &Desired) -> Result<File, SiteError> {
    let path = data_centre(folder, desired, "lock");
    let failed = |source: io::Error| SiteError::File { what: "cannot open", path: path.clone(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(failed(error)),
        Err(TryLockError::WouldBlock) => {
            // Given back at once: whoever is at its very beginning is about to take it.
            store.lock(&desired.cluster, &holder("wait")).map(drop).map_err(|busy| SiteError::Busy(busy.into()))?;
            file.lock().map_err(failed).map(|()| file)
        }
    }
}

/// Who runs this, for the lock.
pub fn holder(what: &str) -> Holder {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".into());
    let computer = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let computer = if computer.trim().is_empty() { "this computer" } else { computer.trim() };
    Holder { who: format!("{user}@{computer}"), pid: std::process::id(), since: now(), what: what.into() }
}

/// Our clock, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A name for a run: when it began, to the millisecond, so that names are in the order of the runs.
pub fn run_id() -> RunId {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    RunId::new(format!("{}-{:03}", Moment(since.as_secs()).compact(), since.subsec_millis()))
}
