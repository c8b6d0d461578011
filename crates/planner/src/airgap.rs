//! What a spec needs from outside, and what changes where a bundle takes the network's place.
//!
//! A pure function of the desired state names every file, image and chart. What charts render to, only Helm knows: the
//! engine asks [`images`] about that. A plan with a bundle differs from one without it in the archives of images alone;
//! that a download comes from the bundle is decided where hosts are changed.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::airgap::{AirGap, BUNDLE, Kind, Need, Packed, flat, for_machine};
use kubewright_model::desired::{Desired, DesiredHost};
use kubewright_model::digest::Digest;
use kubewright_model::host::{
    Artifact, DirectoryWish, DownloadWish, FileWish, HostResource, Mode, Proof, UnitRun, UnitWish,
};
use kubewright_model::observed::Observed;
use kubewright_model::programs::{K3S, RKE2};
use kubewright_model::spec::{ClusterFile, Distribution};
use kubewright_model::text::Text;
use kubewright_model::version::Version;
use serde_json::{Value, json};

/// Who wants what this computer itself works with.
pub const HERE: &str = "this computer";
/// What is said of images that hosts have in vain.
pub const ALWAYS: &str = "kubelets ask a registry at each start for";
/// What helps then.
pub const NOT_ALWAYS: &str = "`imagePullPolicy: IfNotPresent`, or a tag that is not `latest`; or a registry of the site in `kubernetes.registries`";

/// Where kubeadm's hosts keep archives of images. Nobody but us knows the folder.
const ARCHIVES: &str = "/var/lib/kubewright/images";
/// What takes them in there, when hosts start and when the archives are others, and what that runs.
const TAKES_IN: &str = "kubewright-images.service";
const SCRIPT: &str = "/usr/local/sbin/kubewright-images";

/// The spec as a site without a way out has it: K3s and RKE2 find the images of their release on the hosts.
pub fn closed(file: &ClusterFile) -> ClusterFile {
    let mut file = file.clone();
    let kubernetes = &mut file.spec.kubernetes;
    kubernetes.airgap_images |= matches!(kubernetes.distribution, Distribution::K3s | Distribution::Rke2);
    file
}

/// What kubeadm is asked with which images it wants for a version: those settings of the spec that name others than its own. It
/// is told an address, or it would look for this computer's way out.
/// <https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/#kubeadm-k8s-io-v1beta4-ClusterConfiguration>
pub fn asks_kubeadm(file: &ClusterFile, version: &Version) -> String {
    let settings = &file.spec.kubernetes.server_config;
    let of = |kind: &str| json!({ "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": kind });
    let mut cluster = of("ClusterConfiguration");
    for key in ["imageRepository", "dns", "etcd"] {
        if let Some(value) = settings.get(key) {
            cluster[key] = value.clone();
        }
    }
    cluster["kubernetesVersion"] = version.to_string().into();
    let mut own = of("InitConfiguration");
    own["localAPIEndpoint"] = json!({ "advertiseAddress": "192.0.2.1" });
    format!("{own}\n---\n{cluster}\n")
}

/// What no bundle can stand in for: each by its name, with the reason.
pub fn refusals(desired: &Desired) -> Vec<(String, String)> {
    let mut refused = Vec::new();
    if desired.kubernetes.distribution == Distribution::Talos {
        // <https://docs.siderolabs.com/talos/v1.11/configure-your-talos-cluster/images-container-runtime/image-cache>
        let why = "nodes pull their installer and Kubernetes' images from a registry themselves, and an image cache is part of \
                   a boot image that the image factory makes; give them a registry of the site by `machine.registries.mirrors`";
        refused.push(("Talos".to_string(), why.to_string()));
    }
    if desired.hetzner.is_some() {
        refused.push(("Hetzner Cloud".into(), "servers are made by its API, which is on the internet".into()));
    }
    refused
}

/// What the spec means with each version on the way from this one to its own: what an upgrade at a site without a way out needs
/// besides.
///
/// # Errors
///
/// A minor version of which nobody knows one to go through.
pub fn on_the_way(desired: &Desired, from: &Version) -> Result<Vec<Desired>, (u64, u64)> {
    crate::upgrades::meanings(desired, from)
}

