//! What files of others tell of the cluster as a whole: distribution, version, networks, the API's address.

use kubewright_model::net::Cidr;
use kubewright_model::spec::Distribution;
use kubewright_model::version::Version;

use super::Wishes;

/// What the files tell, each with where it was found. What is found first is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    pub(super) distribution: Option<Told<Distribution>>,
    /// As it is written there: it may be no exact version.
    pub(super) version: Option<Told<String>>,
    /// Where clients reach the API.
    pub(super) endpoint: Option<Told<String>>,
    /// The address is one that servers hand on among themselves.
    pub(super) floats: bool,
    pub(super) pods: Option<Told<Cidr>>,
    pub(super) services: Option<Told<Cidr>>,
    pub(super) cidr: Option<Told<Cidr>>,
    pub(super) gateway: Option<Told<std::net::IpAddr>>,
    /// The file has the token with which nodes join.
    pub(super) join_token: Option<Told<()>>,
    /// The network plug-in, in a word of others.
    pub(super) plugin: Option<Told<String>>,
    pub(super) environment: Option<Told<String>>,
    /// What people should know of the whole, in comments at the top.
    pub(super) remarks: Vec<String>,
}

/// A value, and who says so.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told<T> {
    pub(super) value: T,
    pub(super) by: String,
}

impl<T> Told<T> {
    pub(super) fn by(by: impl Into<String>, value: T) -> Option<Self> {
        Some(Self { value, by: by.into() })
    }
}

impl Hints {
    pub(super) fn remark(&mut self, remark: impl Into<String>) {
        let remark = remark.into();
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}

/// What is taken where no file tells and the user says nothing: the versions of the examples, for which the defaults of this
/// program were looked up.
fn usual(distribution: Distribution) -> &'static str {
    match distribution {
        Distribution::K3s => "v1.31.4+k3s1",
        Distribution::Rke2 => "v1.33.5+rke2r1",
        Distribution::Kubeadm | Distribution::Talos => "v1.31.4",
    }
}

/// What the user says goes before what files tell.
pub(super) fn prefer(hints: &mut Hints, wishes: &Wishes) {
    if let Some(version) = &wishes.version {
        hints.version = Told::by("", version.to_string());
        let build = match version.build() {
            build if build.starts_with("k3s") => Some(Distribution::K3s),
            build if build.starts_with("rke2") => Some(Distribution::Rke2),
            _ => None,
        };
        if let Some(build) = build {
            hints.distribution = Told::by("", build);
        }
    }
    if let Some(distribution) = wishes.distribution {
        hints.distribution = Told::by("", distribution);
    }
}

/// The distribution that a group's name, a host's or a variable's speaks of.
pub(super) fn spoken_of(name: &str) -> Option<Distribution> {
    let name = name.to_lowercase().replace('-', "_");
    match name {
        name if name.contains("k3s") => Some(Distribution::K3s),
        name if name.contains("rke2") => Some(Distribution::Rke2),
        name if name.contains("kubeadm") || name.starts_with("kube_") => Some(Distribution::Kubeadm),
        _ => None,
    }
}

/// The version to write, and what there is to say of it.
pub(super) fn version(hints: &Hints, distribution: Distribution) -> (String, Option<String>) {
    let usual = usual(distribution);
    let Some(told) = &hints.version else {
        return (usual.into(), Some("No file names a version; write the one that you want.".into()));
    };
    match exact(&told.value, distribution) {
        Some(exact) if told.by.is_empty() || exact == told.value => (exact, None),
        Some(exact) => {
            let comment = format!("{} has `{}`.", told.by, told.value);
            (exact, Some(comment))
        }
        None => {
            let comment =
                format!("{} has `{}`, which is no exact version of {}.", told.by, told.value, distribution.title());
            (usual.into(), Some(comment))
        }
    }
}

/// A version as the distribution writes it: with a `v`, and without what packages of Debian have behind it.
fn exact(text: &str, distribution: Distribution) -> Option<String> {
    let bare = text.trim().trim_start_matches('v');
    let bare = match distribution {
        Distribution::Kubeadm => bare.split(['-', '+']).next()?,
        _ => bare,
    };
    let version: Version = format!("v{bare}").parse().ok()?;
    let fits = match distribution {
        Distribution::K3s => version.build().starts_with("k3s"),
        Distribution::Rke2 => version.build().starts_with("rke2"),
        Distribution::Kubeadm | Distribution::Talos => version.build().is_empty(),
    };
    fits.then(|| version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_their_distribution_writes_them() {
        for (text, distribution, written) in [
            ("v1.33.5+k3s1", Distribution::K3s, Some("v1.33.5+k3s1")),
            ("1.33.5+rke2r1", Distribution::Rke2, Some("v1.33.5+rke2r1")),
            ("1.31.4-1.1", Distribution::Kubeadm, Some("v1.31.4")),
            ("v1.31.4", Distribution::K3s, None),
            ("1.31", Distribution::Kubeadm, None),
            ("latest", Distribution::K3s, None),
        ] {
            assert_eq!(exact(text, distribution).as_deref(), written, "{text}");
        }
    }
}
