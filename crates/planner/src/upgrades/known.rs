//! What this program knows of versions of Kubernetes: the newest of each minor version, until when that is supported, and which
//! of them a Talos runs.

use std::ops::RangeInclusive;

use kubewright_model::spec::kubernetes::Distribution;
use kubewright_model::version::Version;

/// As of when the tables are.
pub(crate) const AS_OF: &str = "October 2026";

/// The newest patch of each minor version that anybody may download, as it was in October 2026: of K3s, of RKE2, and of
/// Kubernetes itself. A later one in its place does as well; the spec names it.
/// <https://docs.k3s.io/release-notes/v1.36.X>, <https://docs.rke2.io/release-notes/v1.36.X>, <https://kubernetes.io/releases/>
const NEWEST: [((u64, u64), [&str; 3]); 7] = [
    ((1, 30), ["v1.30.14+k3s2", "v1.30.14+rke2r2", "v1.30.14"]),
    ((1, 31), ["v1.31.14+k3s1", "v1.31.14+rke2r1", "v1.31.14"]),
    ((1, 32), ["v1.32.13+k3s1", "v1.32.13+rke2r1", "v1.32.13"]),
    ((1, 33), ["v1.33.13+k3s2", "v1.33.13+rke2r2", "v1.33.13"]),
    ((1, 34), ["v1.34.11+k3s1", "v1.34.11+rke2r1", "v1.34.11"]),
    ((1, 35), ["v1.35.8+k3s1", "v1.35.8+rke2r1", "v1.35.8"]),
    ((1, 36), ["v1.36.4+k3s1", "v1.36.4+rke2r1", "v1.36.4"]),
];

/// Until when Kubernetes itself supports its minor versions; distributions bring patches no longer than that.
/// <https://kubernetes.io/releases/>, <https://github.com/kubernetes/website/blob/main/data/releases/eol.yaml>
const SUPPORTED: [((u64, u64), &str); 7] = [
    ((1, 30), "2025-07-15"),
    ((1, 31), "2025-11-11"),
    ((1, 32), "2026-02-28"),
    ((1, 33), "2026-06-28"),
    ((1, 34), "2026-10-27"),
    ((1, 35), "2027-02-28"),
    ((1, 36), "2027-06-28"),
];

/// The newest minor version of Talos whose configuration is known here.
pub(crate) const NEWEST_TALOS: (u64, u64) = (1, 14);

/// The minor versions of Kubernetes that a minor version of Talos runs, six of them: v1.9 those from v1.27 to v1.32, and so on.
/// <https://www.talos.dev/v1.11/introduction/support-matrix/>, `pkg/machinery/compatibility`
pub(crate) fn run_by_talos(minor: u64) -> RangeInclusive<u64> {
    minor + 18..=minor + 23
}

/// The newest version of a minor version.
pub(crate) fn newest(distribution: Distribution, minor: (u64, u64)) -> Option<Version> {
    let (_, of) = NEWEST.iter().find(|(of, _)| *of == minor)?;
    let at = match distribution {
        Distribution::K3s => 0,
        Distribution::Rke2 => 1,
        Distribution::Kubeadm | Distribution::Talos => 2,
    };
    of.get(at).map(|text| Version::known(text))
}

/// The newest minor version of which any version is known.
pub(crate) fn newest_minor() -> (u64, u64) {
    NEWEST.iter().map(|(minor, _)| *minor).max().unwrap_or_default()
}

/// The day on which the support of a minor version ends: `2027-02-28`.
pub(crate) fn supported_until(minor: (u64, u64)) -> Option<&'static str> {
    SUPPORTED.iter().find(|(of, _)| *of == minor).map(|(_, day)| *day)
}