/// The oldest version that runs, where the spec wishes a newer one.
pub fn runs(desired: &Desired, observed: &Observed) -> Option<Version> {
    crate::upgrades::oldest(desired, observed)
}

/// Everything that a spec needs from outside for hosts of these architectures, as far as no chart has to be rendered for it.
pub fn needs(desired: &Desired, machines: &[String]) -> Vec<Need> {
    let mut all = Needs::default();
    for resource in desired.all_hosts().flat_map(|host| &host.resources) {
        match resource {
            HostResource::Download(wish) => machines.iter().for_each(|arch| all.download(&wish.artifact, arch)),
            HostResource::File(file) if file.path.contains("/manifests/") => {
                let Some(text) = known(&file.content) else { continue };
                let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_default();
                all.images(&objects, &file.path);
            }
            _ => {}
        }
    }
    for group in &desired.objects {
        let objects: Vec<Value> = group.manifests.iter().map(|manifest| manifest.0.clone()).collect();
        all.images(&objects, &format!("objects {}", group.name));
    }
    desired.releases.iter().filter(|release| !release.is_folder()).for_each(|release| all.put(Need::chart(release)));
    all.0.into_values().collect()
}

/// Needs, each once, with everybody who wants it.
#[derive(Default)]
pub struct Needs(BTreeMap<(Kind, String, Option<String>, Option<Version>), Need>);

impl Needs {
    /// Adds a need, or another who has it.
    pub fn put(&mut self, need: Need) {
        let key = (need.kind, need.source.clone(), need.repository.clone(), need.version.clone());
        let there = self.0.entry(key).or_insert_with(|| Need { wanted_by: Vec::new(), ..need.clone() });
        there.wanted_by.extend(need.wanted_by);
        there.wanted_by.sort();
        there.wanted_by.dedup();
    }

    /// All of them, in order.
    pub fn into_all(self) -> Vec<Need> {
        self.0.into_values().collect()
    }

    fn images(&mut self, objects: &[Value], wanted_by: &str) {
        objects.iter().flat_map(images).for_each(|image| self.put(Need::image(&image, wanted_by)));
    }

    fn download(&mut self, artifact: &Artifact, arch: &str) {
        if artifact.url.starts_with(BUNDLE) {
            return;
        }
        let at = |text: &str| for_machine(text, arch);
        let proof = match &artifact.proof {
            Proof::Sha256(digest) => Proof::Sha256(digest.clone()),
            Proof::Checksums { url, file } => {
                self.put(file_need(format!("digests of {}", artifact.name), at(url), None));
                Proof::Checksums { url: at(url), file: at(file) }
            }
        };
        self.put(file_need(artifact.name.clone(), at(&artifact.url), Some(proof)));
    }
}

fn file_need(name: String, source: String, proof: Option<Proof>) -> Need {
    Need { kind: Kind::File, name, source, repository: None, version: None, proof, wanted_by: vec!["hosts".into()] }
}

/// A text without what only a run can fill in; no image's name has a hole.
fn known(text: &Text) -> Option<String> {
    text.fill(|_| Some("hole")).ok()
}

/// The images that an object names: those of containers, wherever its kind keeps them; those of resources of operators, which
/// have a field `image` as well; and those that operators are told in arguments and variables.
pub fn images(object: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    look(object, &mut found);
    found
}

fn look(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| look(item, found)),
        Value::Object(fields) => {
            // What a definition says of its fields is no object.
            if fields.get("kind").and_then(Value::as_str) == Some("CustomResourceDefinition") {
                return;
            }
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("image", Value::String(image)) if is_reference(image) => drop(found.insert(image.clone())),
                    ("args" | "command", Value::Array(words)) => found.extend(told(words)),
                    ("env", Value::Array(variables)) => found.extend(variables.iter().filter_map(variable)),
                    _ => {}
                }
                look(value, found);
            }
        }
        _ => {}
    }
}

/// Containers of an object whose image is asked of its registry at each start, whatever the host has: those that say so, and
/// those that name `latest` or nothing, and no policy. Each with its image.
/// <https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting>
pub fn always_pulled(object: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    asks(object, false, &mut found);
    found
}

