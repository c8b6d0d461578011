//! What shells complete beyond the words of the command line: names that a spec and what is kept beside it know.
//!
//! The script that `kubewright completions` prints asks the program itself. What it answers comes from files of this
//! computer alone, because nobody waits for a network when a key is pressed; and whatever is missing or broken completes to
//! nothing, without a word, because there is a line on the screen that is being written.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command, CommandFactory as _};
use clap_complete::env::Shells;
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate, Shell};
use kubewright_engine::site::{ENVIRONMENTS, Place, STANDARD_INPUT};
use kubewright_engine::store::Store as _;
use kubewright_engine::store::folder::FolderStore;
use kubewright_engine::{Engine, Loadout, backup, spec_file};
use kubewright_model::bundle::{BundleName, Shelf};
use kubewright_model::desired::Desired;
use kubewright_model::plan::Stage;

use crate::arguments::Arguments;
use crate::source::Texts;

/// The variable by which a shell's script asks; its own, because `COMPLETE` may be anybody's.
const ASKS: &str = "KUBEWRIGHT_COMPLETE";
/// How scripts call the program: as it is found on the PATH, wherever it is moved.
const PROGRAM: &str = "kubewright";
/// Roles that `--on` takes, and all of them.
const ROLES: [&str; 4] = ["server", "agent", "loadBalancer", "all"];

/// Answers a shell that asks what completes a command, and ends the program then.
pub(crate) fn answer() {
    CompleteEnv::with_factory(
        || if begun().is_empty() { unflagged(Arguments::command()) } else { Arguments::command() },
    )
    .var(ASKS)
    .complete();
}

/// The word that is to be completed, as far as it is written. Some shells say which of the words it is; for the others it is
/// the last.
fn begun() -> OsString {
    let mut words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let at = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|at| at.parse().ok());
    let at: usize = at.unwrap_or(words.len().saturating_sub(1));
    // Zsh leaves out a word of which nothing is written.
    if at < words.len() { words.swap_remove(at) } else { OsString::new() }
}

/// The command with its flags where nobody has to read them: who wants one begins the word with `-`, and who does not has
/// commands and names before them. Where there is nothing else, flags are what is left.
fn unflagged(command: Command) -> Command {
    let command = command.disable_help_flag(true).disable_version_flag(true);
    let command = command.mut_args(|arg| if arg.is_positional() { arg } else { arg.hide(true) });
    command.mut_subcommands(unflagged)
}

/// The script that makes a shell ask.
///
/// # Errors
///
/// The shell has no script.
pub(crate) fn script(shell: Shell) -> std::io::Result<Vec<u8>> {
    let shells = Shells::builtins();
    let known = shells.completer(&shell.to_string());
    let known = known.ok_or_else(|| std::io::Error::other(format!("nobody completes in {shell}")))?;
    let mut script = Vec::new();
    known.write_registration(ASKS, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    Ok(script)
}

/// Nodes, and hosts of load balancers.
pub(crate) fn nodes() -> ArgValueCandidates {
    of_spec(|desired, _| node_names(desired))
}

/// Pools of machines.
pub(crate) fn pools() -> ArgValueCandidates {
    of_spec(|desired, _| pool_names(desired))
}

/// Where a program runs: nodes, pools, roles.
pub(crate) fn places() -> ArgValueCandidates {
    of_spec(|desired, _| {
        let roles = ROLES.map(String::from);
        node_names(desired).into_iter().chain(pool_names(desired)).chain(roles).collect()
    })
}

/// What a plan is narrowed to: stages are known without a spec.
pub(crate) fn stages_and_nodes() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let nodes = Line::read().and_then(|line| Some(node_names(&line.loadout()?.desired))).unwrap_or_default();
        candidates(Stage::ALL.iter().map(|stage| stage.word().to_string()).chain(nodes))
    })
}

/// Runs of the cluster, newest first.
pub(crate) fn runs() -> ArgValueCandidates {
    of_spec(|desired, line| {
        let runs = FolderStore::new(line.place.kept()).runs(&desired.cluster).unwrap_or_default();
        let newest = runs.iter().rev().map(ToString::to_string);
        std::iter::once("last".to_string()).chain(newest).collect()
    })
}

