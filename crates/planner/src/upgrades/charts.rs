//! Which versions of charts their publishers have tested with which Kubernetes: what their own pages state, and nothing else.
//! A chart that is not here is not judged.

use kubewright_model::change::Subject;
use kubewright_model::desired::{Desired, DesiredRelease};
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Note, Weight};

/// Minor versions of a chart, and the newest minor version of Kubernetes that its publisher has tested them with.
struct Tested {
    chart: &'static str,
    /// From this minor version on to that one.
    versions: ((u64, u64), (u64, u64)),
    kubernetes: (u64, u64),
    source: &'static str,
}

const CILIUM: &str = "https://docs.cilium.io/en/v1.18/network/kubernetes/compatibility/";
const CERT_MANAGER: &str = "https://cert-manager.io/docs/releases/";
const EXTERNAL_SECRETS: &str = "https://external-secrets.io/v2.8.0/introduction/stability-support/";
const NGINX: &str = "https://github.com/kubernetes/ingress-nginx#supported-versions-table";

const fn tested(
    chart: &'static str,
    from: (u64, u64),
    to: (u64, u64),
    kubernetes: (u64, u64),
    source: &'static str,
) -> Tested {
    Tested { chart, versions: (from, to), kubernetes, source }
}

/// As these pages were in November 2026.
const TESTED: [Tested; 12] = [
    tested("cilium", (1, 18), (1, 18), (1, 33), CILIUM),
    tested("cert-manager", (1, 18), (1, 18), (1, 33), CERT_MANAGER),
    tested("cert-manager", (1, 19), (1, 19), (1, 35), CERT_MANAGER),
    tested("cert-manager", (1, 20), (1, 20), (1, 35), CERT_MANAGER),
    tested("external-secrets", (0, 10), (0, 13), (1, 31), EXTERNAL_SECRETS),
    tested("external-secrets", (0, 14), (0, 16), (1, 32), EXTERNAL_SECRETS),
    tested("external-secrets", (0, 17), (0, 19), (1, 33), EXTERNAL_SECRETS),
    tested("external-secrets", (0, 20), (0, 20), (1, 34), EXTERNAL_SECRETS),
    tested("external-secrets", (1, 0), (1, 3), (1, 34), EXTERNAL_SECRETS),
    tested("external-secrets", (2, 0), (2, 7), (1, 35), EXTERNAL_SECRETS),
    tested("ingress-nginx", (4, 10), (4, 10), (1, 30), NGINX),
    tested("ingress-nginx", (4, 11), (4, 11), (1, 30), NGINX),
];

/// What is to be known of the charts before the cluster gets this version of Kubernetes: those that nobody has tested with
/// it. Nothing where no node is older.
pub(crate) fn doubts(desired: &Desired, observed: &Observed) -> Vec<Note> {
    let minor = desired.kubernetes.version.minor();
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    let older = cluster.is_some_and(|cluster| cluster.nodes.values().any(|node| node.version.minor() < minor));
    if !older {
        return Vec::new();
    }
    desired.releases.iter().filter_map(|release| doubt(release, minor)).collect()
}

fn doubt(release: &DesiredRelease, minor: (u64, u64)) -> Option<Note> {
    let version = release.version.as_ref()?;
    let of_chart = || TESTED.iter().filter(|tested| tested.chart == release.chart);
    let known = of_chart().find(|it| (it.versions.0..=it.versions.1).contains(&version.minor()))?;
    if known.kubernetes >= minor {
        return None;
    }
    let (major, newest) = known.kubernetes;
    let message = format!(
        "its publisher has tested chart {} {version} with Kubernetes up to v{major}.{newest}, and not with v{}.{}",
        release.chart, minor.0, minor.1
    );
    let better = of_chart().find(|it| it.kubernetes >= minor);
    let first = match better {
        Some(better) => format!("set version {}.{} of it in the spec first", better.versions.1.0, better.versions.1.1),
        None => "look whether a newer version of it is, and set that first".into(),
    };
    let help = Some(format!("{first}: {}", known.source));
    let subject = Subject::Release(release.name.clone());
    Some(Note { weight: Weight::Warns, subject, message, help, stages: Vec::new() })
}

#[cfg(test)]
mod tests {
    use kubewright_model::observed::{ClusterSeen, NodeSeen};
    use kubewright_model::spec::load;
    use kubewright_model::version::Version;

    use super::*;

    fn told(chart_version: &str, runs: &str, wants: &str) -> Vec<String> {
        let text = include_str!("../lower/demands/lab.yaml").to_string() + "\n  addons: { metricsServer: {} }\n";
        let loaded = load(&text).unwrap_or_else(|found| panic!("{found:#?}"));
        let mut desired = crate::lower::lower(&loaded.file).0;
        desired.kubernetes.version = Version::known(wants);
        let release = desired.releases.first().cloned().map(|release| DesiredRelease {
            chart: "cert-manager".into(),
            version: Some(Version::known(chart_version)),
            ..release
        });
        desired.releases = vec![release.unwrap_or_else(|| panic!("the lab has releases"))];
        let node = NodeSeen { version: Version::known(runs), ..node() };
        let cluster = ClusterSeen { nodes: [("a".into(), node)].into(), ..ClusterSeen::default() };
        let observed = Observed { cluster: Some(Seen::Present(cluster)), ..Observed::default() };
        doubts(&desired, &observed)
            .into_iter()
            .map(|note| note.message + " / " + &note.help.unwrap_or_default())
            .collect()
    }

    fn node() -> NodeSeen {
        NodeSeen {
            ready: true,
            cordoned: false,
            version: Version::known("v1.33.4+k3s1"),
            labels: Default::default(),
            taints: Vec::new(),
            given: Default::default(),
            server: true,
            address: None,
        }
    }

    #[test]
    fn a_chart_that_nobody_tested_with_a_version_is_told_of_before_it_comes() {
        let notes = told("v1.18.2", "v1.33.4+k3s1", "v1.34.1+k3s1");
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0].contains("up to v1.33, and not with v1.34") && notes[0].contains("set version 1.19"),
            "{notes:?}"
        );
        assert!(told("v1.18.2", "v1.34.0+k3s1", "v1.34.1+k3s1").is_empty(), "it runs there already");
        assert!(told("v1.19.1", "v1.33.4+k3s1", "v1.34.1+k3s1").is_empty());
        assert!(told("v0.9.0", "v1.33.4+k3s1", "v1.34.1+k3s1").is_empty(), "nobody says anything of that");
        let none_yet = told("v1.20.0", "v1.35.8+k3s1", "v1.36.4+k3s1");
        assert!(none_yet[0].contains("look whether a newer version"), "{none_yet:?}");
    }
}