fn asks(value: &Value, containers: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| asks(item, containers, found)),
        Value::Object(fields) if fields.get("kind").and_then(Value::as_str) != Some("CustomResourceDefinition") => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str);
            if let Some(image) = text("image").filter(|image| is_reference(image)) {
                let always = match text("imagePullPolicy") {
                    Some(policy) => policy == "Always",
                    None => containers && kubewright_model::airgap::whole(image).ends_with(":latest"),
                };
                let name = text("name").map(|name| format!(" of container {name}")).unwrap_or_default();
                found.extend(always.then(|| format!("{image}{name}")));
            }
            fields
                .iter()
                .for_each(|(key, value)| asks(value, matches!(key.as_str(), "containers" | "initContainers"), found));
        }
        _ => {}
    }
}

/// `--acme-http01-solver-image=quay.io/jetstack/cert-manager-acmesolver:v1.18.2`,
/// `--prometheus-config-reloader=quay.io/prometheus-operator/prometheus-config-reloader:v0.85.0`, and the same in two words.
fn told(words: &[Value]) -> Vec<String> {
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    let next = words.iter().skip(1).copied().map(Some).chain([None]);
    let flags = words.iter().zip(next).filter_map(|(word, next)| word.split_once('=').or(Some((word, next?))));
    let about = |flag: &str| flag.starts_with('-') && (flag.contains("image") || flag.ends_with("-reloader"));
    flags.filter(|(flag, image)| about(flag) && is_whole(image)).map(|(_, image)| image.to_string()).collect()
}

/// `RELATED_IMAGE_X: quay.io/x/y:1`, as operators of the Operator Lifecycle Manager are told.
fn variable(variable: &Value) -> Option<String> {
    let image = variable.get("value")?.as_str()?;
    (variable.get("name")?.as_str()?.contains("IMAGE") && is_whole(image)).then(|| image.to_string())
}

/// <https://github.com/distribution/reference/blob/v0.6.0/reference.go>
fn is_reference(text: &str) -> bool {
    let sign = |sign: char| sign.is_ascii_alphanumeric() || "._-/:@".contains(sign);
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.chars().all(sign) && !text.contains("://")
}

/// With a registry, and with a tag or a digest: nothing else looks like that.
fn is_whole(text: &str) -> bool {
    let Some((registry, rest)) = text.split_once('/') else { return false };
    is_reference(text) && registry.contains(['.', ':']) && rest.contains(':')
}

/// What is wished at a site that has no way out: its images lie on hosts, and its charts and programs come from the bundle.
pub fn seal(desired: &mut Desired, gap: &AirGap) {
    let members: BTreeSet<_> = desired.members.iter().map(|member| member.name.clone()).collect();
    let distribution = desired.kubernetes.distribution;
    for host in desired.hosts.iter_mut().filter(|host| members.contains(&host.name)) {
        bring_images(host, distribution, gap);
    }
    for release in desired.releases.iter_mut().filter(|release| !release.is_folder()) {
        if let Some(chart) = gap.chart(release) {
            release.digest = Some(chart.sha256.clone());
            release.version = chart.version.as_ref().and_then(|it| it.parse().ok()).or(release.version.take());
        }
    }
    let program = gap.manifest.contents.iter().find(|packed| packed.wanted_by.iter().any(|who| who == HERE));
    if let Some((folder, _)) = program.and_then(|packed| packed.path.rsplit_once('/')) {
        desired.helm_mirror = Some(format!("file:{}/{folder}", gap.folder));
    }
    // What cannot come from the release's archives comes as every other image.
    desired.missing.retain(|missing| missing.what != KUBE_VIP);
    desired.airgap = Some(gap.clone());
}

/// As `lower::missing` calls it.
pub(crate) const KUBE_VIP: &str = "kube-vip's image from an archive";

