//! The container runtime, as its file and kubelet's say.

use kubewright_model::doctor::{Finding, Papers, Place};

use super::case::{Case, told};

/// The value of a key in a file of TOML or YAML that the host has shown line by line.
fn value<'a>(papers: &'a Papers, paper: &str, key: &str) -> Option<&'a str> {
    let found = papers.lines(paper).map(str::trim).filter(|line| !line.starts_with('#')).find_map(|line| {
        let (name, value) = line.split_once(['=', ':'])?;
        (name.trim() == key).then_some(value.trim())
    });
    found.map(|value| value.trim_matches('"'))
}

/// <https://kubernetes.io/docs/setup/production-environment/container-runtimes/#cgroup-drivers>
pub(super) fn drivers(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let systemd = value(papers, "containerd-config", "SystemdCgroup")? == "true";
        let kubelet = value(papers, "kubelet-config", "cgroupDriver")?;
        ((kubelet == "systemd") != systemd).then(|| {
            Finding::sick(Place::host(name), "kubelet and containerd disagree about who makes control groups")
                .shown([format!("containerd: SystemdCgroup = {systemd}"), format!("kubelet: cgroupDriver: {kubelet}")])
                .applied([name.as_str()])
        })
    });
    found.collect()
}

/// <https://github.com/containerd/containerd/issues/4581>: kubelet's words for it.
pub(super) fn disabled(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter(|(name, _)| case.is_member(name)).filter_map(|(name, papers)| {
        let line = value(papers, "containerd-config", "disabled_plugins").filter(|it| it.contains("cri"));
        let said = told(papers, "log", &["unknown service runtime.v1.RuntimeService"]);
        (line.is_some() || !said.is_empty()).then(|| {
            let line = line.map(|line| format!("/etc/containerd/config.toml: disabled_plugins = {line}"));
            Finding::sick(Place::host(name), "containerd has its plug-in for Kubernetes turned off")
                .shown(line)
                .shown(said)
                .applied([name.as_str()])
        })
    });
    found.collect()
}
