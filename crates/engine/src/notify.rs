//! People are told: what of, whom, and that nobody hears the same twice.
//!
//! What is so is a [`Finding`]; what is told of it now is a [`Notice`], where something else was told before. The same is told
//! once, and its end is told once; who could not be told is tried again. A run's end is told as it is.

mod mail;
mod post;

use kubewright_model::desired::{Desired, DesiredNotification, DesiredReceiver};
use kubewright_model::digest::Digest;
use kubewright_model::event::RunEnd;
use kubewright_model::ids::{ClusterName, HoleName, RunId};
use kubewright_model::plan::Fingerprint;
use kubewright_model::secret::Secret;
use kubewright_model::spec::notifications::Occasion;
use kubewright_model::units::Moment;
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, Request, RunReport};

pub(crate) use post::{causes, trusting};

/// Lines of a notice; a chat shows no more.
const MOST: usize = 40;

/// What is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// What of.
    pub event: Occasion,
    /// The whole in words: what chats and e-mails show. Its first line says the most.
    pub text: String,
    /// The cluster.
    pub cluster: ClusterName,
    /// Seconds since 1970.
    pub at: u64,
    /// What was told of before is so no more.
    pub over: bool,
    /// What is so, a line for each.
    pub lines: Vec<String>,
    /// The run that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

impl Message {
    /// A message to try whether it comes.
    pub fn test(cluster: &ClusterName, event: Occasion, at: u64) -> Self {
        let text =
            format!("{cluster}: a test of kubewright: nothing has happened, and you would hear of `{event}` here");
        Self { event, text, cluster: cluster.clone(), at, over: false, lines: Vec::new(), run: None }
    }

    /// How a run has ended.
    pub(crate) fn of_run(request: &Request<'_>, report: &RunReport, at: u64) -> Self {
        let cluster = request.desired.cluster.clone();
        let (event, how) = match report.end {
            RunEnd::Complete => (Occasion::RunEnd, "complete"),
            RunEnd::Failed => (Occasion::RunFailed, "failed"),
            RunEnd::NotConverged => (Occasion::RunFailed, "ended, and not everything is as the spec says"),
            RunEnd::Interrupted => (Occasion::RunFailed, "was stopped"),
        };
        let failed = report.failed.iter().map(|(step, failure)| {
            let cause = failure.causes.first().map_or("nobody knows why", String::as_str);
            format!("{step}: {cause}")
        });
        let left = report.remaining.iter().map(|left| format!("left: {left}"));
        let lines: Vec<String> = failed.chain(left).collect();
        let headline = format!(
            "{cluster}: {} {how}: {} steps done, {} not",
            request.ask,
            report.done,
            report.failed.len() + report.left
        );
        let text = said(&headline, &lines, "`kubewright history --run last` shows all");
        Self { event, text, cluster, at, over: false, lines, run: Some(report.run.clone()) }
    }

    /// Whether somebody who listens for these hears of it. Who hears of every run's end hears of those that failed.
    fn is_heard(&self, on: &[Occasion]) -> bool {
        on.contains(&self.event) || self.event == Occasion::RunFailed && on.contains(&Occasion::RunEnd)
    }
}

fn said(headline: &str, lines: &[String], more: &str) -> String {
    let mut all: Vec<String> = std::iter::once(headline.to_string()).collect();
    all.extend(lines.iter().take(MOST).map(|line| format!("- {line}")));
    if lines.len() > MOST {
        all.push(format!("- and {} more: {more}", lines.len() - MOST));
    }
    all.join("\n")
}

/// What is so now, as far as somebody has to hear of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is about.
    pub about: Occasion,
    /// The cluster.
    pub cluster: ClusterName,
    /// What is so, a line for each; none where all is well.
    pub lines: Vec<String>,
    /// Tells two findings apart.
    pub fingerprint: Fingerprint,
    /// What is said first, where something is so.
    pub headline: String,
    /// What is said where nothing is so any more.
    pub well: &'static str,
    /// What shows all lines where they are many.
    pub more: &'static str,
}

impl Finding {
    /// One that is told apart by its lines.
    pub fn new(about: Occasion, cluster: &ClusterName, lines: Vec<String>) -> Self {
        let fingerprint = Fingerprint(Digest::of_value(&lines));
        let (what, well, more) = match about {
            Occasion::Expiry => {
                ("ends soon, or is too old", "nothing ends soon any more", "`kubewright status` shows all")
            }
            Occasion::Verification => ("does not hold", "all checks hold again", "`kubewright verify` shows all"),
            Occasion::Drift | Occasion::RunEnd | Occasion::RunFailed => {
                ("differs", "everything is as the spec says again", "`kubewright plan` shows all")
            }
        };
        let headline = format!("{cluster}: {} {what}", things(lines.len()));
        Self { about, cluster: cluster.clone(), lines, fingerprint, headline, well, more }
    }

