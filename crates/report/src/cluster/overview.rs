//! What the cluster is: itself, its machines, its releases and its namespaces.

use std::collections::BTreeMap;

use kubewright_model::desired::{Body, DesiredMachine};
use kubewright_model::observed::{MachineSeen, Power, Seen};
use kubewright_model::spec::Role;
use kubewright_model::spec::kubernetes::Datastore;
use kubewright_model::templates::{self, Standing};
use serde_json::Value;

use super::facts::{Facts, Route};
use super::{code, codes};
use crate::page::{Line, Page};
use crate::words::Words;

/// The cluster in a few lines.
pub(super) fn about(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let desired = facts.desired;
    let kubernetes = &desired.kubernetes;
    let say = &words.about;
    let servers = desired.servers().count();
    let agents = desired.members.iter().filter(|member| member.role == Role::Agent).count();
    let datastore = match kubernetes.datastore {
        Datastore::Etcd => "etcd",
        Datastore::Sqlite => "SQLite",
    };
    let mut rows = vec![
        vec![say.cluster.into(), code(&desired.cluster)],
        vec![say.distribution.into(), desired.title().into()],
        vec![say.endpoint.into(), code(format!("https://{}", kubernetes.endpoint))],
        vec![say.datastore.into(), datastore.into()],
        vec![say.servers.into(), servers.to_string().into()],
        vec![say.agents.into(), agents.to_string().into()],
        vec![say.mark.into(), code(desired.owner.tag())],
    ];
    if let Some(image) = desired.talos().filter(|image| !image.extensions.is_empty()) {
        rows.insert(2, vec![say.extensions.into(), codes(&image.extensions)]);
    }
    if desired.protected {
        rows.push(vec![say.protected.into(), words.yes.into()]);
    }
    page.table(&[words.heads.property, words.heads.value], rows);
}

/// One row for each machine.
pub(super) fn machines(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let heads = &words.heads;
    let shown = |value: Option<String>| Line::from(value.unwrap_or_default());
    let rows = facts.desired.machines.iter().map(|machine| {
        vec![
            code(&machine.name),
            machine.pool.as_str().into(),
            facts.role_word(&machine.name, words).into(),
            shown(machine.vmid.map(|vmid| vmid.to_string())),
            place(machine, words).into(),
            machine.address.map(code).unwrap_or_default(),
            shown(machine.cores.map(|cores| cores.to_string())),
            shown(machine.memory.map(|memory| memory.to_string())),
            shown(machine.disk.map(|disk| disk.to_string())),
            state(facts, machine, words).into(),
        ]
    });
    let heads = [
        heads.name,
        heads.pool,
        heads.role,
        heads.number,
        heads.place,
        heads.address,
        heads.cores,
        heads.memory,
        heads.disk,
        heads.state,
    ];
    page.table(&heads, rows.collect());
}

/// One row for each version of a template of ours, the spec's first.
pub(super) fn templates(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let (heads, terms) = (&words.heads, &words.terms);
    let versions = templates::versions(facts.desired, facts.observed);
    let rows = versions.iter().map(|template| {
        let state = match template.standing {
            _ if facts.observed.is_none() => "",
            Standing::Current => terms.current,
            Standing::ToBuild => terms.absent,
            Standing::Unknown => terms.unknown,
            Standing::Half => terms.unfinished,
            Standing::Older => terms.older,
            Standing::Gone => terms.gone,
        };
        vec![
            code(template.name),
            code(template.version()),
            template.vmid.map(|vmid| vmid.to_string()).unwrap_or_default().into(),
            template.place.map(ToString::to_string).unwrap_or_default().into(),
            state.into(),
            codes(&template.machines),
        ]
    });
    let heads = [heads.name, heads.version, heads.number, heads.place, heads.state, words.sections.machines];
    page.table(&heads, rows.collect());
}

