//! The world that a command works in: the real one, or a pretend one in a folder.

use std::cell::Cell;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kubewright_engine::sim::{self, DataCentre};
use kubewright_engine::store::folder::FolderStore;
use kubewright_engine::store::{Holder, Store as _};
use kubewright_engine::world::World;
use kubewright_engine::{Engine, EngineError};
use kubewright_model::desired::Desired;
use kubewright_model::ids::RunId;
use kubewright_model::units::Moment;

use crate::arguments::Arguments;
use crate::problem::{Done, Problem};
use crate::screen::{CARE, DIM, PRETEND, paint, quoted, remark};
use crate::source::{STANDARD_INPUT, lock_file};

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
/// Whether this command has said that its world is a pretend one.
static SAID: Once = Once::new();

/// An engine in its world.
pub(crate) struct Site {
    /// The engine.
    pub(crate) engine: Engine,
    pretend: Option<Pretend>,
    environment: Option<String>,
}

/// A pretend data centre and the folder that it is kept in.
struct Pretend {
    centre: DataCentre,
    folder: PathBuf,
    file: PathBuf,
    machines: usize,
    kept: Cell<Instant>,
}

impl Pretend {
    fn keep(&self) -> Result<(), Problem> {
        self.kept.set(Instant::now());
        self.centre.save(&self.file).map_err(|why| Problem::new(Done::Unfinished, why))
    }
}

