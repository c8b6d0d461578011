//! What is said to Vault: whether it is initialised and sealed, and what is set in it.
//! <https://developer.hashicorp.com/vault/api-docs/system>
//!
//! The keys and the root token are kept before anything else is done with them: Vault gives them once. Everything may be done
//! twice, and what is as it is wished is left.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use kubewright_model::secret::Secret;
use kubewright_model::vault::{
    AUTH, DesiredVault, DesiredVaultRole, KUBERNETES, ROOT_TOKEN, UNSEAL_KEYS, VaultSeen, VaultSettings, key_value,
    policy, role,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cluster::ClusterError;

/// Its pods pull an image and bind their volumes first; those that join copy what the others hold.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_secs(2);

/// A call: its method, its path below `/v1/`, and what is sent.
pub type Call<'a> = (&'a str, &'a str, Option<Value>);

/// The way to Vault's servers.
#[async_trait]
pub trait Wire: Send + Sync {
    /// Sends a call to the server in a pod; returns the answer's status and what it holds.
    async fn call(&self, pod: &str, call: Call<'_>, token: Option<&Secret>) -> Result<(u16, Value), ClusterError>;
}

/// Where keys and tokens are kept.
pub trait Keys: Send + Sync {
    /// A secret that was kept.
    fn kept(&self, name: &str) -> Option<Secret>;

    /// Keeps a secret for good.
    fn keep(&self, name: &str, secret: &Secret) -> Result<(), ClusterError>;
}

/// A Vault, and how it is reached.
pub struct Vault<'a> {
    /// The way to it.
    pub wire: &'a dyn Wire,
    /// Where its keys are.
    pub keys: &'a dyn Keys,
    /// What it is to be.
    pub wish: &'a DesiredVault,
}

/// What one server says of itself.
enum Server {
    Silent(String),
    Empty,
    Sealed,
    Open,
}

fn refused(why: impl Into<String>) -> ClusterError {
    ClusterError::Refused { what: "Vault".into(), why: why.into(), log: Vec::new() }
}

/// What Vault says of a call that came to nothing. Its answers to those hold no secret.
fn said(answer: &Value) -> String {
    let errors = answer.get("errors").and_then(Value::as_array).into_iter().flatten();
    let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
    if errors.is_empty() { "no reason is given".into() } else { errors.join("; ") }
}

impl Vault<'_> {
    /// Looks once.
    pub async fn look(&self) -> VaultSeen {
        let mut seen = VaultSeen { has_keys: self.keys.kept(UNSEAL_KEYS).is_some(), ..VaultSeen::default() };
        let mut open = None;
        for pod in &self.wish.pods {
            match self.server(pod).await {
                Server::Silent(why) => drop(seen.silent.insert(pod.clone(), why)),
                Server::Empty => drop(seen.sealed.insert(pod.clone())),
                Server::Sealed => {
                    seen.initialized = true;
                    seen.sealed.insert(pod.clone());
                }
                Server::Open => {
                    seen.initialized = true;
                    open = open.or(Some(pod));
                }
            }
        }
        if let (Some(pod), Some(token)) = (open, self.keys.kept(ROOT_TOKEN)) {
            seen.settings = self.settings(pod, &token).await.ok();
        }
        seen
    }

    /// Makes it so; returns whether anything changed. `tell` hears what is done, and what is waited for.
    pub async fn settle(&self, tell: &(dyn Fn(String) + Send + Sync)) -> Result<bool, ClusterError> {
        let began = Instant::now();
        let servers = self.all_answer(began, tell).await?;
        let mut changed = false;
        let first = self.wish.pods.first().ok_or_else(|| refused("it has no servers"))?;
        if servers.iter().all(|server| matches!(server, Server::Empty)) {
            self.initialize(first, tell).await?;
            changed = true;
        }
        // Those that are initialised come first: the others join them.
        let ready = |server: &Server| !matches!(server, Server::Empty);
        let pairs = self.wish.pods.iter().zip(&servers);
        let (before, after): (Vec<_>, Vec<_>) = pairs.partition(|(_, server)| ready(server));
        for (pod, _) in before.into_iter().chain(after) {
            changed |= self.unseal(pod, began, tell).await?;
        }
        Ok(self.set_up(first, began, tell).await? || changed)
    }

    /// The server that leads, and the token to ask it with; in words why there is none to ask, where Vault keeps its data
    /// elsewhere or is not set up.
    pub async fn leader(&self) -> Result<Result<(String, Secret), String>, ClusterError> {
        let Some(token) = self.keys.kept(ROOT_TOKEN) else {
            return Ok(Err("nobody here keeps its root token".into()));
        };
        let mut why = "none of its servers is unsealed".to_string();
        for pod in &self.wish.pods {
            match self.wire.call(pod, ("GET", "sys/storage/raft/configuration", None), Some(&token)).await {
                Err(error) if error.may_pass() => return Err(error),
                Err(error) => why = error.to_string(),
                Ok((200, _)) => {
                    let (_, leads) = self.wire.call(pod, ("GET", "sys/leader", None), None).await?;
                    match leads.get("is_self").and_then(Value::as_bool) {
                        Some(true) => return Ok(Ok((pod.clone(), token))),
                        _ => why = "none of its servers leads".into(),
                    }
                }
                Ok((_, answer)) => why = said(&answer),
            }
        }
        Ok(Err(why))
    }

    async fn server(&self, pod: &str) -> Server {
        match self.wire.call(pod, ("GET", "sys/seal-status", None), None).await {
            Err(error) => Server::Silent(error.to_string()),
            Ok((200, answer)) => {
                let is = |key: &str| answer.get(key).and_then(Value::as_bool);
                match (is("initialized"), is("sealed")) {
                    (Some(true), Some(false)) => Server::Open,
                    (Some(true), _) => Server::Sealed,
                    _ => Server::Empty,
                }
            }
            Ok((status, answer)) => Server::Silent(format!("HTTP {status}: {}", said(&answer))),
        }
    }

    /// Waits until every server answers: one that is missing may be the one that has what the others lack.
    async fn all_answer(
        &self,
        began: Instant,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Vec<Server>, ClusterError> {
        let mut told = BTreeSet::new();
        loop {
            let mut servers = Vec::new();
            let mut silent = None;
            for pod in &self.wish.pods {
                let server = self.server(pod).await;
                if let Server::Silent(why) = &server {
                    silent.get_or_insert_with(|| format!("{pod} does not answer: {why}"));
                }
                servers.push(server);
            }
            let Some(silent) = silent else { return Ok(servers) };
            if began.elapsed() + LOOK > PATIENCE {
                return Err(refused(silent));
            }
            if told.insert(silent.clone()) {
                tell(silent);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Has Vault make its keys and its root token.
    async fn initialize(&self, pod: &str, tell: &(dyn Fn(String) + Send + Sync)) -> Result<(), ClusterError> {
        self.keep_aside(tell)?;
        tell(format!("initialising {pod}; its keys are kept as `{UNSEAL_KEYS}` and `{ROOT_TOKEN}`"));
        let wish = json!({ "secret_shares": self.wish.shares, "secret_threshold": self.wish.threshold });
        let answer = self.ask(pod, ("PUT", "sys/init", Some(wish)), None).await?;
        let keys = answer.get("keys_base64").and_then(Value::as_array).into_iter().flatten();
        let keys: Vec<&str> = keys.filter_map(Value::as_str).collect();
        let token = answer.get("root_token").and_then(Value::as_str);
        let (false, Some(token)) = (keys.is_empty(), token) else {
            return Err(refused("it was initialised, and gave no keys"));
        };
        self.keys.keep(UNSEAL_KEYS, &Secret::new(keys.join("\n")))?;
        self.keys.keep(ROOT_TOKEN, &Secret::new(token.to_string()))
    }

    /// Keys that are kept already are those of a Vault that was here before, as of the cluster before a rebuild: its volumes
    /// and their backups open with nothing else. They get a name of their own before Vault makes others. Where a run was cut
    /// off right after that, they have it already.
    fn keep_aside(&self, tell: &(dyn Fn(String) + Send + Sync)) -> Result<(), ClusterError> {
        let before = [UNSEAL_KEYS, ROOT_TOKEN].map(|name| (name, self.keys.kept(name)));
        if before.iter().all(|(_, kept)| kept.is_none()) {
            return Ok(());
        }
        let name = |name: &str, number: usize| format!("{name}.{number}");
        // The two of one Vault get one number.
        let free = |number: &usize| {
            before.iter().all(|(it, kept)| {
                let there = self.keys.kept(&name(it, *number));
                there.is_none() || there == *kept
            })
        };
        let number = (1..).find(free).unwrap_or(1);
        for (it, kept) in before {
            let Some(kept) = kept else { continue };
            self.keys.keep(&name(it, number), &kept)?;
            tell(format!("`{it}` is of a Vault that was here before: it is kept as `{}`", name(it, number)));
        }
        Ok(())
    }

    /// Unseals a server, when it has joined those that hold what it lacks.
    async fn unseal(
        &self,
        pod: &str,
        began: Instant,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, ClusterError> {
        let mut waiting = false;
        loop {
            let why = match self.server(pod).await {
                Server::Open => return Ok(false),
                Server::Sealed => break,
                Server::Silent(why) => format!("{pod} does not answer: {why}"),
                Server::Empty => format!("{pod} has not joined the other servers"),
            };
            if began.elapsed() + LOOK > PATIENCE {
                return Err(refused(why));
            }
            if !std::mem::replace(&mut waiting, true) {
                tell(why);
            }
            tokio::time::sleep(LOOK).await;
        }
        let lost = || {
            let why = format!("{pod} is sealed, and the store has no keys of it (`{UNSEAL_KEYS}`)");
            let log = vec!["Vault gives its keys once: put them back, one in a line, or unseal it by hand".into()];
            ClusterError::Refused { what: "Vault".into(), why, log }
        };
        let keys = self.keys.kept(UNSEAL_KEYS).ok_or_else(lost)?;
        tell(format!("unsealing {pod}"));
        for key in keys.expose().lines().map(str::trim).filter(|key| !key.is_empty()) {
            let answer = self.ask(pod, ("PUT", "sys/unseal", Some(json!({ "key": key }))), None).await?;
            if answer.get("sealed").and_then(Value::as_bool) == Some(false) {
                return Ok(true);
            }
        }
        // A server that has joined answers before it is open.
        for _ in 0..15 {
            if matches!(self.server(pod).await, Server::Open) {
                return Ok(true);
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(refused(format!("{pod} is sealed still: the kept keys are not its own, or too few")))
    }

    /// Sets what differs.
    async fn set_up(
        &self,
        pod: &str,
        began: Instant,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, ClusterError> {
        let wished = self.wish.settings();
        if wished.is_empty() {
            return Ok(false);
        }
        let lost = || refused(format!("it is to be set up, and the store has no `{ROOT_TOKEN}`"));
        let token = self.keys.kept(ROOT_TOKEN).ok_or_else(lost)?;
        // Right after it was unsealed, its servers have not agreed yet on who leads.
        let set = loop {
            match self.settings(pod, &token).await {
                Ok(set) => break set,
                Err(error) if began.elapsed() + LOOK > PATIENCE || !error.may_pass() => return Err(error),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        };
        let differing: Vec<&String> =
            wished.iter().filter(|(name, to)| set.get(*name) != Some(to)).map(|(name, _)| name).collect();
        let is_new = |name: &str| !set.contains_key(name);
        let wish = self.wish;
        for path in wish.key_value.iter().filter(|path| differing.contains(&&key_value(path))) {
            if !is_new(&key_value(path)) {
                return Err(refused(format!("`{path}` holds another engine: {}", set[&key_value(path)])));
            }
            tell(format!("making the key-value engine {path}"));
            let engine = json!({ "type": "kv", "options": { "version": "2" } });
            self.ask(pod, ("POST", &format!("sys/mounts/{path}"), Some(engine)), Some(&token)).await?;
        }
        for (name, text) in wish.policies.iter().filter(|(name, _)| differing.contains(&&policy(name))) {
            tell(format!("setting the policy {name}"));
            let policy = json!({ "policy": text });
            self.ask(pod, ("PUT", &format!("sys/policies/acl/{name}"), Some(policy)), Some(&token)).await?;
        }
        if differing.iter().any(|name| *name == AUTH) {
            tell("letting service accounts of the cluster in".into());
            if is_new(AUTH) && !self.lets_in(pod, &token).await? {
                let auth = json!({ "type": "kubernetes" });
                self.ask(pod, ("POST", "sys/auth/kubernetes", Some(auth)), Some(&token)).await?;
            }
            let config = json!({ "kubernetes_host": KUBERNETES });
            self.ask(pod, ("POST", "auth/kubernetes/config", Some(config)), Some(&token)).await?;
        }
        for (name, it) in wish.roles.iter().filter(|(name, _)| differing.contains(&&role(name))) {
            tell(format!("setting the role {name}"));
            let role = json!({
                "bound_service_account_names": it.service_accounts,
                "bound_service_account_namespaces": it.namespaces,
                "token_policies": it.policies,
                "token_ttl": it.seconds,
            });
            self.ask(pod, ("POST", &format!("auth/kubernetes/role/{name}"), Some(role)), Some(&token)).await?;
        }
        Ok(!differing.is_empty())
    }

    async fn lets_in(&self, pod: &str, token: &Secret) -> Result<bool, ClusterError> {
        let auth = self.read(pod, "sys/auth", token).await?;
        Ok(auth.is_some_and(|auth| auth.get("kubernetes/").is_some()))
    }

    /// What of the wish is set, by lists where Vault has them.
    async fn settings(&self, pod: &str, token: &Secret) -> Result<VaultSettings, ClusterError> {
        let mut set = VaultSettings::new();
        let mounts = self.read(pod, "sys/mounts", token).await?.unwrap_or_default();
        for path in &self.wish.key_value {
            let Some(mount) = mounts.get(format!("{path}/")) else { continue };
            let kind = mount.get("type").and_then(Value::as_str).unwrap_or_default();
            let version = mount.pointer("/options/version").and_then(Value::as_str).unwrap_or("1");
            set.insert(key_value(path), format!("{kind}, version {version}"));
        }
        for name in self.wish.policies.keys() {
            let there = self.read(pod, &format!("sys/policies/acl/{name}"), token).await?;
            if let Some(text) = there.as_ref().and_then(|it| it.get("policy")).and_then(Value::as_str) {
                set.insert(policy(name), text.trim().to_string());
            }
        }
        if self.wish.roles.is_empty() || !self.lets_in(pod, token).await? {
            return Ok(set);
        }
        let config = self.read(pod, "auth/kubernetes/config", token).await?;
        if let Some(host) = config.as_ref().and_then(|it| it.get("kubernetes_host")).and_then(Value::as_str) {
            set.insert(AUTH.into(), host.into());
        }
        for name in self.wish.roles.keys() {
            if let Some(there) = self.read(pod, &format!("auth/kubernetes/role/{name}"), token).await? {
                set.insert(role(name), of_role(&there).words());
            }
        }
        Ok(set)
    }

    /// What is at a path; none where nothing is.
    async fn read(&self, pod: &str, path: &str, token: &Secret) -> Result<Option<Value>, ClusterError> {
        match self.wire.call(pod, ("GET", path, None), Some(token)).await? {
            (200, answer) => Ok(Some(answer.get("data").cloned().unwrap_or(answer))),
            (404, _) => Ok(None),
            (status, answer) => Err(failed(path, status, &answer)),
        }
    }

    async fn ask(&self, pod: &str, call: Call<'_>, token: Option<&Secret>) -> Result<Value, ClusterError> {
        let path = call.1;
        match self.wire.call(pod, call, token).await? {
            (200..=299, answer) => Ok(answer),
            (status, answer) => Err(failed(path, status, &answer)),
        }
    }
}

/// 429 and what begins with 5 pass: a standby that has nobody to forward to, a server that has just been unsealed.
fn failed(path: &str, status: u16, answer: &Value) -> ClusterError {
    let why = format!("{path}: HTTP {status}: {}", said(answer));
    match status {
        429 | 500..=599 => ClusterError::Busy(format!("Vault: {why}")),
        _ => refused(why),
    }
}

fn of_role(role: &Value) -> DesiredVaultRole {
    let texts = |key: &str| {
        let list = role.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_string).collect()
    };
    DesiredVaultRole {
        service_accounts: texts("bound_service_account_names"),
        namespaces: texts("bound_service_account_namespaces"),
        policies: texts("token_policies"),
        seconds: role.get("token_ttl").and_then(Value::as_u64).unwrap_or_default(),
    }
}
