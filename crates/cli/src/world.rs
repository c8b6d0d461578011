//! The world that a command works in: the real one, or a pretend one in a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use kubewright_engine::Engine;
use kubewright_engine::sim::{self, DataCentre};
use kubewright_engine::store::Holder;
use kubewright_engine::store::folder::FolderStore;
use kubewright_engine::world::World;
use kubewright_model::desired::Desired;
use kubewright_model::ids::RunId;

use crate::arguments::Arguments;
use crate::problem::{Done, Problem};
use crate::screen::{DIM, PRETEND, paint, remark};

/// The folder beside the spec in which journals and secrets are kept.
const STORE: &str = ".kubewright";
/// The file that holds a pretend data centre.
const DATA_CENTRE: &str = "data-centre.json";
/// What chance follows in a pretend data centre that is kept.
const SEED: u64 = 1;

/// An engine in its world.
pub(crate) struct Site {
    /// The engine.
    pub(crate) engine: Engine,
    /// The pretend data centre, and the file that it is kept in.
    pub(crate) pretend: Option<(DataCentre, PathBuf)>,
}

impl Site {
    /// Runs something in the world of a command, and keeps what became of a pretend one.
    pub(crate) fn work<T>(
        arguments: &Arguments,
        spec: &Path,
        desired: &Desired,
        work: impl AsyncFnOnce(&Site) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let Some(folder) = &arguments.simulated else {
            let beside = spec.parent().unwrap_or(Path::new(""));
            let engine = Engine::new(World::real(beside), Arc::new(FolderStore::new(beside.join(STORE))));
            let site = Self { engine: told(engine), pretend: None };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Problem::new(Done::Unfinished, format!("cannot start: {error}")))?;
            return runtime.block_on(work(&site));
        };
        std::fs::create_dir_all(folder).map_err(|error| {
            Problem::new(Done::Usage, format!("cannot make {}", folder.display())).because(error.to_string())
        })?;
        remark!(
            "{}",
            paint(PRETEND, format!("simulated data centre in {}: nothing real is touched", folder.display()))
        );
        let file = folder.join(DATA_CENTRE);
        let ran = sim::run(async {
            let centre = DataCentre::open(&file, SEED).map_err(|why| Problem::new(Done::Usage, why))?;
            centre.furnish(desired);
            let store = FolderStore::new(folder.join(STORE));
            let engine = told(Engine::new(centre.world(desired), Arc::new(store)));
            let site = Self { engine, pretend: Some((centre, file)) };
            let done = work(&site).await;
            if let Some((centre, file)) = &site.pretend {
                centre.save(file).map_err(|why| Problem::new(Done::Unfinished, why))?;
            }
            done
        });
        ran.map_err(|error| Problem::new(Done::Unfinished, format!("cannot start: {error}")))?
    }

    /// What was asked of the pretend data centre that no right plan asks for.
    pub(crate) fn breaches(&self) -> Vec<String> {
        let breaches = self.pretend.iter().flat_map(|(centre, _)| centre.breaches());
        breaches.map(|breach| breach.what).collect()
    }
}

fn told(engine: Engine) -> Engine {
    engine.telling(Arc::new(|what| remark!("{}", paint(DIM, what))))
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Who runs this.
pub(crate) fn holder(what: &str) -> Holder {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".into());
    let computer = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let computer = if computer.trim().is_empty() { "this computer" } else { computer.trim() };
    Holder { who: format!("{user}@{computer}"), pid: std::process::id(), since: now(), what: what.into() }
}

/// A name for a run: when it began, to the millisecond, so that names are in the order of the runs.
pub(crate) fn run_id() -> RunId {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    RunId::new(format!("{}-{:03}", crate::view::history::compact(since.as_secs()), since.subsec_millis()))
}
