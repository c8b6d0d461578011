//! The parts of a rehearsal: what each proves, what came of it and how long it took; and the report that they are.

use std::path::{Path, PathBuf};
use std::time::Instant;

use kubewright_engine::rehearse::etcd::{self, Programs, Restored};
use kubewright_engine::rehearse::restore;
use kubewright_engine::sim;
use kubewright_model::bundle::{About, BundleManifest, Kind};
use kubewright_model::desired::Desired;
use kubewright_model::event::RunEnd;
use kubewright_model::units::Moment;
use serde::Serialize;

use crate::screen::{BAD, CARE, GOOD, counted, duration, paint, say};

/// What came of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Came {
    /// It is so.
    Proven,
    /// It is so in a pretend data centre.
    Simulated,
    /// It is not so.
    Failed,
    /// It was not tried.
    NotDone,
}

impl Came {
    fn word(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Simulated => "simulated",
            Self::Failed => "failed",
            Self::NotDone => "not done",
        }
    }
}

/// A part of a rehearsal.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    name: String,
    came: Came,
    /// What was seen, in a sentence.
    saw: String,
    /// Milliseconds by our clock; by the pretend one where it was simulated.
    took: Option<u64>,
}

impl Part {
    pub(super) fn real(name: &str, began: Instant, came: Came, saw: String) -> Self {
        let took = u64::try_from(began.elapsed().as_millis()).ok();
        Self { name: name.into(), came, saw, took }
    }

    pub(super) fn left_out(name: &str, why: &str) -> Self {
        Self { name: name.into(), came: Came::NotDone, saw: why.into(), took: None }
    }
}

/// What a rehearsal came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rehearsal {
    /// The bundle, as its canary calls it.
    pub(super) bundle: String,
    /// When it was rehearsed.
    pub(super) at: Moment,
    /// Nothing that was tried failed.
    pub(super) held: bool,
    about: About,
    parts: Vec<Part>,
}

impl Rehearsal {
    pub(super) fn new(at: Moment, manifest: &BundleManifest, parts: Vec<Part>) -> Self {
        let held = parts.iter().all(|part| part.came != Came::Failed);
        Self { bundle: manifest.about.canary.bundle.clone(), at, held, about: manifest.about.clone(), parts }
    }

    pub(super) fn show(&self) {
        for part in &self.parts {
            let style = match part.came {
                Came::Proven => GOOD,
                Came::Simulated => crate::screen::PRETEND,
                Came::Failed => BAD,
                Came::NotDone => CARE,
            };
            let took = part.took.map(|took| format!("  ({})", duration(took))).unwrap_or_default();
            say!("{} {}: {}{took}", paint(style, format!("{:9}", part.came.word())), part.name, part.saw);
        }
        match self.held {
            true => say!("{}", paint(GOOD, format!("✓ {} was rehearsed: nothing that was tried failed", self.bundle))),
            false => say!("{}", paint(BAD, format!("✗ {} does not do: see what failed", self.bundle))),
        }
    }

    /// What it came to, for who lists bundles.
    pub(super) fn in_a_sentence(&self) -> String {
        let of = |came: Came| {
            let names: Vec<&str> = self.parts.iter().filter(|it| it.came == came).map(|it| it.name.as_str()).collect();
            (!names.is_empty()).then(|| format!("{}: {}", came.word(), names.join(", ")))
        };
        let all = [Came::Failed, Came::Proven, Came::Simulated, Came::NotDone].into_iter().filter_map(of);
        all.collect::<Vec<_>>().join("; ")
    }

