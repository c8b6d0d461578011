//! Texts and objects without what looks like a secret, whoever made it.
//!
//! What we know to be a secret is taken out by its value ([`kubewright_hosts::masked`]); this is the second net, for those that
//! others have put into logs, arguments and environments. It takes too much rather than too little.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// What stands in a secret's place.
const GONE: &str = "[secret]";

/// What a secret looks like wherever it stands. Each is found whole, but for a group `keep` in it.
static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // Private keys of any kind, also those that were cut off.
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)",
        r"AGE-SECRET-KEY-[A-Z0-9-]+",
        // Headers.
        r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}",
        // JSON Web Tokens, those of service accounts among them.
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        // What K3s and RKE2 join with, and kubeadm.
        r"\bK10[0-9a-f]{32,}(?:::[^\s\x22']+)?",
        r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b",
        // Tokens of vendors that say what they are.
        r"\b(?:ghp|gho|ghs|github_pat|glpat|hvs|s)[_.-][A-Za-z0-9_-]{20,}",
        r"\bAKIA[0-9A-Z]{16}\b",
        // A flag, and its value as the next word.
        r"(?i)(?P<keep>--?[\w-]*(?:password|passphrase|requirepass|masterauth|token|secret|key|pwd|-pass)\s+)[^\s]+",
        r"(?i)(?P<keep>--certificate-key=)[^\s]+",
        // In an address: Redis' has no name before it, and a password may hold a slash.
        r#"(?P<keep>://[^\s/:@"',]*:)[^\s@"',]+@"#,
        // Addresses that let in whoever knows them.
        r#"(?P<keep>://(?:discord(?:app)?\.com/api/webhooks|hooks\.slack\.com/\w+|[\w.-]+\.webhook\.office\.com|api\.telegram\.org)/)[^\s"']+"#,
        // A key that sounds secret, and its value: `password: x`, `--token=x`, `"apiKey": "x"`.
        r#"(?i)(?P<keep>[\w.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|key-data|credential|requirepass|[_-]key|[_-]pass|\bpass\b|pwd)[\w.-]*\\?["']?\s*[:=]\s*)(?:\\?"[^"\\]*\\?"|'[^']*'|[^\s"',;}&]+)"#,
    ]
    .iter()
    .filter_map(|form| Regex::new(form).ok())
    .collect()
});

/// Words in keys whose values are secrets.
const WORDS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "requirepass",
];
/// How such keys end, too: `DB_PASS`, `MYSQL_PWD`, `signingKey`.
const ENDS: [&str; 3] = ["pass", "pwd", "key"];
/// What kubelet calls kinds in what it says: `secret "gandi-api" not found`.
const KINDS: [&str; 2] = ["secret", "configmap"];
/// Keys that sound so and only name something, or say how long it holds.
const NAMES: [&str; 17] = [
    "secretname",
    "secretref",
    "secretkeyref",
    "imagepullsecrets",
    "secrets",
    "tokenexpirationseconds",
    "automountserviceaccounttoken",
    "serviceaccounttoken",
    "secretproviderclass",
    "secretnamespace",
    "secretfile",
    "tokenid",
    "key",
    "topologykey",
    "publickey",
    "labelkey",
    "bypass",
];

fn sounds_secret(key: &str) -> bool {
    let key: String = key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let sounds = WORDS.iter().any(|word| key.contains(word)) || ENDS.iter().any(|end| key.ends_with(end));
    sounds && !NAMES.contains(&key.as_str())
}

/// Whether all that is below a key is secret: not what only says where a secret is.
fn holds_secrets(key: &str) -> bool {
    let lower = key.to_lowercase();
    let refers =
        lower == "secret" || ["ref", "refs", "selector", "source", "sources"].iter().any(|end| lower.ends_with(end));
    sounds_secret(key) && !refers
}

/// Everything below a key that sounds secret.
fn hide(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(fields) => fields.values_mut().for_each(hide),
        Value::String(_) | Value::Number(_) => *value = GONE.into(),
        Value::Null | Value::Bool(_) => {}
    }
}

/// What a program is started with: the program and the names of flags stay.
fn words_of_a_program(items: &mut [Value], first: usize) {
    for item in items.iter_mut().skip(first) {
        let Value::String(it) = item else { continue };
        match it.split_once('=') {
            Some((flag, _)) if flag.starts_with('-') && !flag.contains(char::is_whitespace) => {
                *it = format!("{flag}={GONE}")
            }
            None if it.starts_with('-') && !it.contains(char::is_whitespace) => {}
            _ => *it = GONE.into(),
        }
    }
}

/// A text without what looks like a secret.
pub(crate) fn text(text: &str) -> String {
    FORMS.iter().fold(text.to_string(), |text, form| {
        let hidden = |found: &Captures<'_>| {
            let kept = found.name("keep").map_or("", |kept| kept.as_str());
            let whole = found.get(0).map_or("", |whole| whole.as_str());
            if !kept.is_empty() && KINDS.contains(&&whole[kept.len()..]) {
                return whole.to_string();
            }
            let ends = if whole.ends_with('@') { "@" } else { "" };
            format!("{kept}{GONE}{ends}")
        };
        form.replace_all(&text, hidden).into_owned()
    })
}

