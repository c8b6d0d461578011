//! Drift: the world is not as the spec says any more. What differs in few words, and who is told of it.
//!
//! The same difference is told once, and its end is told once; what was told last is remembered by whoever calls.

use std::time::Duration;

use kubewright_model::desired::{Desired, DesiredDrift, DesiredEmail};
use kubewright_model::digest::Digest;
use kubewright_model::ids::{ClusterName, HoleName};
use kubewright_model::plan::{Fingerprint, Plan, Weight};
use kubewright_model::secret::Secret;
use kubewright_model::spec::drift::MailTls;
use kubewright_model::units::Moment;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// A webhook that does not answer must not hold up whoever looks.
const ANSWERS: Duration = Duration::from_secs(30);
/// Lines of a notice; a chat shows no more, and `plan` shows all.
const MOST: usize = 40;

/// What is told of a difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// The whole in words: what chats show.
    pub text: String,
    /// The cluster.
    pub cluster: ClusterName,
    /// Seconds since 1970.
    pub at: u64,
    /// Whether something differs, or does no more.
    pub drift: bool,
    /// What differs, a line for each step that would mend it.
    pub differences: Vec<String>,
    /// Tells two differences apart.
    pub fingerprint: Fingerprint,
    /// Those who have not heard it yet, where others have; empty for all.
    #[serde(skip)]
    pub to: Vec<Receiver>,
}

/// Somebody whom the spec names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receiver {
    /// The webhook.
    Webhook,
    /// The e-mail addresses.
    Email,
}

/// What was told last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The difference's fingerprint.
    pub fingerprint: Fingerprint,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// It was over, and not everybody has heard of that.
    #[serde(default)]
    pub over: bool,
    /// Those who could not be told; they are tried again, and the others left alone.
    #[serde(default)]
    pub missed: Vec<Receiver>,
}

/// What differs, in few words: each step that would mend it, and why.
pub fn differences(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| format!("{}: {}", step.title(), step.reason)).collect()
}

/// What keeps anybody from saying whether something differs: a host that does not answer, a token that was revoked.
fn unsure(plan: &Plan) -> Vec<String> {
    let blocks = plan.notes.iter().filter(|note| note.weight == Weight::Blocks);
    blocks.map(|note| format!("{}: {}", note.subject, note.message)).collect()
}

impl Notice {
    /// What there is to tell now, where something else was told before; none where that is the same. That all is as the spec
    /// says is told only by a look that saw all.
    pub fn due(plan: &Plan, told: Option<&Told>, now: u64) -> Option<Self> {
        let blocked = plan.is_blocked();
        let differences = if blocked { unsure(plan) } else { differences(plan) };
        let drift = !differences.is_empty();
        let fingerprint = if blocked { Fingerprint(Digest::of_value(&differences)) } else { plan.fingerprint.clone() };
        let same = |told: &&Told| told.over != drift && (told.over || told.fingerprint == fingerprint);
        let to = match told.filter(same) {
            Some(told) if told.missed.is_empty() => return None,
            Some(told) => told.missed.clone(),
            None => Vec::new(),
        };
        let headline = match told {
            _ if blocked => format!("{}: nobody can say whether it is as the spec says", plan.cluster),
            _ if drift => format!("{}: {} from the spec", plan.cluster, things(differences.len())),
            Some(told) => {
                format!(
                    "{}: everything is as the spec says again, since {} it was not",
                    plan.cluster,
                    Moment(told.since)
                )
            }
            None => return None,
        };
        let mut lines: Vec<String> = differences.iter().take(MOST).map(|line| format!("- {line}")).collect();
        if differences.len() > MOST {
            lines.push(format!("- and {} more: `kubewright plan` shows all", differences.len() - MOST));
        }
        let text = std::iter::once(headline).chain(lines).collect::<Vec<_>>().join("\n");
        Some(Self { text, cluster: plan.cluster.clone(), at: now, drift, differences, fingerprint, to })
    }

    /// What is remembered once it was told to all but those.
    pub fn told(&self, before: Option<Told>, missed: Vec<Receiver>) -> Option<Told> {
        let since = before.filter(|before| !(before.over && self.drift)).map_or(self.at, |before| before.since);
        let over = !self.drift;
        (self.drift || !missed.is_empty()).then(|| Told { fingerprint: self.fingerprint.clone(), since, over, missed })
    }
}

fn things(many: usize) -> String {
    if many == 1 { "1 thing differs".into() } else { format!("{many} things differ") }
}

