//! The rules of the four seams, as checks that run over any hands: simulated, scripted or real.
//!
//! Each rule has a number and a sentence, and the same number and sentence stand in `docs/contracts/`. Hands are given
//! as a case: the hands themselves, and things of the world that the checks may use and leave as they were found, as
//! far as that is possible. A check that is broken says what was seen.

pub mod cluster;
pub mod hosts;
pub mod provider;
mod settings;
pub mod store;

/// A rule of a seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule's number: `P3`.
    pub number: &'static str,
    /// What hands must or may do, in one sentence without a full stop.
    pub words: &'static str,
}

/// What came of checking a rule: nothing, or how it is broken.
pub type Verdict = Result<(), String>;

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which rule.
    pub rule: Rule,
    /// How.
    pub how: String,
}

/// All rules of all seams, by the name of their page.
pub fn rules() -> [(&'static str, Vec<Rule>); 4] {
    [
        ("provider", provider::RULES.to_vec()),
        ("hosts", hosts::RULES.to_vec()),
        ("cluster", cluster::RULES.to_vec()),
        ("store", store::RULES.to_vec()),
    ]
}

const fn rule(number: &'static str, words: &'static str) -> Rule {
    Rule { number, words }
}

/// Puts rules and verdicts together; keeps what is broken.
fn broken(rules: &[Rule], verdicts: Vec<Verdict>) -> Vec<Broken> {
    let mut found: Vec<Broken> = rules
        .iter()
        .zip(&verdicts)
        .filter_map(|(rule, verdict)| Some(Broken { rule: *rule, how: verdict.clone().err()? }))
        .collect();
    if rules.len() != verdicts.len() {
        let how = format!("{} rules and {} checks", rules.len(), verdicts.len());
        found.push(Broken { rule: rule("-", "every rule has a check"), how });
    }
    found
}

/// Holds, or says what was seen instead.
fn that(holds: bool, saw: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(saw()) }
}
