//! `kubewright backup rehearse`: a bundle is restored where nothing real is touched, and what was proven by that is written
//! down with its date.

mod parts;
mod throwaway;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use kubewright_engine::Loadout;
use kubewright_engine::backup::{self, catalog};
use kubewright_engine::rehearse::Private;
use kubewright_engine::sops::{Identities, Sources};
use kubewright_model::bundle::{BundleManifest, BundleName, Kind, Rehearsed};

use self::parts::{Came, Part, Rehearsal};
use super::{among, at_hand, damaged, failed, named, now, of_this_computer, read};
use crate::arguments::backup::Rehearse;
use crate::arguments::{Arguments, Output};
use crate::commands::print_json_of;
use crate::problem::{Done, Problem};
use crate::screen::{PRETEND, paint, remark};
use crate::source::{self, Reading};
use crate::world::Site;

/// How much more there is when a bundle is opened: gzip makes an etcd's snapshot five times smaller, and YAML ten times.
const UNPACKED: u64 = 10;
/// The folder for reports, in that of the cluster in the store.
const REPORTS: &str = "rehearsals";

pub(super) fn run(arguments: &Arguments, wish: &Rehearse) -> Result<Done, Problem> {
    let loadout = read(arguments, &wish.from, wish.output)?;
    let other = wish.into.as_deref().map(|into| throwaway::read(arguments, into, &loadout, wish.output)).transpose()?;
    let began = Instant::now();
    let on_shelf = of_this_computer(&wish.bundle)?.is_none();
    let file = at_hand(arguments, &wish.bundle, &wish.from, &loadout)?;
    let keys = Identities::look(&Sources::of_user());
    if other.is_some() && !wish.isolated {
        throwaway::stays_inside(&wish.bundle, &file, &keys)?;
    }
    let folder = private(&file)?;
    let inside = folder.path().join("bundle");
    let manifest = backup::extract_of(&file, &keys, &inside, &[Kind::Spec, Kind::Datastore]);
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(damage) => {
            let problem = damaged(&wish.bundle, &damage, &keys);
            if on_shelf {
                noted(arguments, wish, &loadout, None, &Rehearsed { at: now(), held: false, saw: damage.to_string() })?;
            }
            return Err(problem);
        }
    };
    let saw = format!("opened by a key that is here; all {} files are what was saved", manifest.files.len());
    let mut parts = vec![Part::real("the bundle is whole", began, Came::Proven, saw)];
    parts.extend(in_the_simulator(arguments, wish, &manifest, &inside));
    parts.push(parts::etcd(wish.etcd.as_deref(), &manifest, &inside));
    match (&wish.into, other) {
        (Some(into), Some(other)) => parts.push(throwaway::part(arguments, wish, into, other, &file)?),
        _ => parts.push(Part::left_out(
            "machines that are thrown away",
            "none were named: `--into FILE` restores into those of another cluster file",
        )),
    }
    let rehearsal = Rehearsal::new(now(), &manifest, parts);
    ended(arguments, wish, &loadout, &rehearsal, on_shelf)
}

/// Tells what came of it, and writes it down: as a report, and beside the bundle.
fn ended(
    arguments: &Arguments,
    wish: &Rehearse,
    loadout: &Loadout,
    rehearsal: &Rehearsal,
    on_shelf: bool,
) -> Result<Done, Problem> {
    match wish.output {
        Output::Json => print_json_of(arguments.simulated.is_some(), rehearsal)?,
        Output::Text => rehearsal.show(),
    }
    let path = wish.report.clone().unwrap_or_else(|| {
        let kept = Site::kept(arguments, &wish.from.file).join(loadout.desired.cluster.as_str()).join(REPORTS);
        kept.join(format!("{}-rehearsed-{}.md", rehearsal.bundle, rehearsal.at.compact()))
    });
    crate::commands::write(&path, rehearsal.page())?;
    if on_shelf {
        let outcome = Rehearsed { at: rehearsal.at, held: rehearsal.held, saw: rehearsal.in_a_sentence() };
        noted(arguments, wish, loadout, Some(&rehearsal.bundle), &outcome)?;
    }
    Ok(if rehearsal.held { Done::Well } else { Done::Unhealthy })
}