impl Engine {
    /// Tells everybody whom the spec names and who has not heard it; returns whom it was told, and why others could not be.
    pub async fn notify(
        &self,
        desired: &Desired,
        drift: &DesiredDrift,
        notice: &Notice,
    ) -> Vec<(Receiver, Result<String, String>)> {
        let mut told = Vec::new();
        let due = |receiver| notice.to.is_empty() || notice.to.contains(&receiver);
        if let Some(webhook) = drift.webhook.as_ref().filter(|_| due(Receiver::Webhook)) {
            let sent = async { post(&self.secret_of(desired, webhook)?, notice).await };
            let sent = sent.await.map(|()| "the webhook".to_string()).map_err(|why| format!("the webhook: {why}"));
            told.push((Receiver::Webhook, sent));
        }
        if let Some(email) = drift.email.as_ref().filter(|_| due(Receiver::Email)) {
            let sent = async {
                let password = email.password.as_ref().map(|hole| self.secret_of(desired, hole)).transpose()?;
                mail(email, password.as_ref(), notice).await
            };
            let to = email.to.join(", ");
            let sent = sent.await.map(|()| to.clone()).map_err(|why| format!("{to}, by {}: {why}", email.server));
            told.push((Receiver::Email, sent));
        }
        told
    }

    fn secret_of(&self, desired: &Desired, hole: &HoleName) -> Result<Secret, String> {
        let name = hole.secret().ok_or("it is no secret")?;
        self.world().secrets(self.store()).resolve(desired, name)
    }
}

/// Gives a notice to a webhook. Its address is a secret, so no error repeats it.
async fn post(address: &Secret, notice: &Notice) -> Result<(), String> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(trusting()?)
        .timeout(ANSWERS)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())?;
    let body = serde_json::to_vec(notice).map_err(|error| error.to_string())?;
    let asked = client.post(address.expose().trim()).header("content-type", "application/json").body(body);
    let answer = asked.send().await.map_err(|error| causes(&error.without_url()))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answers {status}")),
    }
}

/// What this computer trusts, as for providers.
pub(crate) fn trusting() -> Result<rustls::ClientConfig, String> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    let crypto = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(crypto).with_safe_default_protocol_versions();
    let config = config.and_then(|config| config.with_platform_verifier()).map_err(|error| error.to_string())?;
    Ok(config.with_no_client_auth())
}

/// An error with what is behind it.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.join(": ")
}

/// Sends a notice as an e-mail.
async fn mail(email: &DesiredEmail, password: Option<&Secret>, notice: &Notice) -> Result<(), String> {
    let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| format!("`{text}`: {error}"));
    let subject = notice.text.lines().next().unwrap_or_default();
    let mut message = Message::builder().from(mailbox(&email.from)?).subject(subject);
    for to in &email.to {
        message = message.to(mailbox(to)?);
    }
    let message = message.body(format!("{}\n", notice.text)).map_err(|error| error.to_string())?;
    let host = email.server.host.as_str();
    let parameters = || TlsParameters::new(host.to_string()).map_err(|error| causes(&error));
    let tls = match email.tls {
        MailTls::Starttls => Tls::Required(parameters()?),
        MailTls::Tls => Tls::Wrapper(parameters()?),
        MailTls::None => Tls::None,
    };
    let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host);
    server = server.port(email.server.port).tls(tls).timeout(Some(ANSWERS));
    if let (Some(user), Some(password)) = (&email.user, password) {
        server = server.credentials(Credentials::new(user.clone(), password.expose().clone()));
    }
    server.build().send(message).await.map(drop).map_err(|error| causes(&error))
}

#[cfg(test)]
mod tests {
    use kubewright_model::change::Subject;
    use kubewright_model::plan::{Ask, Note};

    use super::*;

    fn plan(many: usize) -> Plan {
        let step = |number: usize| {
            serde_json::from_value(serde_json::json!({
                "id": format!("cordon/n{number}"), "stage": "workers", "subject": { "member": format!("n{number}") },
                "action": { "cordon": format!("n{number}") }, "fields": [], "reason": "differs", "needs": [], "takes": [],
            }))
            .unwrap()
        };
        Plan::new("lab".into(), Ask::Apply, (0..many).map(step).collect(), Vec::new())
    }

    #[test]
    fn the_same_is_told_once_and_its_end_too() {
        let first = Notice::due(&plan(2), None, 100).unwrap();
        assert!(first.drift && first.text.starts_with("lab: 2 things differ from the spec\n- cordon n0: "));
        let told = first.told(None, Vec::new());
        assert_eq!(Notice::due(&plan(2), told.as_ref(), 200), None, "it is the same");
        let other = Notice::due(&plan(1), told.as_ref(), 300).unwrap();
        let told = other.told(told, Vec::new());
        assert_eq!(told.as_ref().map(|told| told.since), Some(100), "since the first of them");
        let end = Notice::due(&plan(0), told.as_ref(), 400).unwrap();
        assert!(!end.drift && end.text.contains("as the spec says again"));
        assert_eq!(end.told(told, Vec::new()), None);
        assert_eq!(Notice::due(&plan(0), None, 500), None, "nothing was told, so nothing has ended");
        assert!(Notice::due(&plan(50), None, 1).unwrap().text.ends_with("- and 10 more: `kubewright plan` shows all"));
    }

