//! How far a node of Talos has to be before it is believed, and before a step is done.

use kubewright_model::version::Version;

use crate::talos::{StaticPod, Talos, TalosError};

/// Stages in which a node goes away, or something is done to its disk (`MachineStatus`,
/// `pkg/machinery/resources/runtime/machine_status.go`).
const GOES_AWAY: [&str; 5] = ["installing", "rebooting", "shutting down", "resetting", "upgrading"];
/// The static pods of a control plane that go with the version of Kubernetes (`pkg/machinery/resources/k8s`).
const CONTROL_PLANE: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
/// Endings of the tags of kubelets with more or less in them (`extractKubeletVersionSuffix`, `pkg/cluster/kubernetes`).
const KUBELETS: [&str; 2] = ["-fat", "-slim"];

/// Whether what is not on a node's disk is not there, or nobody can see it yet: the API may answer before the disk is mounted, and
/// while the node goes away. Its services are loaded when all is mounted (`StartAllServices`, `v1alpha1_sequencer_tasks.go`).
pub(super) async fn tells(talos: &Talos, server: bool) -> Result<(), TalosError> {
    let (stage, mounted) = tokio::try_join!(stage(talos), talos.is_mounted())?;
    let services = match mounted && server {
        true => talos.services().await?,
        false => Vec::new(),
    };
    let why = match () {
        () if GOES_AWAY.contains(&stage.as_str()) => format!("it is {stage}"),
        () if !mounted => format!("it is {stage}, and has not mounted its disk"),
        () if server && services.iter().all(|service| service.id != "etcd") => {
            format!("it is {stage}, and has not come to its etcd")
        }
        () => return Ok(()),
    };
    Err(TalosError::NotYet { why: format!("{why}: what it holds cannot be seen yet") })
}

/// Whether a node that was given its configuration is installed, and back. From v1.13 on it answers as one of the cluster before.
pub(super) async fn installed(talos: &Talos) -> Result<Result<(), String>, TalosError> {
    let (stage, disk, installation) = tokio::try_join!(stage(talos), talos.system_disk(), talos.installation())?;
    Ok(match installation {
        Some((phase, _)) if phase == "installed" => Ok(()),
        Some((phase, error)) if error.is_empty() => Err(format!("its installation is {phase}")),
        Some((phase, error)) => Err(format!("its installation is {phase}: {error}")),
        None if disk.is_none() => Err(format!("it is {stage}, and not on its disk yet")),
        None if GOES_AWAY.contains(&stage.as_str()) => Err(format!("it is {stage}")),
        None => Ok(()),
    })
}

/// Whether Kubernetes of a version runs on a node: its kubelet, and on a server the pods of its control plane.
pub(super) async fn runs(talos: &Talos, version: &Version, server: bool) -> Result<Result<(), String>, TalosError> {
    let Some(kubelet) = talos.kubelet().await? else { return Ok(Err("its kubelet is to be none yet".into())) };
    let is_it =
        |tag: &str| tag == version.bare() || KUBELETS.iter().any(|end| tag.strip_suffix(end) == Some(&version.bare()));
    if !tag(&kubelet.image).is_some_and(is_it) {
        return Ok(Err(format!("its kubelet is to be {}", kubelet.image)));
    }
    if !kubelet.runs {
        return Ok(Err("its kubelet has not started anew".into()));
    }
    if !server {
        return Ok(Ok(()));
    }
    let pods = talos.static_pods().await?;
    let ours: Vec<&StaticPod> = pods.iter().filter(|pod| CONTROL_PLANE.contains(&pod.name.as_str())).collect();
    if ours.is_empty() {
        return Ok(Err("its control plane is to be none yet".into()));
    }
    Ok(ours.into_iter().try_for_each(|pod| is_new(pod, &version.bare())))
}

/// Whether a static pod runs from the image that it is to, which is of a version; an image that is named by its digest alone
/// tells no version.
fn is_new(pod: &StaticPod, version: &str) -> Result<(), String> {
    let StaticPod { name, image, runs, ready } = pod;
    let of = |image: &str| tag(image).is_none_or(|tag| tag == version);
    match runs {
        _ if !of(image) => Err(format!("its {name} is to be {image}")),
        None => Err(format!("its {name} does not run yet")),
        Some(runs) if !of(runs) => Err(format!("its {name} runs from {runs} still")),
        Some(_) if !ready => Err(format!("its {name} is not ready yet")),
        Some(_) => Ok(()),
    }
}

/// The version in an image's name, where it has one: `1.34.0` of `registry.k8s.io/kube-apiserver:v1.34.0`.
fn tag(image: &str) -> Option<&str> {
    let named = image.split('@').next().unwrap_or_default();
    let (name, tag) = named.rsplit_once(':')?;
    // A registry may have a port, and a digest has no name.
    (name != "sha256" && !tag.contains('/')).then(|| tag.trim_start_matches('v'))
}

async fn stage(talos: &Talos) -> Result<String, TalosError> {
    let status = talos.machine_status().await?;
    Ok(status.map_or_else(|| "starting".to_string(), |status| status.stage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_an_image_stands_in_its_tag() {
        let tags = ["registry:5000/kubelet:v1.34.0", "kubelet:v1.34.0@sha256:ab", "registry:5000/kubelet", "sha256:ab"];
        assert_eq!(tags.map(tag), [Some("1.34.0"), Some("1.34.0"), None, None]);
        let pod = |image: &str, runs: Option<&str>, ready| {
            let (name, image) = ("kube-apiserver".to_string(), image.to_string());
            is_new(&StaticPod { name, image, runs: runs.map(str::to_string), ready }, "1.34.0").is_ok()
        };
        let new = "registry.k8s.io/kube-apiserver:v1.34.0";
        let old = "registry.k8s.io/kube-apiserver:v1.33.4";
        assert!(pod(new, Some(new), true) && pod("kube@sha256:ab", Some("sha256:cd"), true));
        assert!(!pod(new, Some(new), false) && !pod(new, Some(old), true) && !pod(old, Some(old), true));
        assert!(!pod(new, None, false));
    }
}
