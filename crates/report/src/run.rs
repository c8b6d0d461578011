//! The page about a run: how it ended, what it did and how long that took, and what to do about what failed.
//!
//! It is made from the journal alone, so it can be made of a run that was cut off, too. The plan, where it is at hand,
//! adds the steps that never started and the notes.

mod installation;
mod phases;
mod story;
#[cfg(test)]
mod tests;

use kubewright_model::event::{Event, Outcome, Record, RunEnd};
use kubewright_model::ids::NodeName;
use kubewright_model::plan::{Ask, Plan, Stage};
use kubewright_model::units::Moment;

use crate::page::{Document, Line, Page, Piece};
use crate::words::{Language, Words, fill};
pub use installation::built;
pub(crate) use installation::installation;
pub use phases::{Phase, Rebuilt, rebuilds};
use story::{StepStory, stories};

/// How many of the slowest steps are listed.
const SLOWEST: usize = 10;

/// The page about a run, from its records in order. `plan` is the plan that ran.
///
/// Steps bear the titles that the journal has for them. Durations are by the clock that the run lived in.
pub fn run_report(records: &[Record], plan: Option<&Plan>, language: Language) -> Document {
    let words = language.words();
    let stories = stories(records, plan);
    let say = &words.run;
    let mut page = Page::default();
    if started(records).is_some_and(|run| run.simulated) {
        page.paragraph(Piece::Strong(say.simulated.into()));
    }
    page.section(say.summary, |page| summary(page, records, words));
    page.section(say.phases, |page| of_rebuild(page, records, words));
    page.section(say.failures, |page| failures(page, &stories, words));
    page.section(say.notes, |page| notes(page, plan));
    page.section(say.steps, |page| steps(page, &stories, words));
    page.section(say.slowest, |page| slowest(page, &stories, words));
    page.section(say.retries, |page| retries(page, records, &stories, words));
    page.finish(title(records, words), words)
}

/// How the run began.
struct Start<'a> {
    run: &'a str,
    cluster: &'a str,
    ask: &'a Ask,
    only: &'a [String],
    fingerprint: String,
    steps: usize,
    simulated: bool,
    wall: u64,
}

fn started(records: &[Record]) -> Option<Start<'_>> {
    records.iter().find_map(|record| match &record.event {
        Event::RunStarted { run, cluster, ask, only, fingerprint, steps, simulated, wall, .. } => Some(Start {
            run: run.as_str(),
            cluster: cluster.as_str(),
            ask,
            only,
            fingerprint: fingerprint.0.to_string(),
            steps: *steps,
            simulated: *simulated,
            wall: *wall,
        }),
        _ => None,
    })
}

fn title(records: &[Record], words: &Words) -> String {
    match started(records) {
        // A name never holds a brace, so the second place is not mistaken.
        Some(start) => words.run.title.replace("{run}", start.run).replace("{name}", start.cluster),
        None => words.run.title_unknown.into(),
    }
}

fn summary(page: &mut Page, records: &[Record], words: &Words) {
    let say = &words.run;
    let code = |text: &str| Line::from(Piece::Code(text.into()));
    let end = records.iter().rev().find_map(|record| match &record.event {
        Event::RunEnded { end, done, already, failed, left, .. } => Some((*end, [*done, *already, *failed, *left])),
        _ => None,
    });
    let outcome = match end.map(|(end, _)| end) {
        Some(RunEnd::Complete) => say.complete,
        Some(RunEnd::Failed) => say.failed,
        Some(RunEnd::NotConverged) => say.not_converged,
        Some(RunEnd::Interrupted) => say.interrupted,
        None => say.unfinished,
    };
    let mut rows = vec![vec![say.outcome.into(), Piece::Strong(outcome.into()).into()]];
    if let Some(last) = records.last() {
        rows.push(vec![words.heads.duration.into(), duration(last.at, words).into()]);
    }
    if let Some((_, counts)) = end {
        let counts = ["done", "already", "failed", "left"].into_iter().zip(counts);
        let pieces: Vec<_> = counts.map(|(name, count)| (name, Piece::Plain(count.to_string()))).collect();
        rows.push(vec![say.counts.into(), fill(say.count_text, &pieces)]);
    }
    if let Some(start) = started(records) {
        rows.push(vec![say.asked.into(), chosen(asked(start.ask, words), start.only)]);
        rows.push(vec![say.planned.into(), start.steps.to_string().into()]);
        rows.push(vec![say.began.into(), Moment(start.wall).to_string().into()]);
        rows.push(vec![say.name.into(), code(start.run)]);
        rows.push(vec![say.plan.into(), code(&start.fingerprint)]);
    }
    page.table(&[words.heads.property, words.heads.value], rows);
}

/// What was asked, of these parts alone.
fn chosen(asked: Line, only: &[String]) -> Line {
    only.iter().fold(asked, |line, word| line.and(Piece::Plain(" ".into())).and(Piece::Code(format!("--only {word}"))))
}

fn asked(ask: &Ask, words: &Words) -> Line {
    let [apply, replace, rebuild, destroy, backup, reboot, repair, restore, rotate, update_os] = words.run.asks;
    let of = |word: &str, nodes: &[NodeName]| {
        let mut line = Line::from(format!("{word} ("));
        for (place, node) in nodes.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            line = line.and(Piece::Plain(comma.into())).and(Piece::Code(node.to_string()));
        }
        line.and(Piece::Plain(")".into()))
    };
    match ask {
        Ask::Apply => apply.into(),
        Ask::Replace(nodes) => of(replace, nodes),
        Ask::Reboot(nodes) | Ask::RebootNeeded(nodes) => of(reboot, nodes),
        Ask::UpdateOs(nodes) => of(update_os, nodes),
        Ask::ReplaceOutdated => replace.into(),
        Ask::Rebuild => rebuild.into(),
        Ask::Destroy => destroy.into(),
        Ask::Backup => backup.into(),
        Ask::Repair(_) => repair.into(),
        Ask::Restore => restore.into(),
        Ask::Rotate(what) => {
            Line::from(format!("{rotate} (")).and(Piece::Code(what.to_string())).and(Piece::Plain(")".into()))
        }
    }
}

