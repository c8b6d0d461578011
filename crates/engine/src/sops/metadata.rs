//! What a file says of its own encryption, under `sops` (`stores/stores.go`, `Metadata`, 3.11).
//!
//! It is kept as it was read, so that what this version does not know is written back.

use super::rule::{Rule, UNENCRYPTED_SUFFIX};
use super::tree::{Branch, Part, Value, pairs, put, under, values};
use super::{Result, SopsError};

/// The version of SOPS whose files these are, for a file that we begin.
const VERSION: &str = "3.11.0";
/// Fields that come after the keys, in the order of SOPS.
const AFTER_KEYS: [&str; 4] = ["lastmodified", "mac", "pgp", "version"];

/// The data key for one who can open it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stanza {
    pub(crate) recipient: String,
    pub(crate) sealed: String,
}

/// A file's metadata.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    raw: Branch,
    pub(crate) rule: Rule,
    pub(crate) mac: String,
    /// As the digest is bound to it: RFC 3339, in UTC with a `Z`.
    pub(crate) last_modified: String,
    pub(crate) mac_only_encrypted: bool,
}

impl Metadata {
    /// Of a file that we begin; one of a single value has no keys that a rule could be about.
    pub(crate) fn new(single: bool) -> Self {
        let text = |text: &str| Value::Text(text.to_string());
        let fields = [
            ("lastmodified", text("")),
            ("mac", text("")),
            ("unencrypted_suffix", text(UNENCRYPTED_SUFFIX)),
            ("version", text(VERSION)),
        ];
        let fields = fields.into_iter().filter(|(key, _)| !single || *key != "unencrypted_suffix");
        Self {
            raw: fields.map(|(key, value)| Part::Is((key.to_string(), value))).collect(),
            rule: Rule::UnencryptedSuffix(UNENCRYPTED_SUFFIX.into()),
            mac: String::new(),
            last_modified: String::new(),
            mac_only_encrypted: false,
        }
    }

    /// As a file has it.
    pub(crate) fn read(mut raw: Branch) -> Result<Self> {
        raw.retain(|part| matches!(part, Part::Is(_)));
        let text = |key: &str| under(&raw, key).and_then(Value::text).filter(|text| !text.is_empty());
        if matches!(under(&raw, "key_groups"), Some(Value::List(groups)) if !groups.is_empty()) {
            return Err(SopsError::KeyGroups);
        }
        let mut rules = Rule::NAMES.iter().filter_map(|name| Some((*name, text(name)?)));
        let (rule, more) = (rules.next(), rules.next());
        if let Some((name, _)) = more {
            return Err(SopsError::Metadata(format!("it has two rules for what is encrypted, the second is `{name}`")));
        }
        let (name, told) = rule.unwrap_or(("unencrypted_suffix", UNENCRYPTED_SUFFIX.into()));
        let rule = Rule::named(name, &told).map_err(SopsError::Metadata)?;
        let needed = |key: &str| text(key).ok_or_else(|| SopsError::Metadata(format!("`{key}` is missing")));
        let last_modified = needed("lastmodified")?.replace("+00:00", "Z");
        let mac = needed("mac")?;
        let mac_only_encrypted = text("mac_only_encrypted").is_some_and(|text| text == "true");
        Ok(Self { raw, rule, mac, last_modified, mac_only_encrypted })
    }

    /// As it is written.
    pub(crate) fn branch(&self) -> Branch {
        self.raw.clone()
    }

    /// For whom the data key is sealed with age.
    pub(crate) fn stanzas(&self) -> Vec<Stanza> {
        let Some(Value::List(entries)) = under(&self.raw, "age") else { return Vec::new() };
        let stanza = |entry: &Value| {
            let Value::Map(fields) = entry else { return None };
            let text = |key: &str| under(fields, key).and_then(Value::text);
            Some(Stanza { recipient: text("recipient")?, sealed: text("enc")? })
        };
        values(entries).filter_map(stanza).collect()
    }

    /// Keys of other kinds that open the file too: `kms arn:…`, `pgp FINGERPRINT`.
    pub(crate) fn others(&self) -> Vec<String> {
        let kinds = pairs(&self.raw).filter(|(kind, _)| *kind != "age");
        let entries = kinds.filter_map(|(kind, value)| match value {
            Value::List(entries) => Some((kind, entries)),
            _ => None,
        });
        let named = |kind: &str, entry: &Value| {
            let Value::Map(fields) = entry else { return kind.to_string() };
            let told = pairs(fields).filter(|(key, _)| !matches!(*key, "enc" | "created_at"));
            let told: Vec<String> = told.filter_map(|(_, value)| value.text()).filter(|it| !it.is_empty()).collect();
            format!("{kind} {}", told.join(" "))
        };
        entries.flat_map(|(kind, entries)| values(entries).map(move |entry| named(kind, entry))).collect()
    }

    /// Puts other ones in the place of those who open it with age.
    pub(crate) fn set_stanzas(&mut self, stanzas: Vec<Stanza>) {
        let entry = |Stanza { recipient, sealed }| {
            let fields = [("recipient", recipient), ("enc", sealed)];
            let fields = fields.map(|(key, text)| Part::Is((key.to_string(), Value::Text(text))));
            Part::Is(Value::Map(fields.into()))
        };
        let list = Value::List(stanzas.into_iter().map(entry).collect());
        if under(&self.raw, "age").is_some() {
            return put(&mut self.raw, "age", list);
        }
        let after =
            |part: &Part<(String, Value)>| matches!(part, Part::Is((key, _)) if AFTER_KEYS.contains(&key.as_str()));
        let place = self.raw.iter().position(after).unwrap_or(self.raw.len());
        self.raw.insert(place, Part::Is(("age".into(), list)));
    }

    /// Puts the moment and the digest of a change.
    pub(crate) fn set_mac(&mut self, moment: String, mac: String) {
        put(&mut self.raw, "lastmodified", Value::Text(moment.clone()));
        put(&mut self.raw, "mac", Value::Text(mac.clone()));
        (self.last_modified, self.mac) = (moment, mac);
    }
}
