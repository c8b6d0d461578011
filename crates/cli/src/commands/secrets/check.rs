//! `kubewright secrets check`: is every secret of the spec there? No value is shown.

use std::path::Path;

use kubewright_engine::checkup::{Checkup, FileState, SecretState, checkup};
use kubewright_engine::places::Places;
use kubewright_engine::sops::Sources;
use kubewright_engine::{Engine, cleartext};
use kubewright_model::diagnostic::{Diagnostic, Severity};
use serde::Serialize;

use crate::arguments::Output;
use crate::arguments::secrets::Check;
use crate::commands::print_json;
use crate::hints::{self, runnable};
use crate::problem::{Done, Problem};
use crate::screen::{BAD, CARE, DIM, GOOD, HEAD, counted, paint, say};
use crate::source::Texts;

/// The answer, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    healthy: bool,
    #[serde(flatten)]
    checkup: &'a Checkup,
    /// Secrets in clear text in Git.
    clear_text: &'a [Diagnostic],
}

pub(super) fn run(environment: Option<&str>, wish: &Check) -> Result<Done, Problem> {
    let texts = Texts::open(&wish.spec, environment)?;
    let folder = wish.spec.parent().unwrap_or(Path::new(""));
    let loadout = Engine::load_for(folder, &texts.spec, texts.environment()).map_err(|mut found| {
        hints::complete(&mut found);
        texts.show(&found);
        Problem::told(Done::Invalid)
    })?;
    let mut found = cleartext::found(&loadout, folder);
    hints::complete(&mut found);
    let places = Places::new(folder.to_path_buf(), &loadout.desired, Sources::of_user());
    let checkup = checkup(&loadout.file, &loadout.desired, &places);
    let open = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    let healthy = checkup.healthy() && !open;
    match wish.output {
        Output::Json => print_json(&Told { healthy, checkup: &checkup, clear_text: &found })?,
        Output::Text => {
            checkup.secrets.iter().for_each(secret);
            checkup.file.iter().for_each(file);
            texts.show(&found);
            let missing = checkup.secrets.iter().filter(|secret| !secret.there).count();
            say!(
                "{}, {}",
                counted(checkup.secrets.len(), "secret"),
                match missing {
                    0 => paint(GOOD, "all there"),
                    missing => paint(BAD, format!("{missing} missing")),
                }
            );
        }
    }
    Ok(if healthy { Done::Well } else { Done::Unhealthy })
}

fn secret(secret: &SecretState) {
    let mark = if secret.there { paint(GOOD, "✓") } else { paint(BAD, "✗") };
    let why = match (&secret.why, secret.there) {
        (Some(why), true) => paint(DIM, format!("  {why}")),
        (Some(why), false) => format!("\n    {}", paint(BAD, why)),
        (None, _) => String::new(),
    };
    say!("{mark} {}  {}{why}", secret.named_at, paint(DIM, &secret.place));
}

fn file(file: &FileState) {
    say!("{}", paint(HEAD, &file.name));
    if let Some(why) = &file.closed {
        say!("  {} {}", paint(BAD, "✗"), runnable(why));
    }
    // Whether it is opened by them nobody knows here, where it does not open.
    let opened = if file.closed.is_some() { "for" } else { "opened by" };
    for who in &file.recipients {
        let strange = if file.only_in_file.contains(who) {
            let help = "  the spec does not name it: add it to `recipients` there, or `kubewright secrets rotate` takes it out";
            paint(BAD, runnable(help))
        } else {
            String::new()
        };
        say!("  {opened} {who}{strange}");
    }
    file.others.iter().for_each(|who| say!("  {opened} {who}"));
    for who in &file.only_in_spec {
        let help = runnable(&format!("`kubewright secrets add-recipient {who}`"));
        say!("  {} {who} is in the spec and cannot open it: {help}", paint(BAD, "✗"));
    }
    for who in &file.only_in_config {
        let help = runnable("`kubewright secrets rotate` takes it out there too");
        say!("  {} {who} is in .sops.yaml alone, by which the program sops lets it in: {help}", paint(BAD, "✗"));
    }
    file.unused.iter().for_each(|key| say!("  {} {key} is in it, and the spec does not use it", paint(CARE, "·")));
}
