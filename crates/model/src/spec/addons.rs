//! What runs on the cluster. Every add-on becomes a Helm release whose values can be read in the plan and changed here.

mod storage;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{Namespace, ObjectName, PoolName, ReleaseName};
use crate::net::AddressRange;
use crate::spec::forms;
use crate::spec::ingress::ServiceType;
use crate::spec::logs::{Elasticsearch, Loki};
use crate::spec::secrets::SecretRef;
use crate::units::{Size, Span};
use crate::version::Version;

pub use storage::{
    FileSystem, Nfs, NfsClass, NfsCsi, ReclaimPolicy, SmbUser, Storage, Synology, SynologyClass, SynologyNas,
    SynologyProtocol,
};

/// What runs on the cluster.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddOns {
    /// Addresses for LoadBalancer Services in a network of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metallb: Option<Metallb>,
    /// Volumes.
    #[serde(default)]
    pub storage: Storage,
    /// Processor and memory use of pods and nodes. K3s and RKE2 bring it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_server: Option<Plain>,
    /// Prometheus, Alertmanager, Grafana and their exporters (kube-prometheus-stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// Logs of all pods in one place: Loki, filled by Alloy or Promtail, seen in Grafana.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loki: Option<Loki>,
    /// Logs of all pods in one place: Elasticsearch, filled by Fluentd, seen in Kibana.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elasticsearch: Option<Elasticsearch>,
    /// What knows of Hetzner Cloud inside of the cluster.
    #[serde(default, skip_serializing_if = "HetznerAddOns::is_nothing")]
    pub hetzner: HetznerAddOns,
    /// External Secrets Operator: Secrets that it reads from Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_secrets: Option<ExternalSecrets>,
    /// Sealed Secrets: Secrets that may lie in Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_secrets: Option<SealedSecrets>,
    /// HashiCorp Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<Vault>,
    /// Certificates (cert-manager).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<CertManager>,
    /// GitOps with Argo CD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argocd: Option<ArgoCd>,
    /// Any Helm chart, by release name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ReleaseName, Chart>")]
    pub charts: IndexMap<ReleaseName, Chart>,
    /// The `helm` program, where it is not on the PATH.
    #[serde(default, skip_serializing_if = "Helm::is_usual")]
    pub helm: Helm,
    /// What becomes of a release whose workloads do not run. Without it: `leave`.
    #[serde(default, skip_serializing_if = "OnFailure::leaves")]
    pub on_failure: OnFailure,
    /// Any manifest, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<PoolName, ManifestSource>")]
    pub manifests: IndexMap<PoolName, ManifestSource>,
}

/// The `helm` program, which installs releases. One on the PATH is used, from 3.13 on; where there is none, it is fetched,
/// verified and kept in the user's cache folder.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Helm {
    /// Where it comes from in the place of `https://get.helm.sh`: the address of a mirror, or `file:` and a folder of this
    /// computer. A relative one begins in the folder of this file. In it lies the publisher's archive under its own name,
    /// `helm-v4.2.4-linux-amd64.tar.gz`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Mirror>")]
    pub mirror: Option<String>,
}

impl Helm {
    /// Whether nothing is said of it.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of a release that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It stays as it failed, so that it can be looked at. The next run tries it again.
    #[default]
    Leave,
    /// It is what it was before: the last revision that ran is put back, and a first one is uninstalled.
    Rollback,
}

impl OnFailure {
    /// Whether it stays as it failed.
    pub fn leaves(&self) -> bool {
        *self == Self::Leave
    }
}

/// An add-on with nothing to choose but its version and its values.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plain {
    /// The chart's version. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// MetalLB in layer 2 mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metallb {
    /// The chart's version, which is MetalLB's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Pools of addresses, by name. They touch no node, no endpoint and no gateway.
    #[schemars(extend("minProperties" = 1))]
    #[schemars(with = "forms::ByName<PoolName, Vec<AddressRange>>")]
    pub pools: IndexMap<PoolName, Vec<AddressRange>>,
    /// The advertisement's name. Without it: `default-l2-adv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertisement: Option<ObjectName>,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// What knows of Hetzner Cloud inside of the cluster. Both call it with the token of `providers.hetzner`, which whoever reads
