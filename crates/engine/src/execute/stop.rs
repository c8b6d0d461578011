//! Being asked to stop, in three stages: start nothing new, give up what runs, end.

use std::sync::Arc;

use tokio::sync::watch;

/// A handle by which a run is asked to stop; cheap to clone, and usable from a signal's listener.
#[derive(Clone, Debug)]
pub struct Stop {
    times: Arc<watch::Sender<u32>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { times: Arc::new(watch::Sender::new(0)) }
    }
}

impl Stop {
    /// Asks once more; returns how often it was asked now.
    pub fn ask(&self) -> u32 {
        self.times.send_modify(|times| *times += 1);
        *self.times.borrow()
    }

    /// How often it was asked.
    pub fn asked(&self) -> u32 {
        *self.times.borrow()
    }

    /// Waits until it was asked at least once.
    pub(crate) async fn wanted(&self) {
        let mut listener = self.listen();
        if self.asked() == 0 {
            listener.heard().await;
        }
    }

    pub(super) fn listen(&self) -> Listener {
        Listener { times: self.times.subscribe() }
    }
}

pub(super) struct Listener {
    times: watch::Receiver<u32>,
}

impl Listener {
    /// Waits until it is asked once more.
    pub(super) async fn heard(&mut self) -> u32 {
        match self.times.changed().await {
            Ok(()) => *self.times.borrow_and_update(),
            // Nobody can ask any more.
            Err(_) => std::future::pending().await,
        }
    }
}
