//! URLs that answer.

use std::time::Duration;

use kubewright_model::spec::verify::UrlCheck;
use reqwest::{Client, Url, redirect};

use super::{Answer, fails, holds};

/// A page that needs longer is not healthy.
const ANSWER: Duration = Duration::from_secs(15);

/// Whether a URL answers as it should.
pub(super) async fn answers(check: &UrlCheck) -> Answer {
    match status(check).await {
        Ok(status) if check.status.contains(&status) => holds(format!("{status} from {}", check.url)),
        Ok(status) => {
            let wanted = check.status.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
            fails(format!("{status} from {}, and {wanted} is right", check.url), hint(status, check))
        }
        Err(why) => fails(format!("{} does not answer: {why}", check.url), "look at what should listen there"),
    }
}

fn hint(status: u16, check: &UrlCheck) -> String {
    match status {
        404 if check.host.is_some() => "no route of this host leads anywhere: look at its Ingress".into(),
        502..=504 => "the way is there, and nothing behind it is ready: look at the pods of its Service".into(),
        _ => String::new(),
    }
}

/// The status of the answer. The connection goes to where the URL says, whatever name is asked for there. Whether a
/// certificate is right is another check's matter, and redirections are an answer like any other.
async fn status(check: &UrlCheck) -> Result<u16, String> {
    let mut url = Url::parse(&check.url).map_err(|error| error.to_string())?;
    let mut builder = Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .redirect(redirect::Policy::none())
        .timeout(ANSWER)
        .no_proxy();
    if let Some(host) = &check.host {
        let port = url.port_or_known_default().unwrap_or(80);
        let place = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_string();
        let mut found = tokio::net::lookup_host((place.as_str(), port)).await.map_err(|error| error.to_string())?;
        let address = found.next().ok_or_else(|| format!("{place} has no address"))?;
        url.set_host(Some(host)).map_err(|error| error.to_string())?;
        builder = builder.resolve(host, address);
    }
    let client = builder.build().map_err(|error| words(&error))?;
    Ok(client.get(url).send().await.map_err(|error| words(&error))?.status().as_u16())
}

/// The deepest cause says most.
fn words(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    match error.is_timeout() {
        true => format!("no answer within {} s", ANSWER.as_secs()),
        false => deepest.to_string(),
    }
}
