//! A pretend Proxmox VE cluster that nobody of this project wrote: fakepve, as a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use kubewright_model::secret::Secret;
use kubewright_providers::Trust;
use kubewright_providers::proxmox::{Identity, Proxmox, Settings};
use serde_json::{Value, json};

use crate::tools::python;

/// The package, as pip names it.
const PACKAGE: &str = "fakepve[crypto]==0.5.0";
/// The token that the pretend cluster knows.
pub(crate) const TOKEN: &str = "kubewright@pve!main";
pub(crate) const TOKEN_SECRET: &str = "7f3a-the-secret-of-the-token";

/// The cluster of every test: three nodes, a container template, a template of a virtual machine, and somebody else's
/// machines.
const CLUSTER: &str = "
for node in ('pve1', 'pve2', 'pve3'): pve.add_node(node)
pve.apitokens['kubewright@pve!main'] = '7f3a-the-secret-of-the-token'
pve.store_file('local', 'debian-12-standard_12.7-1_amd64.tar.zst', 1000, content='vztmpl')
pve.add_vm(90001, 'noble', template=True, config={
    'boot': 'order=scsi0', 'cores': 1, 'memory': '2048', 'net0': 'virtio=BC:24:11:00:00:01,bridge=vmbr0',
    'scsi0': 'local-lvm:base-90001-disk-0,size=3G', 'ide2': 'local-lvm:vm-90001-cloudinit,media=cdrom'})
pve.add_ct(120, 'somebody-elses', node='pve2', status='running')
pve.add_vm(121, 'also-somebody-elses', node='pve3')
";

/// A pretend cluster. It ends with the test.
pub(crate) struct Fake {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
    pub(crate) url: String,
    pub(crate) authority: String,
    pub(crate) fingerprint: String,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("crates/providers/tests/launch.py"));
        let script = script.into_iter().find(|path| path.is_file()).expect("the launcher is in this project");
        let mut child = Command::new(python(PACKAGE))
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the pretend cluster starts");
        let say = child.stdin.take().unwrap();
        let mut hear = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        hear.read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).expect("the pretend cluster says where it is");
        let word = |name: &str| told[name].as_str().unwrap().to_string();
        let (url, authority, fingerprint) = (word("url"), word("pem"), word("fingerprint"));
        let mut fake = Self { child, say, hear, url, authority, fingerprint };
        fake.tell(CLUSTER);
        fake
    }

    /// Has the pretend cluster evaluate an expression, or run statements that may set `answer`.
    pub(crate) fn tell(&mut self, python: &str) -> Value {
        writeln!(self.say, "{}", json!(python)).unwrap();
        let mut line = String::new();
        self.hear.read_line(&mut line).unwrap();
        let mut told: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{python}: {line}"));
        assert!(told["error"].is_null(), "{python}: {}", told["error"]);
        told["answer"].take()
    }

    /// How many calls it has had since it was asked last.
    pub(crate) fn calls(&mut self) -> u64 {
        self.tell("answer = len(pve.requests); pve.requests.clear()").as_u64().unwrap()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            addresses: vec![self.url.clone()],
            identity: Identity::Token { id: TOKEN.into(), secret: Secret::new(TOKEN_SECRET.into()) },
            secret_at: "env PROXMOX_TOKEN_SECRET".into(),
            trust: Trust::Fingerprints(vec![self.fingerprint.clone()]),
            pool: None,
            logins: Default::default(),
        }
    }

    pub(crate) fn hands(&self) -> Proxmox {
        Proxmox::new(self.settings()).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
