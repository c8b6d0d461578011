//! 04xx, the part about labels and taints.

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
        for (index, text) in pool.taints.iter().enumerate() {
            taint(text, path.then("taints").then(index), found);
        }
    }
}

fn label(key: &str, value: &str, path: SpecPath, found: &mut Vec<Diagnostic>) {
    let help = "write for example `example.org/tier: database`";
    if let Err(why) = qualified(key).and_then(|()| word(value, true)) {
        let message = format!("`{key}: {value}` is no label: {why}");
        found.push(Diagnostic::new(codes::LABEL_FORM, path, message).help(help));
    } else if reserved(key) {
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
