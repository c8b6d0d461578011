//! The secrets of a Talos cluster, as `talosctl gen secrets` writes them.
//!
//! Names, forms and lengths are those of `siderolabs/talos` `pkg/machinery/config/generate/secrets/{secrets,bundle}.go`.
//! The file is the same from v1.9 to v1.14; only the alphabet of `cluster.id` changed in v1.14, see [`Bundle::generate`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_model::secret::Secret;
use serde::Deserialize;

use super::pki::{self, Kind, Pair};
use super::trust::ClientIdentity;

/// How long a client's certificate is valid: `TalosAPIDefaultCertificateValidityDuration`.
const CLIENT: Duration = Duration::from_secs(365 * 24 * 3600);
/// The role that may do everything (`pkg/machinery/role/role.go`).
const ADMIN: &str = "os:admin";
/// The letters of tokens, and the bytes that give each of them as often as the others (`utils.go`).
const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const FAIR: u8 = 252;
/// What stands in files from which somebody has taken the keys (`x509.Redacted`).
const REDACTED: &str = "******";

/// Everything secret of a cluster, and the authorities that go with it. Nothing of it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    id: Secret,
    secret: Secret,
    bootstrap_token: Secret,
    encryption: Encryption,
    trustd_token: Secret,
    etcd: Pair,
    kubernetes: Pair,
    aggregator: Pair,
    service_account: Secret,
    os: Pair,
}

/// The key by which Kubernetes' Secrets are encrypted in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Encryption {
    Secretbox(Secret),
    /// Of clusters that Talos up to 1.2 began.
    AesCbc(Secret),
}

impl Bundle {
    /// Until when its authorities are good, in seconds since 1970, by their places in the machine configuration.
    pub(super) fn ends(&self) -> BTreeMap<String, u64> {
        let places = ["cluster.etcd.ca.crt", "cluster.ca.crt", "cluster.aggregatorCA.crt", "machine.ca.crt"];
        let pairs = [&self.etcd, &self.kubernetes, &self.aggregator, &self.os];
        let ends = places.into_iter().zip(pairs).filter_map(|(place, pair)| {
            let certificate = pki::certificate_of(&pair.certificate).ok()?;
            Some((place.to_string(), crate::good_until(&certificate)?))
        });
        ends.collect()
    }

    /// The parts that every new bundle has, under the paths at which the machine configuration holds them.
    pub const PARTS: &[&str] = &[
        "cluster.id",
        "cluster.secret",
        "cluster.token",
        "cluster.secretboxEncryptionSecret",
        "cluster.ca.crt",
        "cluster.ca.key",
        "cluster.aggregatorCA.crt",
        "cluster.aggregatorCA.key",
        "cluster.serviceAccount.key",
        "cluster.etcd.ca.crt",
        "cluster.etcd.ca.key",
        "machine.token",
        "machine.ca.crt",
        "machine.ca.key",
    ];

    /// New secrets, and authorities that are valid for ten years from now on.
    ///
    /// `cluster.id` has only letters and digits: up to v1.13 it is Base64 with the alphabet of addresses, from v1.14 on with the
    /// usual one (`config/types/cluster/discovery_identity.go`), and so it is right in both.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers, or its clock cannot be right.
    pub fn generate(now: SystemTime) -> Result<Self, String> {
        Ok(Self {
            id: cluster_id()?,
            secret: random()?,
            bootstrap_token: token()?,
            encryption: Encryption::Secretbox(random()?),
            trustd_token: token()?,
            etcd: pki::authority(Some("etcd"), Kind::Ecdsa, now)?,
            kubernetes: pki::authority(Some("kubernetes"), Kind::Ecdsa, now)?,
            aggregator: pki::authority(None, Kind::Ecdsa, now)?,
            service_account: pki::service_account()?,
            os: pki::authority(Some("talos"), Kind::Ed25519, now)?,
        })
    }

    /// Reads a file of `talosctl gen secrets`. What it does not know there it leaves alone, as Talos does.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, each by its place and without its value: what is missing, what is no PEM, a key that
    /// does not belong to its certificate, what has expired.
    pub fn parse(text: &Secret, now: SystemTime) -> Result<Self, Vec<String>> {
        // The error of the parser would quote the text.
        let whole: File = serde_saphyr::from_str(text.expose()).map_err(|error| {
            let place = error.location().map(|at| format!(", line {} column {}", at.line(), at.column()));
            vec![format!("it is no file of secrets of Talos{}", place.unwrap_or_default())]
        })?;
        let mut reading = Reading { whole, now, faults: Vec::new() };
        let bundle = Self {
            id: reading.text("cluster.id"),
            secret: reading.text("cluster.secret"),
            bootstrap_token: reading.text("secrets.bootstraptoken"),
            encryption: reading.encryption(),
            trustd_token: reading.text("trustdinfo.token"),
            etcd: reading.pair("certs.etcd"),
            kubernetes: reading.pair("certs.k8s"),
            aggregator: reading.pair("certs.k8saggregator"),
            service_account: reading.service_account(),
            os: reading.pair("certs.os"),
        };
        if reading.faults.is_empty() { Ok(bundle) } else { Err(reading.faults) }
    }

