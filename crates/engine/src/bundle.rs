//! The support bundle: everything that tells what is wrong, in one archive, without secrets.
//!
//! Three nets keep secrets out: lists of Secrets are never asked for; what looks like a secret goes ([`crate::scrub`]); and
//! before a file is packed, every secret of this cluster that has a value is taken out of it by that value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use kubewright_hosts::{Holes, masked};
use kubewright_model::desired::Desired;
use kubewright_model::digest::Digest;
use kubewright_model::doctor::{Evidence, Paper};
use kubewright_model::observed::Seen;
use kubewright_model::plan::Ask;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Engine, scrub};

/// The newest runs that are packed: what is wrong now was begun by one of them.
const RUNS: usize = 10;

/// An archive.
#[derive(Clone, Debug)]
pub struct Packed {
    /// It.
    pub bytes: Vec<u8>,
    /// How many files are in it.
    pub files: usize,
}

impl Engine {
    /// Packs papers, lists, the diagnosis, the plan, what is there, the newest runs and the spec. `version` is the program's.
    ///
    /// # Errors
    ///
    /// The archive could not be written, in words.
    pub async fn support_bundle(&self, desired: &Desired, spec: &str, version: &str) -> Result<Packed, String> {
        let evidence = self.examine(desired, &BTreeSet::new()).await;
        let mut files = BTreeMap::new();
        gathered(&evidence, &mut files);
        put(&mut files, "diagnosis.json", &self.diagnose(&evidence, desired));
        put(&mut files, "status.json", &self.status(desired).await);
        match self.plan(desired, &Ask::Apply, &[]).await {
            Ok(planned) => put(&mut files, "plan.json", &planned.plan),
            Err(error) => drop(files.insert("plan.txt".into(), error.told())),
        }
        self.journals(desired, &mut files);
        files.insert("cluster.yaml".into(), spec.to_string());
        put(&mut files, "versions.json", &json!({ "kubewright": version, "kubernetes": desired.kubernetes.version }));
        pack(files, &self.known_secrets(desired), &desired.cluster.to_string())
    }

    fn journals(&self, desired: &Desired, files: &mut BTreeMap<String, String>) {
        let runs = self.history(&desired.cluster).unwrap_or_default();
        for run in runs.iter().rev().take(RUNS) {
            let Ok(records) = self.records(&desired.cluster, run) else { continue };
            let lines = records.iter().filter_map(|record| serde_json::to_value(record).ok()).map(clean);
            let text = lines.fold(String::new(), |mut text, line| {
                let _ = writeln!(text, "{line}");
                text
            });
            files.insert(format!("runs/{run}.jsonl"), text);
        }
    }
}

fn clean(mut value: Value) -> Value {
    scrub::value(&mut value);
    value
}

/// Puts a value in as JSON, without what looks like a secret.
fn put(files: &mut BTreeMap<String, String>, name: &str, value: &impl Serialize) {
    if let Ok(value) = serde_json::to_value(value) {
        files.insert(name.into(), format!("{:#}\n", clean(value)));
    }
}

/// Papers and lists, a file each; what could not be looked at says why in the place of it.
fn gathered(evidence: &Evidence, files: &mut BTreeMap<String, String>) {
    for (host, seen) in &evidence.hosts {
        match seen {
            Seen::Present(papers) => {
                for (name, paper) in &papers.papers {
                    let text = match paper {
                        Paper::Text { text, .. } => text.clone(),
                        Paper::NotThere => "there is no such program or file\n".into(),
                        Paper::Late => "its program did not answer in time\n".into(),
                    };
                    files.insert(format!("hosts/{host}/{name}.txt"), text);
                }
            }
            Seen::Absent => drop(files.insert(format!("hosts/{host}.txt"), "its machine is not there\n".into())),
            Seen::Unknown(why) => {
                drop(files.insert(format!("hosts/{host}.txt"), format!("nobody could look: {why}\n")))
            }
        }
    }
    match &evidence.cluster {
        Some(Seen::Present(lists)) => {
            lists.items.iter().for_each(|(kind, items)| put(files, &format!("cluster/{kind}.json"), items));
            lists
                .unlisted
                .iter()
                .for_each(|(kind, why)| drop(files.insert(format!("cluster/{kind}.txt"), format!("{why}\n"))));
        }
        Some(Seen::Unknown(why)) => drop(files.insert("cluster.txt".into(), format!("nobody could look: {why}\n"))),
        Some(Seen::Absent) | None => drop(files.insert("cluster.txt".into(), "there is none\n".into())),
    }
    put(files, "names.json", &evidence.names);
}

