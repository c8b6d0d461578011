//! Certificates of the cluster itself: those in files of its hosts.

use kubewright_model::doctor::{Finding, Mend, Papers, Place};
use kubewright_model::ids::NodeName;
use kubewright_model::spec::kubernetes::Distribution;
use kubewright_model::units::Moment;

use super::case::Case;
use super::pem::{Certificate, certificates};

/// So long before its end a certificate is told of: time enough for a maintenance window.
const SOON: u64 = 30 * 86_400;

/// The certificates of a host, each with its file. The paper names each file in a line `# PATH` before its text.
fn files(papers: &Papers) -> Vec<(&str, Certificate)> {
    let text = papers.text("certificates").unwrap_or_default();
    let parts = text.split("\n# ").map(|part| part.trim_start_matches("# "));
    let parts = parts.filter_map(|part| part.split_once('\n'));
    // The first one in a file is its own; those of authorities follow.
    parts.filter_map(|(path, pem)| Some((path.trim(), certificates(pem).into_iter().next()?))).collect()
}

/// What renews the certificates of a host.
/// <https://docs.k3s.io/cli/certificate>, <https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-certs/>
fn renewed(case: &Case<'_>, found: Finding, host: &NodeName, path: &str) -> Finding {
    match case.distribution() {
        Distribution::K3s | Distribution::Rke2 if path.starts_with("/var/lib/rancher/") => {
            found.mended([Mend::Restart { host: host.clone(), unit: case.kubernetes_unit(host).into() }])
        }
        Distribution::Kubeadm if path.starts_with("/etc/kubernetes/") => found.by_hand([
            format!("on {host}: kubeadm certs renew all"),
            format!("on {host}: move /etc/kubernetes/manifests/*.yaml away for 30 seconds, so that the static pods start anew"),
            "`kubewright kubeconfig` afterwards: the administrator's certificate was renewed too".into(),
        ]),
        _ => found.by_hand([format!("on {host}: renew {path} where it comes from")]),
    }
}

fn found(case: &Case<'_>, judge: impl Fn(u64, &Certificate) -> Option<(bool, String)>) -> Vec<Finding> {
    let mut all = Vec::new();
    for (name, papers) in case.hosts() {
        let mut worst: Option<(bool, String, &str)> = None;
        let mut lines = Vec::new();
        for (path, certificate) in files(papers) {
            if let Some((sick, words)) = judge(case.evidence.now, &certificate) {
                let span = (Moment(certificate.not_before), Moment(certificate.not_after));
                lines.push(format!("{path}: notBefore={} notAfter={}", span.0, span.1));
                worst.get_or_insert((sick, format!("{path} {words}"), path));
            }
        }
        let Some((sick, cause, path)) = worst else { continue };
        let more = lines.len() - 1;
        let cause = if more > 0 { format!("{cause}, and {more} more") } else { cause };
        let found =
            if sick { Finding::sick(Place::host(name), cause) } else { Finding::risk(Place::host(name), cause) };
        all.push(renewed(case, found.shown(lines.into_iter().take(6)), name, path));
    }
    all
}

pub(super) fn expired(case: &Case<'_>) -> Vec<Finding> {
    found(case, |now, it| {
        let ago = now.checked_sub(it.not_after)?;
        (ago > 0).then(|| (true, format!("has expired {} days ago", ago / 86_400)))
    })
}

pub(super) fn soon(case: &Case<'_>) -> Vec<Finding> {
    found(case, |now, it| {
        let left = it.not_after.checked_sub(now)?;
        (left < SOON).then(|| (false, format!("expires in {} days", left / 86_400)))
    })
}

pub(super) fn not_yet(case: &Case<'_>) -> Vec<Finding> {
    let mut all = found(case, |now, it| {
        let left = it.not_before.checked_sub(now)?;
        (left > 0).then(|| (true, format!("is valid only in {} minutes", left.div_ceil(60))))
    });
    for finding in &mut all {
        *finding = finding.clone().by_hand(["put the clocks right first: `kubewright doctor` tells which are wrong"]);
    }
    all
}
