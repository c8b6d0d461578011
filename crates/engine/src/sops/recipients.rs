//! The data key for each who may open a file, sealed with age in its armour (`age/keysource.go`, 3.11).

use std::str::FromStr as _;

use super::cipher::DataKey;
use super::identities::Identities;
use super::metadata::Stanza;

/// An age public key, or why it is none that a file can be encrypted for here.
pub(crate) fn recipient(text: &str) -> Result<age::x25519::Recipient, String> {
    if text.starts_with("ssh-") {
        return Err(format!("`{}…` is an SSH key; only age's own public keys, `age1…`, are written", cut(text)));
    }
    if text.starts_with("age1") && text.matches('1').count() > 1 && age::x25519::Recipient::from_str(text).is_err() {
        return Err(format!(
            "`{}…` is of a plug-in of age, or mistyped; only `age1…` as `age-keygen` prints it is written",
            cut(text)
        ));
    }
    let wrong = |why: &str| format!("`{}…` is no age public key: {why}", cut(text));
    age::x25519::Recipient::from_str(text).map_err(wrong)
}

/// What of a key is enough to know it by; a private key by mistake is not shown.
fn cut(text: &str) -> String {
    text.chars().take(8).collect()
}

/// The data key for somebody.
pub(crate) fn seal(to: &str, key: &DataKey) -> Result<Stanza, String> {
    let sealed = age::encrypt_and_armor(&recipient(to)?, key).map_err(|error| error.to_string())?;
    // Go's armour ends in a line feed, and so do the texts of SOPS.
    let sealed = format!("{}\n", sealed.trim_end());
    Ok(Stanza { recipient: to.to_string(), sealed })
}

/// The data key, if one of these identities opens it for one of those.
pub(crate) fn open(stanzas: &[Stanza], identities: &Identities) -> Option<DataKey> {
    let opened = stanzas.iter().flat_map(|stanza| {
        identities.all().filter_map(|identity| age::decrypt(identity, stanza.sealed.as_bytes()).ok())
    });
    opened.into_iter().find_map(|bytes| bytes.try_into().ok())
}
