//! Machine configurations: what is read of them, and what is refused in them.
//!
//! Words are those of `pkg/machinery/config/configloader/internal/decoder` and of
//! `pkg/machinery/config/types/v1alpha1/v1alpha1_validation.go`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// A configuration that was taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Configuration {
    pub(super) text: String,
    main: Value,
    others: Vec<Value>,
}

/// Keys by the place where they stand, each with the minor version from which on it is there.
static KEYS: LazyLock<BTreeMap<&str, BTreeMap<&str, u32>>> = LazyLock::new(|| {
    let lines = include_str!("keys.txt").lines().filter(|line| !line.starts_with('#'));
    let key = |key: &'static str| match key.split_once('@') {
        Some((key, since)) => (key, since.parse().unwrap()),
        None => (key, 0),
    };
    let place = |line: &'static str| {
        let (place, keys) = line.split_once(": ").unwrap();
        (place, keys.split(' ').map(key).collect())
    };
    lines.map(place).collect()
});

impl Configuration {
    /// Reads a text as a version of Talos does.
    pub(super) fn parse(text: &str, minor: u32) -> Result<Self, String> {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|error| format!("decode error: {}", error.without_snippet()))?;
        let (mut main, mut others) = (None, Vec::new());
        for document in documents {
            if !document.is_object() {
                return Err("decode error: yaml: unmarshal errors: cannot unmarshal into a document".to_string());
            }
            let place = match (document["kind"].as_str(), document["apiVersion"].as_str()) {
                (None, None) if main.is_some() => return Err("duplicate document v1alpha1// is not allowed".into()),
                (None, None) => "",
                (Some(kind), version) => {
                    let known = KEYS.get(kind).and_then(|keys| keys.get("kind"));
                    if version != Some("v1alpha1") || known.is_none_or(|since| *since > minor) {
                        return Err(format!("{kind:?} {:?}: not registered", version.unwrap_or_default()));
                    }
                    kind
                }
                (None, Some(_)) => return Err("missing kind".to_string()),
            };
            if let Some(unknown) = unknown(&document, place, minor) {
                let unknown = serde_saphyr::to_string(&unknown).unwrap();
                return Err(format!("unknown keys found during decoding:\n{unknown}"));
            }
            if place.is_empty() { main = Some(document) } else { others.push(document) }
        }
        Ok(Self { text: text.to_string(), main: main.unwrap_or_default(), others })
    }

    /// A text at a path of the main document; numbers and truth values too.
    pub(super) fn at(&self, path: &str) -> Option<String> {
        let found = path.split('.').try_fold(&self.main, |value, key| value.get(key))?;
        match found {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
            other => Some(other.to_string()),
        }
    }

    /// The image of a part of Kubernetes, from either place.
    pub(super) fn image(&self, at: &str, kind: &str) -> Option<String> {
        let document = self.others.iter().find(|document| document["kind"] == kind);
        let named = document.and_then(|document| document["image"].as_str()).map(str::to_string);
        named.or_else(|| self.at(&format!("{at}.image")))
    }

    pub(super) fn authority(&self) -> String {
        self.at("machine.ca.crt").unwrap_or_default()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let names = self.main["machine"]["certSANs"].as_array().cloned().unwrap_or_default();
        names.iter().filter_map(|name| name.as_str().map(str::to_string)).collect()
    }

    pub(super) fn controls(&self) -> bool {
        matches!(self.at("machine.type").as_deref(), Some("controlplane" | "init"))
    }

    /// The node's name, from either place.
    pub(super) fn hostname(&self) -> Option<String> {
        let document = self.others.iter().find(|document| document["kind"] == "HostnameConfig");
        let named = document.and_then(|document| document["hostname"].as_str()).map(str::to_string);
        named.or_else(|| self.at("machine.network.hostname"))
    }

    /// The disk that it is installed to, of those that are there: none if no disk is what it asks for.
    pub(super) fn disk(&self, disks: &[(String, u64, String)]) -> Option<String> {
        let selector = &self.main["machine"]["install"]["diskSelector"];
        let model = selector["model"].as_str().map(|model| model.trim_end_matches('*'));
        let fits = |(path, _, of): &&(String, u64, String)| match model {
            Some(model) => of.starts_with(model),
            None => selector.is_object() || self.at("machine.install.disk").as_ref() == Some(path),
        };
        disks.iter().find(fits).map(|(path, ..)| path.clone())
    }

    /// What does not fit together, in Talos' words.
    pub(super) fn faults(&self, installed: bool) -> Option<String> {
        let is = |path: &str| self.at(path).is_some();
        let mut faults = Vec::new();
        if self.main["machine"].is_null() {
            faults.push("machine instructions are required".to_string());
        }
        if self.main["cluster"].is_null() {
            faults.push("cluster instructions are required".to_string());
        }
        if self.at("cluster.controlPlane.endpoint").is_none_or(|endpoint| !endpoint.starts_with("https://")) {
            faults.push("invalid controlplane endpoint: invalid URL".to_string());
        }
        let install = &self.main["machine"]["install"];
        if !installed && install.is_null() {
            faults.push("install instructions are required in \"metal\" mode".to_string());
        } else if !installed && !is("machine.install.disk") && install["diskSelector"].is_null() {
            faults.push("either install disk or diskSelector should be defined".to_string());
        }
        match self.at("machine.type").as_deref() {
            Some("controlplane" | "init") if !is("machine.ca.crt") => {
                faults.push("issuing CA is required (.machine.ca)".to_string());
            }
            Some("controlplane" | "init") if !is("machine.ca.key") => {
                faults.push("issuing CA key is required for controlplane nodes (.machine.ca.key)".to_string());
            }
            Some("controlplane" | "init") => {}
            Some("worker") => {
                if is("machine.ca.key") {
                    let why = "issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)";
                    faults.push(why.to_string());
                }
                if is("cluster.ca.key") {
                    let why = "issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)";
                    faults.push(why.to_string());
                }
                if !is("machine.ca.crt") {
                    let why = "trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, \
                        .machine.acceptedCAs)";
                    faults.push(why.to_string());
                }
            }
            other => faults.push(format!("unknown machine type {:?}", other.unwrap_or_default())),
        }
        for path in ["machine.ca.crt", "machine.ca.key"] {
            if self.at(path).is_some_and(|packed| super::tls::unpem(&packed).is_none()) {
                faults.push(format!("{path}: failed to parse PEM block"));
            }
        }
        let lines: String = faults.iter().map(|fault| format!("\t* {fault}\n")).collect();
        let count = faults.len();
        (count > 0).then(|| format!("{count} error{} occurred:\n{lines}\n", if count == 1 { "" } else { "s" }))
    }

    /// It takes a restart to make another configuration of this one (`CanApplyImmediate`, v1.11).
    pub(super) fn needs_restart(&self, other: &Self) -> bool {
        let rest = |configuration: &Self| {
            let mut main = configuration.main.clone();
            for key in ["cluster", "debug"] {
                main.as_object_mut().map(|main| main.remove(key));
            }
            const AT_ONCE: &[&str] = &[
                "ca",
                "acceptedCAs",
                "time",
                "certSANs",
                "install",
                "network",
                "sysfs",
                "sysctls",
                "logging",
                "controlPlane",
                "kubelet",
                "kernel",
                "registries",
                "pods",
                "seccompProfiles",
                "nodeAnnotations",
                "nodeLabels",
                "nodeTaints",
                "features",
            ];
            for key in AT_ONCE {
                main["machine"].as_object_mut().map(|machine| machine.remove(*key));
            }
            main
        };
        rest(self) != rest(other)
    }
}

/// The keys of a value that a version does not know, with all that is below them.
fn unknown(value: &Value, place: &str, minor: u32) -> Option<Value> {
    let below = |key: &str| if place.is_empty() { key.to_string() } else { format!("{place}.{key}") };
    match value {
        Value::Object(map) => {
            let known = KEYS.get(place);
            let mut found = Map::new();
            for (key, value) in map {
                let since = known.and_then(|known| known.get(key.as_str()));
                let next = if known.is_some() { below(key) } else { below("*") };
                let wrong = match since {
                    None if known.is_some() => Some(value.clone()),
                    Some(since) if *since > minor => Some(value.clone()),
                    _ => unknown(value, &next, minor),
                };
                wrong.map(|wrong| found.insert(key.clone(), wrong));
            }
            (!found.is_empty()).then_some(Value::Object(found))
        }
        Value::Array(items) => {
            let found: Vec<Value> =
                items.iter().filter_map(|item| unknown(item, &format!("{place}[]"), minor)).collect();
            (!found.is_empty()).then_some(Value::Array(found))
        }
        _ => None,
    }
}
