//! `kubewright secrets rotate` and `add-recipient`: who can open the file.

use kubewright_engine::sops::{Config, SopsError, disk};

use super::{Book, Open, cannot_write, refused};
use crate::arguments::secrets::AddRecipient;
use crate::problem::{Done, Problem};
use crate::screen::{counted, remark, say};

pub(super) fn rotate(book: &Book) -> Result<Done, Problem> {
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
    only_these(&open, &after)?;
    if !gone.is_empty() {
        remark!(
            "→ who could open it has seen its values, and Git keeps the old file: change the secrets themselves too"
        );
    }
    Ok(Done::Well)
}

pub(super) fn add(book: &Book, wish: &AddRecipient) -> Result<Done, Problem> {
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
        remark!("→ in {}, under `secrets`:", book.written_in().display());
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

/// Who is not let in any more is none of those for whom the program `sops` encrypts: it would let them in again.
fn only_these(open: &Open, recipients: &[String]) -> Result<(), Problem> {
    let Some(path) = Config::nearest(&open.path) else { return Ok(()) };
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(()) };
    let name = super::init::relative(&path, &open.path);
    let mut config = Config::read(&text).map_err(|faults| refused(&path, &SopsError::Form(faults)))?;
    if !config.keep_recipients(&name, recipients) {
        return Ok(());
    }
    disk::write(&path, &config.text()).map_err(|error| cannot_write(&path, &error))?;
    say!("{} names no others any more", path.display());
    Ok(())
}