    /// The report, as Markdown.
    pub(super) fn page(&self) -> String {
        let about = &self.about;
        let verdict = if self.held { "Nothing that was tried failed." } else { "**It does not do: see what failed.**" };
        let environment = about.environment.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let mut page = format!(
            "# Rehearsal of {}\n\n{verdict}\n\n- Rehearsed: {}, by kubewright {}\n- Cluster: {}{environment}, {} {}\n- Bundle \
             made: {}, by kubewright {}\n\n| part | came to | took | what was seen |\n| --- | --- | --- | --- |\n",
            self.bundle,
            self.at,
            env!("CARGO_PKG_VERSION"),
            about.cluster,
            about.distribution.title(),
            about.version,
            about.made,
            about.kubewright,
        );
        for part in &self.parts {
            let clock = if part.came == Came::Simulated { " (simulated)" } else { "" };
            let took = part.took.map_or("–".to_string(), |took| duration(took) + clock);
            let saw = part.saw.replace('|', "\\|").replace('\n', " ");
            page += &format!("| {} | {} | {took} | {saw} |\n", part.name, part.came.word());
        }
        page += "\n## What this does not prove\n\n";
        for part in self.parts.iter().filter(|part| part.came == Came::NotDone) {
            page += &format!("- {}: not tried. {}\n", part.name, part.saw);
        }
        if self.parts.iter().any(|part| part.came == Came::Simulated) {
            page += "- What is simulated shows that the spec plans and that the plan runs to its end. No machine, no host and no \
                     container was started for it, and its times are those of a pretend clock.\n";
        }
        page += "- What pods keep on disks is in no bundle.\n";
        page
    }
}

/// The bundle's spec goes back to the bundle in a pretend data centre.
pub(super) fn simulated(name: &str, desired: &Desired, manifest: &BundleManifest, anew: bool) -> Part {
    let name = format!("{name} (simulated)");
    let played = sim::run(restore(desired, &manifest.about.canary, anew, &mut |_| {}));
    let failed = |saw: String| Part { name: name.clone(), came: Came::Failed, saw, took: None };
    match played {
        Err(error) => failed(format!("cannot start: {error}")),
        Ok(Err(error)) => failed(error.told()),
        Ok(Ok((played, took))) if played.good() && played.report.end == RunEnd::Complete => {
            let (steps, checks) = (counted(played.report.done, "step"), counted(played.report.checks.len(), "check"));
            let saw = format!("{steps}, and {checks} hold, that of the canary among them");
            Part { name, came: Came::Simulated, saw, took: Some(took) }
        }
        Ok(Ok((played, _))) => failed(played.wrong().join("; ")),
    }
}

/// The bundle's snapshot in a real etcd.
pub(super) fn etcd(folder: Option<&Path>, manifest: &BundleManifest, inside: &Path) -> Part {
    const NAME: &str = "its snapshot, in a real etcd";
    let about = &manifest.about;
    let snapshot = manifest.files.iter().find(|file| file.what == Kind::Datastore);
    let Some(snapshot) = snapshot.map(|file| inside.join(&file.path)) else {
        return Part::left_out(NAME, "the bundle holds no snapshot of a datastore");
    };
    if about.simulated {
        return Part::left_out(NAME, "the snapshot is of a simulated cluster, which no etcd reads");
    }
    let programs = match Programs::find(folder) {
        Ok(programs) => programs,
        Err(why) => {
            let why = format!("{why}; `--etcd FOLDER` names the folder with `etcd` and `etcdutl`");
            return Part::left_out(NAME, &why);
        }
    };
    let began = Instant::now();
    match read_back(&programs, snapshot, manifest) {
        Err(why) => Part::real(NAME, began, Came::Failed, why),
        Ok(restored) => judged(NAME, began, about, &restored),
    }
}

fn read_back(programs: &Programs, snapshot: PathBuf, manifest: &BundleManifest) -> Result<Restored, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(etcd::restored(programs, &snapshot, &manifest.files))
}

fn judged(name: &str, began: Instant, about: &About, restored: &Restored) -> Part {
    let Restored { version, keys, canary, secrets: (secrets, encrypted), compared } = restored;
    let bundle = &about.canary.bundle;
    let (is_it, canary) = match canary {
        Some(says) if says == bundle => (true, "the canary is the bundle's".to_string()),
        Some(says) => (false, format!("the canary says `{says}`")),
        None => (false, "there is no canary in it".to_string()),
    };
    let mut saw = format!(
        "etcd {version} serves it: {keys} keys; {canary}; {} of {} objects of the bundle are in it",
        compared.found, compared.wanted
    );
    if !compared.missing.is_empty() {
        saw += &format!(" (not: {})", compared.missing.join(", "));
    }
    saw += &format!("; {encrypted} of {} encrypted", counted(*secrets, "Secret"));
    let came = if is_it && compared.agrees() { Came::Proven } else { Came::Failed };
    Part::real(name, began, came, saw)
}
