//! How far a node of Talos is: what is mounted, whether it is installed, which Kubernetes runs on it.
//!
//! Resources are those of siderolabs/talos v1.9 to v1.14, `pkg/machinery/resources`, unless something else is said.

use serde::Deserialize;
use tonic::Code;

use super::client::Talos;
use super::errors::TalosError;
use super::resources::Resource;

/// What everything on a node is in that a reset takes away: Talos' own services wait until it is mounted
/// (`internal/app/machined/pkg/controllers/k8s/kubelet_service.go`).
const EPHEMERAL: &str = "EPHEMERAL";

/// The kubelet of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubelet {
    /// The image that it is to run from.
    pub image: String,
    /// It has started since that is so, and is well.
    pub runs: bool,
}

/// A static pod of a node's control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticPod {
    /// `kube-apiserver`.
    pub name: String,
    /// The image that it is to run from.
    pub image: String,
    /// The image that it runs from, as its kubelet tells; none while it does not run.
    pub runs: Option<String>,
    /// It passes its probes.
    pub ready: bool,
}

/// What is looked at of a resource that tells by being there.
#[derive(Deserialize)]
struct There {}

/// `KubeletSpecs.kubernetes.talos.dev`.
#[derive(Deserialize)]
struct KubeletSpec {
    image: String,
}

/// `Services.v1alpha1.talos.dev`: it comes when the service runs, and goes when it ends
/// (`internal/app/machined/pkg/controllers/v1alpha1/service.go`).
#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    running: bool,
    #[serde(default)]
    healthy: bool,
}

/// `StaticPods.kubernetes.talos.dev`: a manifest.
#[derive(Deserialize)]
struct PodWish {
    spec: PodSpec,
}

#[derive(Deserialize)]
struct PodSpec {
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    image: String,
}

/// `StaticPodStatuses.kubernetes.talos.dev`: the `status` of a pod, read from the kubelet every 15 seconds; there is none while
/// that does not run (`internal/app/machined/pkg/controllers/k8s/kubelet_static_pod.go`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStatus {
    #[serde(default)]
    container_statuses: Vec<Container>,
    #[serde(default)]
    conditions: Vec<PodCondition>,
}

#[derive(Deserialize)]
struct PodCondition {
    r#type: String,
    status: String,
}

/// `UnattendedInstallStatuses.runtime.talos.dev`, from v1.14 on.
#[derive(Deserialize)]
struct Installation {
    #[serde(default)]
    phase: String,
    #[serde(default)]
    error: String,
}

impl Talos {
    /// Whether the disk is mounted that everything of a node is on. From v1.13 on the API answers before it is
    /// (`StartApid` in `Initialize`, `v1alpha1_sequencer.go`).
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn is_mounted(&self) -> Result<bool, TalosError> {
        let found = self.resource("runtime", "MountStatuses.runtime.talos.dev", EPHEMERAL).await?;
        Ok(found.is_some_and(|_: Resource<There>| true))
    }

    /// How far the installation of a node is that installs itself by a document of its own, and why it does not go on; none
    /// where it does not. `pending`, `installing`, `waiting-for-reboot`, `installed`, `failed`.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn installation(&self) -> Result<Option<(String, String)>, TalosError> {
        let found = self.resource("runtime", "UnattendedInstallStatuses.runtime.talos.dev", "unattended-install").await;
        match found {
            Ok(found) => Ok(found.map(|found: Resource<Installation>| (found.spec.phase, found.spec.error))),
            // Before v1.14 there is no such type.
            Err(TalosError::Refused { code: Code::PermissionDenied, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The kubelet that is to run, and whether it is the one that does; none while nobody has said which. The wish changes
    /// with the configuration, and the one before goes on until Talos stops it (`kubelet_service.go`).
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn kubelet(&self) -> Result<Option<Kubelet>, TalosError> {
        let wish = self.resource("k8s", "KubeletSpecs.kubernetes.talos.dev", "kubelet").await?;
        let Some(wish): Option<Resource<KubeletSpec>> = wish else { return Ok(None) };
        let service = self.resource("runtime", "Services.v1alpha1.talos.dev", "kubelet").await?;
        let runs = service.is_some_and(|service: Resource<Service>| {
            service.spec.running && service.spec.healthy && service.times.0 > wish.times.1
        });
        Ok(Some(Kubelet { image: wish.spec.image, runs }))
    }

    /// The static pods that Talos has its kubelet run, with what runs of them: on a control plane.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn static_pods(&self) -> Result<Vec<StaticPod>, TalosError> {
        let wished: Vec<Resource<PodWish>> = self.resources("k8s", "StaticPods.kubernetes.talos.dev").await?;
        let there: Vec<Resource<PodStatus>> = self.resources("k8s", "StaticPodStatuses.kubernetes.talos.dev").await?;
        let image = |containers: Vec<Container>| containers.into_iter().next().map(|it| it.image);
        let pods = wished.into_iter().map(|wish| {
            // Its kubelet calls it after the node: `kube-system/kube-apiserver-one`.
            let starts = format!("kube-system/{}-", wish.id);
            let seen = there.iter().find(|seen| seen.id.starts_with(&starts)).map(|seen| &seen.spec);
            let is_ready = |it: &PodCondition| it.r#type == "Ready" && it.status == "True";
            StaticPod {
                name: wish.id,
                image: image(wish.spec.spec.containers).unwrap_or_default(),
                runs: seen.and_then(|seen| Some(seen.container_statuses.first()?.image.clone())),
                ready: seen.is_some_and(|seen| seen.conditions.iter().any(is_ready)),
            }
        });
        Ok(pods.collect())
    }
}
