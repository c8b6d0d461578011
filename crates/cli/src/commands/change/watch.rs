//! A run while it goes on: drawn, slowed down where that is asked for, and stopped by Ctrl-C.

use std::cell::RefCell;
use std::time::Duration;

use kubewright_engine::pace::Pace;
use kubewright_engine::{Begun, Request, RunReport, Stop};
use kubewright_model::event::{Event, Record};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::line;
use crate::arguments::Output;
use crate::problem::{Done, Problem};
use crate::view::progress::Progress;
use crate::world::Site;

/// How often a run that goes on is drawn anew while it tells nothing.
const LOOKS_UP: Duration = Duration::from_millis(100);

/// Runs, draws the run, and listens to Ctrl-C.
pub(super) async fn watch(
    site: &Site<'_>,
    begun: Option<Begun>,
    request: &Request<'_>,
    (output, pace): (Output, Option<f64>),
) -> Result<RunReport, Problem> {
    let stop = Stop::default();
    // Whoever sleeps between records hears no signal: somebody else does.
    let beside = pace.is_some() && stopped_beside(&stop);
    let mut signals = Signals::listen().map_err(deaf)?;
    let mut pace = Pace::new(pace);
    let plan = begun.as_ref().map(Begun::plan).or(request.approved);
    let progress = RefCell::new((output == Output::Text).then(|| Progress::of(plan)));
    let mut sink = |record: &Record| {
        let asked = stop.asked();
        pace.keep(record, |at| {
            progress.borrow_mut().iter_mut().for_each(|progress| progress.tick(Some(at)));
            stop.asked() == asked
        });
        if matches!(record.event, Event::StepEnded { .. }) {
            site.keep_up();
        }
        match &mut *progress.borrow_mut() {
            Some(progress) => progress.hear(record),
            None => line(record),
        }
    };
    let run = async {
        match begun {
            Some(begun) => site.engine.carry_out(begun, request, &stop, &mut sink).await,
            None => site.engine.apply(request, &stop, &mut sink).await,
        }
    };
    tokio::pin!(run);
    loop {
        tokio::select! {
            ended = &mut run => return Ok(ended?),
            // A pretend clock jumps, and nobody waits there.
            () = tokio::time::sleep(LOOKS_UP), if !site.engine.simulated() => {
                progress.borrow_mut().iter_mut().for_each(|progress| progress.tick(None));
            }
            () = signals.asked(), if !beside => {
                if stop.ask() > 2 {
                    return Err(Problem::new(Done::Interrupted, "ended at once")
                        .hint("the journal says what was begun; the next run looks what became of it and goes on"));
                }
            }
        }
    }
}

/// Listens to who wants a run to stop, on a thread that ends with the program; whether there is one.
fn stopped_beside(stop: &Stop) -> bool {
    let stop = stop.clone();
    let listens = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(async {
                let Ok(mut signals) = Signals::listen() else { return };
                loop {
                    signals.asked().await;
                    stop.ask();
                }
            });
        }
    };
    std::thread::Builder::new().spawn(listens).is_ok()
}

/// Who asks the program to end: by Ctrl-C, or by the signal for that. From the first of these on a signal is heard by nobody else,
/// so one listens for as long as anybody is to hear.
pub(in crate::commands) struct Signals([Signal; 2]);

/// Nobody could stop it: it is not begun.
pub(in crate::commands) fn deaf(error: std::io::Error) -> Problem {
    Problem::new(Done::Unfinished, "Ctrl-C cannot be listened to").because(error.to_string())
}

impl Signals {
    /// Listens from now on. It belongs to the runtime that it is made in.
    pub(in crate::commands) fn listen() -> std::io::Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    /// Waits until somebody asks once more.
    pub(in crate::commands) async fn asked(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
