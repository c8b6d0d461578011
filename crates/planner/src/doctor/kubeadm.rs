//! What kubeadm has made: the files and the pods of its control plane.

use kubewright_model::doctor::{Finding, Place};
use kubewright_model::spec::kubernetes::Datastore;
use kubewright_model::spec::kubernetes::Distribution;

use super::case::{Case, told};
use super::objects::{self, Object as _};

/// The static pods of a server, in the order in which they need each other.
const PARTS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

fn is_kubeadm(case: &Case<'_>) -> bool {
    case.distribution() == Distribution::Kubeadm
}

pub(super) fn pods(case: &Case<'_>) -> Vec<Finding> {
    let pods = case
        .list("pods")
        .iter()
        .filter(|pod| pod.label("tier") == Some("control-plane") && pod.namespace() == "kube-system");
    let down = pods.filter(|pod| is_kubeadm(case) && !objects::is_ready(pod));
    down.map(|pod| {
        let (part, node) = (pod.label("component").unwrap_or_default(), pod.text("/spec/nodeName"));
        let words =
            objects::containers(pod).flat_map(|it| [it.waits_message(), it.last_words()]).filter(|it| !it.is_empty());
        let place = Place {
            kind: "Pod".into(),
            namespace: Some("kube-system".into()),
            name: pod.name().into(),
            node: Some(node.into()),
        };
        Finding::sick(place, format!("{part} does not run on {node}"))
            .shown([objects::state(pod)])
            .shown(words.take(3))
            .by_hand([
                format!("kubectl -n kube-system logs {} --previous", pod.name()),
                format!("on {node}: crictl ps -a --name {part}, then crictl logs of the newest one"),
            ])
    })
    .collect()
}

/// `ls /etc/kubernetes/manifests`
pub(super) fn manifests(case: &Case<'_>) -> Vec<Finding> {
    let etcd = case.desired.kubernetes.datastore == Datastore::Etcd;
    let servers = case.hosts().filter(|(name, _)| case.member(name).is_some_and(|member| member.role.is_server()));
    let found = servers.filter(|_| is_kubeadm(case)).filter_map(|(name, papers)| {
        let there: Vec<&str> = papers.text("manifests")?.split_whitespace().collect();
        let missing = |part: &&&str| (etcd || **part != "etcd") && !there.contains(&format!("{part}.yaml").as_str());
        let missing: Vec<&str> = PARTS.iter().filter(missing).copied().collect();
        // None at all: it was never a server, and `node-missing` says so.
        (!missing.is_empty() && missing.len() < PARTS.len() - usize::from(!etcd)).then(|| {
            let again = missing.iter().map(|part| match *part {
                "etcd" => "kubeadm init phase etcd local".to_string(),
                part => format!("kubeadm init phase control-plane {}", part.trim_start_matches("kube-")),
            });
            Finding::sick(Place::host(name), format!("the manifest of {} is not there", missing.join(", ")))
                .shown([format!("/etc/kubernetes/manifests: {}", there.join(" "))])
                .by_hand(
                    again
                        .map(|command| format!("on {name}: {command} --config /etc/kubernetes/kubewright/config.yaml")),
                )
        })
    });
    found.collect()
}

/// kubelet's words where kubeadm has not ended: its configuration or its way in is missing.
pub(super) fn cut_off(case: &Case<'_>) -> Vec<Finding> {
    let words = [
        "/var/lib/kubelet/config.yaml: no such file or directory",
        "/etc/kubernetes/bootstrap-kubelet.conf: no such file",
    ];
    let found =
        case.hosts().filter(|(name, _)| is_kubeadm(case) && case.is_member(name)).filter_map(|(name, papers)| {
            let lines = told(papers, "log", &words);
            (!lines.is_empty()).then(|| {
                Finding::sick(Place::host(name), "kubeadm was cut off, and kubelet has no configuration")
                    .shown(lines)
                    .applied([name.as_str()])
            })
        });
    found.collect()
}
