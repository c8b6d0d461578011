//! Secrets in clear text in the Git repository of a spec: found before anything else is done, and refused.
//!
//! Git tells which files it keeps; those that may hold a secret are read, as far as they are small. Below the spec's folder
//! that is every file of a form that secrets come in; elsewhere in the repository what is below a `.secrets/`, and what the spec
//! names itself.

mod forms;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::secret::Secret;
use kubewright_planner::rules;

use self::forms::{Move, Sight};
use crate::Loadout;
use crate::holes;
use crate::places::Places;
use crate::sops::Sources;

/// Files that are read at most: more than the secrets of any cluster.
const MAX_FILES: usize = 5_000;
/// Larger files are no secrets that people wrote.
const MAX_BYTES: u64 = 256 * 1024;
/// Terraform's state has all machines in it.
const MAX_STATE: u64 = 4 * 1024 * 1024;
/// Files that are told of; the rest is counted.
const TOLD: usize = 20;
/// The folder in which people keep what is not encrypted.
const SECRETS: &str = ".secrets";

/// Everything in clear text that Git keeps, for a spec in this folder.
pub fn found(loadout: &Loadout, folder: &Path) -> Vec<Diagnostic> {
    let Some(repository) = Repository::around(folder) else { return Vec::new() };
    let mut found = match repository.files() {
        Ok(files) => sights(loadout, folder, &repository, &files),
        Err(why) => vec![unread(why)],
    };
    loadout.places.locate(&mut found);
    found
}

fn unread(why: String) -> Diagnostic {
    let message = format!("whether secrets lie in Git in clear text was not looked at: {why}");
    Diagnostic::new(codes::GIT_UNREAD, at(&["secrets"]), message)
        .help("nothing else needs Git; `kubewright secrets check` looks again")
}

fn at(segments: &[&str]) -> SpecPath {
    segments.iter().fold(SpecPath::root().then("spec"), |path, segment| path.then(*segment))
}

/// A repository of Git, by the folder that holds it.
struct Repository {
    top: PathBuf,
    /// The spec's folder.
    folder: PathBuf,
}

impl Repository {
    /// The one that a folder is in.
    fn around(folder: &Path) -> Option<Self> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let folder = folder.canonicalize().ok()?;
        let top = folder.ancestors().find(|folder| folder.join(".git").exists())?.to_path_buf();
        Some(Self { top, folder })
    }

    /// The files that it keeps, relative to its top. The program says so, for nobody else reads an index in every form.
    fn files(&self) -> Result<Vec<PathBuf>, String> {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.top).args(["ls-files", "-z"]);
        // Another repository may be meant by these, where a hook of Git runs us.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(name);
        }
        let ran = git.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
            ErrorKind::NotFound => "there is no program `git` here".to_string(),
            _ => format!("`git` cannot be started: {error}"),
        })?;
        if !ran.status.success() {
            let said = String::from_utf8_lossy(&ran.stderr);
            return Err(format!(
                "`git ls-files` in {} said: {}",
                self.top.display(),
                said.lines().next().unwrap_or_default()
            ));
        }
        let names = ran.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned())).collect())
    }

    /// A file of the spec's, relative to the top; none where it is elsewhere.
    fn relative(&self, named: &str) -> Option<PathBuf> {
        let path = holes::path(named, &self.folder);
        let real = path.canonicalize().unwrap_or(path);
        real.strip_prefix(&self.top).ok().map(Path::to_path_buf)
    }

    /// A file as whoever stands in the spec's folder names it: relative, so that it is the same in every copy.
    fn named(&self, file: &Path) -> String {
        let inside = self.folder.strip_prefix(&self.top).unwrap_or(Path::new(""));
        let alike = inside.components().zip(file.components()).take_while(|(one, other)| one == other).count();
        let up = inside.components().skip(alike).map(|_| Component::ParentDir);
        up.chain(file.components().skip(alike)).collect::<PathBuf>().display().to_string()
    }
}

fn sights(loadout: &Loadout, folder: &Path, repository: &Repository, files: &[PathBuf]) -> Vec<Diagnostic> {
    let secrets = &loadout.file.spec.secrets;
    let allowed: Vec<PathBuf> = secrets.clear_text.iter().filter_map(|named| repository.relative(named)).collect();
    // A certificate's public half may be named by a reference, and is no secret.
    let mut named: BTreeMap<PathBuf, SpecPath> = BTreeMap::new();
    for (path, reference) in rules::references(&loadout.file) {
        let file = reference.file.as_deref().and_then(|file| repository.relative(file));
        named.extend(file.map(|file| (file, path.then("file"))));
    }
    let sops = secrets.sops_file.as_deref().and_then(|file| repository.relative(file));
    let below = repository.folder.strip_prefix(&repository.top).unwrap_or(Path::new(""));
    let of_interest = |file: &&PathBuf| {
        let kept = file.components().any(|part| part == Component::Normal(SECRETS.as_ref()));
        let ours = kept || (file.starts_with(below) && forms::may_hold(file));
        (ours || named.contains_key(*file) || sops.as_ref() == Some(*file)) && !allowed.contains(*file)
    };
    let (mut found, mut more, mut known) = (Vec::new(), 0, None);
    for (number, file) in files.iter().filter(of_interest).enumerate() {
        if number == MAX_FILES {
            found.push(unread(format!("after the first {MAX_FILES} files that could hold one")));
            break;
        }
        // What is deleted and not committed yet, or no text, is none that could be moved.
        let Some(text) = text(&repository.top.join(file)) else { continue };
        let by_reference = named.get(file);
        let sight = match by_reference {
            Some(_) => forms::named(file, &text),
            None if sops.as_ref() == Some(file) => forms::sops(file, &text),
            None => forms::sight(file, &text),
        };
        let Some(sight) = sight else { continue };
        if found.len() >= TOLD {
            more += 1;
            continue;
        }
        let path = by_reference.cloned().unwrap_or_else(|| at(&["secrets"]));
        let known = known.get_or_insert_with(|| Known::of(loadout, folder));
        found.push(refusal(path, &repository.named(file), sight, folder, known));
    }
    if more > 0 {
        found.push(Diagnostic::new(
            codes::SECRET_IN_GIT,
            at(&["secrets"]),
            format!("and {more} files more like these"),
        ));
    }
    found
}

