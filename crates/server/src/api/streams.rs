//! What is told as it happens: server-sent events. <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream};

use super::App;
use super::answers::{member, recording};
use super::refusal::Refusing;
use crate::cluster::recording::Recording;

/// Changes of clusters that come together are told together.
const TOGETHER: Duration = Duration::from_millis(200);
/// How often a line goes to whoever has heard nothing: proxies close what is silent.
const ALIVE: Duration = Duration::from_secs(15);

type Told<S> = Sse<axum::response::sse::KeepAliveStream<S>>;

fn alive<S: Stream<Item = Result<Event, Infallible>> + Send + 'static>(stream: S) -> Told<S> {
    Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE))
}

/// The records of a run, from the place that the browser has come to.
pub(super) async fn run(
    State(app): State<App>,
    Path((cluster, run)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Told<impl Stream<Item = Result<Event, Infallible>>>, Refusing> {
    let recording = recording(&app, &cluster, run).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<usize>().ok());
    Ok(alive(records(recording, last.map_or(0, |last| last.saturating_add(1)))))
}

struct Reader {
    recording: Arc<Recording>,
    grew: tokio::sync::watch::Receiver<(usize, bool)>,
    next: usize,
    lines: std::vec::IntoIter<Arc<str>>,
    over: bool,
}

fn records(recording: Arc<Recording>, next: usize) -> impl Stream<Item = Result<Event, Infallible>> {
    let grew = recording.listen();
    let reader = Reader { recording, grew, next, lines: Vec::new().into_iter(), over: false };
    stream::unfold(reader, async |mut reader| {
        loop {
            if let Some(line) = reader.lines.next() {
                let event = Event::default().id(reader.next.to_string()).event("record").data(&*line);
                reader.next += 1;
                return Some((Ok(event), reader));
            }
            if reader.over {
                return None;
            }
            reader.grew.borrow_and_update();
            let (lines, ended) = reader.recording.from(reader.next);
            if !lines.is_empty() {
                reader.lines = lines.into_iter();
            } else if ended {
                reader.over = true;
                return Some((Ok(Event::default().event("end").data("{}")), reader));
            } else if reader.grew.changed().await.is_err() {
                return None;
            }
        }
    })
}

/// All clusters, each when something of it is new.
pub(super) async fn fleet(State(app): State<App>) -> Told<impl Stream<Item = Result<Event, Infallible>>> {
    alive(changes(app, None))
}

/// One cluster, when something of it is new.
pub(super) async fn cluster(
    State(app): State<App>,
    Path(cluster): Path<String>,
) -> Result<Told<impl Stream<Item = Result<Event, Infallible>>>, Refusing> {
    member(&app, &cluster)?;
    Ok(alive(changes(app, Some(cluster))))
}

fn changes(app: App, only: Option<String>) -> impl Stream<Item = Result<Event, Infallible>> {
    let (changed, told) = (app.fleet.listen(), BTreeMap::<String, u64>::new());
    stream::unfold((app, only, changed, told, Vec::<Event>::new()), async |state| {
        let (app, only, mut changed, mut told, mut due) = state;
        loop {
            if let Some(event) = due.pop() {
                return Some((Ok(event), (app, only, changed, told, due)));
            }
            changed.borrow_and_update();
            for member in app.fleet.all().filter(|member| only.as_ref().is_none_or(|only| *only == member.name)) {
                let version = member.version();
                if told.insert(member.name.clone(), version) != Some(version)
                    && let Ok(event) = Event::default().event("cluster").json_data(member.summary())
                {
                    due.push(event);
                }
            }
            if due.is_empty() && changed.changed().await.is_err() {
                return None;
            }
            tokio::time::sleep(TOGETHER).await;
        }
    })
}
