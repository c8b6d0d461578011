//! What is behind, by the spec, by what is seen, and by the versions that this program knows.

use kubewright_model::behind::{Behind, Outdated};
use kubewright_model::desired::Desired;
use kubewright_model::observed::{ClusterSeen, HostSeen, Observed, Seen, is_shown_by_a_kubelet};
use kubewright_model::plan::Weight;
use kubewright_model::spec::kubernetes::Distribution;
use kubewright_model::units::Moment;
use kubewright_model::version::Version;

use crate::addons::recommended;
use crate::plan::older_than_their_template;
use crate::upgrades::known::{AS_OF, NEWEST_TALOS, newest, newest_minor, run_by_talos, supported_until};

/// A certificate is near its end from here on: as `status` has it.
const SOON: u64 = 30 * DAY;
const DAY: u64 = 86_400;
/// A minor version is near the end of its support: time for an upgrade in peace.
const ENDS_SOON: u64 = 90 * DAY;

/// Everything that is behind. `now` is in seconds since 1970.
pub fn outdated(desired: &Desired, observed: &Observed, now: u64) -> Outdated {
    let mut behind = in_the_spec(desired, now);
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    behind.extend(cluster.into_iter().flat_map(|cluster| in_the_cluster(desired, cluster)));
    behind.extend(charts(desired, cluster));
    for host in desired.hosts.iter().filter(|host| host.machine.is_some()) {
        if let Some(seen) = observed.hosts.get(&host.name).and_then(Seen::present) {
            behind.extend(on_host(desired, host.name.as_str(), seen, now));
        }
    }
    behind.extend(served(cluster, now));
    behind.extend(older_than_their_template(desired, observed).into_iter().map(|name| {
        let (runs, newest) = ("an older template".to_string(), "the spec's template".to_string());
        of("template", name.as_str(), runs, newest, format!("kubewright replace {name}"))
    }));
    behind.sort_by_key(|it| it.weight == Weight::Tells);
    Outdated { known: AS_OF.into(), behind, unseen: unseen(desired, observed) }
}

fn of(what: impl Into<String>, place: &str, runs: String, newest: String, how: String) -> Behind {
    Behind { what: what.into(), place: place.into(), runs, newest, how, weight: Weight::Tells }
}

/// What has the version of Kubernetes that a spec names: distributions that bring it count by it, Talos has one of its own.
fn title(desired: &Desired) -> &'static str {
    match desired.kubernetes.distribution {
        Distribution::Talos => "Kubernetes",
        of => of.title(),
    }
}

/// The Talos that the spec names.
fn talos(desired: &Desired) -> Option<&Version> {
    desired.spec.as_ref()?.spec.kubernetes.talos.as_ref().map(|talos| &talos.version)
}

/// The line of the spec that brings a version of Kubernetes, and what has to be newer before that.
fn line(desired: &Desired, to: &Version) -> String {
    let line = format!("kubernetes.version: {to}");
    let minor = to.minor().1;
    let runs = |talos: &Version| run_by_talos(talos.minor().1).contains(&minor);
    let older = talos(desired).filter(|talos| !runs(talos)).map(|talos| talos.minor().1 + 1..=NEWEST_TALOS.1);
    match older.and_then(|mut newer| newer.find(|talos| run_by_talos(*talos).contains(&minor))) {
        Some(first) => format!("{line}, after a kubernetes.talos.version of v1.{first}"),
        None => line,
    }
}

/// Another minor version of Talos. Which of its patches is the newest is not known here.
fn newer_talos(desired: &Desired) -> Option<Behind> {
    let version = talos(desired).filter(|version| version.minor() < NEWEST_TALOS)?;
    let steps = NEWEST_TALOS.1.saturating_sub(version.minor().1);
    let newest = format!("v{}.{}", NEWEST_TALOS.0, NEWEST_TALOS.1);
    let how = match steps {
        1 => "kubernetes.talos.version".to_string(),
        steps => format!("kubernetes.talos.version, {steps} minor versions, one after the other"),
    };
    Some(of("Talos, minor version", "the spec", version.to_string(), newest, how))
}

/// The versions that the spec names.
fn in_the_spec(desired: &Desired, now: u64) -> Vec<Behind> {
    let (kubernetes, title) = (&desired.kubernetes, title(desired));
    let version = &kubernetes.version;
    let (major, minor) = version.minor();
    let mut behind = Vec::new();
    if let Some(patch) = newest(kubernetes.distribution, (major, minor)).filter(|patch| patch > version) {
        behind.push(of(title, "the spec", version.to_string(), patch.to_string(), line(desired, &patch)));
    }
    if let Some(next) = newest(kubernetes.distribution, newest_minor()).filter(|next| next.minor() > (major, minor)) {
        let what = format!("{title}, minor version");
        let steps = next.minor().1 - minor;
        let how = line(desired, &next);
        let how = if steps > 1 { format!("{how}, {steps} minor versions in one plan") } else { how };
        behind.push(of(what, "the spec", version.to_string(), next.to_string(), how));
    }
    let today = Moment(now).to_string();
    let ends_soon = Moment(now + ENDS_SOON).to_string();
    if let Some(ends) = supported_until((major, minor)).filter(|ends| **ends < *ends_soon) {
        let is_over = *ends < *today.get(..ends.len()).unwrap_or_default();
        let runs = format!("v{major}.{minor}, {} {ends}", if is_over { "ended on" } else { "ends on" });
        let to = newest(kubernetes.distribution, (major, minor + 1));
        let how = to.map_or_else(|| "a newer minor version".into(), |to| line(desired, &to));
        let row = of("support of Kubernetes", "the spec", runs, format!("v{major}.{} and later", minor + 1), how);
        behind.push(Behind { weight: Weight::Warns, ..row });
    }
    behind.extend(newer_talos(desired));
    behind
}

