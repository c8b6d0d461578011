//! Being let in: the keys of files, those of the agent, those with a password, and a list of what was tried.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kubewright_model::ids::HoleName;
use kubewright_model::secret::Secret;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::client::AgentClient;
use russh::keys::{
    HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, decode_secret_key, load_public_key, load_secret_key,
};
use tokio::time::timeout;

use super::target::Target;
use super::trust::{Judge, Tell};
use super::{GREETING, first, late};
use crate::Layer;
use crate::passwords::{Password, Passwords};
use crate::transport::Refusal;

/// What was tried so far, and what could be.
#[derive(Default)]
struct Tries {
    /// Keys that were not taken, for people.
    tried: Vec<String>,
    /// Keys whose files are encrypted.
    locked: Vec<PathBuf>,
    /// Public halves of keys that only the agent can use.
    named: Vec<PublicKey>,
}

/// Tries every key until the host takes one: those that lie open, those of the agent, and then those for which somebody
/// must be asked for a password. Where the spec has one for a first contact, that comes last; returns whether it did it.
pub(crate) async fn let_in(
    handle: &mut Handle<Judge>,
    target: &Target,
    passwords: &Passwords,
    tell: &Tell,
) -> Result<bool, Refusal> {
    if let Some(given) = &target.given {
        let taken = timeout(GREETING, by_given_key(handle, target, given)).await;
        return taken.map_err(|_| late(Layer::Authentication, GREETING))?.map(|()| false);
    }
    let mut tries = Tries::default();
    let open = timeout(GREETING, by_open_keys(handle, target, &mut tries)).await;
    if open.map_err(|_| late(Layer::Authentication, GREETING))?? {
        // A wrong name is easily found; a wrong key would be found where no other is.
        let said = target.keys.first().filter(|_| target.says_key).map(|key| key.display().to_string());
        if let (Some(said), Some(first)) = (said, tries.tried.first().filter(|_| tries.locked.is_empty()))
            && first.starts_with(&said)
        {
            tell(format!("{}: `keyFile` does not let us in, another key does: {first}", target.host));
        }
        return Ok(false);
    }
    for path in std::mem::take(&mut tries.locked) {
        let (tried, taken) = by_locked_key(handle, target, &path, passwords).await?;
        if taken {
            return Ok(false);
        }
        tries.tried.push(tried);
    }
    if let Some(hole) = &target.first {
        match by_first_password(handle, target, hole, passwords).await? {
            None => return Ok(true),
            Some(tried) => tries.tried.push(tried),
        }
    }
    let tried = match tries.tried.as_slice() {
        [] => "no key was found to try".to_string(),
        tried => format!("tried {}", tried.join(", ")),
    };
    Err(refused(format!("{} is not let in: {tried}", target.user)))
}

/// Tries the key that was given, and no other: whoever names a key for one purpose means that one.
async fn by_given_key(handle: &mut Handle<Judge>, target: &Target, given: &Secret) -> Result<(), Refusal> {
    let key = decode_secret_key(given.expose(), None).map_err(|error| match error {
        russh::keys::Error::KeyIsEncrypted => {
            refused("the key is encrypted, and its secret has to be an open one".into())
        }
        // The library's words may hold a part of what it could not read.
        _ => refused("the secret is no private key of SSH".into()),
    })?;
    let fingerprint = key.public_key().fingerprint(HashAlg::Sha256);
    match offer(handle, target, Path::new("the key"), key).await? {
        true => Ok(()),
        false => Err(refused(format!("{} is not let in: tried the key {fingerprint} of the spec", target.user))),
    }
}

fn refused(why: String) -> Refusal {
    Refusal::new(Layer::Authentication, why)
}

/// Tries the password for a first contact; returns what was tried, if it did not let us in.
async fn by_first_password(
    handle: &mut Handle<Judge>,
    target: &Target,
    hole: &HoleName,
    passwords: &Passwords,
) -> Result<Option<String>, Refusal> {
    let password = match passwords.first(hole).await {
        Ok(password) => password,
        Err(why) => return Ok(Some(why)),
    };
    let tried = timeout(GREETING, first::by_password(handle, target, &password)).await;
    match tried.map_err(|_| late(Layer::Authentication, GREETING))? {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(Password::First(hole.clone()).to_string())),
        Err(error) => Ok(Some(format!("{} ({error})", Password::First(hole.clone())))),
    }
}

