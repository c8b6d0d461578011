//! A value under the data key: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]` (`aes/cipher.go`, 3.11).

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{AesGcm, Nonce, aes::Aes256};
use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::tree::{Leaf, Value};

/// What the values of a file are encrypted with.
pub(crate) type DataKey = [u8; 32];
/// SOPS takes nonces of this length, more than is usual.
pub(crate) type Iv = [u8; 32];

const HEAD: &str = "ENC[AES256_GCM,data:";
/// AES-GCM puts so many bytes behind what it encrypts.
const TAG: usize = 16;

/// Whether a text is one that SOPS has encrypted.
pub(crate) fn is_sealed(text: &str) -> bool {
    parts(text).is_some()
}

/// Data, nonce, tag and type of an encrypted value.
fn parts(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (data, rest) = text.strip_prefix(HEAD)?.split_once(",iv:")?;
    let (iv, rest) = rest.split_once(",tag:")?;
    let (tag, rest) = rest.split_once(",type:")?;
    Some((data, iv, tag, rest.strip_suffix(']')?))
}

/// A value that was opened.
pub(crate) struct Opened {
    pub(crate) leaf: Leaf,
    /// With it the same value becomes the same text again; nothing empty has one.
    pub(crate) iv: Option<Iv>,
}

/// Opens a text that is bound to a path. Why it does not open tells nothing of it.
pub(crate) fn open(key: &DataKey, text: &str, bound: &str) -> Result<Opened, &'static str> {
    if text.is_empty() {
        return Ok(Opened { leaf: Leaf::Value(Value::Text(String::new())), iv: None });
    }
    let (data, iv, tag, kind) = parts(text).ok_or("not encrypted, and it should be")?;
    let decoded = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| "its encrypted text is broken");
    let iv: Iv = decoded(iv)?.try_into().map_err(|_| "its nonce has another length than SOPS gives it")?;
    let sealed = [decoded(data)?, decoded(tag)?].concat();
    let payload = Payload { msg: &sealed, aad: bound.as_bytes() };
    let nonce = Nonce::<U32>::from(iv);
    let opened = gcm(key).decrypt(&nonce, payload);
    let opened =
        opened.map_err(|_| "its encrypted text was changed or stands in another place than it was made for")?;
    let text = String::from_utf8(opened).map_err(|_| "it is not text")?;
    Ok(Opened { leaf: typed(kind, text)?, iv: Some(iv) })
}

fn typed(kind: &str, text: String) -> Result<Leaf, &'static str> {
    let value = match kind {
        "comment" => return Ok(Leaf::Comment(text)),
        "str" | "bytes" => Value::Text(text),
        "int" => Value::Int(text.parse().map_err(|_| "it is no whole number of 64 bits")?),
        "float" => Value::Float(text.parse().map_err(|_| "it is no number")?),
        // What Go's `ParseBool` takes; the first SOPS, in Python, wrote a capital letter.
        "bool" => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Value::Bool(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Value::Bool(false),
            _ => return Err("it is no truth value"),
        },
        "time" => Value::Time(text),
        _ => return Err("it is of a type that this version does not know"),
    };
    Ok(Leaf::Value(value))
}

/// Encrypts a value or a comment for a path. What is empty stays so.
pub(crate) fn seal(key: &DataKey, leaf: &Leaf, bound: &str, iv: Iv) -> Result<String, &'static str> {
    let (kind, bytes) = match leaf {
        Leaf::Comment(text) => ("comment", text.as_bytes().to_vec()),
        Leaf::Value(value) => (name(value).ok_or("it holds other values")?, value.bytes()),
    };
    if bytes.is_empty() {
        return Ok(String::new());
    }
    let payload = Payload { msg: &bytes, aad: bound.as_bytes() };
    let nonce = Nonce::<U32>::from(iv);
    let sealed = gcm(key).encrypt(&nonce, payload).map_err(|_| "it cannot be encrypted")?;
    let (data, tag) = sealed.split_at(sealed.len().saturating_sub(TAG));
    let [data, iv, tag] = [data, &iv, tag].map(|bytes| BASE64_STANDARD.encode(bytes));
    Ok(format!("{HEAD}{data},iv:{iv},tag:{tag},type:{kind}]"))
}

/// The word for the type of a value that holds no others.
fn name(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Text(_) => "str",
        Value::Time(_) => "time",
        Value::Null | Value::Map(_) | Value::List(_) => return None,
    })
}

fn gcm(key: &DataKey) -> AesGcm<Aes256, U32> {
    AesGcm::new(key.into())
}

/// Random bytes: a data key, or a nonce.
pub(crate) fn random() -> Result<[u8; 32], String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(bytes)
}
