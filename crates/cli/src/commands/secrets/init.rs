//! `kubewright secrets init`: a key, a file, and rules for the program `sops`.

use std::path::{Path, PathBuf};

use kubewright_engine::sops::{self, CONFIG, Config, Form, Identities, KeyPath, SopsError, SopsFile, Sources, disk};
use kubewright_engine::{Engine, checkup};
use kubewright_model::secret::Secret;

use super::{Book, Open, cannot_write, closed, now, refused, save, word};
use crate::arguments::secrets::Init;
use crate::hints::runnable;
use crate::problem::{Done, Problem};
use crate::screen::{quoted, remark, say};

/// The file where the spec names none.
const FILE: &str = "secrets.sops.yaml";

pub(super) fn run(book: &Book, wish: &Init) -> Result<Done, Problem> {
    let path = book.named().unwrap_or_else(|| book.folder.join(usual(book)));
    let form = Form::of(&path).map_err(|error| refused(&path, &error))?;
    let sources = Sources::of_user();
    let mut identities = Identities::look(&sources);
    let wished = if wish.recipients.is_empty() { &book.file.spec.secrets.recipients } else { &wish.recipients };
    let mut recipients = wished.clone();
    if recipients.is_empty() && !path.exists() {
        if identities.recipients().is_empty() {
            make_key(&sources)?;
            identities = Identities::look(&sources);
        }
        recipients = identities.recipients();
    }
    if path.exists() {
        recipients = there(book, &path, form, &identities)?;
    } else {
        begin(book, &path, form, &recipients)?;
    }
    if !recipients.iter().any(|who| identities.recipients().contains(who)) {
        remark!("→ none of your own keys opens it: {}", identities.told().join("; "));
    }
    rules(&path, &recipients)?;
    lines(book, &path, &recipients);
    Ok(Done::Well)
}

/// The file where the spec names none; each environment that names none has one of its own.
fn usual(book: &Book) -> String {
    book.on_top.as_ref().map_or_else(|| FILE.to_string(), |(name, _)| format!("secrets.{name}.sops.yaml"))
}

/// A file that is there stays; for whom it is.
fn there(book: &Book, path: &Path, form: Form, identities: &Identities) -> Result<Vec<String>, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::new(Done::Usage, format!("cannot read {}", path.display())).because(error.to_string())
    })?;
    let openers = sops::openers(form, &text).map_err(|error| match error {
        SopsError::Clear => refused(path, &error).hint(
            "rename it, run this again, put each value in with `kubewright secrets set`, and remove the clear one",
        ),
        error => closed(path, &error),
    })?;
    let opened = SopsFile::open(form, &text, identities).ok();
    say!("{} is there already{}", path.display(), if opened.is_some() { ", and opens" } else { "" });
    if let Some(file) = opened {
        let mut open = Open { path: path.to_path_buf(), text, file };
        if talos(book, &mut open.file)? {
            open.save()?;
        }
    }
    Ok(openers.recipients)
}

/// A private key for who has none, where `sops` looks for it.
fn make_key(sources: &Sources) -> Result<(), Problem> {
    let place = sources.file.as_deref().or(sources.own.as_deref()).ok_or_else(|| {
        Problem::new(Done::Usage, "there is no private key of age, and no home folder to keep one in")
            .hint("set SOPS_AGE_KEY_FILE to where it should be")
    })?;
    let (key, public) = sops::generate(&sops::rfc3339(now()));
    disk::add_key(place, &key).map_err(|error| cannot_write(place, &error))?;
    say!("made a private key of age in {}: only you read it", place.display());
    say!("  its public half is {public}");
    remark!("→ keep a copy of {} in a safe place: without it nobody opens your secrets again", quoted(place));
    Ok(())
}