/// Writes beside the bundle when it was tried, and what came of it.
fn noted(
    arguments: &Arguments,
    wish: &Rehearse,
    loadout: &Loadout,
    id: Option<&str>,
    outcome: &Rehearsed,
) -> Result<(), Problem> {
    among(arguments, &wish.from, loadout, async |bundles, listed, shelf, _| {
        // `latest` may be another one by now.
        let bundle: BundleName = named(&listed, id.unwrap_or(&wish.bundle), shelf)?.name.clone();
        catalog::rehearsed(bundles, &bundle, outcome).await.map_err(failed)
    })
}

/// A folder that nobody else reads, and that goes when the rehearsal is over.
fn private(bundle: &File) -> Result<Private, Problem> {
    let unmade = |error: std::io::Error| Problem::new(Done::Unfinished, format!("there is no room for it: {error}"));
    let size = bundle.metadata().map_err(unmade)?.len();
    let folder = Private::with_room_for(size.saturating_mul(UNPACKED)).map_err(unmade)?;
    if !folder.in_memory() {
        let place = folder.path().display();
        remark!(
            "there is no room for it in memory: what is opened lies in {place} until the end, and is not wiped from that disk"
        );
    }
    Ok(folder)
}

/// The bundle's own spec, planned and restored twice in a pretend data centre.
fn in_the_simulator(arguments: &Arguments, wish: &Rehearse, manifest: &BundleManifest, inside: &Path) -> Vec<Part> {
    let began = Instant::now();
    let own = spec(&wish.from.file, inside);
    // Servers know no spec, so a bundle that they have made by themselves holds none.
    let name = if own.is_some() { "its spec" } else { "the spec of this computer, since it holds none" };
    let environment = match own {
        Some(_) => manifest.about.environment.as_deref(),
        None => arguments.environment.as_deref().filter(|name| !name.is_empty()),
    };
    let spec = own.unwrap_or_else(|| wish.from.file.clone());
    let reading = Reading { environment, for_program: wish.output == Output::Json, ..Reading::default() };
    let loadout = match source::read(&spec, reading) {
        Ok(loadout) => loadout,
        Err(problem) => return vec![Part::real(name, began, Came::Failed, problem.in_a_line())],
    };
    let kubernetes = &loadout.desired.kubernetes;
    let saw = format!(
        "{} {}, {} machines",
        kubernetes.distribution.title(),
        kubernetes.version,
        loadout.desired.machines.len()
    );
    let came = if kubernetes.distribution == manifest.about.distribution { Came::Proven } else { Came::Failed };
    if arguments.simulated.is_none() && wish.output == Output::Text {
        remark!("{}", paint(PRETEND, "rehearsing the restore in a simulated data centre"));
    }
    let mut parts = vec![Part::real(name, began, came, saw)];
    for (name, anew) in [("a restore on the same machines", false), ("a rebuild on new machines", true)] {
        parts.push(parts::simulated(name, &loadout.desired, manifest, anew));
    }
    parts
}

/// The spec in a bundle: it is called as the one here.
fn spec(here: &Path, inside: &Path) -> Option<PathBuf> {
    let folder = inside.join("spec");
    let of_that_name = here.file_name().map(|name| folder.join(name)).filter(|path| path.is_file());
    of_that_name.or_else(|| Some(folder.join("cluster.yaml")).filter(|path| path.is_file()))
}

/// A file once more from its beginning.
fn again(file: &File) -> Result<File, Problem> {
    file.try_clone().map_err(|error| Problem::new(Done::Unfinished, error.to_string()))
}