    /// What there is to tell now, where something else was told before; none where that is the same.
    pub fn due(&self, told: Option<&Told>, now: u64) -> Option<Notice> {
        let wrong = !self.lines.is_empty();
        let same = |told: &&Told| told.over != wrong && (told.over || told.fingerprint == self.fingerprint);
        let to = match told.filter(same) {
            Some(told) if told.missed.is_empty() => return None,
            Some(told) => told.missed.clone(),
            None => Vec::new(),
        };
        let headline = match told {
            _ if wrong => self.headline.clone(),
            Some(told) => format!("{}: {}, since {} it was not so", self.cluster, self.well, Moment(told.since)),
            None => return None,
        };
        let text = said(&headline, &self.lines, self.more);
        let (event, cluster, lines) = (self.about, self.cluster.clone(), self.lines.clone());
        let message = Message { event, text, cluster, at: now, over: !wrong, lines, run: None };
        Some(Notice { message, fingerprint: self.fingerprint.clone(), to })
    }
}

fn things(many: usize) -> String {
    if many == 1 { "1 thing".into() } else { format!("{many} things") }
}

/// What is due to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// What.
    pub message: Message,
    /// Tells two findings apart.
    pub fingerprint: Fingerprint,
    /// Those who have not heard it yet, where others have, by their places in the spec; empty for all.
    pub to: Vec<usize>,
}

/// What was told last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The finding's fingerprint.
    pub fingerprint: Fingerprint,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// It was over, and not everybody has heard of that.
    #[serde(default)]
    pub over: bool,
    /// Those who could not be told, by their places in the spec; they are tried again, and the others left alone.
    #[serde(default)]
    pub missed: Vec<usize>,
}

impl Notice {
    /// What is remembered once it was told to all but those.
    pub fn told(&self, before: Option<Told>, missed: Vec<usize>) -> Option<Told> {
        let over = self.message.over;
        let since = before.filter(|before| !before.over || over).map_or(self.message.at, |before| before.since);
        (!over || !missed.is_empty()).then(|| Told { fingerprint: self.fingerprint.clone(), since, over, missed })
    }
}

/// Whether anybody hears of one of these.
pub fn hears(desired: &Desired, any: &[Occasion]) -> bool {
    desired.notifications.iter().any(|wish| any.iter().any(|on| wish.on.contains(on)))
}

impl Engine {
    /// Tells everybody whom the spec names for it, or those of them; returns who was told, and why others could not be, by
    /// their places in the spec. No answer repeats a secret.
    pub async fn notify(
        &self,
        desired: &Desired,
        message: &Message,
        only: &[usize],
    ) -> Vec<(usize, Result<String, String>)> {
        let all = desired.notifications.iter().enumerate();
        let due = all.filter(|(at, wish)| message.is_heard(&wish.on) && (only.is_empty() || only.contains(at)));
        let told = due.map(|(at, wish)| async move { (at, self.notify_one(desired, wish, message).await) });
        futures::future::join_all(told).await
    }

    /// Tells one of those whom the spec names, whatever they listen for.
    pub async fn notify_one(
        &self,
        desired: &Desired,
        wish: &DesiredNotification,
        message: &Message,
    ) -> Result<String, String> {
        let secret = |hole: &HoleName| {
            let name = hole.secret().ok_or("it is no secret")?;
            self.world().secrets(self.store()).resolve(desired, name)
        };
        let key = |hole: &Option<HoleName>| hole.as_ref().map(secret).transpose();
        let sent = match &wish.to {
            DesiredReceiver::Webhook { url, key: signs } => match (secret(url), key(signs)) {
                (Ok(url), Ok(signs)) => post::json(&url, signs.as_ref(), message).await,
                (Err(why), _) | (_, Err(why)) => Err(why),
            },
            DesiredReceiver::Slack { url } => match secret(url) {
                Ok(url) => post::slack(&url, message).await,
                Err(why) => Err(why),
            },
            DesiredReceiver::Matrix { server, room, token } => match secret(token) {
                Ok(token) => post::matrix(server, room, &token, message).await,
                Err(why) => Err(why),
            },
            DesiredReceiver::Email(email) => match key(&email.password) {
                Ok(password) => mail::send(email, password.as_ref().map(Secret::expose), message).await,
                Err(why) => Err(why),
            },
        };
        let who = wish.to.to_string();
        sent.map(|()| who.clone()).map_err(|why| format!("{who}: {why}"))
    }

    /// Tells how a run has ended; returns who could not be told, and why. A pretend run is nobody's business.
    pub(crate) async fn notify_of_run(&self, request: &Request<'_>, report: &RunReport, at: u64) -> Vec<String> {
        if self.simulated() || request.desired.notifications.is_empty() {
            return Vec::new();
        }
        let message = Message::of_run(request, report, at);
        let told = self.notify(request.desired, &message, &[]).await;
        told.into_iter().filter_map(|(_, told)| told.err()).collect()
    }
}

#[cfg(test)]
mod tests;
