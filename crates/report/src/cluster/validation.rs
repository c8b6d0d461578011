//! The validation of a cluster, as somebody hands it over: what is there, what was checked and what came of it, and
//! what load balancers have to be.

use kubewright_model::checked::{CheckResult, Group, Part, grouped, holding};
use kubewright_model::desired::Desired;
use kubewright_model::net::HostPort;
use kubewright_model::observed::{NodeSeen, Observed};
use kubewright_model::spec::load_balancers::{HealthProtocol, ListenProtocol, Listener, LoadBalancer};
use kubewright_model::spec::pools::Role;
use kubewright_model::units::Moment;

use super::conditions::condition;
use super::facts::Facts;
use super::{access, code, codes, network, overview};
use crate::page::{Document, Line, Page, Piece};
use crate::words::{Language, Words, fill};

/// What kubelets' labels of roles begin with.
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#node-role-kubernetes-io>
const ROLE: &str = "node-role.kubernetes.io/";

/// The validation of a cluster: what `results` say of it, and what `observed` shows.
///
/// `at` is when it was looked at, where that is told: none in a pretend world.
pub fn validation(
    desired: &Desired,
    observed: Option<&Observed>,
    results: &[CheckResult],
    at: Option<Moment>,
    language: Language,
) -> Document {
    let words = language.words();
    let say = &words.validation;
    let facts = Facts::new(desired, observed);
    let mut page = Page::default();
    verdict(&mut page, results, at, words);
    page.section(say.summary, |page| summary(page, &facts, results, words));
    page.section(say.components, |page| components(page, &facts, words));
    page.section(words.sections.ports, |page| ports(page, &facts, words));
    page.section(say.state, |page| state(page, &facts, words));
    page.section(say.access, |page| {
        points(page, &facts, words);
        access::access(page, &facts, words);
    });
    page.section(say.tests, |page| tests(page, results, words));
    page.section(say.balancers, |page| balancers(page, &facts, words));
    page.section(say.checklist, |page| checklist(page, results, words));
    let title = say.title.replace("{name}", desired.cluster.as_str());
    page.finish(title, words)
}

fn count(holding: usize, all: usize) -> String {
    format!("{holding}/{all}")
}

fn mark(holds: bool) -> &'static str {
    if holds { "✅" } else { "❌" }
}

fn verdict(page: &mut Page, results: &[CheckResult], at: Option<Moment>, words: &Words) {
    let say = &words.validation;
    let all: Vec<&CheckResult> = results.iter().collect();
    let held = holding(&all);
    let whole = held == all.len();
    let sentence = if whole { say.good } else { say.bad };
    page.paragraph(Piece::Strong(format!("{} {sentence} ({})", mark(whole), count(held, all.len()))));
    if let Some(at) = at {
        page.paragraph(fill(say.date, &[("date", Piece::Plain(at.to_string()))]));
    }
}

fn summary(page: &mut Page, facts: &Facts<'_>, results: &[CheckResult], words: &Words) {
    overview::about(page, facts, words);
    let groups = grouped(results).map(|(group, all)| {
        let held = holding(&all);
        let line = format!("{} {} {}", mark(held == all.len()), count(held, all.len()), title(group, words));
        Line::from(line)
    });
    page.list(false, groups);
}

/// Who is what, and what is installed.
fn components(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let (say, terms) = (&words.validation, &words.terms);
    page.part(say.members, |page| {
        let of = |wanted: fn(Role) -> bool| -> Vec<String> {
            let members = facts.desired.members.iter().filter(|member| wanted(member.role));
            members.map(|member| member.name.to_string()).collect()
        };
        let servers = of(Role::is_server);
        let agents = of(|role| role == Role::Agent);
        let row = |name: &'static str, all: Vec<String>| vec![name.into(), all.len().to_string().into(), codes(all)];
        let rows = [(terms.server, servers), (terms.agent, agents)];
        let rows = rows.into_iter().filter(|(_, all)| !all.is_empty()).map(|(name, all)| row(name, all));
        page.table(&[words.heads.role, say.number, words.sections.machines], rows.collect());
    });
    page.part(say.releases, |page| overview::releases(page, facts, words));
    page.part(words.sections.namespaces, |page| overview::namespaces(page, facts, words));
}

/// The ports, and which of them only some nodes have.
fn ports(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    page.paragraph(words.ports.intro);
    let heads = [words.heads.port, words.heads.on, words.heads.purpose];
    page.table(&heads, network::ports(facts, words));
    let agents = facts.desired.members.iter().any(|member| member.role == Role::Agent);
    if agents {
        page.paragraph(words.validation.api_only);
    }
}

