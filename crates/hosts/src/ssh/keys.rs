//! Being let in: the keys of files, then those of the agent, and a list of what was tried.

use std::path::Path;
use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey, load_public_key, load_secret_key};

use super::target::Target;
use super::trust::Judge;
use crate::Layer;
use crate::transport::Refusal;

/// Tries every key until the host takes one.
pub(crate) async fn let_in(handle: &mut Handle<Judge>, target: &Target) -> Result<(), Refusal> {
    let refused = |why: String| Refusal::new(Layer::Authentication, why);
    let hash = handle.best_supported_rsa_hash().await.map_err(|error| refused(error.to_string()))?;
    // A server that does not say which hashes it knows is an old one; SHA-2 is what all of the last ten years know.
    let hash = hash.flatten().or(Some(HashAlg::Sha512));
    let mut tried = Vec::new();
    let mut locked = Vec::new();
    for path in &target.keys {
        match load_secret_key(path, None) {
            Ok(key) => {
                let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
                match handle.authenticate_publickey(&target.user, key).await {
                    Ok(AuthResult::Success) => return Ok(()),
                    Ok(AuthResult::Failure { .. }) => tried.push(path.display().to_string()),
                    Err(error) => return Err(refused(format!("{}: {error}", path.display()))),
                }
            }
            Err(russh::keys::Error::KeyIsEncrypted) => locked.push(path.as_path()),
            Err(error) => tried.push(format!("{} ({error})", path.display())),
        }
    }
    match by_agent(handle, target, hash, &locked, &mut tried).await {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(why) => tried.push(format!("the SSH agent ({why})")),
    }
    tried.extend(
        locked.iter().map(|path| format!("{} (encrypted, and the SSH agent does not hold it)", path.display())),
    );
    let tried =
        if tried.is_empty() { "no key was found to try".to_string() } else { format!("tried {}", tried.join(", ")) };
    Err(refused(format!("{} is not let in: {tried}", target.user)))
}

/// Tries the agent's keys: all of them, or only those that the target names. No agent is no failure.
async fn by_agent(
    handle: &mut Handle<Judge>,
    target: &Target,
    hash: Option<HashAlg>,
    locked: &[&Path],
    tried: &mut Vec<String>,
) -> Result<bool, String> {
    let Some(socket) = &target.agent else { return Ok(false) };
    let Ok(mut agent) = AgentClient::connect_uds(socket).await else { return Ok(false) };
    let held = agent.request_identities().await.map_err(|error| error.to_string())?;
    let named: Vec<PublicKey> = locked.iter().filter_map(|path| public_half(path)).collect();
    for identity in held {
        let key = identity.public_key().into_owned();
        if target.only_keys && !named.iter().any(|named| named.key_data() == key.key_data()) {
            continue;
        }
        let hash = if key.algorithm().is_rsa() { hash } else { None };
        let words = format!("{} of the SSH agent", key.fingerprint(HashAlg::Sha256));
        match handle.authenticate_publickey_with(&target.user, key, hash, &mut agent).await {
            Ok(AuthResult::Success) => return Ok(true),
            Ok(AuthResult::Failure { .. }) => tried.push(words),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(false)
}

/// The public half of a key's file, which stands beside it.
fn public_half(path: &Path) -> Option<PublicKey> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    load_public_key(Path::new(&beside)).ok()
}