impl Site {
    /// Runs something that only looks.
    pub(crate) fn look<T>(
        arguments: &Arguments,
        spec: &Path,
        desired: &Desired,
        work: impl AsyncFnOnce(&Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        match &arguments.simulated {
            None => Self::real(arguments, spec, desired, work),
            Some(folder) => Self::pretend(arguments, folder, desired, false, work),
        }
    }

    /// Runs something that changes the world, and keeps what became of a pretend one.
    pub(crate) fn change<T>(
        arguments: &Arguments,
        spec: &Path,
        desired: &Desired,
        work: impl AsyncFnOnce(&Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        match &arguments.simulated {
            None => Self::real(arguments, spec, desired, work),
            Some(folder) => Self::pretend(arguments, folder, desired, true, work),
        }
    }

    /// The folder in which journals and secrets are kept.
    pub(crate) fn kept(arguments: &Arguments, spec: &Path) -> PathBuf {
        let beside = || spec.parent().unwrap_or(Path::new("")).to_path_buf();
        arguments.simulated.clone().unwrap_or_else(beside).join(STORE)
    }

    fn real<T>(
        arguments: &Arguments,
        spec: &Path,
        desired: &Desired,
        work: impl AsyncFnOnce(&Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let beside = spec.parent().unwrap_or(Path::new(""));
        let kept = beside.join(STORE);
        // What comes from standard input has no place beside it.
        let lock = (spec != Path::new(STANDARD_INPUT)).then(|| lock_file(spec, arguments.environment.as_deref()));
        let tell = Arc::new(|what| remark!("{} {what}", paint(CARE, "→")));
        let world = World::real(beside, lock, &kept, desired, Arc::new(crate::prompt::secret), tell)
            .map_err(|why| Problem::new(Done::Usage, why))?;
        let engine = Engine::new(world, Arc::new(FolderStore::new(kept)));
        let site = Self { engine: told(engine), pretend: None, environment: arguments.environment.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| cannot_start(&error))?.block_on(work(&site))
    }

    fn pretend<T>(
        arguments: &Arguments,
        folder: &Path,
        desired: &Desired,
        changes: bool,
        work: impl AsyncFnOnce(&Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        std::fs::create_dir_all(folder).map_err(|error| {
            Problem::new(Done::Usage, format!("cannot make {}", folder.display())).because(error.to_string())
        })?;
        // A command may look before it changes anything: it is said once.
        SAID.call_once(|| {
            remark!(
                "{}",
                paint(PRETEND, format!("simulated data centre in {}: nothing real is touched", folder.display()))
            );
        });
        let store = FolderStore::new(folder.join(STORE));
        let _turn = if changes { Some(turn(folder, &store, desired)?) } else { None };
        let ran = sim::run(async {
            let file = data_centre(folder, desired, "json");
            let centre = DataCentre::open(&file, SEED).map_err(|why| Problem::new(Done::Usage, why))?;
            centre.furnish(desired);
            let engine = told(Engine::new(centre.world(desired), Arc::new(store)));
            let (folder, machines) = (folder.to_path_buf(), desired.machines.len());
            let pretend = Pretend { centre, folder, file, machines, kept: Cell::new(Instant::now()) };
            let site = Self { engine, pretend: Some(pretend), environment: arguments.environment.clone() };
            let done = work(&site).await;
            if let Some(pretend) = site.pretend.as_ref().filter(|_| changes) {
                pretend.centre.announce_life();
                pretend.keep()?;
            }
            done
        });
        ran.map_err(|error| cannot_start(&error))?
    }

    /// What was asked of the pretend data centre that no right plan asks for.
    pub(crate) fn breaches(&self) -> Vec<String> {
        let breaches = self.pretend.iter().flat_map(|pretend| pretend.centre.breaches());
        breaches.map(|breach| breach.what).collect()
    }

    /// The cluster is meant to end now.
    pub(crate) fn announce_end(&self) {
        self.pretend.iter().for_each(|pretend| pretend.centre.announce_end());
    }

    /// A step has ended: a pretend world is kept, so that a program that is killed leaves behind what it has done.
    pub(crate) fn keep_up(&self) {
        if let Some(pretend) = &self.pretend
            && (pretend.machines <= KEPT_AT_ONCE || pretend.kept.get().elapsed() > NOW_AND_THEN)
        {
            // What cannot be written now is told when it is written for the last time.
            let _ = pretend.keep();
        }
    }

    /// The arguments of a command in the same world on the same spec.
    pub(crate) fn again(&self, spec: &Path) -> String {
        let environment = self.environment.as_ref().map(|name| format!("--environment {name} ")).unwrap_or_default();
        match &self.pretend {
            Some(pretend) => format!("--simulated {} {environment}{}", quoted(&pretend.folder), quoted(spec)),
            None => environment + &quoted(spec),
        }
    }
}

fn cannot_start(error: &std::io::Error) -> Problem {
    Problem::new(Done::Unfinished, format!("cannot start: {error}"))
}

fn told(engine: Engine) -> Engine {
    engine.telling(Arc::new(|what| remark!("{}", paint(DIM, what))))
}

/// A file of the pretend data centre that a cluster is in.
fn data_centre(folder: &Path, desired: &Desired, extension: &str) -> PathBuf {
    folder.join(format!("{DATA_CENTRE}-{}.{extension}", desired.cluster))
}

/// The turn to change a pretend data centre: one program after the other, and the second is told who is at it.
fn turn(folder: &Path, store: &FolderStore, desired: &Desired) -> Result<File, Problem> {
    let path = data_centre(folder, desired, "lock");
    let failed = |error: std::io::Error| {
        Problem::new(Done::Usage, format!("cannot open {}", path.display())).because(error.to_string())
    };
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(failed(error)),
        Err(TryLockError::WouldBlock) => match store.lock(&desired.cluster, &holder("wait")) {
            Err(busy) => Err(EngineError::from(busy).into()),
            // The other program is at its very beginning or end.
            Ok(_) => file.lock().map_err(failed).map(|()| file),
        },
    }
}

/// Who runs this.
pub(crate) fn holder(what: &str) -> Holder {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".into());
    let computer = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let computer = if computer.trim().is_empty() { "this computer" } else { computer.trim() };
    Holder { who: format!("{user}@{computer}"), pid: std::process::id(), since: now(), what: what.into() }
}

/// Our clock, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A name for a run: when it began, to the millisecond, so that names are in the order of the runs.
pub(crate) fn run_id() -> RunId {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    RunId::new(format!("{}-{:03}", Moment(since.as_secs()).compact(), since.subsec_millis()))
}
