//! What is done with the cluster in its life, with its own commands and addresses.

use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::Datastore;

use super::facts::Facts;
use super::{access, balancing};
use crate::page::{Line, Page, Piece};
use crate::words::{Topic, Words, fill};

/// From the everyday to the worst day.
pub(super) fn procedures(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let say = &words.procedures;
    let field = |name: &str| [("field", Piece::Code(name.into()))];
    let file = facts.spec;
    let node = facts.desired.members.last().map_or("NODE", |member| member.name.as_str());
    let mut part = |title: &str, text: Line, commands: &[String]| {
        page.part(title, |page| {
            page.paragraph(text);
            page.code("bash", commands);
        });
    };
    let path = format!("kubewright outdated {file}");
    let plan = [facts.command("plan"), facts.command("apply")];
    part(say.upgrade, fill(say.upgrade_text, &field("spec.kubernetes.version")), &[vec![path], plan.to_vec()].concat());
    if facts.desired.kubernetes.distribution != Distribution::Talos {
        part(say.packages, say.packages_text.into(), &[format!("kubewright update-os --all --file {file}")]);
    }
    if facts.desired.kubernetes.datastore == Datastore::Etcd {
        let commands = ["backup", "backup list --file", "backup rehearse --file"];
        part(say.backup, say.backup_text.into(), &commands.map(|verb| facts.command(verb)));
        let commands =
            [format!("kubewright restore latest {file}"), format!("kubewright restore latest-bundle {file}")];
        part(say.restore, say.restore_text.into(), &commands);
    }
    part(say.rebuild, say.rebuild_text.into(), &[facts.command("rebuild")]);
    part(say.replace, say.replace_text.into(), &[format!("kubewright replace {node} --file {file}")]);
    part(say.scale, fill(say.scale_text, &field("spec.pools")), &plan);
    part(
        say.rotate,
        say.rotate_text.into(),
        &[facts.command("status"), format!("kubewright rotate certificates {file}")],
    );
    let restarts = [Some(format!("kubewright reboot {node} --file {file}")), unit(facts, "systemctl restart", "")];
    let restarts =
        restarts.into_iter().flatten().chain(["kubectl rollout restart -n NAMESPACE deployment NAME".to_string()]);
    part(say.restart, say.restart_text.into(), &restarts.collect::<Vec<_>>());
    let logs = [Some(format!("kubewright logs {node} --file {file}")), unit(facts, "journalctl -u", " -f")];
    part(say.logs, Line::default(), &logs.into_iter().flatten().collect::<Vec<_>>());
    let images = [Some(facts.command("images list")), images(facts)];
    part(say.images, Line::default(), &images.into_iter().flatten().collect::<Vec<_>>());
    part(say.balancers, Line::default(), &balancing::commands(facts));
    part(say.look, Line::default(), &look(facts));
}

/// How many servers may fail.
pub(super) fn quorum(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let say = &words.procedures;
    let all = facts.desired.servers().count();
    if !facts.has(Topic::Etcd) || all == 0 {
        return;
    }
    if all == 1 {
        page.paragraph(say.quorum_none);
        return;
    }
    let quorum = all / 2 + 1;
    let number = |number: usize| Piece::Plain(number.to_string());
    page.paragraph(fill(
        say.quorum,
        &[("all", number(all)), ("quorum", number(quorum)), ("lost", number(all - quorum))],
    ));
}

/// The unit that Kubernetes runs in on a server, as its host is told about it.
/// <https://docs.k3s.io/upgrades/manual>, <https://docs.rke2.io/install/quickstart>
fn unit(facts: &Facts<'_>, before: &str, after: &str) -> Option<String> {
    let unit = match facts.desired.kubernetes.distribution {
        Distribution::K3s => "k3s",
        Distribution::Rke2 => "rke2-server",
        Distribution::Kubeadm => "kubelet",
        Distribution::Talos => return None,
    };
    access::on_a_server(facts, &format!("{before} {unit}{after}"))
}

/// The images of a server.
/// <https://docs.k3s.io/cli>, <https://docs.rke2.io/reference/cli_tools>, <https://kubernetes.io/docs/tasks/debug/debug-cluster/crictl/>
fn images(facts: &Facts<'_>) -> Option<String> {
    let command = match facts.desired.kubernetes.distribution {
        Distribution::K3s => "k3s ctr images ls",
        Distribution::Rke2 => {
            "/var/lib/rancher/rke2/bin/crictl --config /var/lib/rancher/rke2/agent/etc/crictl.yaml images"
        }
        Distribution::Kubeadm => "crictl images",
        Distribution::Talos => return None,
    };
    access::on_a_server(facts, command)
}

/// What people ask first.
fn look(facts: &Facts<'_>) -> Vec<String> {
    let mut commands = vec![facts.command("status"), facts.command("doctor"), facts.command("verify")];
    let kubectl = [
        "kubectl cluster-info",
        "kubectl get nodes -o wide",
        "kubectl get pods -A",
        "kubectl get pods -A --field-selector status.phase!=Running,status.phase!=Succeeded",
        "kubectl get events -A --sort-by=.lastTimestamp",
        "kubectl get svc,ingress,endpointslices -A",
        "kubectl top nodes",
        "kubectl top pods -A",
        "helm list -A",
    ];
    commands.extend(kubectl.map(String::from));
    let of = |topic: Topic, command: &str| facts.has(topic).then(|| command.to_string());
    commands.extend(of(Topic::ArgoCd, "kubectl get applications -n argocd"));
    commands.extend(of(Topic::CertManager, "kubectl get certificates,clusterissuers -A"));
    commands.extend(of(Topic::MetalLb, "kubectl get ipaddresspools,l2advertisements -n metallb-system"));
    commands
}
