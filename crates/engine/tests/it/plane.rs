//! A real API server for tests, as envtest starts it: the programs are in the folder that `KUBEBUILDER_ASSETS` names.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::Value;

use crate::lab::skipped;

/// The folder with `etcd`, `kube-apiserver`, `kube-controller-manager` and `kubectl`.
const ASSETS: &str = "KUBEBUILDER_ASSETS";
/// Controllers that the tests need; those that expect kubelets would call every node dead.
const CONTROLLERS: &str = "namespace-controller,deployment-controller,replicaset-controller,disruption-controller,\
    garbage-collector-controller,serviceaccount-controller,endpointslice-controller,statefulset-controller,\
    daemonset-controller,job-controller,certificatesigningrequest-signing-controller";
/// No certificate that is signed here lasts longer, whatever is asked for: tests see it end.
const SIGNED_FOR: &str = "20s";
/// On a busy computer the API server needs some seconds.
const START: Duration = Duration::from_secs(90);

/// A control plane without nodes. It ends with the test.
pub(crate) struct Plane {
    folder: tempfile::TempDir,
    assets: PathBuf,
    children: Vec<Child>,
    /// How the API server was started.
    api: Vec<String>,
    pub(crate) port: u16,
    /// A kubeconfig of its administrator.
    pub(crate) kubeconfig: String,
}

/// The folder with the programs, and with these as well; where there is none, the test says so and is over.
pub(crate) fn assets(more: &[&str]) -> Option<PathBuf> {
    let Some(assets) = std::env::var_os(ASSETS).map(PathBuf::from) else {
        skipped(&format!("{ASSETS} names no folder with a real API server"));
        return None;
    };
    let programs = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"];
    let missing = programs.iter().chain(more).find(|program| !assets.join(program).is_file());
    if let Some(program) = missing {
        skipped(&format!("{program} is not in {}", assets.display()));
        return None;
    }
    Some(assets)
}

