//! What is told as it happens: server-sent events. <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream};

use super::App;
use super::answers::{member, recording};
use super::refusal::Refusing;
use crate::cluster::recording::Recording;
use crate::gate::Access;

/// Changes of clusters that come together are told together.
const TOGETHER: Duration = Duration::from_millis(200);
/// How often a line goes to whoever has heard nothing: proxies close what is silent.
const ALIVE: Duration = Duration::from_secs(15);
/// How soon a stream ends whose session has ended.
const LOOKS: Duration = Duration::from_secs(2);

type Told<S> = Sse<axum::response::sse::KeepAliveStream<S>>;

fn alive<S: Stream<Item = Result<Event, Infallible>> + Send + 'static>(stream: S) -> Told<S> {
    Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE))
}

/// The records of a run, from the place that the browser has come to.
pub(super) async fn run(
    State(app): State<App>,
    Path((cluster, run)): Path<(String, String)>,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
) -> Result<Told<impl Stream<Item = Result<Event, Infallible>>>, Refusing> {
    let recording = recording(&app, &cluster, run).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<usize>().ok());
    Ok(alive(records((app, access), recording, last.map_or(0, |last| last.saturating_add(1)))))
}

/// Waits until something is new; false where there will be nothing any more for whoever listens.
async fn waits<T>(who: &(App, Access), new: &mut tokio::sync::watch::Receiver<T>) -> bool {
    while who.0.gate.still(&who.1) {
        if let Ok(changed) = tokio::time::timeout(LOOKS, new.changed()).await {
            return changed.is_ok();
        }
    }
    false
}

struct Reader {
    who: (App, Access),
    recording: Arc<Recording>,
    grew: tokio::sync::watch::Receiver<(usize, bool)>,
    next: usize,
    lines: std::vec::IntoIter<Arc<str>>,
    over: bool,
}

fn records(
    who: (App, Access),
    recording: Arc<Recording>,
    next: usize,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let grew = recording.listen();
    let reader = Reader { who, recording, grew, next, lines: Vec::new().into_iter(), over: false };
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
            } else if !reader.recording.followed {
                // Nobody says `end`: the browser comes back for the rest, and by then it is followed.
                return None;
            } else if !waits(&reader.who, &mut reader.grew).await {
                return None;
            }
        }
    })
}

/// All clusters, each when something of it is new.
pub(super) async fn fleet(
    State(app): State<App>,
    Extension(access): Extension<Access>,
) -> Told<impl Stream<Item = Result<Event, Infallible>>> {
    alive(changes((app, access), None))
}

/// One cluster, when something of it is new.
pub(super) async fn cluster(
    State(app): State<App>,
    Path(cluster): Path<String>,
    Extension(access): Extension<Access>,
) -> Result<Told<impl Stream<Item = Result<Event, Infallible>>>, Refusing> {
    member(&app, &cluster)?;
    Ok(alive(changes((app, access), Some(cluster))))
}

fn changes(who: (App, Access), only: Option<String>) -> impl Stream<Item = Result<Event, Infallible>> {
    let (changed, told) = (who.0.fleet.listen(), BTreeMap::<String, u64>::new());
    stream::unfold((who, only, changed, told, Vec::<Event>::new()), async |state| {
        let (who, only, mut changed, mut told, mut due) = state;
        loop {
            if let Some(event) = due.pop() {
                return Some((Ok(event), (who, only, changed, told, due)));
            }
            changed.borrow_and_update();
            for member in who.0.fleet.all().filter(|member| only.as_ref().is_none_or(|only| *only == member.name)) {
                let version = member.version();
                if told.insert(member.name.clone(), version) != Some(version)
                    && let Ok(event) = Event::default().event("cluster").json_data(member.summary())
                {
                    due.push(event);
                }
            }
            if due.is_empty() {
                if !waits(&who, &mut changed).await {
                    return None;
                }
                tokio::time::sleep(TOGETHER).await;
            }
        }
    })
}