/// How long each phase of a rebuild took.
fn of_rebuild(page: &mut Page, records: &[Record], words: &Words) {
    let Some(rebuilt) = rebuilds([records]).pop() else { return };
    let phases = Phase::ALL.into_iter().zip(words.run.phase_names);
    let rows =
        phases.filter_map(|(phase, name)| Some(vec![name.into(), duration(*rebuilt.took.get(&phase)?, words).into()]));
    let total = vec![Piece::Strong(words.run.total.into()).into(), duration(rebuilt.total, words).into()];
    page.table(&[words.run.phase, words.heads.duration], rows.chain([total]).collect());
}

/// Each failed step: what failed and why, the end of the log, what to do.
fn failures(page: &mut Page, stories: &[StepStory<'_>], words: &Words) {
    for story in stories {
        let Some(Outcome::Failed(failure)) = story.outcome else { continue };
        page.part(&story.title, |page| {
            page.list(true, failure.causes.iter().map(|cause| cause.as_str().into()));
            if !failure.log.is_empty() {
                page.paragraph(words.run.log);
                page.code("text", &failure.log);
            }
            if let Some(hint) = &failure.hint {
                page.paragraph(Line::from(Piece::Strong(words.run.hint.into())).and(Piece::Plain(format!(" {hint}"))));
            }
        });
    }
}

fn notes(page: &mut Page, plan: Option<&Plan>) {
    let notes = plan.into_iter().flat_map(|plan| &plan.notes);
    page.list(
        false,
        notes.map(|note| {
            let line =
                Line::from(Piece::Code(note.subject.to_string())).and(Piece::Plain(format!(" {}", note.message)));
            match &note.help {
                Some(help) => line.and(Piece::Plain(format!(" — {help}"))),
                None => line,
            }
        }),
    );
}

/// A table for each stage, in the order of the stages.
fn steps(page: &mut Page, stories: &[StepStory<'_>], words: &Words) {
    let heads = &words.heads;
    let stages = Stage::ALL.into_iter().map(Some).zip(words.run.stages).chain([(None, words.run.other_stage)]);
    for (stage, title) in stages {
        let here = stories.iter().filter(|story| story.stage == stage);
        let rows: Vec<_> = here
            .map(|story| {
                let took = story.took().map(|took| duration(took, words)).unwrap_or_default();
                let waited = story.waited.filter(|waited| *waited > 0);
                let waited = waited.map(|waited| duration(waited, words)).unwrap_or_default();
                let tries = if story.tries > 1 { story.tries.to_string() } else { String::new() };
                vec![story.title.as_str().into(), result(story, words), took.into(), waited.into(), tries.into()]
            })
            .collect();
        let heads = [heads.step, heads.result, heads.duration, heads.waited, heads.attempt];
        page.part(title, |page| page.table(&heads, rows));
    }
}

fn result(story: &StepStory<'_>, words: &Words) -> Line {
    let say = &words.run;
    match story.outcome {
        Some(Outcome::Done) => say.done.into(),
        Some(Outcome::AlreadyTrue) => say.already.into(),
        Some(Outcome::Failed(_)) => Piece::Strong(say.step_failed.into()).into(),
        Some(Outcome::Skipped { because }) => fill(say.skipped, &[("step", Piece::Code(because.to_string()))]),
        Some(Outcome::Cancelled) => say.cancelled.into(),
        None if story.started.is_some() => say.never_ended.into(),
        None => say.not_started.into(),
    }
}

/// The steps that took longest; those that took no time at all are none of them.
fn slowest(page: &mut Page, stories: &[StepStory<'_>], words: &Words) {
    let heads = &words.heads;
    let mut timed: Vec<(u64, &StepStory<'_>)> =
        stories.iter().filter_map(|story| Some((story.took().filter(|took| *took > 0)?, story))).collect();
    // A stable sort: steps that took equally long stay in their order.
    timed.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
    let rows = timed.into_iter().take(SLOWEST).map(|(took, story)| {
        vec![story.title.as_str().into(), stage(story.stage, words).into(), duration(took, words).into()]
    });
    page.table(&[heads.step, heads.stage, heads.duration], rows.collect());
}

fn stage(stage: Option<Stage>, words: &Words) -> &'static str {
    let at = stage.and_then(|stage| Stage::ALL.iter().position(|other| *other == stage));
    at.map_or(words.run.other_stage, |at| words.run.stages[at])
}

fn retries(page: &mut Page, records: &[Record], stories: &[StepStory<'_>], words: &Words) {
    let heads = &words.heads;
    let titles: std::collections::BTreeMap<_, _> = stories.iter().map(|story| (story.id, &story.title)).collect();
    let rows = records.iter().filter_map(|record| match &record.event {
        Event::StepRetries { step, attempt, after, error } => {
            let title = titles.get(step).map_or_else(|| step.to_string(), |title| (*title).clone());
            let after = duration(*after, words);
            Some(vec![title.into(), attempt.to_string().into(), error.as_str().into(), after.into()])
        }
        _ => None,
    });
    page.table(&[heads.step, heads.attempt, heads.error, words.run.next_try], rows.collect());
}

/// A length of time, to no more digits than anybody reads.
fn duration(milliseconds: u64, words: &Words) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds}{}{} s", words.decimal, milliseconds % 1000 / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}