/// Secrets of `kube-system` reads too.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HetznerAddOns {
    /// Gives Services of type LoadBalancer load balancers of Hetzner, and nodes what Hetzner knows of their servers
    /// (hcloud-cloud-controller-manager). A cluster begins with it or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_controller: Option<Plain>,
    /// Gives claims volumes of Hetzner (hcloud-csi).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csi: Option<HetznerCsi>,
}

impl HetznerAddOns {
    /// Whether none of them is wished.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Volumes of Hetzner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HetznerCsi {
    /// The chart's version. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The StorageClass' name.
    #[serde(default = "hetzner_class")]
    pub class: ObjectName,
    /// Claims that name no class get this one. K3s has another one for that: its own local-path.
    #[serde(default)]
    pub default: bool,
    /// Keep volumes whose claims are gone.
    #[serde(default)]
    pub retain: bool,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

fn hetzner_class() -> ObjectName {
    "hcloud-volumes".into()
}

/// Prometheus, Alertmanager, Grafana and their exporters.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Monitoring {
    /// The chart's version. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The release's name. Without it: `prometheus`, so that Grafana's Service is `prometheus-grafana`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseName>,
    /// The namespace. Without it: `monitoring`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Prometheus' port on every node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus_node_port: Option<u16>,
    /// Grafana's port on every node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grafana_node_port: Option<u16>,
    /// LoadBalancer Services beside the chart's own: a name and what it leads to.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ObjectName, MonitoringTarget>")]
    pub load_balancers: IndexMap<ObjectName, MonitoringTarget>,
    /// Grafana's password. Without it, one is made and kept as a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grafana_password: Option<SecretRef>,
    /// Alerts of ours beside the chart's: nodes that are gone, pods that fail, what runs full, a network that loses things.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub alerts: bool,
    /// How long metrics are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Span>,
    /// The size of Prometheus' volume; without it, metrics are gone with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Size>,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// What a LoadBalancer Service of the monitoring leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MonitoringTarget {
    /// Prometheus, port 9090.
    Prometheus,
    /// Grafana, port 3000.
    Grafana,
    /// Alertmanager, port 9093.
    Alertmanager,
}

impl MonitoringTarget {
    /// The port that it listens on.
    pub fn port(self) -> u16 {
        match self {
            Self::Prometheus => 9090,
            Self::Grafana => 3000,
            Self::Alertmanager => 9093,
        }
    }
}

/// External Secrets Operator.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalSecrets {
    /// The chart's version. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Vaults that it reads, as ClusterSecretStores, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ObjectName, VaultStore>")]
    pub stores: IndexMap<ObjectName, VaultStore>,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// A key-value engine of Vault as a store of secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultStore {
    /// The Vault's address. Without it: the one of `addons.vault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::WebAddress>")]
    pub server: Option<String>,
    /// The engine's path; it is of version 2.
    #[serde(default = "engine")]
    pub path: ObjectName,
    /// The role that lets the service account `external-secrets` in.
    pub role: ObjectName,
}

fn engine() -> ObjectName {
    "secret".into()
}

/// Sealed Secrets' controller.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SealedSecrets {
    /// The chart's version. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The private key, so that a new cluster opens what was sealed for an older one. Without it, the controller makes its own
    /// ones, which are gone with the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretRef>,
    /// The key's certificate, with which is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<SecretRef>,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// How Vault runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VaultMode {
    /// In memory, open, for development.
    Dev,
    /// One server with its own storage.
    Standalone,
    /// Three servers with integrated storage.
    #[default]
    Ha,
    /// Only the injector, for a Vault elsewhere.
    Agent,
}