/// An object without what looks like a secret: values of Secrets, of environments, of what programs are started with, and of
/// keys that sound so.
pub(crate) fn value(value: &mut Value) {
    match value {
        Value::String(it) => *it = text(it),
        Value::Array(items) => {
            let mut secret_follows = false;
            for item in items {
                if let (true, Value::String(it)) = (secret_follows, &mut *item) {
                    *it = GONE.into();
                }
                // `--token`, and its value as the next argument.
                secret_follows =
                    item.as_str().is_some_and(|it| it.starts_with('-') && !it.contains('=') && sounds_secret(it));
                self::value(item);
            }
        }
        Value::Object(fields) => {
            let is_secret = fields.get("kind").and_then(Value::as_str) == Some("Secret");
            let named = fields.get("name").and_then(Value::as_str).is_some_and(sounds_secret);
            for (key, field) in fields.iter_mut() {
                let hides = (is_secret && matches!(key.as_str(), "data" | "stringData")) || (named && key == "value");
                match field {
                    Value::Object(values) if hides => values.values_mut().for_each(|it| *it = GONE.into()),
                    Value::String(it) if hides || sounds_secret(key) => *it = GONE.into(),
                    Value::Array(_) | Value::Object(_) if holds_secrets(key) => hide(field),
                    Value::Array(items) if key == "args" => words_of_a_program(items, 0),
                    Value::Array(items) if key == "command" => words_of_a_program(items, 1),
                    // Nobody judges what an environment holds, and anything may be a secret there.
                    Value::Array(items) if key == "env" => {
                        items.iter_mut().filter_map(|it| it.get_mut("value")).for_each(hide);
                        self::value(field);
                    }
                    field => self::value(field),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_looks_like_a_secret_goes_and_the_rest_stays() {
        for (given, wanted) in [
            ("msg=\"token: planted\" level=info", "msg=\"token: [secret]\" level=info"),
            ("Authorization: Bearer planted-1234", "Authorization: Bearer [secret]"),
            ("kubeadm join 10.0.0.1 --token abcdef.0123456789abcdef", "kubeadm join 10.0.0.1 --token [secret]"),
            ("https://user:planted@example.org/x", "https://user:[secret]@example.org/x"),
            ("--password=planted -v", "--password=[secret] -v"),
            ("-----BEGIN RSA PRIVATE KEY-----\nplanted\n-----END RSA PRIVATE KEY-----\nx", "[secret]\nx"),
            ("secret \"gandi-credentials\" not found", "secret \"gandi-credentials\" not found"),
            (
                "volume \"trusted-cert-crt-secret-volume\": secret \"x-tls\" not found",
                "volume \"trusted-cert-crt-secret-volume\": secret \"x-tls\" not found",
            ),
            ("redis://:planted@redis:6379", "redis://:[secret]@redis:6379"),
            ("postgres://app:plan/ted@db", "postgres://app:[secret]@db"),
            ("DB_PASS=planted MYSQL_PWD=planted", "DB_PASS=[secret] MYSQL_PWD=[secret]"),
            ("ENCRYPTION_KEY=planted SIGNING_KEY=planted", "ENCRYPTION_KEY=[secret] SIGNING_KEY=[secret]"),
            ("redis-server --requirepass planted -v", "redis-server --requirepass [secret] -v"),
            ("https://discord.com/api/webhooks/1/planted", "https://discord.com/api/webhooks/[secret]"),
            ("https://hooks.slack.com/services/T/planted", "https://hooks.slack.com/services/[secret]"),
            ("open /dev/kmsg: no such file or directory", "open /dev/kmsg: no such file or directory"),
        ] {
            assert_eq!(text(given), wanted, "{given}");
        }
    }

    #[test]
    fn objects_keep_their_form() {
        let mut object = json!({
            "kind": "Secret", "data": { "a": "cGxhbnRlZA==" },
            "spec": {
                "imagePullSecrets": [{ "name": "registry" }],
                "containers": [{
                    "command": ["sh", "-c", "mysql -pplanted"],
                    "args": ["--token", "planted", "--v=2", "planted"],
                    "env": [{ "name": "DB_PASSWORD", "value": "planted" }, { "name": "MODE", "value": "planted" }],
                }],
                "volumes": [{ "name": "tls", "secret": { "secretName": "web-tls" } }],
                "valuesObject": {
                    "passwords": ["planted"], "tokens": ["planted"], "credentials": { "user": "planted" },
                    "signingKey": "planted", "dbPass": "planted",
                },
                "topologyKey": "kubernetes.io/hostname",
            },
        });
        value(&mut object);
        assert!(!object.to_string().contains("planted") && !object.to_string().contains("cGxhbnRlZA"), "{object}");
        assert_eq!(object["spec"]["imagePullSecrets"][0]["name"], "registry");
        assert_eq!(object["spec"]["containers"][0]["env"][1]["name"], "MODE");
        assert_eq!(object["spec"]["containers"][0]["command"][0], "sh");
        assert_eq!(object["spec"]["containers"][0]["args"][2], "--v=[secret]");
        assert_eq!(object["spec"]["volumes"][0]["secret"]["secretName"], "web-tls");
        assert_eq!(object["spec"]["topologyKey"], "kubernetes.io/hostname");
    }
}