/// Who signs for clients of the API.
fn authority(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut wish = CertificateParams::default();
    wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    wish.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    std::fs::write(folder.join("clients.crt"), wish.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(folder.join("clients.key"), key.serialize_pem()).unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Plane {
    pub(crate) fn start(assets: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let words = ["-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", &at("sa.key")];
        assert!(Command::new("ssh-keygen").args(words).status().unwrap().success());
        std::fs::write(folder.path().join("tokens"), "the-token,admin,1,\"system:masters\"\n").unwrap();
        authority(folder.path());
        let (etcd, port) = (free_port(), free_port());
        let mut plane = Self { folder, assets, children: Vec::new(), api: Vec::new(), port, kubeconfig: String::new() };
        let etcd_url = format!("http://127.0.0.1:{etcd}");
        let peer_url = format!("http://127.0.0.1:{}", free_port());
        let at = |name: &str| plane.folder.path().join(name).display().to_string();
        let words = [
            format!("--data-dir={}", at("etcd")),
            format!("--listen-client-urls={etcd_url}"),
            format!("--advertise-client-urls={etcd_url}"),
            format!("--listen-peer-urls={peer_url}"),
            "--unsafe-no-fsync".into(),
        ];
        plane.run("etcd", &words);
        let at = |name: &str| plane.folder.path().join(name).display().to_string();
        let words = [
            format!("--etcd-servers={etcd_url}"),
            format!("--cert-dir={}", at("certs")),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".into(),
            format!("--token-auth-file={}", at("tokens")),
            format!("--client-ca-file={}", at("clients.crt")),
            "--authorization-mode=RBAC".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-signing-key-file={}", at("sa.key")),
            format!("--service-account-key-file={}", at("sa.key")),
            "--service-cluster-ip-range=10.43.0.0/16".into(),
            "--disable-admission-plugins=ServiceAccount".into(),
        ];
        plane.run("kube-apiserver", &words);
        plane.api = words.into();
        plane.wait_for("apiserver.crt", |plane| plane.at("certs/apiserver.crt").is_file());
        plane.kubeconfig = plane.write_kubeconfig();
        plane.wait_for("readyz", |plane| plane.try_kubectl(&["get", "--raw", "/readyz"], "").is_ok());
        let kubeconfig = plane.at("kubeconfig").display().to_string();
        let words = [
            format!("--kubeconfig={kubeconfig}"),
            format!("--controllers={CONTROLLERS}"),
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
            format!("--cluster-signing-cert-file={}", plane.at("clients.crt").display()),
            format!("--cluster-signing-key-file={}", plane.at("clients.key").display()),
            format!("--cluster-signing-duration={SIGNED_FOR}"),
        ];
        plane.run("kube-controller-manager", &words);
        plane
    }

    /// Where its etcd listens.
    pub(crate) fn etcd(&self) -> String {
        self.api[0].trim_start_matches("--etcd-servers=").to_string()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&mut self, program: &str, words: &[String]) {
        let log = std::fs::File::create(self.at(&format!("{program}.log"))).unwrap();
        let mut command = Command::new(self.assets.join(program));
        command.args(words).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.push(command.spawn().unwrap());
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + START;
        while !holds(self) {
            let log = || std::fs::read_to_string(self.at("kube-apiserver.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{}\nno {what}", log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn write_kubeconfig(&self) -> String {
        let authority = std::fs::read(self.at("certs/apiserver.crt")).unwrap();
        let authority = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, authority);
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: default\nclusters:\n- name: default\n  cluster:\n    \
             server: https://127.0.0.1:{}\n    certificate-authority-data: {authority}\ncontexts:\n- name: default\n  \
             context: {{ cluster: default, user: default }}\nusers:\n- name: default\n  user: {{ token: the-token }}\n",
            self.port
        );
        std::fs::write(self.at("kubeconfig"), &text).unwrap();
        text
    }

    fn try_kubectl(&self, words: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new(self.assets.join("kubectl"));
        command.arg("--kubeconfig").arg(self.at("kubeconfig")).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// The API server is gone from one moment to the next.
    pub(crate) fn lose_api(&mut self) {
        // Etcd was started before it.
        let api = &mut self.children[1];
        api.kill().unwrap();
        api.wait().unwrap();
    }

    /// It is started again, with its data.
    pub(crate) fn start_api(&mut self) {
        let words = std::mem::take(&mut self.api);
        self.run("kube-apiserver", &words);
        self.api = words;
        let last = self.children.pop().unwrap();
        self.children[1] = last;
        self.wait_for("readyz", |plane| plane.try_kubectl(&["get", "--raw", "/readyz"], "").is_ok());
    }

    /// What kubectl, which nobody of this project wrote, says.
    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        self.try_kubectl(words, "").unwrap_or_else(|error| panic!("kubectl {words:?}: {error}"))
    }

    /// Makes objects as somebody else would.
    pub(crate) fn create(&self, objects: &[Value]) {
        for object in objects {
            self.try_kubectl(&["create", "-f", "-"], &object.to_string()).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// Writes the status of an object, as its controller or its kubelet would.
    pub(crate) fn status(&self, what: &[&str], status: &Value) {
        let patch = serde_json::json!({ "status": status }).to_string();
        let words = [&["patch"], what, &["--subresource=status", "--type=merge", "-p", patch.as_str()]].concat();
        self.kubectl(&words);
    }

    /// A field of an object.
    pub(crate) fn get(&self, what: &[&str], field: &str) -> String {
        self.kubectl(&[&["get"], what, &["-o", &format!("jsonpath={field}")]].concat())
    }

    /// Asks the API for what kubectl has no words for.
    pub(crate) fn create_raw(&self, path: &str, object: &Value) {
        let words = ["create", "--raw", path, "-f", "-"];
        self.try_kubectl(&words, &object.to_string()).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Waits for what controllers do.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.wait_for(what, holds);
    }

    /// The folder with the programs.
    pub(crate) fn programs(&self) -> &Path {
        &self.assets
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // The API server first: without etcd it would say so at length.
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
