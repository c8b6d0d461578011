//! Repositories with their keys, and packages that stay as they are.

use kubewright_model::host::{DirectoryWish, HostResource, Mode, RepositoryWish};

use super::host::{Host, each, nothing_beside};

const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEY\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----";

fn tools() -> RepositoryWish {
    RepositoryWish {
        name: "tools".into(),
        url: "https://packages.example.org/deb/".into(),
        suites: vec!["bookworm".into()],
        components: vec!["main".into(), "extra".into()],
        key: KEY.into(),
    }
}

fn repository() -> HostResource {
    HostResource::Repository(tools())
}

fn hold() -> [HostResource; 2] {
    [HostResource::Package("curl".into()), HostResource::Hold("curl".into())]
}

/// What is there and then taken away, twice.
fn gone(host: &Host, resource: &HostResource) {
    for changed in [true, false] {
        let report = host.unmake(&[resource.key()]).expect("it is taken away");
        assert_eq!(report.changed, changed);
    }
}

#[test]
fn apt_trusts_a_key_for_its_repository_alone_and_reads_its_lists() {
    each(|host| {
        let calls = host.twice(&[repository()]);
        let update = calls.iter().find(|call| call.contains(" update ")).expect("it was read");
        assert!(
            update.ends_with(
                "update -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/kubewright-tools.sources \
                 -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any"
            ),
            "{update}"
        );
        assert_eq!(
            host.read("etc/apt/sources.list.d/kubewright-tools.sources"),
            "Types: deb\nURIs: https://packages.example.org/deb/\nSuites: bookworm\nComponents: main extra\n\
             Signed-By: /etc/apt/keyrings/kubewright-tools.asc\n"
        );
        assert_eq!(host.read("etc/apt/keyrings/kubewright-tools.asc"), format!("{KEY}\n"));
        assert_eq!(host.mode("etc/apt/keyrings/kubewright-tools.asc"), "0644");
        nothing_beside(host, "etc/apt/keyrings");
        let flat = RepositoryWish { suites: Vec::new(), components: Vec::new(), ..tools() };
        host.twice(&[HostResource::Repository(flat)]);
        let text = host.read("etc/apt/sources.list.d/kubewright-tools.sources");
        assert!(text.contains("Suites: /\nSigned-By"), "{text}");
        gone(host, &repository());
        assert!(!host.at("etc/apt/sources.list.d/kubewright-tools.sources").exists());
    });
}

#[test]
fn a_repository_that_cannot_be_read_does_not_count_and_the_next_run_reads_it() {
    each(|host| {
        let says = "E: The repository 'https://packages.example.org/deb bookworm InRelease' is not signed.\n";
        host.write("apt-says", says);
        let failed = host.fails(&[repository()]);
        assert!(failed.starts_with("adding the repository tools failed on web-1: E: The repository"), "{failed}");
        std::fs::remove_file(host.at("apt-says")).expect("it was there");
        assert!(host.twice(&[repository()]).iter().any(|call| call.contains(" update ")));
    });
}

#[test]
fn dnf_and_zypper_read_a_repository_whose_key_they_know() {
    for (manager, folder, read) in [
        ("dnf", "etc/yum.repos.d", "dnf -y -q makecache --repo=kubewright-tools"),
        ("zypper", "etc/zypp/repos.d", "zypper --non-interactive refresh kubewright-tools"),
    ] {
        each(|host| {
            host.of_another_family(manager);
            let calls = host.twice(&[repository()]);
            assert_eq!(calls, ["rpm --import /etc/pki/rpm-gpg/kubewright-tools.asc", read]);
            assert_eq!(
                host.read(&format!("{folder}/kubewright-tools.repo")),
                "[kubewright-tools]\nname=tools\nbaseurl=https://packages.example.org/deb/\nenabled=1\nautorefresh=1\n\
                 gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/kubewright-tools.asc\n"
            );
            gone(host, &repository());
        });
    }
}

#[test]
fn a_package_is_held_by_each_manager() {
    let last = |calls: Vec<String>| calls.last().cloned().unwrap_or_default();
    each(|host| {
        assert_eq!(last(host.twice(&hold())), "apt-mark hold curl");
        gone(host, &hold()[1]);
    });
    each(|host| {
        host.of_another_family("dnf");
        let calls = host.twice(&hold());
        assert!(calls.iter().any(|call| call.ends_with("install python3-dnf-plugin-versionlock")), "{calls:?}");
        assert_eq!(last(calls), "dnf -y versionlock add curl");
        gone(host, &hold()[1]);
    });
    each(|host| {
        host.of_another_family("zypper");
        assert_eq!(last(host.twice(&hold())), "zypper --non-interactive addlock curl");
        gone(host, &hold()[1]);
    });
}

#[test]
fn a_folder_has_its_mode_and_owner_and_a_file_in_its_place_is_told() {
    each(|host| {
        let folder = |path: &str, mode| {
            HostResource::Directory(DirectoryWish { path: path.into(), mode: Mode(mode), owner: "0:0".into() })
        };
        host.twice(&[folder("/srv/data/one", 0o1770)]);
        assert_eq!(host.mode("srv/data/one"), "1770");
        host.twice(&[folder("/srv/data/one", 0o750)]);
        assert_eq!(host.mode("srv/data/one"), "0750");
        host.write("srv/file", "");
        let failed = host.fails(&[folder("/srv/file", 0o755)]);
        assert_eq!(failed, "making /srv/file failed on web-1: /srv/file is no folder");
        std::os::unix::fs::symlink("data/one", host.at("srv/link")).expect("a link");
        host.twice(&[folder("/srv/link", 0o700)]);
        assert_eq!(host.mode("srv/data/one"), "0700", "what it leads to has the mode");
    });
}