/// What nodes run, beside what the spec names.
fn in_the_cluster(desired: &Desired, cluster: &ClusterSeen) -> Vec<Behind> {
    let title = title(desired);
    let wished = &desired.kubernetes.version;
    let old = desired.members.iter().filter_map(|member| {
        let seen = cluster.nodes.get(&member.name).filter(|seen| seen.version < *wished)?;
        let name = member.name.as_str();
        Some(of(title, name, seen.version.to_string(), wished.to_string(), "kubewright apply".into()))
    });
    old.collect()
}

/// Charts: what the spec pins beside what is known, and what is installed beside what the spec says.
fn charts(desired: &Desired, cluster: Option<&ClusterSeen>) -> Vec<Behind> {
    let mut behind = Vec::new();
    for release in &desired.releases {
        let Some(wished) = &release.version else { continue };
        let what = format!("chart {}", release.name);
        let there = cluster.and_then(|it| it.releases.get(&(release.namespace.clone(), release.name.clone())));
        if let Some(there) = there.and_then(|it| it.version.as_ref()).filter(|there| *there < wished) {
            let place = format!("namespace {}", release.namespace);
            behind.push(of(&what, &place, there.to_string(), wished.to_string(), "kubewright apply".into()));
        }
        if let Some(known) = recommended(release).filter(|known| known > wished) {
            let how = format!("`version: {known}` of {} in the spec", release.part);
            behind.push(of(&what, "the spec", wished.to_string(), known.to_string(), how));
        }
    }
    behind
}

/// What waits on a host: packages, a start, certificates, another Talos.
fn on_host(desired: &Desired, name: &str, seen: &HostSeen, now: u64) -> Vec<Behind> {
    let mut behind = Vec::new();
    // A host's certificates are held against its own clock.
    let now = seen.at.unwrap_or(now);
    let wished = talos(desired);
    let talos = seen.talos.as_ref().map(|talos| talos.version.clone());
    if let (Some(wished), Some(runs)) = (wished, talos)
        && runs.bare() != wished.bare()
    {
        behind.push(of("Talos", name, runs.to_string(), wished.to_string(), "kubewright apply".into()));
    }
    if let Some(updates) = seen.updates.as_ref().filter(|updates| !updates.waiting.is_empty()) {
        let newest = updates.listed.map(|at| format!("lists of {}", day(at))).unwrap_or_else(|| "newer ones".into());
        let runs = format!("{} wait: {}", updates.waiting.len(), updates.named());
        behind.push(of("packages", name, runs, newest, format!("kubewright update-os {name}")));
    }
    if let Some(wanted) = seen.boot.as_ref().and_then(|boot| boot.wanted.clone()) {
        let row = of("start", name, wanted, "in force after it".into(), format!("kubewright reboot {name}"));
        behind.push(Behind { weight: Weight::Warns, ..row });
    }
    let soon = seen.certificates.iter().filter(|(_, until)| **until <= now + SOON).min_by_key(|(_, until)| **until);
    if let Some((path, until)) = soon {
        let how = match is_shown_by_a_kubelet(path) {
            true => "kubectl get csr: nobody has approved what its kubelet asks for".to_string(),
            false => "kubewright rotate certificates".into(),
        };
        behind.push(certificate(name, path, *until, now, how));
    }
    behind
}

/// What the API shows.
fn served(cluster: Option<&ClusterSeen>, now: u64) -> Option<Behind> {
    let all = cluster.into_iter().flat_map(|cluster| &cluster.certificates);
    let (place, until) = all.filter(|(_, until)| **until <= now + SOON).min_by_key(|(_, until)| **until)?;
    Some(certificate("the API server", place, *until, now, "its server, started again, shows a new one".into()))
}

fn certificate(place: &str, path: &str, until: u64, now: u64, how: String) -> Behind {
    let runs = format!("{path} {} {}", if until <= now { "ended on" } else { "ends on" }, day(until));
    Behind { weight: Weight::Warns, ..of("certificate", place, runs, "a new one".into(), how) }
}

/// The day of a moment.
fn day(moment: u64) -> String {
    Moment(moment).to_string().split(' ').next().unwrap_or_default().to_string()
}

/// Hosts that did not answer, or did not tell which packages wait.
fn unseen(desired: &Desired, observed: &Observed) -> Vec<String> {
    let mut unseen = Vec::new();
    if let Some(Seen::Unknown(why)) = &observed.cluster {
        unseen.push(format!("the cluster: {why}"));
    }
    for host in desired.hosts.iter().filter(|host| host.machine.is_some()) {
        match observed.hosts.get(&host.name) {
            Some(Seen::Unknown(why)) => unseen.push(format!("{}: {why}", host.name)),
            Some(Seen::Present(seen)) if seen.updates.is_none() && host.way.talos.is_none() => {
                unseen.push(format!("{}: its package manager does not tell what waits", host.name));
            }
            Some(Seen::Present(_) | Seen::Absent) | None => {}
        }
    }
    unseen
}
