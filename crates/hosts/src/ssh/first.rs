//! The first contact with a host that has no key of ours yet: a password lets us in to look, and before the first change
//! our key takes its place. From then on the password is not used any more.

use std::path::Path;
use std::time::Duration;

use kubewright_model::secret::Secret;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse as Answer};
use russh::keys::load_secret_key;

use super::keys::public_half;
use super::target::Target;
use super::trust::Judge;
use crate::Layer;
use crate::shell::quote;
use crate::transport::{Refusal, Transport};

/// Questions that a host may ask one after the other: the password, and once more.
const QUESTIONS: usize = 3;
/// A line in a file.
const INSTALL: Duration = Duration::from_secs(30);

/// Offers a password; returns whether it lets us in. Hosts ask for it themselves, or by questions as PAM has them.
pub(super) async fn by_password(
    handle: &mut Handle<Judge>,
    target: &Target,
    password: &Secret,
) -> Result<bool, russh::Error> {
    let answer = handle.authenticate_password(&target.user, password.expose()).await?;
    if matches!(answer, AuthResult::Success) {
        return Ok(true);
    }
    let mut answer = handle.authenticate_keyboard_interactive_start(&target.user, None).await?;
    for _ in 0..QUESTIONS {
        answer = match answer {
            Answer::Success => return Ok(true),
            Answer::Failure { .. } => return Ok(false),
            Answer::InfoRequest { prompts, .. } => {
                let answers = prompts.iter().map(|_| password.expose().to_string()).collect();
                handle.authenticate_keyboard_interactive_respond(answers).await?
            }
        };
    }
    Ok(matches!(answer, Answer::Success))
}

/// Puts the public half of the target's first key where the host looks for it.
pub(crate) async fn install(transport: &dyn Transport, target: &Target) -> Result<(), Refusal> {
    let none = || Refusal::new(Layer::Authentication, "there is no key to put in the password's place");
    put(transport, target.keys.first().ok_or_else(none)?).await
}

/// Puts the public half of a key where the host looks for it.
pub(crate) async fn put(transport: &dyn Transport, path: &Path) -> Result<(), Refusal> {
    let refused = |why: String| Refusal::new(Layer::Authentication, why);
    let script = format!("kw_key={}\n{}", quote(&public(path).map_err(refused)?), include_str!("first.sh"));
    let output = transport.exec("exec sh -s", &mut script.as_bytes(), INSTALL).await?;
    if output.status == Some(0) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
    Err(refused(format!("our key could not be put in its place: {last}")))
}

/// The public half of a key: from the file beside it, or from the key itself where that lies open.
fn public(path: &Path) -> Result<String, String> {
    let half = match public_half(path) {
        Some(half) => Ok(half),
        None => load_secret_key(path, None).map(|key| key.public_key().clone()),
    };
    let half = half.map_err(|error| format!("the public half of {} is not known: {error}", path.display()))?;
    half.to_openssh().map_err(|error| error.to_string())
}
