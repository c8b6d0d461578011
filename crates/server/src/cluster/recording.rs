//! The records of a run that goes on: one list, which everybody reads from his own place.

use std::sync::{Arc, Mutex, PoisonError};

use kubewright_engine::store::folder::Grown;
use kubewright_model::event::Record;
use kubewright_model::ids::RunId;
use tokio::sync::watch;

use super::story::Story;
use crate::api::shapes::{Run, RunSummary, Verified};

/// A run that goes on, or has just ended.
pub(crate) struct Recording {
    /// Its name.
    pub(crate) run: RunId,
    /// Somebody puts here what comes next. Else it is what there was when it was read.
    pub(crate) followed: bool,
    kept: Mutex<Kept>,
    /// How many records there are, and whether there will be more.
    grew: watch::Sender<(usize, bool)>,
}

struct Kept {
    /// Each record as its line of JSON.
    lines: Vec<Arc<str>>,
    story: Story,
}

impl Recording {
    /// Of a run whose records are put here as they come.
    pub(crate) fn new(run: RunId, story: Story) -> Self {
        let kept = Mutex::new(Kept { lines: Vec::new(), story });
        Self { run, followed: true, kept, grew: watch::Sender::new((0, false)) }
    }

    /// Of what a journal held when it was read.
    pub(crate) fn read(run: RunId, grown: &Grown) -> Self {
        let read = Self { followed: false, ..Self::new(run, Story::default()) };
        read.grows(grown);
        read
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in one more record.
    pub(crate) fn hear(&self, record: &Record) {
        let Ok(line) = serde_json::to_string(record) else { return };
        let many = {
            let mut kept = self.kept();
            kept.story.hear(record);
            kept.lines.push(line.into());
            kept.lines.len()
        };
        self.grew.send_replace((many, false));
    }

    /// Takes in what a journal has grown by, and notes each line of it that cannot be read.
    pub(crate) fn grows(&self, grown: &Grown) {
        grown.records.iter().for_each(|record| self.hear(record));
        grown.bad.iter().for_each(|bad| self.note(format!("a line of its journal cannot be read: {}", bad.told())));
    }

    /// Keeps something that is to be known of it and that no record tells.
    pub(crate) fn note(&self, words: String) {
        self.kept().story.note(words);
    }

    /// There will be no more.
    pub(crate) fn ends(&self) {
        let many = {
            let mut kept = self.kept();
            kept.story.dies();
            kept.lines.len()
        };
        self.grew.send_replace((many, true));
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.grew.borrow().0
    }

    /// The records from a place on, and whether there will be more.
    pub(crate) fn from(&self, place: usize) -> (Vec<Arc<str>>, bool) {
        // In this order: what is written between the two is only sent a moment later.
        let ended = self.grew.borrow().1;
        (self.kept().lines.get(place..).map(<[_]>::to_vec).unwrap_or_default(), ended)
    }

    /// Tells when there is more.
    pub(crate) fn listen(&self) -> watch::Receiver<(usize, bool)> {
        self.grew.subscribe()
    }

    pub(crate) fn summary(&self) -> RunSummary {
        self.kept().story.summary().clone()
    }

    /// What the checks at its end came to.
    pub(crate) fn verified(&self) -> Option<Verified> {
        self.kept().story.verified()
    }

    pub(crate) fn whole(&self) -> Run {
        self.kept().story.whole()
    }
}
