//! `kubewright validate`.

use std::path::Path;

use kubewright_engine::{Engine, Loadout, checkup, cleartext};
use kubewright_model::diagnostic::{Diagnostic, Severity};

use super::print_json;
use crate::arguments::{Arguments, Output, Validate};
use crate::hints;
use crate::problem::{Done, Problem};
use crate::screen::{GOOD, counted, paint, say};
use crate::source::{self, Found, STANDARD_INPUT, Texts};

/// What is told of several files: that one could not be read goes before that one is invalid.
fn worse(one: Done, other: Done) -> Done {
    if one == Done::Well || other == Done::Usage { other } else { one }
}

/// What is wrong around a spec: keys that are not there, and secrets that lie open in Git.
fn around(loadout: &mut Loadout, file: &Path, folder: &Path) {
    // Where the spec is carried out the keys may be there.
    let keys = source::missing_keys(loadout, folder).into_iter();
    loadout.warnings.extend(keys.map(|key| Diagnostic { severity: Severity::Warning, ..key }));
    if file != Path::new(STANDARD_INPUT) {
        loadout.warnings.extend(checkup::amiss(loadout, folder));
        let open = cleartext::found(loadout, folder);
        loadout.warnings.extend(open);
    }
}

pub(super) fn run(arguments: &Arguments, validate: &Validate) -> Result<Done, Problem> {
    let mut done = Done::Well;
    let mut all = Vec::new();
    for file in &validate.files {
        // A file that cannot be read is told, and the others are looked at all the same.
        let texts = match Texts::open(file, arguments.environment.as_deref()) {
            Ok(texts) => texts,
            Err(problem) => {
                done = worse(done, problem.tell());
                continue;
            }
        };
        let folder = file.parent().unwrap_or(Path::new(""));
        let (mut found, words) = match Engine::load_for(folder, &texts.spec, texts.environment()) {
            Ok(mut loadout) => {
                around(&mut loadout, file, folder);
                let desired = &loadout.desired;
                let words = format!(
                    "{} {}: {} · {} · {}, {}, {}",
                    paint(GOOD, "✓"),
                    file.display(),
                    desired.cluster,
                    desired.title(),
                    counted(desired.machines.len(), "machine"),
                    counted(desired.releases.len(), "release"),
                    counted(desired.checks.len(), "check"),
                );
                (loadout.warnings, Some(words))
            }
            Err(found) => (found, None),
        };
        found.extend(texts.namesakes());
        hints::complete(&mut found);
        let wrong = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        if wrong {
            done = worse(done, Done::Invalid);
        }
        if validate.output == Output::Text {
            texts.show(&found);
            words.iter().filter(|_| !wrong).for_each(|words| say!("{words}"));
        }
        all.push((file, texts, found));
    }
    if validate.output == Output::Json {
        let found = all.iter().map(|(file, texts, found)| Found {
            file,
            environment: texts.layer_path(),
            diagnostics: found.clone(),
        });
        print_json(&found.collect::<Vec<_>>())?;
    }
    Ok(done)
}
