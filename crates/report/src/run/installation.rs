//! How a cluster was built: the steps of the run that began it, stage by stage, with how long each took.

use kubewright_model::event::{Event, Outcome, Record};
use kubewright_model::plan::Stage;
use kubewright_model::units::Moment;

use super::phases::{Phase, took};
use super::story::stories;
use super::{duration, started};
use crate::page::{Line, Page, Piece};
use crate::words::Words;

/// The last of these runs that has begun a cluster, which is the first member of its control plane. `runs` are in the order in
/// which they began.
pub fn built<'a>(runs: impl IntoIterator<Item = &'a [Record]>) -> Option<&'a [Record]> {
    let begins = |record: &Record| match &record.event {
        Event::StepEnded { step, outcome: Outcome::Done } => step.as_str().starts_with("init/"),
        _ => false,
    };
    runs.into_iter().filter(|records| records.iter().any(begins)).last()
}

/// When and how long, phase by phase, and every step that did something.
pub(crate) fn installation(page: &mut Page, records: &[Record], words: &Words) {
    let Some(run) = started(records) else { return };
    let say = &words.run;
    if run.simulated {
        page.paragraph(Piece::Strong(say.simulated.into()));
    }
    let began = (!run.simulated).then(|| vec![say.began.into(), Line::from(Moment(run.wall).to_string())]);
    let phases = took(records);
    let phases = Phase::ALL
        .into_iter()
        .zip(say.phase_names)
        .filter_map(|(phase, name)| Some(vec![Line::from(name), duration(*phases.get(&phase)?, words).into()]));
    let whole = records.last().map_or(0, |record| record.at);
    let total = vec![Piece::Strong(say.total.into()).into(), duration(whole, words).into()];
    page.table(&[say.phase, words.heads.duration], began.into_iter().chain(phases).chain([total]).collect());
    let stories = stories(records, None);
    for (stage, title) in Stage::ALL.into_iter().zip(say.stages) {
        let done = stories.iter().filter(|story| story.stage == Some(stage) && story.outcome == Some(&Outcome::Done));
        let rows = done.enumerate().map(|(at, story)| {
            let took = story.took().map(|took| duration(took, words)).unwrap_or_default();
            vec![(at + 1).to_string().into(), story.title.as_str().into(), took.into()]
        });
        page.part(title, |page| page.table(&[say.number, words.heads.step, words.heads.duration], rows.collect()));
    }
}
