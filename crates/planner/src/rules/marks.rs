//! 04xx, the part about labels and taints.

use std::collections::BTreeSet;

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::formats::dns_subdomain;

use super::{Facts, at};

/// Effects of taints.
const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
/// What a kubelet may say of itself below `kubernetes.io` all the same.
/// <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction>
const KUBELETS_OWN: &[&str] = &[
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "node.kubernetes.io/instance-type",
];

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (name, pool) in &facts.spec.pools {
        let path = at("pools").then(name);
        for (key, value) in &pool.labels {
            label(key, value, path.then("labels").then(key), found);
        }
        if let Some(hetzner) = &pool.hetzner {
            let path = path.then("hetzner").then("labels");
            for (key, value) in &hetzner.labels {
                form(key, value, path.then(key), found);
            }
        }
        let mut seen = BTreeSet::new();
        for (index, text) in pool.taints.iter().enumerate() {
            let path = path.then("taints").then(index);
            if !seen.insert(unique(text)) {
                let message = format!("`{text}` has the key and the effect of a taint before it");
                let diagnostic = Diagnostic::new(codes::TAINT_TWICE, path.clone(), message);
                found.push(diagnostic.help("remove one of the two"));
            }
            taint(text, path, found);
        }
    }
}

/// Whether a label has the form of one. Hetzner's labels have that of Kubernetes'.
/// <https://docs.hetzner.cloud/reference/cloud#labels>
fn form(key: &str, value: &str, path: SpecPath, found: &mut Vec<Diagnostic>) -> bool {
    let Err(why) = qualified(key).and_then(|()| word(value, true)) else { return true };
    let message = format!("`{key}: {value}` is no label: {why}");
    let help = "write for example `example.org/tier: database`";
    found.push(Diagnostic::new(codes::LABEL_FORM, path, message).help(help));
    false
}

/// What may stand once on a node: the key and the effect.
fn unique(taint: &str) -> (&str, &str) {
    let (left, effect) = taint.rsplit_once(':').unwrap_or((taint, ""));
    (left.split_once('=').map_or(left, |(key, _)| key), effect)
}

fn label(key: &str, value: &str, path: SpecPath, found: &mut Vec<Diagnostic>) {
    let help = "write for example `example.org/tier: database`";
    if form(key, value, path.clone(), found) && reserved(key) {
        let message = format!("the label `{key}` belongs to Kubernetes, and a kubelet may not set it");
        found.push(Diagnostic::new(codes::LABEL_RESERVED, path, message).help(help));
    }
}

fn taint(text: &str, path: SpecPath, found: &mut Vec<Diagnostic>) {
    let (left, effect) = text.rsplit_once(':').unwrap_or((text, ""));
    let (key, value) = left.split_once('=').unwrap_or((left, ""));
    let known = match effect {
        "" => Err("it has no effect".to_string()),
        _ if EFFECTS.contains(&effect) => Ok(()),
        _ => Err(format!("`{effect}` is no effect, they are {}", EFFECTS.join(", "))),
    };
    if let Err(why) = known.and_then(|()| qualified(key)).and_then(|()| word(value, true)) {
        let message = format!("`{text}` is no taint: {why}");
        let help = "write for example `dedicated=database:NoSchedule`";
        found.push(Diagnostic::new(codes::TAINT_FORM, path, message).help(help));
    } else if key.split_once('/').is_some_and(|(domain, _)| domain == "node.kubernetes.io") {
        let message = format!("the taint `{key}` is set and removed by Kubernetes");
        let help = "use a key of your own: `example.org/dedicated=database:NoSchedule`";
        found.push(Diagnostic::new(codes::LABEL_RESERVED, path, message).help(help));
    }
}

/// Whether Kubernetes keeps the key for itself.
fn reserved(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else { return false };
    let below = |parent: &str| domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
    let free = below("kubelet.kubernetes.io") || below("node.kubernetes.io") || KUBELETS_OWN.contains(&key);
    (below("kubernetes.io") || below("k8s.io")) && !free
}

/// `name` or `domain/name`.
pub(super) fn qualified(key: &str) -> Result<(), String> {
    match key.split_once('/') {
        Some((domain, name)) => {
            dns_subdomain(domain).map_err(|why| format!("`{domain}` before the slash: {why}"))?;
            word(name, false)
        }
        None => word(key, false),
    }
}

/// At most 63 letters, digits, `-`, `_`, `.`; the first and the last a letter or a digit.
fn word(text: &str, empty: bool) -> Result<(), String> {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    match text {
        "" if empty => Ok(()),
        "" => Err("a name is missing".into()),
        _ if text.len() > 63 => Err(format!("`{text}` has more than 63 characters")),
        _ if !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) => {
            Err(format!("`{text}` has other characters than letters, digits, `-`, `_` and `.`"))
        }
        _ if !ends(text.chars().next()) || !ends(text.chars().last()) => {
            Err(format!("`{text}` must start and end with a letter or a digit"))
        }
        _ => Ok(()),
    }
}
