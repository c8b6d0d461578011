//! A run while it goes on: drawn, slowed down where that is asked for, and stopped by Ctrl-C.

use std::cell::RefCell;
use std::time::Duration;

use kubewright_engine::pace::Pace;
use kubewright_engine::{Begun, Request, RunReport, Stop};
use kubewright_model::event::{Event, Record};
use tokio::signal::unix::{SignalKind, signal};

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
            () = asked_to_stop(), if !beside => {
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
                loop {
                    asked_to_stop().await;
                    stop.ask();
                }
            });
        }
    };
    std::thread::Builder::new().spawn(listens).is_ok()
}

/// Waits for Ctrl-C, or for the signal that asks a program to end.
pub(in crate::commands) async fn asked_to_stop() {
    let Ok(mut ends) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        heard = tokio::signal::ctrl_c() => {
            if heard.is_err() {
                std::future::pending::<()>().await;
            }
        }
        _ = ends.recv() => {}
    }
}
