//! `kubewright secrets set`, `rotate` and `add-recipient`.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use kubewright_engine::sops::{Config, KeyPath, SopsError, disk};
use kubewright_model::secret::Secret;
use kubewright_model::source::MAX_BYTES;

use super::{Book, Open, cannot_write, refused};
use crate::arguments::secrets::{AddRecipient, Set, Spec};
use crate::problem::{Done, Problem};
use crate::prompt;
use crate::screen::{counted, remark, say};
use crate::source;

pub(super) fn set(wish: &Set) -> Result<Done, Problem> {
    let key: KeyPath = wish.key.parse().map_err(|why: String| Problem::new(Done::Usage, why))?;
    let mut open = Book::read(&wish.spec)?.open()?;
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
        return Ok(Done::Well);
    }
    open.file.set(&key, &value).map_err(|why| Problem::new(Done::Usage, why))?;
    open.save()?;
    let before = before.filter(|before| !before.expose().is_empty());
    let what = if before.is_some() { "is another one now" } else { "is there now" };
    say!("{key} {what}, in {}", open.path.display());
    Ok(Done::Well)
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

pub(super) fn rotate(wish: &Spec) -> Result<Done, Problem> {
    let book = Book::read(&wish.spec)?;
    let mut open = book.open()?;
    let before = open.file.openers().recipients;
    let wished = &book.file.spec.secrets.recipients;
    let after = if wished.is_empty() { before.clone() } else { wished.clone() };
    open.file.rotate(&after).map_err(|error| {
        let problem = refused(&open.path, &error);
        match error {
            SopsError::Others(_) => problem.hint("`sops rotate --in-place` does it, where those keys are reached"),
            _ => problem,
        }
    })?;
    open.save()?;
    say!("{} has a new key, for {}", open.path.display(), counted(after.len(), "recipient"));
    let gone: Vec<&String> = before.iter().filter(|it| !after.contains(it)).collect();
    gone.iter().for_each(|who| say!("  no more for {who}"));
    after.iter().filter(|it| !before.contains(it)).for_each(|who| say!("  now also for {who}"));
    if !gone.is_empty() {
        remark!(
            "→ who could open it has seen its values, and Git keeps the old file: change the secrets themselves too"
        );
    }
    Ok(Done::Well)
}

pub(super) fn add_recipient(wish: &AddRecipient) -> Result<Done, Problem> {
    let book = Book::read(&wish.spec)?;
    let mut open = book.open()?;
    let added = open.file.add_recipient(&wish.recipient).map_err(|error| {
        let shown = error.to_string();
        Problem::new(Done::Usage, shown).hint("whoever is to be added prints the public key with `age-keygen -y FILE`")
    })?;
    match added {
        true => {
            open.save()?;
            say!("{} is also for {}", open.path.display(), wish.recipient);
        }
        false => say!("{} is for {} already", open.path.display(), wish.recipient),
    }
    in_config(&open, &wish.recipient)?;
    let recipients = open.file.openers().recipients;
    let wished = &book.file.spec.secrets.recipients;
    if !wished.contains(&wish.recipient) {
        let all = if wished.is_empty() { recipients } else { [wished.clone(), vec![wish.recipient.clone()]].concat() };
        remark!("→ in {}, under `secrets`:", book.spec.display());
        remark!("    recipients: [{}]", all.join(", "));
    }
    Ok(Done::Well)
}

/// The rules of the program `sops` get it too, so that it encrypts new files for the same people.
fn in_config(open: &Open, recipient: &str) -> Result<(), Problem> {
    let Some(path) = Config::nearest(&open.path) else { return Ok(()) };
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(()) };
    let name = super::init::relative(&path, &open.path);
    let mut config = Config::read(&text).map_err(|faults| refused(&path, &SopsError::Form(faults)))?;
    match config.recipients(&name) {
        Some(there) if there.iter().any(|it| it == recipient) => return Ok(()),
        _ if config.add_recipient(&name, recipient) => {}
        _ => {
            remark!("{} has no list of age's keys for {name}, and stays as it is", path.display());
            return Ok(());
        }
    }
    disk::write(&path, &config.text()).map_err(|error| cannot_write(&path, &error))?;
    say!("{} says so too", path.display());
    Ok(())
}
