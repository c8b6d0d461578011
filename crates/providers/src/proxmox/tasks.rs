//! Tasks: what Proxmox does behind an answer, followed by its UPID.
//!
//! However many tasks of a node are waited for, they are found in one list per round. One that is not in the list, because
//! a busy node has begun more than a list holds, is asked for by its own name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kubewright_model::ids::Vmid;
use serde_json::Value;
use tokio::sync::oneshot;

use super::call;
use super::classify;
use super::client::{Client, error};
use crate::{ErrorKind, ProviderError};

/// The first look: most tasks on a quick storage have ended by then.
const FIRST_LOOK: Duration = Duration::from_millis(200);
/// Every further look: a task is a matter of seconds to minutes, and a list costs the node next to nothing.
const LOOK: Duration = Duration::from_secs(1);
/// How many tasks one list may hold; there are never so many in the time that a run's tasks take.
const LISTED: usize = 500;
/// How much of a log is read: a failed task's reason is at its end, and Proxmox counts lines from the beginning.
const LOG_READ: usize = 5000;
/// How much of a log is shown.
const LOG_SHOWN: usize = 12;

/// A task's own name: `UPID:node:pid:pstart:starttime:type:id:user:`. The form is `upid_decode`'s in pve-common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Upid {
    text: String,
    node: String,
    start: u64,
    /// What it is about: the number of a guest, or nothing that we know.
    guest: Option<Vmid>,
}

impl Upid {
    pub(super) fn node(&self) -> &str {
        &self.node
    }
}

impl FromStr for Upid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["UPID", node, _pid, _pstart, start, _type, about, ..] if !node.is_empty() => {
                let start = u64::from_str_radix(start, 16).map_err(|_| format!("`{text}` has no time"))?;
                Ok(Self { text: text.into(), node: (*node).into(), start, guest: about.parse().ok().map(Vmid) })
            }
            _ => Err(format!("`{text}` names no task")),
        }
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a task's last words were, or that nobody could look.
type Ended = Result<String, ProviderError>;

/// Everybody who waits for a task of one node.
type Waiting = Vec<(Upid, oneshot::Sender<Ended>)>;

/// Tasks that are waited for.
pub(super) struct Tasks {
    client: Arc<Client>,
    /// By node. A node that is in here has somebody who looks.
    waiting: Arc<Mutex<BTreeMap<String, Waiting>>>,
}

impl Tasks {
    pub(super) fn new(client: Arc<Client>) -> Self {
        Self { client, waiting: Arc::default() }
    }

    /// Waits until what a call began has ended. An answer that names no task means that it has ended already.
    pub(super) async fn done(&self, answer: &Value) -> Result<(), ProviderError> {
        let Some(text) = answer.as_str().filter(|text| text.starts_with("UPID:")) else { return Ok(()) };
        let task: Upid = text.parse().map_err(|why: String| error(ErrorKind::Bug, why))?;
        let words = self.ended(&task).await?;
        if words == "OK" || words.starts_with("WARNINGS: ") {
            return Ok(());
        }
        let log = self.log(&task).await;
        Err(ProviderError { log, ..error(classify::of_task(&words), words) })
    }

    /// The tasks that are waited for and are about a guest, or about none, such as the download of an image; each with the
    /// last line of its log.
    pub(super) async fn doing(&self, guest: Option<Vmid>) -> Vec<String> {
        let tasks: Vec<Upid> = {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let tasks = waiting.values().flatten().map(|(task, _)| task);
            tasks.filter(|task| task.guest.is_none() || task.guest == guest).cloned().collect()
        };
        let told = tasks.iter().map(async |task| match self.log(task).await.last() {
            Some(line) => format!("{task}: {line}"),
            None => format!("{task} is at work"),
        });
        futures::future::join_all(told).await
    }

    async fn ended(&self, task: &Upid) -> Ended {
        let (tell, told) = oneshot::channel();
        let begin = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = !waiting.contains_key(&task.node);
            waiting.entry(task.node.clone()).or_default().push((task.clone(), tell));
            begin
        };
        if begin {
            tokio::spawn(watch(self.client.clone(), self.waiting.clone(), task.node.clone()));
        }
        told.await.unwrap_or_else(|_| Err(error(ErrorKind::Transient, format!("nobody waits for {task} any more"))))
    }

    /// The last lines of a log. It only explains a failure, so one that cannot be read is no failure of its own.
    async fn log(&self, task: &Upid) -> Vec<String> {
        let lines = self.client.send(call::task_log(task, LOG_READ)).await.unwrap_or_default();
        let lines = lines.as_array().into_iter().flatten().filter_map(|line| line["t"].as_str());
        let lines: Vec<String> = lines.filter(|line| !line.is_empty()).map(String::from).collect();
        lines[lines.len().saturating_sub(LOG_SHOWN)..].to_vec()
    }
}

/// Looks at a node's tasks until nobody waits for one any more.
async fn watch(client: Arc<Client>, waiting: Arc<Mutex<BTreeMap<String, Waiting>>>, node: String) {
    let mut pause = FIRST_LOOK;
    loop {
        tokio::time::sleep(pause).await;
        pause = LOOK;
        let wanted: Vec<Upid> = {
            let mut all = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let here = all.entry(node.clone()).or_default();
            here.retain(|(_, tell)| !tell.is_closed());
            if here.is_empty() {
                all.remove(&node);
                return;
            }
            here.iter().map(|(task, _)| task.clone()).collect()
        };
        let found = look(&client, &node, &wanted).await;
        let mut all = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let here = all.entry(node.clone()).or_default();
        for (task, tell) in std::mem::take(here) {
            let ended = match &found {
                Ok(found) => found.get(&task).cloned().map(Ok),
                // Whoever came while we looked is looked for in the next round.
                Err(why) => wanted.contains(&task).then(|| Err(why.clone())),
            };
            match ended {
                // Whoever does not wait any more needs no answer.
                Some(ended) => drop(tell.send(ended)),
                None => here.push((task, tell)),
            }
        }
    }
}

/// The last words of those tasks that have ended.
async fn look(client: &Client, node: &str, wanted: &[Upid]) -> Result<BTreeMap<Upid, String>, ProviderError> {
    let since = wanted.iter().map(|task| task.start).min().unwrap_or_default();
    let listed = client.send(call::tasks(node, since, LISTED)).await?;
    let listed: BTreeMap<&str, Option<&str>> = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|task| Some((task["upid"].as_str()?, task["status"].as_str().filter(|words| *words != "RUNNING"))))
        .collect();
    let mut ended = BTreeMap::new();
    for task in wanted {
        let words = match listed.get(task.text.as_str()) {
            Some(words) => words.map(String::from),
            None => {
                let status = client.send(call::task_status(task)).await?;
                // What was cut off in its middle has a status and no last words.
                let words = status["exitstatus"].as_str().unwrap_or("unexpected status");
                (status["status"].as_str() == Some("stopped")).then(|| words.to_string())
            }
        };
        ended.extend(words.map(|words| (task.clone(), words)));
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_names_its_node_and_when_it_began() {
        let task: Upid = "UPID:pve1:000003E8:00001B58:6740B0C0:vzcreate:400:root@pam!kubewright:".parse().unwrap();
        assert_eq!((task.node(), task.start, task.guest), ("pve1", 0x6740_b0c0, Some(Vmid(400))));
        assert!("UPID:".parse::<Upid>().is_err());
        assert!("vzcreate".parse::<Upid>().is_err());
    }
}
