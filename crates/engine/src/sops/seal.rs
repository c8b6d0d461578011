//! A tree under its data key and back, with the digest over its values (`sops.go`, `Encrypt` and `Decrypt`, 3.11).

use std::collections::{BTreeMap, VecDeque};

use sha2::{Digest as _, Sha512};

use super::cipher::{self, DataKey, Iv};
use super::metadata::Metadata;
use super::tree::{Around, Branch, Leaf, Value, walk};
use super::{Result, SopsError};

/// What a digest over encrypted values alone begins with: the SHA-256 of `sops`.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0xb, 0xb, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// The nonces of values as they were, so that what does not change is the same text again.
#[derive(Clone, Default)]
pub(crate) struct Nonces(BTreeMap<(String, &'static str, Vec<u8>), VecDeque<Iv>>);

impl Nonces {
    fn keep(&mut self, bound: &str, leaf: &Leaf, iv: Iv) {
        self.0.entry(key(bound, leaf)).or_default().push_back(iv);
    }

    /// The nonce of the next value of this text in this place. One is never used for another text.
    fn take(&mut self, bound: &str, leaf: &Leaf) -> std::result::Result<Iv, String> {
        match self.0.get_mut(&key(bound, leaf)).and_then(VecDeque::pop_front) {
            Some(iv) => Ok(iv),
            None => cipher::random(),
        }
    }
}

fn key(bound: &str, leaf: &Leaf) -> (String, &'static str, Vec<u8>) {
    match leaf {
        Leaf::Comment(text) => (bound.to_string(), "comment", text.as_bytes().to_vec()),
        Leaf::Value(value) => (bound.to_string(), value.kind(), value.bytes()),
    }
}

/// The digest of a file's values. Comments are no part of it.
struct Mac {
    hash: Sha512,
    only_encrypted: bool,
}

impl Mac {
    fn new(metadata: &Metadata) -> Self {
        let only_encrypted = metadata.mac_only_encrypted;
        let mut hash = Sha512::new();
        if only_encrypted {
            hash.update(ONLY_ENCRYPTED);
        }
        Self { hash, only_encrypted }
    }

    fn value(&mut self, leaf: &Leaf, encrypted: bool) {
        if let Leaf::Value(value) = leaf
            && (encrypted || !self.only_encrypted)
        {
            self.hash.update(value.bytes());
        }
    }

    fn end(self) -> String {
        hex::encode_upper(self.hash.finalize())
    }
}

/// A file's documents, opened.
pub(crate) struct Opened {
    pub(crate) documents: Vec<Branch>,
    pub(crate) nonces: Nonces,
}

/// Opens all values, and holds them against the digest that the file has.
pub(crate) fn open(documents: Vec<Branch>, metadata: &Metadata, key: &DataKey) -> Result<Opened> {
    let (mut mac, mut nonces) = (Mac::new(metadata), Nonces::default());
    let mut becomes = |leaf: Leaf, around: &Around| {
        let encrypted = metadata.rule.encrypts(around, matches!(leaf, Leaf::Comment(_)));
        let opened = match leaf {
            leaf if !encrypted => leaf,
            Leaf::Comment(text) => match cipher::open(key, &text, &around.bound()) {
                Ok(opened) => {
                    opened.iv.into_iter().for_each(|iv| nonces.keep(&around.bound(), &opened.leaf, iv));
                    opened.leaf
                }
                // Older versions of SOPS left comments in clear text.
                Err(_) => Leaf::Comment(text),
            },
            Leaf::Value(Value::Text(text)) => {
                let opened = cipher::open(key, &text, &around.bound()).map_err(|why| SopsError::value(around, why))?;
                opened.iv.into_iter().for_each(|iv| nonces.keep(&around.bound(), &opened.leaf, iv));
                opened.leaf
            }
            Leaf::Value(_) => return Err(SopsError::value(around, "not encrypted, and it should be")),
        };
        mac.value(&opened, encrypted);
        Ok(opened)
    };
    let opened: Result<_> =
        documents.into_iter().map(|branch| walk(branch, &mut Around::default(), &mut becomes)).collect();
    let documents = opened?;
    let found = mac.end();
    match cipher::open(key, &metadata.mac, &metadata.last_modified).map(|opened| opened.leaf) {
        Ok(Leaf::Value(Value::Text(told))) if told == found => Ok(Opened { documents, nonces }),
        _ => Err(SopsError::Tampered),
    }
}

/// Encrypts all values that the file's rule wants so; the documents, and the digest over them.
pub(crate) fn seal(
    documents: Vec<Branch>,
    metadata: &Metadata,
    key: &DataKey,
    nonces: &mut Nonces,
) -> Result<(Vec<Branch>, String)> {
    let mut mac = Mac::new(metadata);
    let mut becomes = |leaf: Leaf, around: &Around| {
        let encrypted = metadata.rule.encrypts(around, matches!(leaf, Leaf::Comment(_)));
        mac.value(&leaf, encrypted);
        // A comment that nobody could open stays what it is.
        let closed = matches!(&leaf, Leaf::Comment(text) if cipher::is_sealed(text));
        if !encrypted || closed {
            return Ok(leaf);
        }
        let bound = around.bound();
        let iv = nonces.take(&bound, &leaf).map_err(SopsError::Failed)?;
        let sealed = cipher::seal(key, &leaf, &bound, iv).map_err(|why| SopsError::value(around, why))?;
        Ok(Leaf::Value(Value::Text(sealed)))
    };
    let sealed: Result<_> =
        documents.into_iter().map(|branch| walk(branch, &mut Around::default(), &mut becomes)).collect();
    Ok((sealed?, mac.end()))
}

/// The digest as the file has it, bound to the moment of the change.
pub(crate) fn seal_mac(mac: String, moment: &str, key: &DataKey) -> Result<String> {
    let iv = cipher::random().map_err(SopsError::Failed)?;
    let sealed = cipher::seal(key, &Leaf::Value(Value::Text(mac)), moment, iv);
    sealed.map_err(|why| SopsError::Failed(why.to_string()))
}