    /// The file as `talosctl gen secrets` writes it, for `talosctl gen config --with-secrets`.
    pub fn to_yaml(&self) -> Secret {
        let encryption = match &self.encryption {
            Encryption::Secretbox(key) => ("secretboxencryptionsecret", key),
            Encryption::AesCbc(key) => ("aescbcencryptionsecret", key),
        };
        let mut text = String::new();
        section(&mut text, "cluster", &[("id", &self.id), ("secret", &self.secret)]);
        section(&mut text, "secrets", &[("bootstraptoken", &self.bootstrap_token), encryption]);
        section(&mut text, "trustdinfo", &[("token", &self.trustd_token)]);
        text += "certs:\n";
        let pairs = [("etcd", &self.etcd), ("k8s", &self.kubernetes), ("k8saggregator", &self.aggregator)];
        for (name, pair) in pairs {
            certificate(&mut text, name, Some(&pair.certificate), &pair.key);
        }
        certificate(&mut text, "k8sserviceaccount", None, &self.service_account);
        certificate(&mut text, "os", Some(&self.os.certificate), &self.os.key);
        Secret::new(text)
    }

    /// A part as the machine configuration holds it, by its path there: one of [`Bundle::PARTS`], or
    /// `cluster.aescbcEncryptionSecret`, which clusters from before Talos 1.3 have instead of `cluster.secretboxEncryptionSecret`.
    /// Certificates and keys are Base64 of their PEM.
    pub fn part(&self, name: &str) -> Option<Secret> {
        let certificate = |pair: &Pair| Some(Secret::new(STANDARD.encode(&pair.certificate)));
        let key = |key: &Secret| Some(Secret::new(STANDARD.encode(key.expose())));
        match (name, &self.encryption) {
            ("cluster.id", _) => Some(self.id.clone()),
            ("cluster.secret", _) => Some(self.secret.clone()),
            ("cluster.token", _) => Some(self.bootstrap_token.clone()),
            ("cluster.secretboxEncryptionSecret", Encryption::Secretbox(key))
            | ("cluster.aescbcEncryptionSecret", Encryption::AesCbc(key)) => Some(key.clone()),
            ("cluster.ca.crt", _) => certificate(&self.kubernetes),
            ("cluster.ca.key", _) => key(&self.kubernetes.key),
            ("cluster.aggregatorCA.crt", _) => certificate(&self.aggregator),
            ("cluster.aggregatorCA.key", _) => key(&self.aggregator.key),
            ("cluster.serviceAccount.key", _) => key(&self.service_account),
            ("cluster.etcd.ca.crt", _) => certificate(&self.etcd),
            ("cluster.etcd.ca.key", _) => key(&self.etcd.key),
            ("machine.token", _) => Some(self.trustd_token.clone()),
            ("machine.ca.crt", _) => certificate(&self.os),
            ("machine.ca.key", _) => key(&self.os.key),
            _ => None,
        }
    }

    /// A client's certificate that may do everything, new and valid for a year, with the authority by which it knows nodes.
    ///
    /// # Errors
    ///
    /// The authority cannot sign.
    pub fn admin(&self, now: SystemTime) -> Result<ClientIdentity, String> {
        let pair = pki::client(&self.os, ADMIN, now, CLIENT)?;
        ClientIdentity::new(self.os.certificate.clone(), pair.certificate, pair.key)
    }

    /// The client's configuration of `talosctl`, with a new [`Bundle::admin`]: one context, which is the current one.
    ///
    /// Names and order are those of `pkg/machinery/client/config/config.go`.
    ///
    /// # Errors
    ///
    /// The authority cannot sign.
    pub fn talosconfig(
        &self,
        context: &str,
        endpoints: &[String],
        nodes: &[String],
        now: SystemTime,
    ) -> Result<Secret, String> {
        let admin = self.admin(now)?;
        let mut whole = serde_json::json!({
            "context": context,
            "contexts": { context: {
                "endpoints": endpoints,
                "nodes": nodes,
                "ca": STANDARD.encode(admin.authority()),
                "crt": STANDARD.encode(admin.certificate()),
                "key": STANDARD.encode(admin.key().expose()),
            } },
        });
        if let (true, Some(one)) = (nodes.is_empty(), whole["contexts"][context].as_object_mut()) {
            one.shift_remove("nodes");
        }
        serde_saphyr::to_string(&whole).map(Secret::new).map_err(|error| error.to_string())
    }
}

fn section(text: &mut String, name: &str, values: &[(&str, &Secret)]) {
    // Writing into text cannot fail.
    let _ = writeln!(text, "{name}:");
    for (name, value) in values {
        // A token may read as a number: `1e3456.…` has no quotes otherwise, and neither have others there.
        let quote = if value.expose().parse::<f64>().is_ok() { "\"" } else { "" };
        let _ = writeln!(text, "    {name}: {quote}{}{quote}", value.expose());
    }
}