/// HashiCorp Vault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vault {
    /// The chart's version. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The namespace. Without it: `vault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// How it runs.
    #[serde(default)]
    pub mode: VaultMode,
    /// The Vault elsewhere, for mode `agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::WebAddress>")]
    pub address: Option<String>,
    /// Its servers, in mode `ha`.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 9))]
    pub replicas: u32,
    /// The size of each server's volume. Without it: `10Gi`, as the chart has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Size>,
    /// The StorageClass of the volumes. Without it: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<ObjectName>,
    /// The keys that unseal it, made when it is initialised and kept as the secret `vault-unseal-keys`.
    #[serde(default)]
    pub keys: VaultKeys,
    /// Paths of key-value engines (version 2): `secret`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<ObjectName>")]
    pub key_value: Vec<ObjectName>,
    /// Policies in Vault's own language, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ObjectName, String>")]
    pub policies: IndexMap<ObjectName, String>,
    /// Who of the cluster gets in by its service account, by the role's name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ObjectName, VaultRole>")]
    pub roles: IndexMap<ObjectName, VaultRole>,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

impl Default for Vault {
    fn default() -> Self {
        Self {
            version: None,
            namespace: None,
            mode: VaultMode::default(),
            address: None,
            replicas: three(),
            storage: None,
            storage_class: None,
            keys: VaultKeys::default(),
            key_value: Vec::new(),
            policies: IndexMap::new(),
            roles: IndexMap::new(),
            values: IndexMap::new(),
        }
    }
}

fn three() -> u32 {
    3
}

/// The keys that unseal Vault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultKeys {
    /// How many there are.
    #[schemars(range(min = 1, max = 255))]
    pub shares: u32,
    /// How many of them unseal a server.
    #[schemars(range(min = 1, max = 255))]
    pub threshold: u32,
}

impl Default for VaultKeys {
    fn default() -> Self {
        Self { shares: 5, threshold: 3 }
    }
}

/// Who gets into Vault by a service account of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultRole {
    /// Names of service accounts.
    #[schemars(length(min = 1))]
    pub service_accounts: Vec<ObjectName>,
    /// The namespaces in which they are.
    #[schemars(length(min = 1))]
    pub namespaces: Vec<Namespace>,
    /// The policies that they get.
    #[schemars(length(min = 1))]
    pub policies: Vec<ObjectName>,
    /// How long a token of theirs lives.
    #[serde(default = "an_hour")]
    pub ttl: Span,
}

fn an_hour() -> Span {
    Span::from_secs(60 * 60)
}

/// cert-manager.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertManager {
    /// The chart's version. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Argo CD installs it, with its issuers; here is made only its namespace, which the chart does not make.
    #[serde(default)]
    pub by_argocd: bool,
    /// ClusterIssuers, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ObjectName, Issuer>")]
    pub issuers: IndexMap<ObjectName, Issuer>,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// A ClusterIssuer: exactly one of `acme`, `ca` and `selfSigned`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issuer {
    /// From an ACME server, Let's Encrypt for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
    /// From a CA whose Secret is in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<ObjectName>,
    /// Signed by themselves.
    #[serde(default)]
    pub self_signed: bool,
}

/// An ACME server, and how it is answered: exactly one of `http01`, `dns01` and `gandi`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acme {
    /// The server's address.
    #[serde(default = "lets_encrypt")]
    #[schemars(with = "forms::HttpsAddress")]
    pub server: String,
    /// The account's e-mail address.
    #[schemars(with = "forms::Email")]
    pub email: String,
    /// Answer over HTTP through this ingress class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::IngressClass>")]
    pub http01: Option<String>,
    /// Answer over DNS, at one of the providers that cert-manager knows, in its own words: `cloudflare: { … }`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub dns01: IndexMap<String, Value>,
    /// Answer over DNS at Gandi, by its webhook, which comes along. The Secret of cert-manager's namespace is called
    /// `gandi-credentials`, and holds an API key as `api-token` or a personal access token as `pat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gandi: Option<ObjectName>,
}

fn lets_encrypt() -> String {
    "https://acme-v02.api.letsencrypt.org/directory".into()
}

