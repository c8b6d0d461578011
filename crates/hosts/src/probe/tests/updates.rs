//! Packages that wait for an update, as package managers tell of them.

use std::path::Path;

use super::host::Host;

/// What `apt-get -s --with-new-pkgs upgrade` of Debian 12 prints where a kernel waits, and where a package is held.
const APT: &str = "#!/bin/sh
[ \"$*\" = '-q -s -o Debug::NoLocking=1 --with-new-pkgs upgrade' ] || exit 100
cat <<'END'
Reading package lists...
Calculating upgrade...
The following packages have been kept back:
  kubelet
The following NEW packages will be installed:
  linux-image-6.1.0-41-amd64
The following packages will be upgraded:
  libssl3 linux-image-amd64 openssl
3 upgraded, 1 newly installed, 0 to remove and 1 not upgraded.
Inst libssl3 [3.0.17-1~deb12u2] (3.0.17-1~deb12u3 Debian-Security:12/oldstable-security [amd64])
Conf libssl3 (3.0.17-1~deb12u3 Debian-Security:12/oldstable-security [amd64])
Inst linux-image-6.1.0-41-amd64 (6.1.158-1 Debian:12.12/oldstable [amd64])
Inst linux-image-amd64 [6.1.148-1] (6.1.158-1 Debian:12.12/oldstable [amd64])
Inst openssl [3.0.17-1~deb12u2] (3.0.17-1~deb12u3 Debian-Security:12/oldstable-security [amd64])
END
";

/// What `dnf -q -C check-update` of Rocky Linux 9 prints.
const DNF: &str = "#!/bin/sh
[ \"$*\" = '-q -C check-update' ] || exit 1
cat <<'END'

kernel.x86_64                        5.14.0-611.9.1.el9_7         baseos
openssl-libs.x86_64                  1:3.5.1-4.el9_7              baseos
Obsoleting Packages
grub2-tools.x86_64                   1:2.06-114.el9_7             baseos
    grub2-tools.x86_64               1:2.06-104.el9_6             @baseos
END
exit 100
";

/// What `zypper list-updates` of openSUSE Leap 15.6 prints.
const ZYPPER: &str = "#!/bin/sh
[ \"$*\" = '--non-interactive --no-refresh --quiet list-updates' ] || exit 1
cat <<'END'
S | Repository             | Name           | Current Version    | Available Version  | Arch
--+------------------------+----------------+--------------------+--------------------+-------
v | Update repository SLE  | kernel-default | 6.4.0-150600.23.60 | 6.4.0-150600.23.73 | x86_64
v | Update repository SLE  | openssl-3      | 3.1.4-150600.5.30  | 3.1.4-150600.5.39  | x86_64
END
";

fn waiting(host: &Host) -> Option<Vec<String>> {
    host.look(&[]).updates.map(|updates| updates.waiting.into_iter().collect())
}

/// A host of another family, which is asked.
fn other(manager: &str, text: &str) -> Host {
    let host = Host::rocky();
    for program in ["sort", "head", "sed", "tr", "timeout"] {
        let _ = std::os::unix::fs::symlink(Path::new("/usr/bin").join(program), host.path("/fakes/bin").join(program));
    }
    host.write("/fakes/updates", "");
    host.program(manager, text);
    host
}

#[test]
fn apt_tells_what_an_upgrade_would_take() {
    let host = Host::debian();
    host.program("apt-get", APT);
    assert_eq!(host.look(&[]).updates, None, "nobody asked");
    host.write("/fakes/updates", "");
    host.write("/var/lib/apt/lists/partial/x", "");
    let wait = ["libssl3", "linux-image-6.1.0-41-amd64", "linux-image-amd64", "openssl"];
    assert_eq!(waiting(&host).expect("it tells"), wait);
    assert!(host.look(&[]).updates.expect("it tells").listed.is_some());
    host.program("apt-get", "#!/bin/sh\nexit 100\n");
    assert_eq!(waiting(&host), None, "what fails tells nothing");
}

#[test]
fn dnf_and_zypper_tell_it_too() {
    assert_eq!(waiting(&other("dnf", DNF)).expect("it tells"), ["kernel", "openssl-libs"]);
    assert_eq!(waiting(&other("dnf", "#!/bin/sh\nexit 0\n")).expect("it tells"), Vec::<String>::new());
    assert_eq!(waiting(&other("dnf", "#!/bin/sh\nexit 1\n")), None, "it has no lists");
    assert_eq!(waiting(&other("zypper", ZYPPER)).expect("it tells"), ["kernel-default", "openssl-3"]);
}
