//! `kubewright top`: the loop between the terminal and what is known of a cluster.
//!
//! Looks happen on threads of their own, as they do for the dashboard: a host that does not answer holds up no key.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kubewright_server::shapes::{Cluster, Run};
use kubewright_server::{Fleet, Member, watch_over};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::arguments::Arguments;
use crate::arguments::top::Top;
use crate::plain;
use crate::problem::{Done, Problem};
use crate::screen::quoted;
use crate::view::top::{Model, Screen, Wish, draw};
use crate::world::{now, place};

/// How long a key is waited for before it is drawn anew.
const FRAME: Duration = Duration::from_millis(200);

/// What [`Done::Interrupted`] is to whoever began the program.
const INTERRUPTED: i32 = 130;
/// How long the loop may take to end by itself when a signal asks it to.
const GRACE: Duration = Duration::from_secs(1);

pub(super) fn run(arguments: &Arguments, wish: &Top) -> Result<Done, Problem> {
    if plain::on() {
        return Err(Problem::new(Done::Usage, "top is a picture, and everything is to be said in words")
            .hint("`kubewright status` and `kubewright history` say it"));
    }
    if !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        return Err(Problem::new(Done::Usage, "top wants a terminal, and this is none")
            .hint("`kubewright status --output json` is for programs"));
    }
    let fleet = Fleet::new(vec![place(arguments, &wish.file)], None).map(Arc::new).map_err(|faults| {
        let problem = Problem::new(Done::Invalid, "nothing is shown").because(faults.join("\n  "));
        problem.hint(format!("`kubewright validate {}` shows each in its place", quoted(&wish.file)))
    })?;
    let Some(member) = fleet.all().next().cloned() else { return Ok(Done::Well) };
    let ends = Arc::new(AtomicBool::new(false));
    let (_asked, asked) = watch::channel(false);
    watched(fleet, wish.every.duration(), asked, ends.clone())
        .map_err(|error| Problem::new(Done::Unfinished, format!("cannot start: {error}")))?;
    // A panic brings the terminal back too: that is how it was begun.
    let mut terminal =
        ratatui::try_init().map_err(|error| Problem::new(Done::Unfinished, format!("cannot draw: {error}")))?;
    let ended = shown(&mut terminal, &member, &ends);
    let _ = ratatui::try_restore();
    ended.map_err(|error| Problem::new(Done::Unfinished, format!("the terminal went away: {error}")))
}

/// Looks at the cluster again and again, and hears who wants an end, on a thread that ends with the program.
fn watched(
    fleet: Arc<Fleet>,
    every: Duration,
    asked: watch::Receiver<bool>,
    ends: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().spawn(move || {
        runtime.block_on(async {
            let heard = async {
                let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
                let signals = kinds.into_iter().filter_map(|kind| signal(kind).ok());
                let mut signals: Vec<_> = signals.collect();
                let waits = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
                let asked = futures::future::select_all(waits);
                futures::future::select(asked, Box::pin(gone())).await;
                ends.store(true, Ordering::Relaxed);
                // Who waits for a key of a terminal that has gone away waits for ever.
                tokio::time::sleep(GRACE).await;
                // Its words of what went wrong would have nowhere to go.
                let _ = ratatui::try_restore();
                std::process::exit(INTERRUPTED);
            };
            tokio::join!(watch_over(fleet, every, asked), heard);
        });
    })?;
    Ok(())
}

/// Ends when the terminal has gone away. Who is not in its foreground is told by no signal, and whoever reads keys of it reads
/// nothing again and again.
async fn gone() {
    while rustix::termios::tcgetwinsize(std::io::stdin()).is_ok() {
        tokio::time::sleep(GRACE).await;
    }
}

/// Draws, and takes in keys, until somebody wants an end.
fn shown(terminal: &mut DefaultTerminal, member: &Arc<Member>, ends: &AtomicBool) -> std::io::Result<Done> {
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (mut screen, began) = (Screen::default(), Instant::now());
    let mut run: Option<Run> = None;
    while !ends.load(Ordering::Relaxed) {
        let cluster = member.page();
        run = told(member, &cluster, screen.run(&cluster), run);
        let frame = usize::try_from(began.elapsed().as_millis() / FRAME.as_millis()).unwrap_or_default();
        let model = Model { cluster, run: run.clone(), now: now(), frame, colour };
        terminal.draw(|frame| draw(frame, &model, &screen))?;
        if !event::poll(FRAME)? {
            continue;
        }
        // Keys that wait already are taken in before it is drawn again.
        loop {
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
            {
                match screen.press(key, &model) {
                    Wish::Quit => return Ok(Done::Well),
                    Wish::Look => member.look(),
                    Wish::Nothing => {}
                }
            }
            if !event::poll(Duration::ZERO)? {
                break;
            }
        }
    }
    Ok(Done::Interrupted)
}

/// The run of this name. One that is over, also by what is known of it now, does not change, and its journal is read once.
fn told(member: &Member, cluster: &Cluster, wanted: Option<String>, before: Option<Run>) -> Option<Run> {
    let wanted = wanted?;
    let known = cluster.runs.iter().find(|run| run.run == wanted);
    match before.filter(|run| run.summary.end.is_some() && known == Some(&run.summary)) {
        Some(same) => Some(same),
        None => member.told(&wanted),
    }
}
