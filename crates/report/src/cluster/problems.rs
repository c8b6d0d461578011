//! Known problems of what the cluster is made of: how they show, why, and what is done about them here.

use super::facts::Facts;
use super::{access, balancing};
use crate::page::{Line, Page, Piece};
use crate::words::{PROBLEMS, Words, fill, marked};

/// One part for each problem.
pub(super) fn problems(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let say = &words.manual;
    page.paragraph(fill(say.intro, &[("command", Piece::Code("kubewright doctor".into()))]));
    page.code("bash", &[facts.command("doctor"), facts.command("doctor --fix")]);
    for problem in PROBLEMS.iter().filter(|problem| facts.has(problem.topic)) {
        page.part(words.of(&problem.title), |page| {
            let said = |head: &str, line: Line| {
                Line::from(Piece::Strong(head.into())).and(Piece::Plain(" – ".into())).join(line)
            };
            let symptom =
                (!problem.symptom.is_empty()).then(|| said(say.symptom, Piece::Code(problem.symptom.into()).into()));
            let rest = [
                said(say.cause, marked(words.of(&problem.cause))),
                said(say.repair, marked(words.of(&problem.repair))),
            ];
            page.list(false, symptom.into_iter().chain(rest));
            page.code("bash", &commands(facts, problem.id));
        });
    }
}

/// What is typed to see or to mend it, with this cluster's names and addresses.
fn commands(facts: &Facts<'_>, id: &str) -> Vec<String> {
    let one = |command: &str| vec![command.to_string()];
    let server = |command: &str| access::on_a_server(facts, command).into_iter().collect();
    match id {
        "ssh" => facts
            .shells()
            .take(1)
            .filter_map(|host| access::ssh(&host.way))
            .map(|ssh| ssh.replacen("ssh", "ssh -v", 1))
            .collect(),
        "kmsg" | "proc-sys" | "vault-sealed" => vec![facts.command("apply")],
        "image-pull" => vec![
            "kubectl get events -A --field-selector reason=Failed".into(),
            format!("kubewright images load ARCHIVE.tar --file {}", facts.spec),
        ],
        "browser" => browser(facts),
        "haproxy" => balancing::commands(facts),
        "metallb" => ["get pods", "logs -l app.kubernetes.io/name=metallb", "describe ipaddresspool"]
            .map(|verb| format!("kubectl -n metallb-system {verb}"))
            .to_vec(),
        "kubeadm" => {
            let log: Vec<String> = server("journalctl -u kubelet -n 50");
            [one("kubectl -n kube-system get configmap kubeadm-config -o yaml"), log].concat()
        }
        "repo-server" => one("kubectl delete pod -n argocd -l app.kubernetes.io/name=argocd-repo-server"),
        "quorum" => vec![facts.command("status"), format!("kubewright restore latest {}", facts.spec)],
        "expired" => vec![format!("kubewright rotate certificates {}", facts.spec)],
        "not-ready" => vec![facts.command("doctor"), "kubectl describe node NODE".into()],
        _ => Vec::new(),
    }
}

/// The layers between a browser and a pod, for the first host name.
fn browser(facts: &Facts<'_>) -> Vec<String> {
    let Some(route) = facts.routes.first() else { return vec!["kubectl get ingress -A".into()] };
    let mut commands = vec![format!("getent hosts {}", route.host), "kubectl get ingress -A".into()];
    if let Some(address) = facts.entrance() {
        let port = facts.named_port(false).map(|port| format!(":{port}")).unwrap_or_default();
        commands.push(format!("curl -H 'Host: {}' http://{address}{port}", route.host));
    }
    commands.push(format!(
        "kubectl -n {} get endpointslices -l kubernetes.io/service-name={}",
        route.namespace, route.service
    ));
    commands
}