fn certificate(text: &mut String, name: &str, certificate: Option<&str>, key: &Secret) {
    let _ = writeln!(text, "    {name}:");
    if let Some(certificate) = certificate {
        let _ = writeln!(text, "        crt: {}", STANDARD.encode(certificate));
    }
    let _ = writeln!(text, "        key: {}", STANDARD.encode(key.expose()));
}

/// 32 random bytes in Base64.
fn random() -> Result<Secret, String> {
    Ok(Secret::new(STANDARD.encode(pki::random::<32>()?)))
}

fn cluster_id() -> Result<Secret, String> {
    // One of four has none of the two letters in which the alphabets differ.
    loop {
        let id = random()?;
        if !id.expose().contains(['+', '/']) {
            return Ok(id);
        }
    }
}

/// `abcdef.0123456789abcdef`, as kubeadm and trustd have tokens.
fn token() -> Result<Secret, String> {
    let mut letters = String::new();
    while letters.len() < 22 {
        let fair = pki::random::<32>()?.into_iter().filter(|byte| *byte < FAIR);
        letters.extend(fair.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()])));
    }
    Ok(Secret::new(format!("{}.{}", &letters[..6], &letters[6..22])))
}

type Texts = BTreeMap<String, Option<String>>;

/// The file's form. Every value is text, also a token that would read as a number.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    cluster: Option<Texts>,
    secrets: Option<Texts>,
    trustdinfo: Option<Texts>,
    certs: Option<BTreeMap<String, Option<Texts>>>,
}

impl File {
    /// The text at a path.
    fn at(&self, path: &str) -> Option<&String> {
        let (section, name) = path.split_once('.')?;
        let (texts, name) = match (section, name.split_once('.')) {
            ("cluster", None) => (self.cluster.as_ref()?, name),
            ("secrets", None) => (self.secrets.as_ref()?, name),
            ("trustdinfo", None) => (self.trustdinfo.as_ref()?, name),
            ("certs", Some((pair, half))) => (self.certs.as_ref()?.get(pair)?.as_ref()?, half),
            _ => return None,
        };
        texts.get(name)?.as_ref().filter(|text| !text.is_empty())
    }
}

/// A file that is read, with everything that is wrong so far.
struct Reading {
    whole: File,
    now: SystemTime,
    faults: Vec<String>,
}

impl Reading {
    fn text(&mut self, path: &str) -> Secret {
        let found = self.whole.at(path).cloned();
        if found.is_none() {
            self.faults.push(format!("{path} is missing"));
        }
        Secret::new(found.unwrap_or_default())
    }

    fn encryption(&mut self) -> Encryption {
        const SECRETBOX: &str = "secrets.secretboxencryptionsecret";
        const AES_CBC: &str = "secrets.aescbcencryptionsecret";
        match (self.whole.at(SECRETBOX), self.whole.at(AES_CBC)) {
            (Some(key), None) => return Encryption::Secretbox(Secret::new(key.clone())),
            (None, Some(key)) => return Encryption::AesCbc(Secret::new(key.clone())),
            (Some(_), Some(_)) => {
                self.faults.push(format!("{SECRETBOX} and {AES_CBC} are both there: Talos takes one"))
            }
            (None, None) => self.faults.push(format!("{SECRETBOX} is missing")),
        }
        Encryption::Secretbox(Secret::new(String::new()))
    }

    /// A text that is Base64 of PEM; none if something was wrong, and said.
    fn pem(&mut self, path: &str) -> Option<String> {
        let fault = match self.whole.at(path) {
            None => "is missing",
            Some(text) if text == REDACTED => "has been taken out of this file",
            Some(text) => match STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
                Some(text) => return Some(text),
                None => "is not Base64 of PEM",
            },
        };
        self.faults.push(format!("{path} {fault}"));
        None
    }

    fn pair(&mut self, path: &str) -> Pair {
        let certificate = self.pem(&format!("{path}.crt"));
        let key = self.pem(&format!("{path}.key")).map(Secret::new);
        let faults = pki::faults(certificate.as_deref(), key.as_ref(), self.now);
        self.faults.extend(faults.into_iter().map(|(half, fault)| format!("{path}.{half} {fault}")));
        let none = || Secret::new(String::new());
        Pair { certificate: certificate.unwrap_or_default(), key: key.unwrap_or_else(none) }
    }

    fn service_account(&mut self) -> Secret {
        const PATH: &str = "certs.k8sserviceaccount.key";
        let Some(key) = self.pem(PATH).map(Secret::new) else { return Secret::new(String::new()) };
        if let Err(fault) = pki::signing_key(&key) {
            self.faults.push(format!("{PATH} {fault}"));
        }
        key
    }
}

#[cfg(test)]
mod tests;