/// Where the cluster is reached: its API, its ingress, and what stands before them.
fn points(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let mut rows =
        vec![vec![words.about.endpoint.into(), code(format!("https://{}", facts.desired.kubernetes.endpoint))]];
    for (service, ports) in network::service_ports(facts.desired) {
        let on = ports.iter().map(|port| format!("{port}/tcp"));
        let line = code(service).and(Piece::Plain(format!(", {}: ", words.terms.all_nodes))).join(codes(on));
        rows.push(vec![words.ports.ingress.into(), line]);
    }
    for balancer in &facts.desired.load_balancers {
        let address = facts.balancer_address(balancer.name.as_str(), balancer.provider.as_str());
        let ports = balancer.spec.listen.iter().map(|listener| match address {
            Some(address) => HostPort::new(address.to_string(), listener.port).to_string(),
            None => listener.port.to_string(),
        });
        rows.push(vec![format!("{}, {}", balancer.name, balancer.provider).into(), codes(ports)]);
    }
    for (host, ports) in facts.haproxies() {
        let address = host.way.address.map(|address| address.to_string()).unwrap_or_default();
        let ports = ports.iter().map(|(port, _)| HostPort::new(address.as_str(), *port));
        rows.push(vec![format!("{}, {}", words.ports.haproxy, host.name).into(), codes(ports)]);
    }
    page.table(&[words.heads.name, words.heads.address], rows);
}

/// Every node as Kubernetes shows it.
fn state(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let (heads, terms) = (&words.heads, &words.terms);
    let cluster = facts.observed.and_then(|observed| observed.cluster.as_ref()?.present());
    let Some(cluster) = cluster else {
        let why = facts.observed.and_then(|observed| observed.cluster.as_ref()?.why_unknown());
        let why = why.map_or_else(|| terms.absent.to_string(), |why| format!("{} ({why})", terms.unknown));
        return page.paragraph(why);
    };
    let rows = cluster.nodes.iter().map(|(name, node)| {
        let mut state = if node.ready { terms.ready } else { terms.not_ready }.to_string();
        if node.cordoned {
            state = format!("{state}, {}", terms.cordoned);
        }
        let wished = facts.desired.machine(name).and_then(|machine| machine.address);
        let address = node.address.or(wished).map(code).unwrap_or_default();
        vec![code(name), state.into(), roles(node).into(), node.version.to_string().into(), address]
    });
    page.table(&[heads.name, heads.state, heads.role, heads.version, heads.address], rows.collect());
    let healthy = cluster.members.values().filter(|member| member.healthy).count();
    if !cluster.members.is_empty() {
        page.paragraph(format!("etcd: {}", count(healthy, cluster.members.len())));
    }
    let rows = cluster.releases.iter().map(|((namespace, name), release)| {
        let state = if release.deployed { "deployed" } else { "failed" };
        let version = release.version.as_ref().map(ToString::to_string).unwrap_or_default();
        vec![code(name), code(namespace), version.into(), state.into()]
    });
    page.table(&[heads.release, heads.namespace, heads.version, heads.state], rows.collect());
}

/// As `kubectl get nodes` has them.
fn roles(node: &NodeSeen) -> String {
    let roles: Vec<&str> = node.labels.keys().filter_map(|label| label.strip_prefix(ROLE)).collect();
    match (roles.is_empty(), node.server) {
        (false, _) => roles.join(","),
        (true, true) => "control-plane".into(),
        (true, false) => "<none>".into(),
    }
}

/// Every check, group by group; below each group, what stands behind a sum, and why something does not hold.
fn tests(page: &mut Page, results: &[CheckResult], words: &Words) {
    let (heads, say) = (&words.heads, &words.validation);
    for (number, (group, all)) in (1..).zip(grouped(results)) {
        let heading = format!("{number} · {} ({})", title(group, words), count(holding(&all), all.len()));
        page.part(&heading, |page| {
            let rows = all.iter().map(|result| {
                vec![
                    mark(result.checked.holds).into(),
                    result.name.as_str().into(),
                    condition(&result.condition, words),
                    result.checked.saw.as_str().into(),
                    format!("{} ms", result.milliseconds()).into(),
                ]
            });
            page.table(&["", heads.check, say.expected, heads.seen, heads.duration], rows.collect());
            for result in all {
                details(page, result, words);
            }
        });
    }
}

fn details(page: &mut Page, result: &CheckResult, words: &Words) {
    let (say, checked) = (&words.validation, &result.checked);
    let about = |what: &str| Line::from(Piece::Strong(result.name.clone())).and(Piece::Plain(format!(" — {what}")));
    if checked.parts.len() > 1 || checked.parts.iter().any(|part| !part.holds) {
        let held = checked.parts.iter().filter(|part| part.holds).count();
        page.paragraph(about(&count(held, checked.parts.len())));
        parts(page, &checked.parts, words);
    }
    if let Some(warning) = &checked.warning {
        page.paragraph(about(&format!("⚠️ {warning}")));
    }
    if checked.holds {
        return;
    }
    if !checked.log.is_empty() {
        page.paragraph(about(say.cause));
        page.code("text", &checked.log);
    }
    if let Some(hint) = &checked.hint {
        page.paragraph(about(&format!("{} {hint}", words.run.hint)));
    }
}

