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
use kubewright_planner::rules;

use self::forms::Sight;
use crate::Loadout;
use crate::holes;

/// Files that are read at most: more than the secrets of any cluster.
const MAX_FILES: usize = 5_000;
/// Larger files are no secrets that people wrote.
const MAX_BYTES: u64 = 256 * 1024;
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

    /// A file as whoever stands in the spec's folder names it.
    fn named(&self, file: &Path) -> String {
        let path = self.top.join(file);
        match path.strip_prefix(&self.folder) {
            Ok(inside) => inside.display().to_string(),
            Err(_) => path.display().to_string(),
        }
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
    let (mut found, mut more) = (Vec::new(), 0);
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
        let begun = secrets.sops_file.is_some();
        found.push(refusal(path, &repository.named(file), sight, folder, begun));
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
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > MAX_BYTES {
        return None;
    }
    String::from_utf8(bytes).ok()
}

fn refusal(path: SpecPath, file: &str, sight: Sight, folder: &Path, begun: bool) -> Diagnostic {
    // As whoever runs the commands names it, which is where the spec's own path begins too.
    let here = folder.join(file).display().to_string();
    let message = format!("{here}, line {}: {}, in clear text and in Git", sight.line, sight.what);
    let mut help = vec![sight.advice.unwrap_or("move it, then write `{ sops: KEY }` where it is used:").to_string()];
    if !begun && !sight.moves.is_empty() {
        help.push("kubewright secrets init   # makes the SOPS file".into());
    }
    help.extend(sight.moves.iter().map(|key| match sight.whole {
        true => format!("kubewright secrets set {} --file {}", quoted(key), quoted(&here)),
        false => format!("kubewright secrets set {}   # asks for the value", quoted(key)),
    }));
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
