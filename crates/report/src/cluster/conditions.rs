//! What is checked, in the document's language, and what came of it.

use std::collections::BTreeMap;

use kubewright_model::checked::CheckResult;
use kubewright_model::condition::Condition;
use kubewright_model::desired::Desired;
use kubewright_model::ids::{NodeName, ObjectName};
use kubewright_model::spec::verify::WorkloadKind;

use crate::page::{Line, Page, Piece};
use crate::words::{Words, fill};

/// One row for each check of the desired state.
pub(super) fn checks(page: &mut Page, desired: &Desired, results: &[CheckResult], words: &Words) {
    let heads = &words.heads;
    let results: BTreeMap<&str, &CheckResult> = results.iter().map(|line| (line.name.as_str(), line)).collect();
    let rows = desired.checks.iter().map(|check| {
        let result = results.get(check.name.as_str());
        let word = result.map_or("", |line| if line.checked.holds { words.terms.holds } else { words.terms.fails });
        vec![check.name.as_str().into(), condition(&check.condition, words), word.into(), seen(result.copied())]
    });
    page.table(&[heads.check, heads.must_hold, heads.result, heads.seen], rows.collect());
}

fn seen(result: Option<&CheckResult>) -> Line {
    let Some(CheckResult { checked, .. }) = result else { return Line::default() };
    match &checked.hint {
        Some(hint) => format!("{} — {hint}", checked.saw).into(),
        None => checked.saw.as_str().into(),
    }
}

/// A condition as a sentence without a full stop.
pub(crate) fn condition(condition: &Condition, words: &Words) -> Line {
    let say = &words.conditions;
    let plain = |value: &dyn ToString| Piece::Plain(value.to_string());
    let code = |value: &dyn ToString| Piece::Code(value.to_string());
    match condition {
        Condition::NodesReady { nodes, at_least } => {
            fill(say.nodes, &[("n", plain(at_least)), ("all", plain(&nodes.len()))])
        }
        Condition::SystemPods => fill(say.system_pods, &[("namespace", Piece::Code("kube-system".into()))]),
        Condition::Api(at) => fill(say.api, &[("at", code(at))]),
        Condition::Pods(check) => {
            let place = match (&check.namespace, &check.selector) {
                (Some(namespace), Some(selector)) => Piece::Code(format!("{namespace} {selector}")),
                (Some(namespace), None) => code(namespace),
                (None, Some(selector)) => code(selector),
                (None, None) => Piece::Plain(say.everywhere.into()),
            };
            let sentence = if check.per_node { say.pods_per_node } else { say.pods };
            fill(sentence, &[("place", place), ("n", plain(&check.at_least))])
        }
        Condition::Workload(check) => {
            let sentence = match check.kind {
                WorkloadKind::Deployment | WorkloadKind::DaemonSet | WorkloadKind::StatefulSet => say.rolled_out,
                WorkloadKind::Job => say.done,
                WorkloadKind::PersistentVolumeClaim => say.bound,
            };
            let name = check.name.as_ref().map_or("*", ObjectName::as_str);
            let what = Piece::Code(format!("{} {}/{name}", check.kind.word(), check.namespace));
            fill(sentence, &[("what", what)])
        }
        Condition::Objects(check) => {
            let sentence = if check.ready { say.objects_ready } else { say.objects };
            let many = check.at_least.max(u32::try_from(check.names.len()).unwrap_or(u32::MAX));
            fill(sentence, &[("what", code(check)), ("n", plain(&many))])
        }
        Condition::Address(service) => fill(say.address, &[("name", code(service))]),
        Condition::Url(check) => match &check.host {
            Some(host) => {
                fill(say.url_for, &[("url", code(&check.url)), ("host", code(host)), ("status", status(&check.status))])
            }
            None => fill(say.url, &[("url", code(&check.url)), ("status", status(&check.status))]),
        },
        Condition::EachNode { url, .. } => {
            fill(say.each_node, &[("url", code(&url.url)), ("status", status(&url.status))])
        }
        Condition::Service { at, protocol, from, tls } => {
            let protocol = if *tls { format!("{}, TLS", protocol.title()) } else { protocol.title().into() };
            let line = fill(say.service, &[("at", code(at)), ("protocol", Piece::Plain(protocol))]);
            match from.as_slice() {
                [] => line,
                nodes => line.and(Piece::Plain(", ".into())).join(fill(say.from, &[("nodes", plain(&names(nodes)))])),
            }
        }
        Condition::NodePorts { service, ports } => {
            let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            fill(say.node_ports, &[("name", code(service)), ("ports", Piece::Code(ports))])
        }
        Condition::Certificates(check) => fill(say.certificates, &[("n", plain(&check.at_least))]),
        Condition::Applications(check) => fill(say.applications, &[("n", plain(&check.count))]),
        Condition::Release { name, .. } => fill(say.release, &[("name", code(name))]),
        Condition::Route { host } => fill(say.route, &[("host", code(host))]),
        Condition::Vault(_) => fill(say.vault, &[]),
        Condition::Targets(name) => fill(say.targets, &[("name", code(name))]),
        Condition::Canary(bundle) => fill(say.canary, &[("name", code(bundle))]),
    }
}

fn status(answers: &[u16]) -> Piece {
    Piece::Plain(answers.iter().map(u16::to_string).collect::<Vec<_>>().join("/"))
}

/// Nodes by their names.
fn names(nodes: &[NodeName]) -> String {
    nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}
