//! The documents of the examples beside those that people wrote by hand about the same clusters, fact by fact.
//!
//! `documents/NAME.facts` holds the facts: a line is a piece of text that the generated document has; a line that begins
//! with `! ` is a fact that it does not have, and behind ` | ` why. That the documents are up to date, `cargo xtask gen
//! --check` sees to.

use std::path::Path;

#[test]
fn every_fact_that_was_written_by_hand_is_there_or_has_its_reason() {
    let facts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/documents");
    let mut wrong = Vec::new();
    for name in ["devboard", "keybuzz", "mlops", "valaskjalf", "vixens"] {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let document = std::fs::read_to_string(examples.join(name).join("infrastructure.fr.md")).unwrap();
        let facts = std::fs::read_to_string(facts.join(format!("{name}.facts"))).unwrap();
        let mut count = 0;
        for line in facts.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
            count += 1;
            match line.strip_prefix("! ").map(|rest| rest.split_once(" | ")) {
                Some(Some((fact, why))) if !why.is_empty() => {
                    // A reason that is no longer true would be a lie.
                    if document.contains(fact) {
                        wrong.push(format!("{name}: is there after all: {fact}"));
                    }
                }
                Some(_) => wrong.push(format!("{name}: says no reason: {line}")),
                None if document.contains(line) => {}
                None => wrong.push(format!("{name}: lacks {line}")),
            }
        }
        assert!(count > 20, "{name}: only {count} facts");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