/// Bundles of the cluster that are in a folder of this computer, newest first.
pub(crate) fn bundles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let kept = Line::read().and_then(|line| line.bundles()).unwrap_or_default();
        candidates(std::iter::once("latest".to_string()).chain(kept))
    })
}

/// Environments beside the spec.
pub(crate) fn environments() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let folder = Line::read().map(|line| line.place.folder().join(ENVIRONMENTS));
        let files = file_names(&folder.unwrap_or_default());
        let mut names: Vec<String> = files.iter().filter_map(|name| Some(name.strip_suffix(".yaml")?.into())).collect();
        names.sort();
        candidates(names)
    })
}

fn of_spec(names: fn(&Desired, &Line) -> Vec<String>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let told = Line::read().and_then(|line| Some(names(&line.loadout()?.desired, &line)));
        candidates(told.unwrap_or_default())
    })
}

/// The same name comes once; shells show them in this order.
fn candidates(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    let ordered = all.into_iter().enumerate();
    ordered.map(|(at, name)| CompletionCandidate::new(name).display_order(Some(at))).collect()
}

fn node_names(desired: &Desired) -> Vec<String> {
    desired.hosts.iter().filter(|host| host.machine.is_some()).map(|host| host.name.to_string()).collect()
}

fn pool_names(desired: &Desired) -> Vec<String> {
    desired.machines.iter().map(|machine| machine.pool.to_string()).collect()
}

/// Files of a folder; none where there is no such folder.
fn file_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// A command line as far as it is written.
struct Line {
    place: Place,
    /// The folder of bundles that it names.
    from: Option<PathBuf>,
}

impl Line {
    /// Reads the words that a shell gives behind `--`; what is wrong or missing among them is not judged yet.
    fn read() -> Option<Self> {
        let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
        Self::of(&Arguments::command().ignore_errors(true).try_get_matches_from(words).ok()?)
    }

    fn of(matches: &ArgMatches) -> Option<Self> {
        let levels: Vec<&ArgMatches> =
            std::iter::successors(Some(matches), |level| level.subcommand().map(|(_, deeper)| deeper)).collect();
        // A command says it nearest to its end; one that has no such argument is no error.
        let path = |id: &str| levels.iter().rev().find_map(|level| level.try_get_one::<PathBuf>(id).ok()?.cloned());
        let environment =
            levels.iter().rev().find_map(|level| level.try_get_one::<String>("environment").ok()?.cloned());
        let spec = path("file").unwrap_or_else(|| "cluster.yaml".into());
        // Nobody waits for standard input, nor for a pipe.
        let read = spec != Path::new(STANDARD_INPUT);
        read.then(|| Self { place: Place { spec, environment, simulated: path("simulated") }, from: path("from") })
    }

    /// What the spec says, if it is right.
    fn loadout(&self) -> Option<Loadout> {
        if !self.place.spec.is_file() {
            return None;
        }
        let texts = Texts::open(&self.place.spec, self.place.environment.as_deref()).ok()?;
        Engine::load_for(self.place.folder(), &texts.spec, texts.environment()).ok()
    }

    fn bundles(&self) -> Option<Vec<String>> {
        let loadout = self.loadout()?;
        let cluster = &loadout.desired.cluster;
        let named = match &self.place.simulated {
            Some(pretend) => Some(pretend.join(crate::commands::PRETEND_BUNDLES)),
            None => self.from.clone(),
        };
        let folder = match named {
            Some(folder) => folder,
            None => match backup::shelf_of(&loadout, None).ok()? {
                Shelf::Folder(folder) => spec_file(&std::env::home_dir()?, self.place.folder(), &folder),
                Shelf::S3(_) | Shelf::Sftp(_) => return None,
            },
        };
        let files = file_names(&folder);
        let mut bundles: Vec<BundleName> =
            files.iter().filter_map(|file| Some(BundleName::parse(cluster, file)?.0)).collect();
        bundles.sort();
        Some(bundles.iter().rev().map(|bundle| bundle.file().to_string()).collect())
    }
}