/// The archive, with a manifest of what is in it.
fn pack(files: BTreeMap<String, String>, known: &Holes, cluster: &str) -> Result<Packed, String> {
    let files: BTreeMap<String, String> =
        files.into_iter().map(|(name, text)| (name, scrub::text(&masked(&text, known)))).collect();
    let listed: Vec<Value> = files
        .iter()
        .map(|(name, text)| json!({ "file": name, "bytes": text.len(), "sha256": Digest::of(text).as_str() }))
        .collect();
    let manifest = format!("{:#}\n", json!({ "cluster": cluster, "files": listed }));
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let all = std::iter::once(("manifest.json", manifest.as_str()));
    for (name, text) in all.chain(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))) {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        header.set_cksum();
        let path = format!("support-{cluster}/{name}");
        archive.append_data(&mut header, path, text.as_bytes()).map_err(|error| error.to_string())?;
    }
    let encoder = archive.into_inner().map_err(|error| error.to_string())?;
    let bytes = encoder.finish().map_err(|error| error.to_string())?;
    Ok(Packed { bytes, files: files.len() + 1 })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use kubewright_model::doctor::{Lists, Papers};
    use kubewright_model::secret::Secret;

    use super::*;

    /// A world full of secrets: each of them is the word `planted` with a number, or stands where only its place tells.
    fn world() -> Evidence {
        let log = "level=info msg=\"token: planted-01\"\n\
            Authorization: Bearer planted-02-0123456789\n\
            curl https://admin:planted-03@registry.example.org/v2/\n\
            kubeadm join 10.0.0.1:6443 --token abcdef.0123456789planted --certificate-key=x\n\
            K10aabbccddeeff00112233445566778899aabbccddeeff::server:planted-04\n\
            -----BEGIN RSA PRIVATE KEY-----\nMIIEplanted05\n-----END RSA PRIVATE KEY-----\n\
            the join token is mysterious-planted-06, and nothing else tells it\n";
        let papers = [("log".to_string(), Paper::Text { text: log.into(), status: 0 })].into();
        let pod = json!({
            "kind": "Pod",
            "metadata": { "name": "web", "annotations": { "example.com/api-key": "planted-07" } },
            "spec": { "containers": [{
                "name": "web",
                "args": ["--password", "planted-08", "--api-key=planted-09"],
                "env": [{ "name": "DB_PASSWORD", "value": "planted-10" }, { "name": "KEPT_MODE", "value": "planted-18" }],
            }] },
        });
        let secret = json!({ "kind": "Secret", "metadata": { "name": "s" }, "data": { "x": "cGxhbnRlZC0xMQ==" }, "stringData": { "y": "planted-12" } });
        let event =
            json!({ "message": "Error: header eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.planted13 refused" });
        let lists = Lists {
            items: [
                ("pods".to_string(), vec![pod]),
                ("strange".to_string(), vec![secret]),
                ("events".to_string(), vec![event]),
            ]
            .into(),
            ..Lists::default()
        };
        Evidence {
            now: 1,
            hosts: [("one".into(), Seen::Present(Papers { papers, asked: 1 }))].into(),
            cluster: Some(Seen::Present(lists)),
            ..Evidence::default()
        }
    }

    #[test]
    fn no_byte_of_a_bundle_is_a_secret() {
        let mut files = BTreeMap::new();
        gathered(&world(), &mut files);
        put(&mut files, "plan.json", &json!({ "steps": [{ "content": "password: planted-14" }] }));
        let kubeconfig = "users:\n- user:\n    client-key-data: planted-15\n    token: planted-16\n";
        files.insert("runs/1.jsonl".into(), format!("{:?}\n", kubeconfig));
        files
            .insert("cluster.yaml".into(), "joinToken: { env: TOKEN }\npassword: planted-17\nhost: kept-host\n".into());
        let known: Holes = [("secret/join".into(), Secret::new("mysterious-planted-06".to_string()))].into();
        let packed = pack(files, &known, "lab").expect("it is packed");
        let mut all = Vec::new();
        GzDecoder::new(packed.bytes.as_slice()).read_to_end(&mut all).expect("it is an archive");
        let text = String::from_utf8_lossy(&all);
        for planted in ["planted", "cGxhbnRlZC0xMQ", "MIIE", "eyJhbGci", "K10aabb"] {
            let at = text.find(planted).map(|at| text[at.saturating_sub(80)..(at + 40).min(text.len())].to_string());
            assert!(at.is_none(), "{planted} is in it: {at:?}");
        }
        for kept in ["KEPT_MODE", "kept-host", "manifest.json", "hosts/one/log.txt", "cluster/pods.json", "sha256"] {
            assert!(text.contains(kept), "{kept} is not in it");
        }
        assert_eq!(packed.files, 9);
    }
}
