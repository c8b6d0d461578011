//! The world that a command works in: the real one, or a pretend one in a folder.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use kubewright_engine::site::{self, Place, SiteError, Voices};
use kubewright_model::desired::Desired;

use crate::arguments::Arguments;
use crate::problem::{Done, Problem};
use crate::screen::{CARE, DIM, PRETEND, paint, quoted, remark};

pub(crate) use kubewright_engine::site::{holder, now, run_id};

/// Whether this command has said that its world is a pretend one.
static SAID: Once = Once::new();

/// An engine in the world of this command.
pub(crate) struct Site<'s> {
    site: &'s site::Site,
    place: &'s Place,
}

impl Deref for Site<'_> {
    type Target = site::Site;

    fn deref(&self) -> &Self::Target {
        self.site
    }
}

impl Site<'_> {
    /// Runs something that only looks.
    pub(crate) fn look<T>(
        arguments: &Arguments,
        spec: &Path,
        desired: &Desired,
        work: impl AsyncFnOnce(&Site<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        open(arguments, spec, desired, false, work)
    }

    /// Runs something that changes the world, and keeps what became of a pretend one.
    pub(crate) fn change<T>(
        arguments: &Arguments,
        spec: &Path,
        desired: &Desired,
        work: impl AsyncFnOnce(&Site<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        open(arguments, spec, desired, true, work)
    }

    /// The folder in which journals and secrets are kept.
    pub(crate) fn kept(arguments: &Arguments, spec: &Path) -> PathBuf {
        place(arguments, spec).kept()
    }

    /// The arguments of a command in the same world on the same spec.
    pub(crate) fn again(&self, spec: &Path) -> String {
        let named = self.place.environment.as_ref().map(|name| format!("--environment {name} ")).unwrap_or_default();
        match &self.place.simulated {
            Some(folder) => format!("--simulated {} {named}{}", quoted(folder), quoted(spec)),
            None => named + &quoted(spec),
        }
    }
}

/// Where a command's spec is, and its world.
pub(crate) fn place(arguments: &Arguments, spec: &Path) -> Place {
    let (environment, simulated) = (arguments.environment.clone(), arguments.simulated.clone());
    Place { spec: spec.to_path_buf(), environment, simulated }
}

fn open<T>(
    arguments: &Arguments,
    spec: &Path,
    desired: &Desired,
    changes: bool,
    work: impl AsyncFnOnce(&Site<'_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let place = place(arguments, spec);
    let voices = Voices {
        prompt: Arc::new(crate::prompt::secret),
        learns: Arc::new(|what| remark!("{} {what}", paint(CARE, "→"))),
        waits: Arc::new(|what| remark!("{}", paint(DIM, what))),
    };
    if let Some(folder) = &place.simulated {
        let words = format!("simulated data centre in {}: nothing real is touched", folder.display());
        // A command may look before it changes anything: it is said once.
        SAID.call_once(|| remark!("{}", paint(PRETEND, words)));
    }
    site::Site::open(&place, desired, changes, voices, async |site: &site::Site| {
        work(&Site { site, place: &place }).await
    })
}

impl From<SiteError> for Problem {
    fn from(error: SiteError) -> Self {
        match error {
            SiteError::File { ref source, .. } => {
                let cause = source.to_string();
                Self::new(Done::Usage, error.to_string()).because(cause)
            }
            SiteError::Closed(why) => Self::new(Done::Usage, why),
            SiteError::Start(_) => Self::new(Done::Unfinished, error.to_string()),
            SiteError::Unkept(why) => Self::new(Done::Unfinished, why),
            SiteError::Busy(busy) => busy.into(),
        }
    }
}