/// The provider, and its place where it has any.
pub(super) fn place(machine: &DesiredMachine, words: &Words) -> String {
    match machine.place.as_str() {
        _ if *machine.body == Body::Existing => words.terms.existing.to_string(),
        "" => machine.provider.to_string(),
        place if place == machine.provider.as_str() => place.to_string(),
        place => format!("{} · {place}", machine.provider),
    }
}

/// What the provider and Kubernetes say of a machine; empty where nobody looked.
fn state(facts: &Facts<'_>, machine: &DesiredMachine, words: &Words) -> String {
    let Some(observed) = facts.observed else { return String::new() };
    let terms = &words.terms;
    let mut says = Vec::new();
    match observed.providers.get(&machine.provider) {
        Some(Seen::Present(inventory)) => says.push(match inventory.machine(&machine.name, machine.vmid) {
            Seen::Present(MachineSeen { power: Power::Running, .. }) => terms.running.to_string(),
            Seen::Present(_) => terms.stopped.to_string(),
            Seen::Absent => terms.absent.to_string(),
            Seen::Unknown(why) => format!("{} ({why})", terms.unknown),
        }),
        Some(Seen::Absent) => says.push(terms.absent.to_string()),
        Some(Seen::Unknown(why)) => says.push(format!("{} ({why})", terms.unknown)),
        None => {}
    }
    let node = observed.cluster.as_ref().and_then(Seen::present).and_then(|cluster| cluster.nodes.get(&machine.name));
    if let Some(node) = node {
        says.push(if node.ready { terms.ready } else { terms.not_ready }.to_string());
        if node.cordoned {
            says.push(terms.cordoned.to_string());
        }
    }
    says.join(", ")
}

/// One row for each Helm release.
pub(super) fn releases(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let heads = &words.heads;
    let rows = facts.desired.releases.iter().map(|release| {
        vec![
            code(&release.name),
            code(&release.namespace),
            code(&release.chart),
            release.version.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            release.repository.as_ref().map(code).unwrap_or_default(),
        ]
    });
    page.table(&[heads.release, heads.namespace, heads.chart, heads.version, heads.repository], rows.collect());
}

/// What lies in a namespace.
#[derive(Default)]
struct Holds<'a> {
    releases: Vec<&'a str>,
    routes: Vec<&'a Route<'a>>,
    objects: Vec<String>,
}

/// More objects of one namespace are counted, not listed.
const OBJECTS: usize = 12;

/// Namespaces with what lies in each: releases, objects of the spec, and the host names that lead into it.
pub(super) fn namespaces(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let mut names: BTreeMap<&str, Holds<'_>> = BTreeMap::new();
    let manifests = facts.desired.objects.iter().flat_map(|group| &group.manifests);
    for namespace in manifests.filter(|object| object.0["kind"] == "Namespace") {
        if let Some(name) = namespace.0["metadata"]["name"].as_str() {
            names.entry(name).or_default();
        }
    }
    for release in &facts.desired.releases {
        names.entry(release.namespace.as_str()).or_default().releases.push(release.name.as_str());
    }
    for route in &facts.routes {
        names.entry(route.namespace).or_default().routes.push(route);
    }
    let manifests = facts.desired.objects.iter().flat_map(|group| &group.manifests);
    for object in manifests.filter(|object| object.0["kind"] != "Ingress") {
        let word = |pointer: &str| object.0.pointer(pointer).and_then(Value::as_str);
        if let (Some(kind), Some(name), Some(namespace)) =
            (word("/kind"), word("/metadata/name"), word("/metadata/namespace"))
        {
            names.entry(namespace).or_default().objects.push(format!("{kind} {name}"));
        }
    }
    let heads = &words.heads;
    let rows = names.into_iter().map(|(name, Holds { releases, routes, objects })| {
        let more = objects.len().saturating_sub(OBJECTS);
        let objects = codes(objects.into_iter().take(OBJECTS));
        let objects = if more > 0 { objects.join(format!(" + {more}").into()) } else { objects };
        vec![code(name), codes(releases), objects, codes(routes.into_iter().map(|route| route.host))]
    });
    page.table(&[heads.namespace, heads.holds, words.manual.objects, words.sections.urls], rows.collect());
}
