//! `kubewright backup`: bundles are made, listed, shown, verified, fetched and pruned.

mod list;
mod newest;
mod one;
mod rehearse;
mod schedule;

pub(super) use newest::newest;
use one::of_this_computer;
pub(super) use one::{at_hand, damaged};

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kubewright_engine::Loadout;
use kubewright_engine::backup::catalog::{self, Listed};
use kubewright_engine::backup::shelf::{Bundles, ShelfError};
use kubewright_engine::backup::{self, Asked, Unsaved};
use kubewright_model::bundle::Shelf;
use kubewright_model::units::Moment;

use super::change;
use crate::arguments::Arguments;
use crate::arguments::Output;
use crate::arguments::backup::{Backup, From, Make, Prune, Wish};
use crate::problem::{Done, Problem};
use crate::screen::{BAD, CARE, counted, paint, remark, say};
use crate::source::{self, Reading};
use crate::world::{Site, place as place_of};

/// Where bundles of a pretend world are, in the folder that it is kept in: nothing real is touched.
pub(crate) const PRETEND: &str = "backups";

pub(super) fn run(arguments: &Arguments, backup: &Backup) -> Result<Done, Problem> {
    match &backup.wish {
        None => make(arguments, &backup.make),
        Some(Wish::List(wish)) => list::run(arguments, wish),
        Some(Wish::Show(wish)) => one::show(arguments, wish),
        Some(Wish::Verify(wish)) => one::verify(arguments, wish),
        Some(Wish::Get(wish)) => one::get(arguments, wish),
        Some(Wish::Rehearse(wish)) => rehearse::run(arguments, wish),
        Some(Wish::Prune(wish)) => prune(arguments, wish),
        Some(Wish::Timer(wish)) => schedule::run(arguments, wish),
    }
}

