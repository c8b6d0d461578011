//! One look at a node of Talos.

use std::collections::BTreeMap;

use kubewright_model::facts::Boot;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{HostSeen, KubernetesSeen, MemberSeen};
use kubewright_model::talos::{TalosSeen, kubelet_version};
use kubewright_model::units::Size;
use kubewright_model::version::Version;
use serde_json::Value;

use super::{config, settled};
use crate::talos::{Bundle, Disk, Link, Resource, Talos, TalosError};

/// Where etcd has its data; Talos itself looks there before it begins one (`Bootstrap`, `v1alpha1_server.go`).
const ETCD: &str = "/var/lib/etcd";
/// What a kubelet gets when it is let in, and where; what it serves with it makes by itself before.
const LET_IN: (&str, &str) = ("/var/lib/kubelet/pki", "kubelet-client-current.pem");
/// The extension by which the image factory tells what it has made the image from.
pub(super) const SCHEMATIC: &str = "schematic";
/// The service that is Talos' kubelet.
const KUBELET: &str = "kubelet";
/// What a node of Talos cannot be installed on.
const NO_DISKS: [&str; 3] = ["/dev/loop", "/dev/sr", "/dev/zram"];

/// A node with our configuration.
pub(super) async fn at_ours(talos: &Talos, bundle: &Bundle) -> Result<HostSeen, TalosError> {
    let (runs, disks, extensions, documents, system_disk, links) = tokio::try_join!(
        talos.version(),
        talos.disks(),
        talos.extensions(),
        documents(talos, bundle),
        talos.system_disk(),
        talos.links()
    )?;
    let server = documents.first().is_some_and(|first| first["machine"]["type"] == "controlplane");
    let joined = has_joined(talos, server).await?;
    // Its etcd may not answer; then nobody knows by this node who is in.
    let etcd = match joined && server {
        true => members(talos).await.ok(),
        false => None,
    };
    let serving = etcd.as_ref().is_some_and(|members| members.values().any(|member| member.healthy));
    let kubelet = kubelet_version(&documents);
    let kubernetes = KubernetesSeen { version: kubelet, joined, serving, ..KubernetesSeen::default() };
    let version = version(&runs.tag)?;
    let boot = boot(talos).await;
    let schematic = extensions.into_iter().find(|extension| extension.name == SCHEMATIC);
    Ok(HostSeen {
        os: format!("Talos {}", version.bare()),
        arch: runs.arch,
        kubernetes: Some(kubernetes),
        boot,
        certificates: bundle.ends(),
        talos: Some(TalosSeen {
            version,
            maintenance: false,
            config: documents,
            schematic: schematic.map(|extension| extension.version),
            disks: sizes(disks),
            system_disk,
            links: physical(links),
            etcd,
        }),
        ..HostSeen::default()
    })
}

/// How it was started, and whether its kubelet runs since. Nothing of it has ever to be started again for packages.
async fn boot(talos: &Talos) -> Option<Boot> {
    let id = talos.boot_id().await.ok()?;
    let services = talos.services().await.ok()?;
    let kubelet = services.into_iter().find(|service| service.id == KUBELET);
    let awaits = match kubelet {
        Some(kubelet) if kubelet.state == "Running" && kubelet.healthy != Some(false) => None,
        Some(kubelet) => Some(format!("its kubelet is {}", kubelet.state)),
        None => Some("it has not come to its kubelet".into()),
    };
    Some(Boot { id, wanted: None, awaits })
}

/// The documents of its configuration, without its secrets.
pub(super) async fn documents(talos: &Talos, bundle: &Bundle) -> Result<Vec<Value>, TalosError> {
    let text = talos.configuration().await?;
    Ok(text.map(|text| config::told(&text, bundle)).transpose()?.unwrap_or_default())
}

/// Whether a node holds what makes it a member. One that does not is only believed when it can see its disk: who has no data is
/// taken out of etcd, and with its data etcd lets it in no more.
async fn has_joined(talos: &Talos, server: bool) -> Result<bool, TalosError> {
    if server {
        return has_etcd(talos, true).await;
    }
    let (folder, file) = LET_IN;
    if talos.holds(folder, Some(file)).await? {
        return Ok(true);
    }
    settled::tells(talos, false).await?;
    talos.holds(folder, Some(file)).await
}

/// Whether etcd has data on a node, of which it may be known that it is a server.
pub(super) async fn has_etcd(talos: &Talos, server: bool) -> Result<bool, TalosError> {
    if talos.holds(ETCD, None).await? {
        return Ok(true);
    }
    settled::tells(talos, server).await?;
    talos.holds(ETCD, None).await
}

/// A node that waits for its configuration. Before v1.13 it does not tell its architecture then, and v1.9 not its version.
pub(super) async fn at_waiting(talos: &Talos) -> Result<HostSeen, TalosError> {
    let runs = talos.version().await.ok();
    let tag = match &runs {
        Some(runs) => Some(runs.tag.clone()),
        None => talos.version_in_maintenance().await.ok().flatten(),
    };
    let version = tag.map_or_else(|| Ok(Version::known("1.9.0")), |tag| version(&tag))?;
    let (disks, system_disk, links) = tokio::try_join!(talos.disks(), talos.system_disk(), talos.links())?;
    Ok(HostSeen {
        os: format!("Talos {} in maintenance mode", version.bare()),
        arch: runs.map(|runs| runs.arch).unwrap_or_default(),
        talos: Some(TalosSeen {
            version,
            maintenance: true,
            config: Vec::new(),
            schematic: None,
            disks: sizes(disks),
            system_disk,
            links: physical(links),
            etcd: None,
        }),
        ..HostSeen::default()
    })
}

fn version(tag: &str) -> Result<Version, TalosError> {
    tag.parse().map_err(|why| TalosError::NotUnderstood { why: format!("its version is `{tag}`: {why}") })
}

/// Who is in etcd, as its quorum has it. Of the others nobody knows from here whether they answer; who looks asks each.
async fn members(talos: &Talos) -> Result<BTreeMap<NodeName, MemberSeen>, TalosError> {
    let (all, own) = tokio::try_join!(talos.etcd_members(false), talos.etcd_status())?;
    let member = |it: &crate::talos::EtcdMember| MemberSeen {
        voter: !it.learner,
        healthy: it.id == own.member && own.errors.is_empty(),
    };
    // One that has never started has no name yet.
    let named = all.iter().filter(|it| !it.hostname.is_empty());
    Ok(named.map(|it| (NodeName::new(it.hostname.as_str()), member(it))).collect())
}

/// Interfaces that something is plugged into, by the names that a configuration may call them.
fn physical(links: Vec<Resource<Link>>) -> BTreeMap<String, Vec<String>> {
    let others = |link: Link| link.alt_names.into_iter().chain([link.alias]).filter(|name| !name.is_empty()).collect();
    let physical = links.into_iter().filter(|link| link.spec.is_physical());
    physical.map(|link| (link.id, others(link.spec))).collect()
}

fn sizes(disks: Vec<Disk>) -> BTreeMap<String, Size> {
    let fits = |disk: &Disk| {
        let other = NO_DISKS.iter().any(|start| disk.dev_path.starts_with(start));
        !(disk.readonly || disk.cdrom || other) && disk.size > 0
    };
    disks.into_iter().filter(fits).map(|disk| (disk.dev_path, Size::from_bytes(disk.size))).collect()
}
