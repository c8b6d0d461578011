//! What doctor has found: causes by layer, what shows them, what follows from them, and the repair.

use kubewright_model::desired::Desired;
use kubewright_model::doctor::{Cause, Diagnosis, Finding, Gravity, Layer, Repair};

use crate::hints;
use crate::screen::{BAD, CARE, DIM, GOOD, HEAD, columns, counted, paint, say, width, wrapped};

/// Lines of evidence that are shown of a cause; all of them are in the JSON.
const SHOWN: usize = 5;
/// Lines of prose are no longer than people read with ease.
const WIDEST: usize = 120;

/// Shows a diagnosis.
pub(crate) fn show(desired: &Desired, diagnosis: &Diagnosis) {
    say!("{} · {}", paint(HEAD, &desired.cluster), desired.title());
    let mut layer: Option<(Gravity, Layer)> = None;
    for cause in &diagnosis.causes {
        let here = (cause.finding.gravity, cause.finding.layer());
        if layer != Some(here) {
            let risk = if here.0 == Gravity::Risk { " (it still works)" } else { "" };
            say!("\n{}{}", paint(HEAD, here.1.word().to_uppercase()), paint(DIM, risk));
        }
        layer = Some(here);
        self::cause(cause);
    }
    if !diagnosis.unseen.is_empty() {
        say!("\n{}", paint(HEAD, "NOT LOOKED AT"));
        diagnosis.unseen.iter().for_each(|it| say!("{} {}: {}", paint(CARE, "?"), it.what, it.why));
    }
    say!("\n{}", sum(diagnosis));
}

fn cause(cause: &Cause) {
    let finding = &cause.finding;
    let mark = if finding.gravity == Gravity::Sick { paint(BAD, "✗") } else { paint(CARE, "!") };
    say!("{mark} {}: {}  {}", paint(HEAD, &finding.place), finding.cause, paint(DIM, &finding.check));
    for line in finding.evidence.iter().take(SHOWN) {
        say!("    {}", paint(DIM, line.chars().take(200).collect::<String>()));
    }
    for line in repair(finding) {
        say!("  {} {}", paint(GOOD, "→"), wrapped(&line, width(columns(), WIDEST)).replace('\n', "\n    "));
    }
    for consequence in &cause.consequences {
        say!("  {} {}: {}  {}", paint(DIM, "└"), consequence.place, consequence.cause, paint(DIM, &consequence.check));
    }
}

/// What repairs it, line by line.
fn repair(finding: &Finding) -> Vec<String> {
    match &finding.repair {
        Repair::ByHand(words) => words.iter().map(|word| hints::runnable(word)).collect(),
        Repair::Mend(mends) => {
            let deeds: Vec<String> = mends.iter().map(ToString::to_string).collect();
            vec![hints::runnable(&format!("`kubewright doctor --fix`: {}", deeds.join(", then ")))]
        }
        Repair::Apply(only) => {
            let only: String =
                only.iter().filter(|word| !word.is_empty()).map(|word| format!(" --only {word}")).collect();
            vec![
                hints::runnable(&format!("`kubewright apply`{only} makes it as the spec says"))
                    .replace("`kubewright apply` --only", "`kubewright apply --only"),
            ]
        }
    }
}

fn sum(diagnosis: &Diagnosis) -> String {
    let sick = diagnosis.roots().filter(|it| it.gravity == Gravity::Sick).count();
    let risks = diagnosis.causes.len() - sick;
    let checks = counted(diagnosis.checks, "check");
    let unseen = match diagnosis.unseen.len() {
        0 => String::new(),
        many => format!(", {} not looked at", counted(many, "thing")),
    };
    match (sick, risks) {
        (0, 0) if !diagnosis.answered => format!("{}{unseen}", paint(CARE, "the cluster does not answer")),
        (0, 0) => format!("{} in {checks}{unseen}", paint(GOOD, "✓ nothing wrong")),
        (0, risks) => {
            format!(
                "{}, {} in {checks}{unseen}",
                paint(GOOD, "✓ nothing is broken"),
                paint(CARE, counted(risks, "risk"))
            )
        }
        (sick, 0) => format!("{} in {checks}{unseen}", paint(BAD, counted(sick, "cause"))),
        (sick, risks) => {
            format!(
                "{}, {} in {checks}{unseen}",
                paint(BAD, counted(sick, "cause")),
                paint(CARE, counted(risks, "risk"))
            )
        }
    }
}
