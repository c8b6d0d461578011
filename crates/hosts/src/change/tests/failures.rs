//! What goes wrong, and what people read of it.

use std::fs;
use std::io::Write as _;

use kubewright_model::host::{FileWish, HostResource, SshDaemonWish, UnitRun, UnitWish, UserWish};
use kubewright_model::text::Text;

use super::host::{each, nothing_beside};
use crate::{Holes, HostError};

fn failed(log: &str) -> HostError {
    let host = "web-1".into();
    let lines = super::super::lines(&hex::encode(log));
    super::super::failed(&host, "installing curl".into(), &lines, &Holes::new())
}

#[test]
fn a_lock_that_others_hold_is_busy_and_by_whom() {
    let apt = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)\n\
        N: Be aware that removing the lock file is not a solution and may break your system.\n\
        E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n";
    let cases = [
        (apt, "the package manager on web-1 is busy: held by process 4711 (unattended-upgr)"),
        (
            "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
            "the package manager on web-1 is busy: E: Unable to acquire the dpkg frontend lock \
             (/var/lib/dpkg/lock-frontend), is another process using it?",
        ),
        (
            "Waiting for process with pid 3021 to finish.",
            "the package manager on web-1 is busy: held by process with pid 3021",
        ),
        ("Error: metadata already locked by 3021", "the package manager on web-1 is busy: held by process 3021"),
        (
            "System management is locked by the application with pid 12 (zypper).\nClose this application",
            "the package manager on web-1 is busy: held by the application with pid 12 (zypper)",
        ),
        (
            "useradd: cannot lock /etc/passwd; try again later.",
            "the list of users on web-1 is busy: useradd: cannot lock /etc/passwd; try again later.",
        ),
    ];
    for (log, shown) in cases {
        let error = failed(log);
        assert_eq!(error.to_string(), shown);
        assert!(error.may_pass());
    }
    each(|host| {
        host.write("apt-says", apt);
        assert_eq!(host.fails(&[HostResource::Package("curl".into())]), cases[0].1);
        host.of_another_family("dnf");
        host.write("dnf-says", "Error: metadata already locked by 3021\n");
        assert_eq!(host.fails(&[HostResource::Package("curl".into())]), cases[3].1);
        host.write("passwd-locked", "");
        let user = UserWish {
            name: "ada".into(),
            authorized_keys: Vec::new(),
            sudo: false,
            groups: Vec::new(),
            shell: "/bin/sh".into(),
            password_hash: None,
        };
        assert_eq!(host.fails(&[HostResource::User(user)]), cases[5].1);
    });
}

#[test]
fn the_line_that_tells_most_is_shown() {
    let cases = [
        (
            "E: Failed to fetch http://x  Could not resolve 'x'\nE: Unable to fetch some archives",
            "E: Failed to fetch http://x  Could not resolve 'x'",
        ),
        (
            "dpkg: error processing package a (--configure):\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
            "dpkg: error processing package a (--configure):",
        ),
        (
            "Job for a.service failed because x.\nSee \"systemctl status a\"\nno such file: /a\na.service: Failed with result 'exit-code'.\nFailed to start a.",
            "no such file: /a",
        ),
        ("", "it said nothing"),
    ];
    for (log, why) in cases {
        assert_eq!(failed(log).to_string(), format!("installing curl failed on web-1: {why}"));
    }
}

#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    each(|host| {
        // A disk of 64 KiB, where one may be mounted; one that is read-only is next.
        fs::create_dir_all(host.at("etc/full")).expect("a folder");
        let folder = host.at("etc/full");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(&folder)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            let _ = writeln!(std::io::stderr(), "a full disk was SKIPPED: this computer lets nobody mount one");
            return;
        }
        host.write("etc/full/file", "old");
        let wish = FileWish::new("/etc/full/file", "x".repeat(200_000), 0o644);
        let why = host.make(&[HostResource::File(wish.clone())]);
        let left = fs::read_to_string(host.at("etc/full/file"));
        let others = fs::read_dir(&folder).expect("a folder").count();
        let readonly = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(&folder).output();
        let refused = host.make(&[HostResource::File(FileWish::new("/etc/full/file", "new", 0o644))]);
        let _ = std::process::Command::new("umount").arg(&folder).output();
        assert!(why.expect_err("it is full").to_string().contains("No space left on device"));
        assert_eq!((left.expect("it is there").as_str(), others), ("old", 1));
        assert!(readonly.is_ok());
        assert!(refused.expect_err("it is read-only").to_string().contains("Read-only file system"));
    });
}

