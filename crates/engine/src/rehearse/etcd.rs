//! A snapshot of etcd is restored by etcd's own programs, on this computer and for nobody else, and read back: whether the
//! canary is in it, and the objects that the bundle holds as YAML.
//!
//! etcd listens on the loopback device alone, and lets nobody in but whoever has the key of a certificate that this run has
//! made: what is in it are the Secrets of a cluster. It is read by the JSON of its own gateway
//! (<https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/>), so no client is needed.

mod kept;
mod trust;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use kubewright_model::bundle::{BundledFile, Canary};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

pub use kept::Compared;
use kept::Kept;
use trust::Trust;

use super::Private;

/// What is asked of etcd at once: values are some KiB each, and an answer may have no more than some MiB.
const PAGE: u32 = 200;
/// A member that is alone answers within a second; a large snapshot is read first.
const STARTS: Duration = Duration::from_secs(60);
/// Between two looks whether it answers.
const LOOK: Duration = Duration::from_millis(100);
/// How long an answer may take.
const ANSWERS: Duration = Duration::from_secs(30);
/// What etcd keeps beside its database: two files of its log, each of which has its size from the beginning
/// (`SegmentSizeBytes` of `server/storage/wal`).
const LOGS: u64 = 2 * (64 << 20);
/// Below this Kubernetes keeps everything, whichever distribution: none of the four sets `--etcd-prefix` otherwise.
const PREFIX: &str = "/registry/";
/// The key behind the last one below the prefix.
const BEHIND: &str = "/registry0";

/// etcd's own programs on this computer.
#[derive(Clone, Debug)]
pub struct Programs {
    etcd: PathBuf,
    etcdutl: PathBuf,
}

impl Programs {
    /// Those in a folder, or, where none is named, on the PATH.
    ///
    /// # Errors
    ///
    /// Which one is not there.
    pub fn find(folder: Option<&Path>) -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = match folder {
            Some(folder) => vec![folder.to_path_buf()],
            None => std::env::split_paths(&path).collect(),
        };
        let find = |name: &str| {
            let mut all = folders.iter().map(|folder| folder.join(name));
            let place = || folder.map_or("on the PATH".to_string(), |folder| format!("in {}", folder.display()));
            all.find(|path| path.is_file()).ok_or_else(|| format!("there is no `{name}` {}", place()))
        };
        Ok(Self { etcd: find("etcd")?, etcdutl: find("etcdutl")? })
    }
}

/// What was read of a snapshot that real etcd has taken.
#[derive(Clone, Debug)]
pub struct Restored {
    /// etcd's version.
    pub version: String,
    /// How many keys Kubernetes has in it.
    pub keys: usize,
    /// What the canary says; none where it is not there.
    pub canary: Option<String>,
    /// Secrets, and how many of them are encrypted.
    pub secrets: (usize, usize),
    /// What of the bundle's objects is in it.
    pub compared: Compared,
}

/// Restores a snapshot, and reads what is in it. Everything of it is gone afterwards.
///
/// # Errors
///
/// What etcd's programs say, or what could not be read.
pub async fn restored(programs: &Programs, snapshot: &Path, files: &[BundledFile]) -> Result<Restored, String> {
    let size = snapshot.metadata().map_err(|error| format!("{}: {error}", snapshot.display()))?.len();
    let room = size.saturating_mul(2).saturating_add(LOGS);
    let folder = Private::with_room_for(room).map_err(|error| error.to_string())?;
    let data = folder.path().join("data");
    let mut restores = Command::new(&programs.etcdutl);
    restores.args(["snapshot", "restore"]).arg(snapshot).arg("--data-dir").arg(&data);
    ran(&mut restores, "etcdutl snapshot restore").await?;
    let trust = Trust::new(folder.path())?;
    let mut member = Member::start(programs, &data, trust).await?;
    let read = member.read().await;
    member.end().await;
    let (version, kept) = read?;
    let canary = Canary::id();
    Ok(Restored {
        version,
        keys: kept.keys,
        canary: kept.canary(&canary),
        secrets: kept.secrets(),
        compared: kept.compared(files),
    })
}

