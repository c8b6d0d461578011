//! What package managers read of a repository. Each kind of host has one, and is told which only by itself; so both texts
//! go to every host.

use std::fmt::Write as _;

use kubewright_model::host::RepositoryWish;

/// What apt reads. <https://manpages.debian.org/bookworm/apt/sources.list.5.en.html>
pub(super) fn deb822(wish: &RepositoryWish) -> String {
    // A suite that ends with a slash is a folder, and a flat repository is its own folder.
    let suites = if wish.suites.is_empty() { "/".to_string() } else { wish.suites.join(" ") };
    let mut text = format!("Types: deb\nURIs: {}\nSuites: {suites}\n", wish.url);
    if !wish.components.is_empty() {
        let _ = writeln!(text, "Components: {}", wish.components.join(" "));
    }
    let _ = writeln!(text, "Signed-By: /etc/apt/keyrings/kubewright-{}.asc", wish.name);
    text
}

/// What dnf and zypper read. <https://dnf.readthedocs.io/en/latest/conf_ref.html>
pub(super) fn repo(wish: &RepositoryWish) -> String {
    format!(
        "[kubewright-{0}]\nname={0}\nbaseurl={1}\nenabled=1\nautorefresh=1\ngpgcheck=1\n\
         gpgkey=file:///etc/pki/rpm-gpg/kubewright-{0}.asc\n",
        wish.name, wish.url
    )
}