#[test]
fn what_does_not_arrive_whole_is_not_put_in_place() {
    each(|host| {
        host.write("etc/motd", "old");
        let change = host.change(&[HostResource::File(FileWish::new("/etc/motd", "a longer text", 0o644))], &[]);
        let script = super::super::script(&change, &Holes::new()).expect("it can be written");
        let cut = script.replace("YSBsb25nZXIgdGV4dA==", "YSBsb25nZXIg");
        assert_ne!(cut, script);
        let answer = host.run(&cut);
        let error = super::super::outcome(&change, &Holes::new(), &answer).expect_err("it is cut");
        assert!(error.to_string().contains("did not arrive whole"), "{error}");
        assert_eq!(host.read("etc/motd"), "old");
        nothing_beside(host, "etc");
    });
}

#[test]
fn a_unit_that_fails_tells_its_log_and_stops_the_change() {
    each(|host| {
        host.write("systemd/a.service.fails", "");
        host.write(
            "journal",
            "starting\npanic: token s3cr3t-v4lue is wrong\na.service: Failed with result 'exit-code'.\n",
        );
        let unit = UnitWish {
            name: "a.service".into(),
            content: Some(Text::known("Token=").and_hole("secret/token")),
            enabled: true,
            run: UnitRun::Running,
            reads: kubewright_model::digest::Digest::of(""),
        };
        let mut holes = Holes::new();
        holes.insert("secret/token".into(), kubewright_model::secret::Secret::new("s3cr3t-v4lue".into()));
        let all = [HostResource::Unit(unit), HostResource::File(FileWish::new("/etc/after", "", 0o644))];
        let change = host.change(&all, &[]);
        let answer = host.run(&super::super::script(&change, &holes).expect("it can be written"));
        let error = super::super::outcome(&change, &holes, &answer).expect_err("it failed");
        assert_eq!(error.to_string(), "setting up a.service failed on web-1: panic: token [secret] is wrong");
        assert!(!format!("{error:?}").contains("s3cr3t"));
        assert!(!host.at("etc/after").exists());
        // It was not written down as started, so the next run starts it.
        assert!(!host.at("var/lib/kubewright/units/a.service.reads").exists());
        fs::remove_file(host.at("systemd/a.service.fails")).expect("it was there");
        let answer = host.run(&super::super::script(&change, &holes).expect("it can be written"));
        assert!(super::super::outcome(&change, &holes, &answer).expect("it is done").changed);
    });
}

#[test]
fn the_ssh_daemon_keeps_its_old_way_when_the_new_one_is_refused() {
    each(|host| {
        let old = "Include /etc/ssh/sshd_config.d/*.conf\nPort 22\n";
        host.write("etc/ssh/sshd_config", old);
        host.write("systemd/ssh.service.active", "active\n");
        let wish = [HostResource::SshDaemon(SshDaemonWish { port: 2222, harden: true })];
        let as_before = |why: &str, has: &str| {
            assert!(why.contains(has), "{why}");
            assert_eq!(host.read("etc/ssh/sshd_config"), old);
            assert!(!host.at("etc/ssh/sshd_config.d/00-kubewright.conf").exists());
            assert!(!host.at("var/lib/kubewright/sshd/pending").exists());
        };
        host.write("sshd-refuses", "");
        as_before(&host.fails(&wish), "Bad configuration option");
        fs::remove_file(host.at("sshd-refuses")).expect("it was there");
        host.write("systemd/ssh.service.fails", "");
        as_before(&host.fails(&wish), "control process exited");
        fs::remove_file(host.at("systemd/ssh.service.fails")).expect("it was there");
        host.write("systemd/ssh.service.active", "active\n");
        host.write("etc/ssh/sshd_config.d/00-first.conf", "Port 22\n");
        as_before(&host.fails(&wish), "another file of its configuration says otherwise");
        fs::remove_file(host.at("etc/ssh/sshd_config.d/00-first.conf")).expect("it was there");
        assert!(host.make(&wish).expect("nothing is in the way").changed);
    });
}

#[test]
fn a_host_that_says_anything_else_is_not_believed() {
    each(|host| {
        let all = [HostResource::SwapOff, HostResource::TimeSync];
        let change = host.change(&all, &[]);
        let outcome = |answer: &str| super::super::outcome(&change, &Holes::new(), answer);
        let half = outcome("c 0 same\nc 7 changed\nc x same\nc 1 samesame\nnoise\n").expect_err("one is missing");
        assert_eq!(
            half.to_string(),
            "setting up the time service failed on web-1: the host stopped to answer in the middle of it"
        );
        let log = hex::encode("\u{1b}[31mred\u{7}\nsecond\n".repeat(100));
        let HostError::Failed { log, .. } = outcome(&format!("c 0 failed {log}")).expect_err("it says so") else {
            panic!("it is no lock");
        };
        assert_eq!((log.len(), log[0].as_str()), (40, "[31mred"));
        assert!(outcome("c 0 failed zz").is_err());
    });
}
