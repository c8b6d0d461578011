//! All packages of a host, upgraded under new lists.

use kubewright_model::ids::NodeName;

use super::super::upgrade::Deed;
use super::host::{Host, each};
use crate::{HostError, Report};

fn done(host: &Host, deed: Deed) -> Result<Report, HostError> {
    deed.outcome(&NodeName::new("web-1"), &host.run(&deed.script()))
}

fn apt(host: &Host) -> Vec<String> {
    let words = |call: String| Some(call.strip_prefix("apt-get ")?.rsplit_once("force-confold")?.1.to_string());
    host.calls().into_iter().filter_map(words).collect()
}

#[test]
fn everything_that_waits_is_upgraded_under_new_lists() {
    each(|host| {
        host.write("versions", "openssl:amd64 1 installed\n");
        host.write("waits", "openssl:amd64\n");
        assert!(done(host, Deed::Upgrade).expect("it is done").changed);
        assert_eq!(apt(host), [" update", " --with-new-pkgs upgrade"]);
        assert!(!done(host, Deed::Upgrade).expect("it is done").changed, "nothing waits any more");
    });
}

#[test]
fn lists_are_fetched_alone() {
    each(|host| {
        done(host, Deed::Refresh).expect("it is done");
        assert_eq!(apt(host), [" update"]);
    });
}

#[test]
fn what_was_cut_off_is_ended_first() {
    each(|host| {
        host.program(
            "dpkg",
            "#!/bin/sh\ncase $1 in --audit) cat \"$KW_ROOT/half\" 2>/dev/null; exit 0 ;; esac\n\
             [ \"$*\" = '--force-confdef --force-confold --configure -a' ] || exit 64\nrm -f \"$KW_ROOT/half\"\n\
             echo 'openssl:amd64 2 installed' >\"$KW_ROOT/versions\"\n",
        );
        host.write("versions", "openssl:amd64 2 half-configured\n");
        host.write("half", "The following packages are only half configured\n");
        assert!(done(host, Deed::Upgrade).expect("it is done").changed);
        assert!(!host.at("half").exists());
    });
}

#[test]
fn a_lock_of_others_is_busy_and_what_fails_is_told() {
    each(|host| {
        host.write("apt-says", "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)\n");
        let busy = done(host, Deed::Upgrade).expect_err("somebody else is at it");
        assert!(matches!(busy, HostError::Busy { .. }), "{busy:?}");
        host.write("apt-says", "E: Failed to fetch http://deb.debian.org/x  404  Not Found\n");
        let failed = done(host, Deed::Upgrade).expect_err("there is nothing to fetch").to_string();
        assert!(failed.starts_with("upgrading the packages failed on web-1: E: Failed to fetch"), "{failed}");
    });
}

#[test]
fn dnf_upgrades_too() {
    each(|host| {
        host.of_another_family("dnf");
        host.program("rpm", "#!/bin/sh\n[ \"$*\" = -qa ] && echo openssl-3-1.x86_64\n");
        assert!(!done(host, Deed::Upgrade).expect("it is done").changed);
        let calls: Vec<String> = host.calls().into_iter().filter(|call| call.starts_with("dnf")).collect();
        let lists = "dnf -y --setopt=exit_on_lock=True --refresh makecache";
        assert_eq!(calls, [lists, "dnf -y --setopt=exit_on_lock=True upgrade"]);
    });
}