fn parts(page: &mut Page, parts: &[Part], words: &Words) {
    let heads = &words.heads;
    let rows = parts.iter().map(|part| {
        let took = part.milliseconds.map(|took| format!("{took} ms")).unwrap_or_default();
        let address = Some(part.address.as_str()).filter(|address| !address.is_empty());
        vec![
            mark(part.holds).into(),
            code(&part.name),
            address.map(code).unwrap_or_default(),
            part.saw.as_str().into(),
            took.into(),
        ]
    });
    page.table(&["", heads.name, heads.address, heads.seen, heads.duration], rows.collect());
}

/// What each load balancer has to be, whoever makes it.
fn balancers(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let address = |name| facts.desired.machine(name).and_then(|machine| machine.address);
    for balancer in &facts.desired.load_balancers {
        let targets = balancer
            .targets
            .iter()
            .map(|name| (name.to_string(), address(name).map(|address| address.to_string()).unwrap_or_default()));
        let at = facts.balancer_address(balancer.name.as_str(), balancer.provider.as_str());
        let on = at.map(|at| at.to_string()).unwrap_or_default();
        let place = format!("{} {on}", balancer.provider);
        balancer_part(page, (balancer.name.as_str(), place.trim()), &balancer.spec, targets.collect(), words);
    }
    let mut told: Vec<&str> = Vec::new();
    for proxy in &facts.desired.proxies {
        for balancer in &proxy.balancers {
            if told.contains(&balancer.name.as_str()) {
                continue;
            }
            told.push(balancer.name.as_str());
            let has = |name: &&kubewright_model::desired::DesiredProxy| {
                name.balancers.iter().any(|other| other.name == balancer.name)
            };
            let hosts: Vec<&str> = facts.desired.proxies.iter().filter(has).map(|it| it.host.as_str()).collect();
            let targets = balancer.targets.iter().map(|(name, address)| (name.to_string(), address.clone()));
            let place = format!("HAProxy, {}", hosts.join(", "));
            balancer_part(page, (balancer.name.as_str(), &place), &balancer.spec, targets.collect(), words);
        }
    }
}

fn balancer_part(
    page: &mut Page,
    (name, place): (&str, &str),
    spec: &LoadBalancer,
    targets: Vec<(String, String)>,
    words: &Words,
) {
    let (heads, say) = (&words.heads, &words.validation);
    page.part(&format!("{name} ({place})"), |page| {
        let rows = spec.listen.iter().map(|listener| {
            vec![
                code(format!("{} → {}", listener.port, listener.to)),
                protocol(listener).into(),
                health(listener).into(),
                listener.certificate.as_ref().map(code).unwrap_or_default(),
            ]
        });
        page.table(&[heads.port, say.protocol, say.health, say.certificate], rows.collect());
        if spec.listen.iter().any(|listener| listener.protocol == ListenProtocol::Https) {
            page.paragraph(say.tls_ends);
        }
        let mut ports: Vec<u16> = spec.listen.iter().map(|listener| listener.to).collect();
        ports.sort_unstable();
        ports.dedup();
        let rows = targets.iter().map(|(name, address)| {
            let at = ports.iter().map(|port| format!("{address}:{port}"));
            vec![code(name), if address.is_empty() { Line::default() } else { codes(at) }]
        });
        page.paragraph(Piece::Strong(format!("{} — {}", heads.targets, targets.len())));
        page.table(&[heads.name, heads.address], rows.collect());
    });
}

fn protocol(listener: &Listener) -> &'static str {
    match listener.protocol {
        ListenProtocol::Tcp => "TCP",
        ListenProtocol::Http => "HTTP",
        ListenProtocol::Https => "HTTPS → HTTP",
    }
}

/// How it asks its targets: `HTTP 31695/healthz 200`.
fn health(listener: &Listener) -> String {
    let check = listener.health.as_ref();
    let port = check.and_then(|check| check.port).unwrap_or(listener.to);
    let how = match check.map(|check| check.protocol) {
        None | Some(HealthProtocol::Tcp) => return format!("TCP {port}"),
        Some(HealthProtocol::Http) => "HTTP",
        Some(HealthProtocol::Https) => "HTTPS",
    };
    let path = check.and_then(|check| check.path.as_deref()).unwrap_or("/");
    let status = check.map(|check| check.status.iter().map(u16::to_string).collect::<Vec<_>>().join("/"));
    format!("{how} :{port}{path} {}", status.unwrap_or_default()).trim_end().to_string()
}

/// Each check once more, on one line.
fn checklist(page: &mut Page, results: &[CheckResult], words: &Words) {
    let lines = grouped(results).flat_map(|(_, all)| all).map(|result| {
        let line = Line::from(format!("{} {} — ", mark(result.checked.holds), result.name));
        line.join(condition(&result.condition, words))
    });
    page.list(false, lines);
    let all: Vec<&CheckResult> = results.iter().collect();
    let whole = holding(&all) == all.len();
    let sentence = if whole { words.validation.good } else { words.validation.bad };
    page.paragraph(Piece::Strong(format!("{} {sentence}", mark(whole))));
}

/// A group's heading in the document's language.
fn title(group: Group, words: &Words) -> &'static str {
    let at = Group::ALL.iter().position(|other| *other == group).unwrap_or_default();
    words.validation.groups[at]
}