/// The file, with an empty value for every key that the spec names.
fn begin(book: &Book, path: &Path, form: Form, recipients: &[String]) -> Result<(), Problem> {
    let empty = if form == Form::Json { "{}" } else { "" };
    let failed = |error: SopsError| match error {
        SopsError::Recipient(why) => Problem::new(Done::Usage, why),
        error => refused(path, &error),
    };
    let mut file = SopsFile::begin(form, empty, recipients).map_err(failed)?;
    let references = checkup::references(&book.file);
    for key in references.iter().filter_map(|(_, place)| place.sops.as_deref()) {
        let placed = key.parse::<KeyPath>().and_then(|key| file.set(&key, &Secret::new(String::new())));
        placed.unwrap_or_else(|why| remark!("the key `{key}` of the spec is left out: {why}"));
    }
    talos(book, &mut file)?;
    save(path, &file)?;
    say!("wrote {}, for {}", path.display(), recipients.join(", "));
    let places = file.places();
    for (key, _) in places.iter().filter(|(_, empty)| *empty) {
        remark!("→ {}", runnable(&format!("kubewright secrets set {}", word(&key.to_string()))));
    }
    if places.is_empty() {
        remark!("→ {}", runnable("kubewright secrets set KEY"));
    }
    Ok(())
}

/// What a new cluster of Talos is made of, where the spec has it in this file and nothing is there yet; says whether it was.
fn talos(book: &Book, file: &mut SopsFile) -> Result<bool, Problem> {
    let talos = book.file.spec.kubernetes.talos.as_ref();
    let Some(key) = talos.and_then(|talos| talos.secrets.as_ref()?.sops.as_deref()) else { return Ok(false) };
    let Ok(place) = key.parse::<KeyPath>() else { return Ok(false) };
    if file.value(&place).is_ok_and(|value| !value.expose().is_empty()) {
        return Ok(false);
    }
    let made = Engine::new_talos_secrets();
    let made =
        made.map_err(|why| Problem::new(Done::Unfinished, "the secrets of Talos cannot be made").because(why))?;
    file.set(&place, &made).map_err(|why| Problem::new(Done::Usage, why))?;
    say!("made the secrets of a new Talos cluster, under {place}");
    let other = format!("`kubewright secrets set {} --file secrets.yaml --yes`", word(key));
    remark!("→ {}", runnable(&format!("a cluster that stands already has its own, which take their place: {other}")));
    Ok(true)
}

/// A file's name as rules in that folder see it.
pub(super) fn relative(config: &Path, file: &Path) -> String {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    let folder = config.parent().unwrap_or(Path::new(""));
    file.strip_prefix(folder).unwrap_or(&file).display().to_string()
}

/// Rules for the program `sops`: whoever uses it encrypts for the same people. Those that are there stay.
fn rules(path: &Path, recipients: &[String]) -> Result<(), Problem> {
    let nearest = Config::nearest(path);
    let at: PathBuf = nearest.clone().unwrap_or_else(|| path.with_file_name(CONFIG));
    let name = relative(&std::path::absolute(&at).unwrap_or_else(|_| at.clone()), path);
    let config = match nearest {
        None => Config::for_file(&name, recipients),
        Some(at) => {
            let text = std::fs::read_to_string(&at).map_err(|error| {
                Problem::new(Done::Usage, format!("cannot read {}", at.display())).because(error.to_string())
            })?;
            let mut config = Config::read(&text).map_err(|faults| refused(&at, &SopsError::Form(faults)))?;
            if let Some(there) = config.recipients(&name) {
                let differs = there.iter().any(|it| !recipients.contains(it)) || there.len() != recipients.len();
                let but = if differs { format!(", for others: {}", there.join(", ")) } else { String::new() };
                say!("{} has a rule for it already{but}", at.display());
                return Ok(());
            }
            config.add_rule(&name, recipients);
            config
        }
    };
    disk::write(&at, &config.text()).map_err(|error| cannot_write(&at, &error))?;
    say!("wrote {}, by which the program sops goes too", at.display());
    Ok(())
}

/// What the spec lacks.
fn lines(book: &Book, path: &Path, recipients: &[String]) {
    let secrets = &book.file.spec.secrets;
    let mut lines = Vec::new();
    if secrets.sops_file.is_none() {
        lines.push(format!("sopsFile: {}", path.file_name().unwrap_or_default().to_string_lossy()));
    }
    if secrets.recipients.is_empty() && !recipients.is_empty() {
        lines.push(format!("recipients: [{}]", recipients.join(", ")));
    }
    if !lines.is_empty() {
        remark!("→ in {}, under `spec`:", book.written_in().display());
        remark!("    secrets:");
        lines.iter().for_each(|line| remark!("      {line}"));
    }
}