/// Runs a program to its end; what it says where it fails.
async fn ran(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!("{what}: {}", told.trim().lines().last().unwrap_or("it ended without a word")))
}

/// A member that is alone, and that nobody else talks to.
struct Member {
    child: Child,
    at: String,
    client: reqwest::Client,
    log: PathBuf,
}

impl Member {
    async fn start(programs: &Programs, data: &Path, trust: Trust) -> Result<Self, String> {
        // Nobody takes it in between: the system gives each port out once before it comes around.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).map_err(|error| error.to_string())?;
        let (at, log) = (format!("https://127.0.0.1:{}", port.port()), data.with_file_name("etcd.log"));
        let to = std::fs::File::create(&log).map_err(|error| error.to_string())?;
        let mut etcd = Command::new(&programs.etcd);
        // The data know of a member called `default`, as `etcdutl` has made them.
        etcd.args(["--name", "default", "--listen-peer-urls", "http://127.0.0.1:0"])
            .args(["--listen-client-urls", &at, "--advertise-client-urls", &at, "--client-cert-auth"])
            .arg("--data-dir")
            .arg(data)
            .arg("--trusted-ca-file")
            .arg(&trust.authority)
            .arg("--cert-file")
            .arg(&trust.certificate)
            .arg("--key-file")
            .arg(&trust.key);
        // What the environment says of an etcd means another one.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ETCD_")) {
            etcd.env_remove(name);
        }
        let child = etcd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(to).kill_on_drop(true).spawn();
        let child = child.map_err(|error| format!("etcd: {error}"))?;
        let member = Self { child, at, client: trust.client(ANSWERS)?, log };
        member.answers().await
    }

    async fn answers(mut self) -> Result<Self, String> {
        let deadline = Instant::now() + STARTS;
        loop {
            let asked = self.client.get(format!("{}/health", self.at)).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(self);
            }
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last = log.lines().rev().find(|line| line.contains("\"fatal\"") || line.contains("\"error\""));
                let last = last.or(log.lines().last()).unwrap_or("it said nothing");
                self.end().await;
                return Err(format!("etcd does not serve what was restored: {last}"));
            }
            sleep(LOOK).await;
        }
    }

    async fn ask(&self, path: &str, question: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.at);
        let asked = self.client.post(url).header("content-type", "application/json").body(question.to_string());
        let answer = asked.send().await.map_err(|error| format!("etcd: {}", error.without_url()))?;
        let (status, text) = (answer.status(), answer.bytes().await.map_err(|error| error.to_string())?);
        match status.is_success() {
            true => serde_json::from_slice(&text).map_err(|error| format!("etcd: {error}")),
            false => Err(format!("etcd answers {status}: {}", String::from_utf8_lossy(&text))),
        }
    }

    /// Everything that Kubernetes has in it, page by page.
    async fn read(&self) -> Result<(String, Kept), String> {
        let status = self.ask("/v3/maintenance/status", &json!({})).await?;
        let version = status.get("version").and_then(Value::as_str).unwrap_or("?").to_string();
        let (mut kept, mut from) = (Kept::default(), PREFIX.as_bytes().to_vec());
        loop {
            let question = json!({
                "key": BASE64_STANDARD.encode(&from),
                "range_end": BASE64_STANDARD.encode(BEHIND),
                "limit": PAGE,
            });
            let answer = self.ask("/v3/kv/range", &question).await?;
            let found = answer.get("kvs").and_then(Value::as_array).cloned().unwrap_or_default();
            for pair in &found {
                let bytes = |field: &str| {
                    let text = pair.get(field).and_then(Value::as_str).unwrap_or_default();
                    BASE64_STANDARD.decode(text).map_err(|error| format!("etcd: {error}"))
                };
                let key = bytes("key")?;
                kept.take(&String::from_utf8_lossy(&key), &bytes("value")?);
                // The next key in order is this one with a zero behind it.
                from = [key.as_slice(), &[0]].concat();
            }
            if !answer.get("more").and_then(Value::as_bool).unwrap_or_default() || found.is_empty() {
                return Ok((version, kept));
            }
        }
    }

    async fn end(&mut self) {
        // It serves nobody, and what it has goes with it.
        let _ = self.child.kill().await;
    }
}
