//! The image factory: it is told a schematic before anybody asks it for an image of that.

use std::sync::Arc;
use std::time::Duration;

use kubewright_model::digest::Digest;
use kubewright_model::talos::Schematic;
use rustls::crypto::ring;
use rustls_platform_verifier::Verifier;
use serde::Deserialize;

/// The factory of Talos' makers.
pub const FACTORY: &str = "https://factory.talos.dev";
/// How long it may take to answer; it stores a text, and makes no image yet.
const DEADLINE: Duration = Duration::from_secs(30);

/// Why a schematic is not known to a factory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactoryError {
    /// It could not be reached, or is in trouble. It may pass.
    #[error("the image factory {factory} cannot be asked: {why}")]
    Unreachable {
        /// Its address.
        factory: String,
        /// What was seen.
        why: String,
    },
    /// It does not take the schematic. It will not pass by itself.
    #[error("the image factory {factory} refuses the schematic: {why}")]
    Refused {
        /// Its address.
        factory: String,
        /// In its own words.
        why: String,
    },
    /// It takes the schematic for another one: images of ours would be others than we say.
    #[error("the image factory {factory} calls the schematic {theirs}, and not {ours}: it adds something to it")]
    Different {
        /// Its address.
        factory: String,
        /// The id that it answers.
        theirs: String,
        /// The id that follows from the text.
        ours: Digest,
    },
}

/// What `POST /schematics` answers with 201 (`docs/api.md` of siderolabs/image-factory).
#[derive(Deserialize)]
struct Created {
    id: String,
}

/// Tells a factory a schematic; telling it twice changes nothing. Returns the id, which is the schematic's own.
///
/// # Errors
///
/// It cannot be asked, refuses the schematic (a factory with users wants to know who asks), or knows it by another id.
pub async fn register(factory: &str, schematic: &Schematic) -> Result<Digest, FactoryError> {
    let factory = factory.trim_end_matches('/').to_string();
    let unreachable = |why: String| FactoryError::Unreachable { factory: factory.clone(), why };
    let http = client().map_err(unreachable)?;
    let sent = http.post(format!("{factory}/schematics")).body(schematic.text.clone()).send().await;
    let answer = sent.map_err(|error| unreachable(chain(&error)))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| unreachable(chain(&error)))?;
    let first = text.lines().next().unwrap_or_default().trim();
    match status.as_u16() {
        200 | 201 => {}
        408 | 429 | 500.. => return Err(unreachable(format!("{status}: {first}"))),
        _ => return Err(FactoryError::Refused { factory, why: format!("{status}: {first}") }),
    }
    let created: Created = serde_json::from_str(&text)
        .map_err(|_| unreachable("what answers there is no image factory: it does not tell an id".into()))?;
    if created.id != schematic.id.as_str() {
        return Err(FactoryError::Different { factory, theirs: created.id, ours: schematic.id.clone() });
    }
    Ok(schematic.id.clone())
}

/// A client that trusts whom this computer trusts.
fn client() -> Result<reqwest::Client, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(provider.clone()).map_err(|error| error.to_string())?;
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(DEADLINE);
    builder.build().map_err(|error| error.to_string())
}

/// An error with what lies below it: the outermost only says that something failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut below = error.source();
    while let Some(cause) = below {
        let text = cause.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        below = cause.source();
    }
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A factory that answers one request, and what it was sent.
    async fn asked(status: &str, body: &str) -> (Result<Digest, FactoryError>, String) {
        let schematic = Schematic::new(&["siderolabs/gvisor".to_string()], &[]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let body = body.replace("{id}", schematic.id.as_str());
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let end = schematic.text.clone();
        let there = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = String::new();
            while !got.ends_with(&end) {
                let mut part = [0; 4096];
                let count = stream.read(&mut part).await.unwrap();
                got += std::str::from_utf8(&part[..count]).unwrap();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            got
        });
        let came = register(&address, &schematic).await;
        (came, there.await.unwrap())
    }

    #[tokio::test]
    async fn a_factory_is_told_the_schematic_and_asked_for_its_id() {
        let (came, sent) = asked("201 Created", r#"{"id":"{id}","schematic":"…"}"#).await;
        assert!(came.is_ok(), "{came:?}");
        assert!(sent.starts_with("POST /schematics HTTP/1.1\r\n"), "{sent}");
        assert!(sent.ends_with("\r\n\r\ncustomization:\n    systemExtensions:\n        officialExtensions:\n            - siderolabs/gvisor\n"));
        let (came, _) = asked("201 Created", r#"{"id":"abc"}"#).await;
        assert!(matches!(&came, Err(FactoryError::Different { theirs, .. }) if theirs == "abc"), "{came:?}");
    }

    #[tokio::test]
    async fn errors_tell_what_may_pass() {
        let (came, _) = asked("400 Bad Request", "yaml: unmarshal errors:\n  line 1").await;
        assert!(
            matches!(&came, Err(FactoryError::Refused { why, .. }) if why == "400 Bad Request: yaml: unmarshal errors:")
        );
        let (came, _) = asked("503 Service Unavailable", "later").await;
        assert!(matches!(&came, Err(FactoryError::Unreachable { why, .. }) if why.contains("later")), "{came:?}");
        let (came, _) = asked("200 OK", "<html>").await;
        assert!(
            matches!(&came, Err(FactoryError::Unreachable { why, .. }) if why.contains("no image factory")),
            "{came:?}"
        );
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let schematic = Schematic::new(&[], &[]).unwrap();
        let came = register(&format!("http://{gone}"), &schematic).await;
        assert!(matches!(&came, Err(FactoryError::Unreachable { why, .. }) if why.contains("refused")), "{came:?}");
    }
}