fn now() -> Moment {
    Moment(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

pub(super) fn unsaved(unsaved: Unsaved) -> Problem {
    Problem::new(Done::Blocked, unsaved.why).hint(unsaved.help)
}

fn make(arguments: &Arguments, make: &Make) -> Result<Done, Problem> {
    let loadout = source::read(&make.file, Reading::for_a_plan(arguments, make.output))?;
    let folder = make.file.parent().unwrap_or(Path::new(""));
    let asked = Asked {
        now: now(),
        environment: arguments.environment.clone().filter(|name| !name.is_empty()),
        folder: place(arguments, &make.file, make.to.as_deref())?,
        files: files(arguments, &make.file),
    };
    let mut bundle = backup::bundle(&loadout, folder, &asked).map_err(unsaved)?;
    if make.to.is_none() {
        // That of a pretend world is pruned as the real one would be.
        bundle.keep = loadout.file.spec.backup.as_ref().map(|backup| backup.keep.clone());
    }
    change::backup(arguments, make, bundle, loadout.desired)
}

/// The folder that is asked for, or that of a pretend world. A path is meant from where the command is run.
fn place(arguments: &Arguments, spec: &Path, folder: Option<&Path>) -> Result<Option<PathBuf>, Problem> {
    if let Some(pretend) = &arguments.simulated {
        return Ok(Some(pretend.join(PRETEND)));
    }
    let Some(folder) = folder else { return Ok(None) };
    if spec.parent().is_none_or(|parent| parent.as_os_str().is_empty()) {
        return Ok(Some(folder.to_path_buf()));
    }
    let absolute = std::path::absolute(folder).map_err(|error| Problem::new(Done::Usage, error.to_string()))?;
    Ok(Some(absolute))
}

/// The spec, its environments and their lock files, as they are called in its folder.
fn files(arguments: &Arguments, spec: &Path) -> Vec<String> {
    let folder = spec.parent().unwrap_or(Path::new(""));
    let environments = std::fs::read_dir(folder.join("environments")).into_iter().flatten();
    let environments = environments.filter_map(|entry| Some(entry.ok()?.path()));
    let ends = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "yaml" || ending == "lock");
    let lock = place_of(arguments, spec).lock_file();
    let all = environments.filter(ends).chain([spec.to_path_buf(), spec.with_extension("lock"), lock]);
    let all = all.filter(|path| path.is_file());
    all.filter_map(|path| Some(path.strip_prefix(folder).ok()?.display().to_string())).collect()
}

/// Where bundles of a spec are, and what it says.
fn shelf(arguments: &Arguments, from: &From, loadout: &Loadout) -> Result<Shelf, Problem> {
    let folder = place(arguments, &from.file, from.from.as_deref())?;
    backup::shelf_of(loadout, folder.as_deref()).map_err(unsaved)
}

fn read(arguments: &Arguments, from: &From, output: Output) -> Result<Loadout, Problem> {
    source::read(&from.file, Reading { asks_hosts: false, ..Reading::of(arguments, output) })
}

fn closed(shelf: &Shelf) -> impl Fn(String) -> Problem {
    move |why| Problem::new(Done::Unfinished, format!("bundles in {shelf} cannot be reached")).because(why)
}

fn failed(error: ShelfError) -> Problem {
    Problem::new(Done::Unfinished, error.to_string())
}

/// Looks at the bundles of a spec, and does something with them.
fn with_bundles<T>(
    arguments: &Arguments,
    from: &From,
    output: Output,
    work: impl AsyncFnOnce(&dyn Bundles, Vec<Listed>, &Shelf, &Loadout) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let loadout = read(arguments, from, output)?;
    among(arguments, from, &loadout, work)
}

/// Looks at the bundles of a spec that was read, and does something with them.
fn among<T>(
    arguments: &Arguments,
    from: &From,
    loadout: &Loadout,
    work: impl AsyncFnOnce(&dyn Bundles, Vec<Listed>, &Shelf, &Loadout) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let shelf = shelf(arguments, from, loadout)?;
    Site::look(arguments, &from.file, &loadout.desired, async |site| {
        let bundles = site.engine.bundles(&shelf).map_err(closed(&shelf))?;
        let listed = catalog::list(&*bundles, &loadout.desired.cluster).await;
        let listed = listed.map_err(|error| closed(&shelf)(error.to_string()))?;
        work(&*bundles, listed, &shelf, loadout).await
    })
}

/// The bundle that a word names.
fn named<'l>(listed: &'l [Listed], word: &str, shelf: &Shelf) -> Result<&'l Listed, Problem> {
    let found = match word {
        "latest" => listed.first(),
        name => listed.iter().find(|bundle| [bundle.name.file(), bundle.name.id()].contains(&name)),
    };
    found.ok_or_else(|| {
        let what = if word == "latest" { "no bundle".to_string() } else { format!("no bundle `{word}`") };
        Problem::new(Done::Usage, format!("there is {what} of this cluster in {shelf}"))
            .hint("`kubewright backup list` lists them")
    })
}

fn prune(arguments: &Arguments, wish: &Prune) -> Result<Done, Problem> {
    with_bundles(arguments, &wish.from, Output::Text, async |bundles, listed, shelf, loadout| {
        let Some(backup) = &loadout.file.spec.backup else {
            return Err(Problem::new(Done::Blocked, "the spec does not say how many bundles are kept")
                .hint("write `backup.keep` in the spec"));
        };
        let gone = catalog::surplus(&listed, &backup.keep);
        if gone.is_empty() {
            say!("nothing goes: all {} are kept", counted(listed.len(), "bundle"));
            return Ok(Done::Well);
        }
        gone.iter().for_each(|bundle| say!("{} {}  {}", paint(BAD, "-"), bundle.name, bundle.made));
        let left = listed.len() - gone.len();
        remark!("{} of {} go from {shelf}, {left} stay", gone.len(), counted(listed.len(), "bundle"));
        if !wish.yes {
            change::agreed_to(&format!("{} delete {}? [y/N]", paint(CARE, "?"), counted(gone.len(), "bundle")))?;
        }
        for bundle in gone {
            catalog::delete(bundles, &bundle.name).await.map_err(failed)?;
            remark!("deleted {}", bundle.name);
        }
        Ok(Done::Well)
    })
}
