//! The keys of hosts that we make ourselves: known before the hosts are there.

use kubewright_model::ids::NodeName;
use kubewright_model::secret::Secret;
use ring::hmac;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};

/// The key of a host, as it follows from a secret: the private half as OpenSSH keeps it, and the public half in one line.
///
/// # Errors
///
/// The key cannot be written.
pub fn host_key(secret: &Secret, host: &NodeName) -> Result<(Secret, String), String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut seed = [0; 32];
    seed.copy_from_slice(hmac::sign(&key, host.as_str().as_bytes()).as_ref());
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    let unwritten = |error: russh::keys::ssh_key::Error| error.to_string();
    let private = PrivateKey::new(pair, host.as_str()).map_err(unwritten)?;
    let public = private.public_key().to_openssh().map_err(unwritten)?;
    let private = private.to_openssh(LineEnding::LF).map_err(unwritten)?;
    Ok((Secret::new(private.to_string()), public))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_own_key_and_keeps_it() {
        let secret = Secret::new("seed".into());
        let (private, public) = host_key(&secret, &"node-1".into()).unwrap();
        assert!(private.expose().starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
        assert!(public.starts_with("ssh-ed25519 AAAA") && public.ends_with(" node-1"), "{public}");
        let read = PrivateKey::from_openssh(private.expose().as_str()).unwrap();
        assert_eq!(read.public_key().to_openssh().unwrap(), public);
        assert_eq!(host_key(&secret, &"node-1".into()).unwrap().1, public);
        assert_ne!(host_key(&secret, &"node-2".into()).unwrap().1, public);
        assert_ne!(host_key(&Secret::new("other".into()), &"node-1".into()).unwrap().1, public);
    }
}
