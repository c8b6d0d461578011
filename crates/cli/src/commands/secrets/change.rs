//! `kubewright secrets set` and `remove`.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use kubewright_engine::sops::KeyPath;
use kubewright_engine::{Engine, checkup};
use kubewright_model::diagnostic::nearest;
use kubewright_model::secret::Secret;
use kubewright_model::source::MAX_BYTES;

use super::Book;
use crate::arguments::secrets::{Remove, Set};
use crate::hints::runnable;
use crate::problem::{Done, Problem};
use crate::prompt;
use crate::screen::{remark, say};
use crate::source;

pub(super) fn set(wish: &Set, environment: Option<&str>) -> Result<Done, Problem> {
    let key = place(&wish.key)?;
    let yaml = wish.spec.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    if !yaml && wish.spec != Path::new(source::STANDARD_INPUT) && !wish.spec.exists() {
        // What stands there may be the secret itself, so it is not repeated.
        let problem = Problem::new(Done::Usage, "a value is never an argument: the shell would keep it in its history");
        return Err(problem
            .hint(format!("`kubewright secrets set {}` asks for it; `--file FILE` takes what is in a file", wish.key))
            .hint(
                "what stands behind the key is the spec's file; a secret that was written there is in that history now",
            ));
    }
    let book = Book::read(&wish.spec, environment)?;
    let mut open = book.open()?;
    let value = match &wish.file {
        Some(file) => of_file(file)?,
        None => asked(&key)?,
    };
    if value.expose().is_empty() {
        return Err(Problem::new(Done::Usage, "nothing was given, so nothing is put anywhere"));
    }
    let before = open.file.value(&key).ok();
    if before.as_ref() == Some(&value) {
        say!("{key} is that already");
        unused(&book, &key);
        return Ok(Done::Well);
    }
    if of_talos(&book, &key) {
        may_be_talos(&key, before.as_ref(), &value, wish.yes)?;
    }
    open.file.set(&key, &value).map_err(|why| Problem::new(Done::Usage, why))?;
    open.save()?;
    let before = before.filter(|before| !before.expose().is_empty());
    let what = if before.is_some() { "is another one now" } else { "is there now" };
    say!("{key} {what}, in {}", open.path.display());
    unused(&book, &key);
    Ok(Done::Well)
}

/// Whether a key is the one at which the spec has the secrets of a cluster of Talos.
fn of_talos(book: &Book, key: &KeyPath) -> bool {
    let talos = book.file.spec.kubernetes.talos.as_ref();
    let named = talos.and_then(|talos| talos.secrets.as_ref()?.sops.as_deref());
    named.and_then(|named| named.parse::<KeyPath>().ok()).is_some_and(|named| named == *key)
}

/// Without those secrets nobody speaks to the nodes any more: they are neither replaced by what are none, nor unasked.
fn may_be_talos(key: &KeyPath, before: Option<&Secret>, value: &Secret, yes: bool) -> Result<(), Problem> {
    if let Some(why) = Engine::talos_secrets_fault(value) {
        let what = format!("{key} holds the secrets of the Talos cluster, and what was given are none");
        let hint = "`talosctl gen secrets` writes such a file; nothing was put anywhere";
        return Err(Problem::new(Done::Invalid, what).because(why).hint(hint));
    }
    let stands = before.is_some_and(|before| Engine::talos_secrets_fault(before).is_none());
    if stands && !yes {
        let what =
            format!("{key} holds the secrets of a Talos cluster already: nobody agreed that others replace them");
        let hint = "where no cluster was made of them, or the file holds the same cluster's, add `--yes`";
        return Err(Problem::new(Done::Blocked, what).hint(hint));
    }
    Ok(())
}

/// Takes one value out of the file.
pub(super) fn remove(book: &Book, wish: &Remove) -> Result<Done, Problem> {
    let key = place(&wish.key)?;
    let mut open = book.open()?;
    open.file.remove(&key).map_err(|why| Problem::new(Done::Usage, why))?;
    open.save()?;
    say!("{key} is gone from {}", open.path.display());
    if named(book).contains(&key.to_string()) {
        remark!("→ {} still names it", book.written_in().display());
    }
    remark!("→ Git keeps the old file: change the secret itself too, where it is one that is in use");
    Ok(Done::Well)
}

fn place(key: &str) -> Result<KeyPath, Problem> {
    key.parse().map_err(|why: String| Problem::new(Done::Usage, why))
}

/// The keys that the spec names.
fn named(book: &Book) -> Vec<String> {
    let references = checkup::references(&book.file);
    let keys = references.iter().filter_map(|(_, place)| place.sops.as_deref());
    keys.map(|key| key.parse::<KeyPath>().map_or_else(|_| key.to_string(), |key| key.to_string())).collect()
}

/// Tells of a key that the spec does not name: it may be misspelt.
fn unused(book: &Book, key: &KeyPath) {
    let (key, named) = (key.to_string(), named(book));
    if named.contains(&key) {
        return;
    }
    let near = nearest(&key, named.iter().map(String::as_str));
    let meant = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    remark!("→ {} names no `{key}`{meant}", book.written_in().display());
    remark!(
        "{}",
        runnable(&format!("  where it is a slip, `kubewright secrets remove {}` takes it out", super::word(&key)))
    );
}

/// A file's content, whole.
fn of_file(file: &Path) -> Result<Secret, Problem> {
    let text = source::bounded(file, MAX_BYTES).map_err(|error| {
        let problem = Problem::new(Done::Usage, format!("cannot read {}", file.display()));
        match error.kind() {
            std::io::ErrorKind::InvalidData => problem.because("it is not text").hint("`base64` makes text of it"),
            std::io::ErrorKind::FileTooLarge => problem.because("it is larger than any secret"),
            _ => problem.because(error.to_string()),
        }
    })?;
    Ok(Secret::new(text))
}

/// A value from a person, or from another program; the line feed at its end is no part of it.
fn asked(key: &KeyPath) -> Result<Secret, Problem> {
    if std::io::stdin().is_terminal() {
        return prompt::secret(&key.to_string()).map_err(|why| Problem::new(Done::Usage, why));
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().take(MAX_BYTES as u64).read_to_end(&mut bytes);
    read.map_err(|error| Problem::new(Done::Usage, "cannot read standard input").because(error.to_string()))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Problem::new(Done::Usage, "what comes from standard input is not text"))?;
    Ok(Secret::new(text.strip_suffix('\n').unwrap_or(&text).to_string()))
}