/// Argo CD, and the application that holds all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgoCd {
    /// The chart's version.
    pub version: Version,
    /// How it is reached.
    #[serde(default)]
    pub service: ServiceType,
    /// Its address, when it is a LoadBalancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressRange>,
    /// Serve plain HTTP, for a network that is one's own.
    #[serde(default)]
    pub insecure: bool,
    /// The administrator's password. Without it, one is made and kept as a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_password: Option<SecretRef>,
    /// Repositories that let nobody in without credentials, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ObjectName, ArgoRepository>")]
    pub repositories: IndexMap<ObjectName, ArgoRepository>,
    /// Files in Git that are encrypted with SOPS are opened, by KSOPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sops: Option<ArgoSops>,
    /// Placeholders in Git are filled from Vault, by Argo CD's Vault plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_plugin: Option<ArgoVaultPlugin>,
    /// The application that holds all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<RootApplication>,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// The application that holds all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RootApplication {
    /// Its name.
    #[serde(default = "root_app")]
    pub name: ObjectName,
    /// The Git repository.
    #[schemars(with = "forms::Repository")]
    pub repository: String,
    /// The branch, tag or commit.
    #[schemars(with = "forms::Revision")]
    pub revision: String,
    /// The folder in the repository.
    #[schemars(with = "forms::RepositoryFolder")]
    pub path: String,
    /// A token for the repository, or the private key where its address is one of SSH. What wants a user's name as well
    /// stands in `repositories`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<SecretRef>,
}

/// SOPS files in Argo CD's repositories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgoSops {
    /// The age key that opens them: a line that begins with `AGE-SECRET-KEY-`.
    pub age_key: SecretRef,
    /// The version of KSOPS. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

/// Argo CD's Vault plugin, beside its repo-server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgoVaultPlugin {
    /// An image with `argocd-vault-plugin`, `sh`, `find` and `grep` on its PATH. The project has none of its own.
    #[schemars(length(min = 1))]
    pub image: String,
    /// The role of Vault that lets the service account `argocd-repo-server` in.
    pub role: ObjectName,
    /// The Vault's address. Without it: the one of `addons.vault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::WebAddress>")]
    pub server: Option<String>,
}

/// What a repository of Argo CD holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArgoRepositoryKind {
    /// A Git repository.
    #[default]
    Git,
    /// Helm charts.
    Helm,
}

/// A repository that Argo CD reads, and how it is let in: by `password`, by `sshKey`, or as anybody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgoRepository {
    /// Its address; with `prefix`, what the addresses of many begin with.
    pub url: String,
    /// What it holds.
    #[serde(default)]
    pub kind: ArgoRepositoryKind,
    /// It is an OCI registry of charts; its address has no `oci://`.
    #[serde(default)]
    pub oci: bool,
    /// The credentials are for every repository whose address begins with this one.
    #[serde(default)]
    pub prefix: bool,
    /// The user. A token mostly takes any name, and gets `git`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// The private key, where the address is one of SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<SecretRef>,
    /// Trust whoever answers there: neither its certificate nor its host key is looked at.
    #[serde(default)]
    pub insecure: bool,
    /// The project of Argo CD that alone may use it. Without it: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ObjectName>,
}

fn root_app() -> ObjectName {
    "root-app".into()
}

/// Any Helm chart: from a repository, from an OCI registry, or from a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chart {
    /// The chart: a name in `repository`, an `oci://` address, or a folder that starts with `./`.
    pub chart: String,
    /// The repository's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The chart's version; not for a folder. Without it, the first `apply` takes the newest, and the lock file keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The namespace. It is made when it is not there.
    pub namespace: Namespace,
    /// Files of values beside this one, each over those before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::FilePath>")]
    pub values_files: Vec<String>,
    /// Values; they win over those of files.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
    /// Values that are secret, by their path: `auth.password`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub secret_values: IndexMap<String, SecretRef>,
    /// What becomes of it when its workloads do not run. Without it: as `addons.onFailure` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// How long its workloads may take. Without it: `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// Any manifest: exactly one of `file` and `objects`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestSource {
    /// A file beside this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub file: Option<String>,
    /// The objects themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<IndexMap<String, Value>>,
}