    #[test]
    fn who_could_not_be_told_is_tried_again_and_nobody_else() {
        let first = Notice::due(&plan(1), None, 100).unwrap();
        let told = first.told(None, vec![Receiver::Email]);
        let again = Notice::due(&plan(1), told.as_ref(), 200).unwrap();
        assert_eq!((again.to.as_slice(), first.to.as_slice()), ([Receiver::Email].as_slice(), [].as_slice()));
        let told = again.told(told, Vec::new());
        assert_eq!(Notice::due(&plan(1), told.as_ref(), 300), None);
        let end = Notice::due(&plan(0), told.as_ref(), 400).unwrap();
        let told = end.told(told, vec![Receiver::Webhook]);
        let again = Notice::due(&plan(0), told.as_ref(), 500).unwrap();
        assert_eq!((again.to.as_slice(), again.drift), ([Receiver::Webhook].as_slice(), false));
        let other = Notice::due(&plan(1), told.as_ref(), 600).unwrap();
        assert!(other.drift && other.to.is_empty(), "it differs again, and all hear it");
        assert_eq!(other.told(told, Vec::new()).map(|told| told.since), Some(600));
    }

    #[test]
    fn what_nobody_can_see_is_told_and_ends_nothing() {
        let mut blind = plan(0);
        blind.notes.push(Note {
            weight: Weight::Blocks,
            subject: Subject::Cluster,
            message: "server-1 does not answer".into(),
            help: None,
            stages: Vec::new(),
        });
        let first = Notice::due(&blind, None, 100).unwrap();
        assert!(
            first.drift && first.text.contains("nobody can say") && first.text.contains("server-1 does not answer")
        );
        let told = first.told(None, Vec::new());
        assert_eq!(Notice::due(&blind, told.as_ref(), 200), None, "once");
        let end = Notice::due(&plan(0), told.as_ref(), 300).unwrap();
        assert!(!end.drift && end.text.contains("as the spec says again"));
    }

    /// Somebody who hears one request, and answers.
    async fn heard(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}/secret-part", listener.local_addr().unwrap());
        let hears = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut all, mut piece) = (String::new(), vec![0; 65536]);
            while !all.ends_with('}') {
                let read = stream.read(&mut piece).await.unwrap();
                all += &String::from_utf8_lossy(&piece[..read]);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            all
        });
        (at, hears)
    }

    #[tokio::test]
    async fn a_webhook_gets_what_differs_and_no_error_repeats_its_address() {
        let notice = Notice::due(&plan(1), None, 100).unwrap();
        let (at, hears) = heard("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").await;
        post(&Secret::new(at), &notice).await.unwrap();
        let said = hears.await.unwrap();
        assert!(said.starts_with("POST /secret-part HTTP/1.1\r\n"), "{said}");
        let body: serde_json::Value = serde_json::from_str(said.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!((&body["cluster"], &body["drift"]), (&"lab".into(), &true.into()));
        assert!(body["text"].as_str().is_some_and(|text| text.contains("cordon n0")));
        let (at, _hears) = heard("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        let why = post(&Secret::new(at), &notice).await.unwrap_err();
        assert_eq!(why, "it answers 403 Forbidden");
        let why = post(&Secret::new("http://127.0.0.1:1/secret-part".into()), &notice).await.unwrap_err();
        assert!(!why.contains("secret-part") && why.contains("refused"), "{why}");
    }

    #[tokio::test]
    async fn an_email_comes_to_a_server_that_nobody_here_wrote() {
        let python = std::env::var("KUBEWRIGHT_AIOSMTPD").unwrap_or_else(|_| "python3".into());
        let there = std::process::Command::new(&python).args(["-c", "import aiosmtpd"]).output();
        if !there.is_ok_and(|ended| ended.status.success()) {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "test an_email_comes was SKIPPED: {python} has no aiosmtpd");
            return;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut server = tokio::process::Command::new(&python)
            .args([
                "-u",
                "-m",
                "aiosmtpd",
                "-n",
                "-l",
                &format!("127.0.0.1:{port}"),
                "-c",
                "aiosmtpd.handlers.Debugging",
                "stdout",
            ])
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let email = DesiredEmail {
            server: kubewright_model::net::HostPort::new("127.0.0.1", port),
            tls: MailTls::None,
            user: None,
            password: None,
            from: "kubewright@example.org".into(),
            to: vec!["ops@example.org".into(), "lead@example.org".into()],
        };
        let notice = Notice::due(&plan(1), None, 100).unwrap();
        let mut sent = Err(String::new());
        for _ in 0..50 {
            sent = mail(&email, None, &notice).await;
            if sent.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        sent.unwrap();
        server.start_kill().unwrap();
        let said = server.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("Subject: lab: 1 thing differs from the spec"), "{said}");
        assert!(said.contains("To: ops@example.org, lead@example.org") && said.contains("- cordon n0"), "{said}");
        // It has no TLS, and none is what was asked for: nothing is said in clear text.
        let encrypted = DesiredEmail { tls: MailTls::Starttls, ..email };
        assert!(mail(&encrypted, None, &notice).await.is_err());
    }
}