/// Archives of images for one host, before Kubernetes starts there.
fn bring_images(host: &mut DesiredHost, distribution: Distribution, gap: &AirGap) {
    let folder = match distribution {
        // K3s and RKE2 take in what is there at their start; since v1.31.5 and v1.32.0 also what comes there while they run.
        // <https://docs.k3s.io/import-images>, <https://docs.rke2.io/import-images>
        Distribution::K3s => format!("{}/agent/images", K3S.data),
        Distribution::Rke2 => format!("{}/agent/images", RKE2.data),
        Distribution::Kubeadm => ARCHIVES.to_string(),
        Distribution::Talos => return,
    };
    let archives: Vec<DownloadWish> = gap.images().map(|packed| archive(packed, &folder)).collect();
    if archives.is_empty() {
        return;
    }
    let mut resources: Vec<HostResource> = Vec::new();
    if distribution == Distribution::Kubeadm {
        let owner = "root:root".to_string();
        resources.push(HostResource::Directory(DirectoryWish { path: folder, mode: Mode(0o700), owner }));
    }
    let held: Vec<&Digest> = gap.images().map(|packed| &packed.sha256).collect();
    resources.extend(archives.into_iter().map(HostResource::Download));
    if distribution == Distribution::Kubeadm {
        let script = script();
        let reads = Digest::of_value(&(held, &script));
        resources.push(HostResource::File(FileWish::new(SCRIPT, script, 0o755)));
        resources.push(HostResource::Unit(takes_in(reads)));
    }
    let kubernetes = host.resources.iter().position(|resource| resource.kubernetes().is_some());
    let at = kubernetes.unwrap_or(host.resources.len());
    host.resources.splice(at..at, resources);
}

fn archive(packed: &Packed, folder: &str) -> DownloadWish {
    DownloadWish {
        path: format!("{folder}/kubewright-{}.tar", flat(&packed.source)),
        artifact: Artifact {
            name: format!("image {}", packed.name),
            url: format!("{BUNDLE}{}", packed.path),
            proof: Proof::Sha256(packed.sha256.clone()),
        },
        member: None,
        mode: Mode(0o600),
    }
}

/// What takes images in, and pins them: at 85 % of its disk a kubelet deletes every image that no container uses, and here nobody
/// brings one back. Those of archives that are no more are its own again. containerd goes by the label of any name of an image
/// (`internal/cri/store/image/image.go` of v2.2.1); an empty value takes it away. K3s and RKE2 pin theirs themselves
/// (<https://github.com/k3s-io/k3s/issues/8781>).
fn script() -> String {
    format!(
        "#!/bin/sh\n\
         # Written by kubewright: images that came without a registry.\n\
         set -eu\n\
         images='/usr/local/bin/ctr --namespace k8s.io images'\n\
         cd {ARCHIVES}\n\
         : >pinned.new\n\
         for archive in *.tar; do\n\
         [ -e \"$archive\" ] || continue\n\
         $images import \"$archive\"\n\
         tar -xOf \"$archive\" index.json | grep -o '\"io.containerd.image.name\":\"[^\"]*\"' | cut -d '\"' -f 4 >>pinned.new\n\
         done\n\
         while read -r image; do\n\
         $images label \"$image\" io.cri-containerd.pinned=pinned >/dev/null </dev/null\n\
         done <pinned.new\n\
         if [ -e pinned ]; then\n\
         grep -vxF -f pinned.new pinned | while read -r image; do\n\
         $images label \"$image\" io.cri-containerd.pinned= >/dev/null </dev/null || echo \"$image is gone already\"\n\
         done\n\
         fi\n\
         mv pinned.new pinned\n"
    )
}

/// containerd of kubeadm's hosts takes in nothing by itself. The unit is started anew where the archives are others.
/// <https://github.com/containerd/containerd/blob/v2.2.1/cmd/ctr/commands/images/import.go>
fn takes_in(reads: Digest) -> UnitWish {
    let text = format!(
        "[Unit]\n\
         Description=Images that came without a registry\n\
         Requires=containerd.service\n\
         After=containerd.service\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         ExecStart={SCRIPT}\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    );
    let content = Some(Text::known(text));
    UnitWish { name: TAKES_IN.into(), content, enabled: true, run: UnitRun::Oneshot, reads }
}

#[cfg(test)]
mod tests;