/// Offers a key to the host; returns whether it is taken.
async fn offer(handle: &mut Handle<Judge>, target: &Target, path: &Path, key: PrivateKey) -> Result<bool, Refusal> {
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash(handle).await?);
    match handle.authenticate_publickey(&target.user, key).await {
        Ok(answer) => Ok(matches!(answer, AuthResult::Success)),
        Err(error) => Err(refused(format!("{}: {error}", path.display()))),
    }
}

/// The hash for RSA keys. A server that does not say which ones it knows is an old one; SHA-2 is what all of the last ten
/// years know.
async fn hash(handle: &mut Handle<Judge>) -> Result<Option<HashAlg>, Refusal> {
    let hash = handle.best_supported_rsa_hash().await.map_err(|error| refused(error.to_string()))?;
    Ok(hash.flatten().or(Some(HashAlg::Sha512)))
}

/// Tries what needs nobody's password: keys in open files, and the agent's.
async fn by_open_keys(handle: &mut Handle<Judge>, target: &Target, tries: &mut Tries) -> Result<bool, Refusal> {
    for path in &target.keys {
        match load_secret_key(path, None) {
            Ok(key) => {
                if offer(handle, target, path, key).await? {
                    return Ok(true);
                }
                tries.tried.push(path.display().to_string());
            }
            Err(russh::keys::Error::KeyIsEncrypted) => {
                tries.named.extend(public_half(path));
                tries.locked.push(path.clone());
            }
            // The private half may be in the agent alone, on a stick that never gives it away.
            Err(_) if target.agent.is_some() && public_half(path).is_some() => tries.named.extend(public_half(path)),
            Err(error) => tries.tried.push(format!("{} ({error})", path.display())),
        }
    }
    let hash = hash(handle).await?;
    match by_agent(handle, target, hash, tries).await {
        Ok(let_in) => Ok(let_in),
        Err(why) => {
            tries.tried.push(format!("the SSH agent ({why})"));
            Ok(false)
        }
    }
}

/// Tries an encrypted key with the password that somebody knows; returns what was tried and whether it was taken.
async fn by_locked_key(
    handle: &mut Handle<Judge>,
    target: &Target,
    path: &Path,
    passwords: &Passwords,
) -> Result<(String, bool), Refusal> {
    let words = |why: &str| format!("{} (encrypted, the SSH agent does not hold it, and {why})", path.display());
    let password = match passwords.key(path).await {
        Ok(password) => password,
        Err(why) => return Ok((words(&why), false)),
    };
    // Opening is made slow on purpose.
    let file = path.to_path_buf();
    let opened = tokio::task::spawn_blocking(move || load_secret_key(&file, Some(password.expose()))).await;
    match opened {
        Ok(Ok(key)) => {
            let taken = timeout(GREETING, offer(handle, target, path, key)).await;
            Ok((path.display().to_string(), taken.map_err(|_| late(Layer::Authentication, GREETING))??))
        }
        _ => Ok((words("the password does not open it"), false)),
    }
}

/// Tries the agent's keys: all of them, or only those that the target names. No agent is no failure.
async fn by_agent(
    handle: &mut Handle<Judge>,
    target: &Target,
    hash: Option<HashAlg>,
    tries: &mut Tries,
) -> Result<bool, String> {
    let Some(socket) = &target.agent else { return Ok(false) };
    let Ok(mut agent) = AgentClient::connect_uds(socket).await else { return Ok(false) };
    let held = agent.request_identities().await.map_err(|error| error.to_string())?;
    // A host lets nobody try many keys, so those that somebody named come first.
    let named = |key: &PublicKey| tries.named.iter().any(|named| named.key_data() == key.key_data());
    let (mut keys, others): (Vec<_>, Vec<_>) = held.into_iter().partition(|held| named(&held.public_key()));
    if !target.only_keys {
        keys.extend(others);
    }
    for identity in keys {
        let key = identity.public_key().into_owned();
        let hash = if key.algorithm().is_rsa() { hash } else { None };
        let words = format!("{} of the SSH agent", key.fingerprint(HashAlg::Sha256));
        match handle.authenticate_publickey_with(&target.user, key, hash, &mut agent).await {
            Ok(AuthResult::Success) => return Ok(true),
            Ok(AuthResult::Failure { .. }) => tries.tried.push(words),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(false)
}

/// The public half of a key's file, which stands beside it or is the file itself.
pub(super) fn public_half(path: &Path) -> Option<PublicKey> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    load_public_key(Path::new(&beside)).or_else(|_| load_public_key(path)).ok()
}