/// A small file's text.
fn text(path: &Path) -> Option<String> {
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let most = if path.to_string_lossy().contains(".tfstate") { MAX_STATE } else { MAX_BYTES };
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(most + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > most {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// What the spec and its SOPS file have already.
struct Known {
    /// The spec names a SOPS file.
    begun: bool,
    /// Where the spec names a key of that file, and which.
    named: BTreeMap<String, String>,
    /// Values in it, and their keys; none where it does not open.
    values: Vec<(Secret, String)>,
}

/// Where a value is to be.
enum Goes {
    /// It is there already.
    Kept(String),
    /// Under a key that the spec names.
    Named(String),
    /// Under a key that the spec has to name first.
    New(String),
}

impl Known {
    fn of(loadout: &Loadout, folder: &Path) -> Self {
        let references = rules::references(&loadout.file);
        let named = references.into_iter().filter_map(|(path, place)| Some((path.to_string(), place.sops?)));
        let places = Places::new(folder.to_path_buf(), &loadout.desired, Sources::of_user());
        let opened = places.opened().ok();
        let values = opened.iter().flat_map(|file| {
            let keys = file.places().into_iter().filter(|(_, empty)| !empty);
            keys.filter_map(|(key, _)| Some((file.value(&key).ok()?, key.to_string()))).collect::<Vec<_>>()
        });
        let begun = loadout.file.spec.secrets.sops_file.is_some();
        Self { begun, named: named.collect(), values: values.collect() }
    }

    fn goes(&self, it: &Move) -> Goes {
        let same = |value: &Secret| value.expose().trim_end() == it.value.expose().trim_end();
        if let Some((_, key)) = self.values.iter().find(|(value, _)| same(value)) {
            return Goes::Kept(key.clone());
        }
        match it.place.as_ref().and_then(|place| self.named.get(place)) {
            Some(key) => Goes::Named(key.clone()),
            None => Goes::New(it.key.clone()),
        }
    }
}

/// What moves a secret into the SOPS file, as far as it is not there already.
fn moving(sight: &Sight, here: &str, known: &Known) -> Vec<String> {
    let goes: Vec<Goes> = sight.moves.iter().map(|it| known.goes(it)).collect();
    let kept: Vec<String> =
        goes.iter().filter_map(|it| if let Goes::Kept(key) = it { Some(format!("`{key}`")) } else { None }).collect();
    if !kept.is_empty() && kept.len() == goes.len() {
        return vec![format!("the SOPS file has it already, as {}:", kept.join(", "))];
    }
    let all_named = !goes.is_empty() && goes.iter().all(|it| !matches!(it, Goes::New(_)));
    let advice = match (&sight.advice, all_named) {
        (_, true) => "put it in the SOPS file, where the spec looks for it:",
        (Some(advice), false) => advice,
        (None, false) => "move it, then write `{ sops: KEY }` where it is used:",
    };
    let mut help = vec![advice.to_string()];
    if !known.begun && !sight.moves.is_empty() {
        help.push("kubewright secrets init   # makes the SOPS file".into());
    }
    help.extend(goes.iter().filter_map(|it| match (it, sight.whole) {
        (Goes::Kept(_), _) => None,
        (Goes::Named(key) | Goes::New(key), true) => {
            Some(format!("kubewright secrets set {} --file {}", quoted(key), quoted(here)))
        }
        (Goes::Named(key) | Goes::New(key), false) => {
            Some(format!("kubewright secrets set {}   # asks for the value", quoted(key)))
        }
    }));
    help
}

/// A path without what goes up again: `clusters/dev/../../.secrets` is `.secrets`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        let last = tidy.components().next_back();
        match (part, last) {
            (Component::ParentDir, Some(Component::Normal(_))) => drop(tidy.pop()),
            _ => tidy.push(part),
        }
    }
    tidy
}

fn refusal(path: SpecPath, file: &str, sight: Sight, folder: &Path, known: &Known) -> Diagnostic {
    // As whoever runs the commands names it, which is where the spec's own path begins too.
    let here = tidy(&folder.join(file)).display().to_string();
    let message = format!("{here}, line {}: {}, in clear text and in Git", sight.line, sight.what);
    let mut help = moving(&sight, &here, known);
    let inside = match folder.as_os_str().is_empty() {
        true => String::new(),
        false => format!(" -C {}", quoted(&folder.display().to_string())),
    };
    help.push(format!("git{inside} rm --cached {}   # and remove the file, or name it in .gitignore", quoted(file)));
    help.push("then change the secret where it was given out: Git's history keeps this one".into());
    help.push(format!("a file that only looks so is named in `secrets.clearText: [{file}]`"));
    Diagnostic::new(codes::SECRET_IN_GIT, path, message).help(help.join("\n"))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+:@".contains(c));
    if plain && !word.is_empty() { word.to_string() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
