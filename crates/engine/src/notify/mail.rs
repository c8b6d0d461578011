//! What goes as an e-mail.

use std::time::Duration;

use kubewright_model::desired::DesiredEmail;
use kubewright_model::spec::notifications::MailTls;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Letter, Tokio1Executor};

use super::{Message, causes};

/// A server that does not answer must not hold up whoever looks.
const ANSWERS: Duration = Duration::from_secs(30);

/// Sends a message: its first line is the subject.
pub(super) async fn send(email: &DesiredEmail, password: Option<&String>, message: &Message) -> Result<(), String> {
    let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| format!("`{text}`: {error}"));
    let subject = message.text.lines().next().unwrap_or_default();
    let mut letter = Letter::builder().from(mailbox(&email.from)?).subject(subject);
    for to in &email.to {
        letter = letter.to(mailbox(to)?);
    }
    let letter = letter.body(format!("{}\n", message.text)).map_err(|error| error.to_string())?;
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
        server = server.credentials(Credentials::new(user.clone(), password.clone()));
    }
    server.build().send(letter).await.map(drop).map_err(|error| causes(&error))
}
