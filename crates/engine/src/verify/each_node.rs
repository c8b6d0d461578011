//! URLs that answer on every node: each asked from another node's side, as load balancers and neighbours do.

use std::time::Duration;

use futures::future::join_all;
use kubewright_hosts::DialError;
use kubewright_model::checked::{Checked, Part};
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::spec::verify::UrlCheck;
use reqwest::Url;
use tokio::time::{Instant, timeout};

use super::greetings::http::{self, Answer};
use super::greetings::wire::{Cut, Wire};
use super::greetings::{Failed, line};
use super::sides::{Side, is_of_side};
use super::{Eyes, milliseconds, summed, unseen};

/// A page that needs longer is not healthy.
const ANSWER: Duration = Duration::from_secs(15);
/// Nodes that are tried to look from, before none is found.
const TRIES: usize = 3;

/// What is asked of a place.
pub(super) struct Asked {
    pub(super) at: HostPort,
    /// Its name in the request.
    pub(super) host: String,
    pub(super) path: String,
    pub(super) tls: bool,
}

/// What came back.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) server: Option<String>,
    pub(super) took: Duration,
}

impl Eyes<'_> {
    /// Asks each of these nodes.
    pub(super) async fn each_node(&self, check: &UrlCheck, nodes: &[NodeName]) -> Checked {
        let sides = match self.sides(nodes) {
            Ok(sides) => sides,
            Err(why) => return unseen(why),
        };
        let asked = nodes.iter().enumerate().map(async |(place, name)| {
            let (address, answer) = match self.asked(check, name) {
                Err(why) => (String::new(), Err(Amiss { saw: why, hint: None })),
                Ok(asked) => (asked.at.to_string(), fetch(&sides, place, &asked).await),
            };
            (name.to_string(), address, answer)
        });
        let answers = join_all(asked).await;
        let hint = answers.iter().find_map(|(_, _, answer)| match answer {
            Ok(page) if check.status.contains(&page.status) => None,
            Ok(page) => Some(hint(page.status).to_string()),
            Err(amiss) => amiss.hint.clone(),
        });
        let parts = answers.into_iter().map(|(name, address, answer)| part(check, name, address, answer)).collect();
        let good = |parts: &[Part]| format!("{} answers on {} nodes", check.url, parts.len());
        summed(parts, good, hint)
    }

    /// Where a URL leads on a node.
    fn asked(&self, check: &UrlCheck, node: &NodeName) -> Result<Asked, String> {
        let address = self.address(node).ok_or("its address is not known")?;
        let place = if address.contains(':') { format!("[{address}]") } else { address.clone() };
        let url = Url::parse(&check.url.replace("{node}", &place)).map_err(|error| error.to_string())?;
        let port = url.port_or_known_default().unwrap_or(80);
        let bare = url.host_str().unwrap_or(&address).trim_matches(['[', ']']).to_string();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let at = HostPort::new(bare, port);
        let host = check.host.clone().unwrap_or_else(|| at.to_string());
        Ok(Asked { at, host, path: format!("{}{query}", url.path()), tls: url.scheme() == "https" })
    }
}

/// Why a page did not come.
pub(super) struct Amiss {
    pub(super) saw: String,
    pub(super) hint: Option<String>,
}

fn part(check: &UrlCheck, name: String, address: String, answer: Result<Page, Amiss>) -> Part {
    match answer {
        Err(amiss) => Part { name, address, holds: false, saw: amiss.saw, milliseconds: None },
        Ok(page) => {
            let holds = check.status.contains(&page.status);
            let saw = match (&page.server, holds) {
                (_, true) => format!("HTTP {}", page.status),
                (Some(server), false) => format!("HTTP {} from {server}", page.status),
                (None, false) => format!("HTTP {}", page.status),
            };
            Part { name, address, holds, saw, milliseconds: Some(milliseconds(page.took)) }
        }
    }
}

/// What an answer that is not right is likely to mean.
pub(super) fn hint(status: u16) -> &'static str {
    match status {
        404 => "who listens there knows no such page: look at its routes",
        502..=504 => "the way is there, and nothing behind it is ready: look at the pods of its Service",
        _ => "look at what listens on these nodes: its log tells more",
    }
}

/// Asks from the side of the next node that can be logged in to, or else from the one after it: who looks at itself
/// proves less.
pub(super) async fn fetch(sides: &[Side<'_>], place: usize, asked: &Asked) -> Result<Page, Amiss> {
    let mut last = None;
    for side in sides.iter().cycle().skip(place + 1).take(TRIES.min(sides.len())) {
        match timeout(ANSWER, page(side, asked)).await {
            Err(_) => return Err(amiss(format!("no answer within {} s", ANSWER.as_secs()))),
            Ok(Ok(page)) => return Ok(page),
            Ok(Err(Lost::Dial(error))) if is_of_side(&error) => last = Some(error),
            Ok(Err(Lost::Dial(error))) => return Err(Amiss { saw: error.to_string(), hint: error.help() }),
            Ok(Err(Lost::Said(saw))) => return Err(amiss(saw)),
        }
    }
    let (saw, hint) = last.map_or((String::new(), None), |error| (error.to_string(), error.help()));
    Err(Amiss { saw: format!("it cannot be asked: {saw}"), hint })
}

fn amiss(saw: String) -> Amiss {
    Amiss { saw, hint: Some("look at what should listen on these nodes".into()) }
}

enum Lost {
    Dial(DialError),
    Said(String),
}

async fn page(side: &Side<'_>, asked: &Asked) -> Result<Page, Lost> {
    let dialed = side.dial(&asked.at).await.map_err(Lost::Dial)?;
    let (before, began) = (dialed.took, Instant::now());
    let mut wire = Wire::new(dialed.stream);
    let talk = async {
        if asked.tls {
            wire.start_tls(&asked.at.host).await?;
        }
        http::get(&mut wire, &asked.host, &asked.path).await
    };
    let answer: Result<Answer, Failed> = talk.await;
    match answer {
        Ok(answer) => {
            let server = answer.server().map(|server| line(server.as_bytes()));
            Ok(Page { status: answer.status, server, took: before + began.elapsed() })
        }
        Err(Failed::Cut(Cut::Tls(why))) => Err(Lost::Said(format!("it speaks no TLS: {why}"))),
        Err(Failed::Cut(Cut::End)) => Err(Lost::Said("it opens, and hangs up".into())),
        Err(Failed::Strange | Failed::Unmet(_)) => Err(Lost::Said(match line(&wire.heard) {
            nothing if nothing.is_empty() => "what answers is no HTTP".into(),
            heard => format!("what answers is no HTTP: `{heard}`"),
        })),
    }
}
