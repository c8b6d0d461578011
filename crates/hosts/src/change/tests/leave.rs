//! A host that is left is as it was before us.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use kubewright_model::digest::Digest;
use kubewright_model::host::{
    Artifact, DirectoryWish, DownloadWish, FileWish, HostResource, Mode, Proof, RepositoryWish, SshDaemonWish, UnitRun,
    UnitWish, UserWish,
};
use kubewright_model::ids::Owner;
use kubewright_model::plan::HostChange;

use super::super::{outcome, script};
use super::host::{Host, each};
use crate::Holes;

/// Everything below a folder: what it is, its mode, and what is in it.
fn listing(host: &Host) -> BTreeMap<String, String> {
    fs::create_dir_all(host.at("var/lib")).expect("every host has it");
    fn walk(root: &Path, at: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(at).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below it").display().to_string();
            // What the stand-ins note for themselves, and what no test puts back.
            if ["calls", "bin", "systemd", "new-lists", "var/lib/apt", "run/sshd"].iter().any(|it| name.starts_with(it))
            {
                continue;
            }
            let meta = fs::symlink_metadata(&path).expect("it is there");
            let mode = meta.permissions().mode();
            if meta.is_symlink() {
                found.insert(name, format!("to {}", fs::read_link(&path).expect("a link").display()));
            } else if meta.is_dir() {
                found.insert(name, format!("{mode:o}"));
                walk(root, &path, found);
            } else {
                found.insert(
                    name,
                    format!("{mode:o} {:?}", fs::read(&path).map(|it| String::from_utf8_lossy(&it).into_owned())),
                );
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(host.root.path(), host.root.path(), &mut found);
    found
}

/// Makes it, makes the other, leaves: all is as it was, and leaving again is nothing. Returns the calls of leaving.
fn there_and_back(host: &Host, make: &[HostResource], other: &[HostResource]) -> Vec<String> {
    let before = listing(host);
    assert!(host.make(make).expect("it is done").changed);
    let noted = host.ours();
    host.make(other).expect("it is done");
    assert!(noted.iter().all(|key| host.ours().contains(key)), "{noted:?}");
    host.calls();
    let keys = host.ours();
    assert!(host.unmake(&keys).expect("it is put back").changed);
    let calls = host.calls();
    assert_eq!(listing(host), before);
    assert!(!host.unmake(&keys).expect("it is as it was").changed);
    calls
}

fn text(path: &str, text: &str, mode: u32) -> HostResource {
    HostResource::File(FileWish::new(path, text, mode))
}

fn user(name: &str) -> UserWish {
    UserWish {
        name: name.into(),
        authorized_keys: vec!["ssh-ed25519 AAAA ours".into()],
        sudo: true,
        groups: Vec::new(),
        shell: "/bin/sh".into(),
        password_hash: None,
    }
}

fn unit(name: &str, content: Option<&str>) -> HostResource {
    HostResource::Unit(UnitWish {
        name: name.into(),
        content: content.map(Into::into),
        enabled: true,
        run: UnitRun::Running,
        reads: Digest::of(name),
    })
}

#[test]
fn files_links_and_blocks_are_as_they_were_to_the_byte() {
    each(|host| {
        host.write("etc/theirs", "theirs, without an end");
        host.write("etc/hosts", "127.0.0.1 localhost");
        host.write("srv/tool", "#!/bin/sh\n");
        symlink("theirs", host.at("etc/link")).expect("a link");
        symlink("/nowhere", host.at("etc/dangling")).expect("a link");
        fs::set_permissions(host.at("etc/theirs"), fs::Permissions::from_mode(0o604)).expect("it is ours");
        let block = |path: &str, line: &str| HostResource::Block { path: path.into(), lines: vec![line.into()] };
        let link = |path: &str, target: &str| HostResource::Link { path: path.into(), target: target.into() };
        let make = |word: &str| {
            [
                text("/etc/theirs", word, 0o640),
                text("/etc/dangling", word, 0o640),
                text("/etc/new 100%/deep/%2f it's", word, 0o600),
                block("/etc/hosts", word),
                block("/etc/none", word),
                link("/etc/link", word),
                link("/srv/tool", word),
                link("/opt/here", word),
            ]
        };
        there_and_back(host, &make("one\n"), &make("two\n"));
    });
}

#[test]
fn folders_repositories_and_holds_are_as_they_were() {
    each(|host| {
        host.write("packages", "curl\n");
        host.write("holds", "");
        host.write("srv/theirs/file", "");
        fs::set_permissions(host.at("srv/theirs"), fs::Permissions::from_mode(0o711)).expect("it is ours");
        fs::create_dir_all(host.at("etc/apt/sources.list.d")).expect("a folder");
        let directory = |path: &str, mode: u32| {
            HostResource::Directory(DirectoryWish { path: path.into(), mode: Mode(mode), owner: "0:0".into() })
        };
        let make = |mode| {
            let repository = RepositoryWish {
                name: "tools".into(),
                url: "https://packages.example.org/deb/".into(),
                suites: Vec::new(),
                components: Vec::new(),
                key: "-----BEGIN PGP PUBLIC KEY BLOCK-----".into(),
            };
            let repository = HostResource::Repository(repository);
            [
                directory("/srv/theirs", mode),
                directory("/srv/ours/deep", mode),
                repository,
                HostResource::Hold("curl".into()),
            ]
        };
        there_and_back(host, &make(0o755), &make(0o700));
    });
}

#[test]
fn what_others_did_meanwhile_stays() {
    each(|host| {
        host.write("etc/hosts", "127.0.0.1 localhost\n");
        let block = |path: &str| HostResource::Block { path: path.into(), lines: vec!["ours".into()] };
        host.make(&[block("/etc/hosts"), block("/etc/none"), text("/etc/new/ours", "ours", 0o600)])
            .expect("it is done");
        host.write("etc/hosts", &format!("::1 six\n{}", host.read("etc/hosts")));
        host.write("etc/none", &format!("{}theirs\n", host.read("etc/none")));
        host.write("etc/new/theirs", "");
        let report = host.unmake(&host.ours()).expect("it is put back");
        assert_eq!(report.told, ["/etc/new stays: it is not empty"]);
        assert_eq!(host.read("etc/hosts"), "::1 six\n127.0.0.1 localhost\n");
        assert_eq!((host.read("etc/none"), host.at("etc/new/ours").exists()), ("theirs\n".into(), false));
        assert!(host.at("etc/new/theirs").exists() && !host.at("var/lib/kubewright").exists());
    });
}

#[test]
fn what_was_true_before_us_is_not_ours() {
    each(|host| {
        host.write("etc/theirs", "same");
        host.write("packages", "curl\n");
        fs::set_permissions(host.at("etc/theirs"), fs::Permissions::from_mode(0o600)).expect("it is ours");
        assert!(
            !host
                .make(&[text("/etc/theirs", "same", 0o600), HostResource::Package("curl".into())])
                .expect("so")
                .changed
        );
        assert_eq!(host.ours(), Vec::<String>::new());
        assert!(!host.at("var/lib/kubewright").exists());
    });
}

#[test]
fn the_kernel_and_single_settings_are_as_they_were() {
    each(|host| {
        host.write("proc/sys/net/ipv4/ip_forward", "0\n");
        host.write("proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n");
        host.write("dev/sda2", "");
        host.write("etc/fstab", "UUID=1 / ext4 defaults 0 1\n/dev/sda2\tnone swap sw 0 0");
        host.write("sys/module/br_netfilter/refcnt", "0");
        host.write("etc/hostname", "old\n");
        host.write("etc/timezone", "Etc/UTC\n");
        host.write("usr/share/zoneinfo/Europe/Paris", "");
        host.write("etc/default/locale", "LC_TIME=C\nLANG=C\n");
        host.write("locales", "fr_FR.utf8\n");
        symlink("/usr/share/zoneinfo/Etc/UTC", host.at("etc/localtime")).expect("a link");
        let sysctl = |value: &str| HostResource::Sysctl { key: "net.ipv4.ip_forward".into(), value: value.into() };
        let make = [
            HostResource::Module("br_netfilter".into()),
            sysctl("1"),
            HostResource::SwapOff,
            HostResource::Hostname("new".into()),
            HostResource::Timezone("Europe/Paris".into()),
        ];
        let calls = there_and_back(host, &make, &[sysctl("2"), HostResource::Hostname("newer".into())]);
        assert_eq!(calls, ["systemctl daemon-reload", "swapon -a", "hostnamectl set-hostname localhost"]);
    });
}

#[test]
fn units_are_in_the_state_that_they_were_in() {
    each(|host| {
        host.write("etc/systemd/system/own.service", "[Service]\nExecStart=/bin/their\n");
        host.write("vendor/haproxy.service", "");
        host.write("usr/lib/systemd/system/haproxy.service", "");
        host.write("systemd/own.service.active", "active");
        host.write("systemd/own.service.enabled", "enabled");
        let make = |word: &str| {
            [unit("new.service", Some(word)), unit("own.service", Some(word)), unit("haproxy.service", None)]
        };
        let state = |unit: &str| {
            ["active", "enabled"]
                .map(|what| fs::read_to_string(host.at(&format!("systemd/{unit}.{what}"))).unwrap_or_default())
        };
        let calls = there_and_back(host, &make("one"), &make("two"));
        let calls: Vec<&str> = calls.iter().filter(|call| !call.contains(" is-")).map(String::as_str).collect();
        assert_eq!(
            calls,
            [
                "systemctl stop haproxy.service",
                "systemctl stop new.service",
                "systemctl -q disable haproxy.service",
                "systemctl -q disable new.service",
                "systemctl daemon-reload",
                "systemctl daemon-reload",
                "systemctl reset-failed own.service",
                "systemctl restart own.service",
            ]
        );
        assert_eq!(state("own.service").map(|it| it.trim().to_string()), ["active", "enabled"]);
        assert_eq!(state("haproxy.service").map(|it| it.trim().to_string()), ["inactive", "disabled"]);
    });
}

#[test]
fn a_unit_that_systemd_has_from_elsewhere_is_not_ours() {
    each(|host| {
        // The stand-in knows it, and none of the places where units usually are has it.
        host.write("vendor/made.service", "");
        host.write("systemd/made.service.active", "active\n");
        host.write("systemd/made.service.enabled", "enabled\n");
        std::fs::create_dir_all(host.at("etc/systemd/system")).expect("a folder");
        there_and_back(host, &[unit("made.service", Some("ours"))], &[unit("made.service", Some("ours too"))]);
        let state = ["active", "enabled"].map(|what| host.read(&format!("systemd/made.service.{what}")));
        assert_eq!(state, ["active\n", "enabled\n"]);
    });
}

#[test]
fn people_go_whom_we_made_and_others_are_as_they_were() {
    each(|host| {
        host.write("etc/group", "root:x:0:\nadm:x:4:\n");
        host.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nada:x:0:0::/home/ada:/bin/theirs\n");
        host.write("home/ada/.ssh/authorized_keys", "ssh-ed25519 AAAA theirs\n");
        host.write("offers/visudo", "");
        fs::set_permissions(host.at("home/ada/.ssh"), fs::Permissions::from_mode(0o750)).expect("it is ours");
        host.write("etc/sudoers.d/theirs", "");
        let groups = vec!["adm".to_string(), "build".to_string()];
        let make = [HostResource::User(UserWish { groups, ..user("ada") }), HostResource::User(user("grace"))];
        let other = [HostResource::User(UserWish { sudo: false, ..user("ada") })];
        let before = listing(host);
        host.make(&make).expect("it is done");
        host.make(&other).expect("it is done");
        // The stand-in for usermod keeps its own book of groups.
        fs::remove_file(host.at("groups-of-ada")).expect("it was there");
        host.write("etc/group", "root:x:0:\nadm:x:4:ada\nbuild:x:990:ada\n");
        host.calls();
        assert!(host.unmake(&host.ours()).expect("it is put back").changed);
        let calls = host.calls();
        assert_eq!(
            calls,
            [
                "gpasswd -d ada adm",
                "gpasswd -d ada build",
                "usermod -s /bin/theirs ada",
                "userdel -r grace",
                "groupdel build",
            ]
        );
        assert_eq!(listing(host), before);
    });
}

#[test]
fn who_we_come_in_as_stays_and_so_does_its_sudo() {
    each(|host| {
        host.write("packages", "");
        host.write("offers/visudo", "");
        host.make(&[HostResource::User(user("admin")), HostResource::Package("sudo".into())]).expect("it is done");
        let report = host.unmake(&host.ours()).expect("the rest is put back");
        assert_eq!(
            report.told,
            [
                "user admin stays: admin is who we come in as",
                "group admin stays: admin is who we come in as",
                "package sudo stays: admin is who we come in as",
                "/home/admin/.ssh stays: it is not empty",
                "/etc/sudoers.d stays: it is not empty",
            ]
        );
        assert!(host.read("etc/passwd").contains("admin:") && host.at("etc/sudoers.d/kubewright-admin").exists());
        assert_eq!((host.read("packages"), host.ours()), ("sudo\n".into(), Vec::new()));
        assert!(!host.at("var/lib/kubewright").exists());
    });
}

#[test]
fn who_we_are_on_the_host_stays_whoever_was_asked_for() {
    each(|host| {
        host.write("packages", "");
        host.write("offers/visudo", "");
        let groups = vec!["adm".to_string()];
        let make = [HostResource::User(UserWish { groups, ..user("ops") }), HostResource::Package("sudo".into())];
        host.make(&make).expect("it is done");
        let mut change = host.change(&[], &host.ours());
        change.way.user = "root".into();
        let script = script(&change, &Holes::new()).expect("it can be written");
        let answer = host.run(&format!("SUDO_USER=ops\n{script}"));
        let report = outcome(&change, &Holes::new(), &answer).expect("the rest is put back");
        let stay = ["membership of ops in adm", "user ops", "group ops", "package sudo"];
        assert_eq!(report.told[..4], stay.map(|key| format!("{key} stays: ops is who we come in as")));
        assert!(host.read("etc/passwd").contains("ops:") && host.at("etc/sudoers.d/kubewright-ops").exists());
        assert_eq!((host.read("packages"), host.ours()), ("sudo\n".into(), Vec::new()));
    });
}

#[test]
fn a_user_who_cannot_go_keeps_what_it_comes_in_by() {
    each(|host| {
        host.write("offers/visudo", "");
        host.make(&[HostResource::User(user("ops"))]).expect("it is done");
        host.program("userdel", "#!/bin/sh\necho \"userdel: user $2 is currently used by process 7\" >&2; exit 8\n");
        let why = host.unmake(&host.ours()).expect_err("somebody is in there").to_string();
        assert_eq!(why, "putting back user ops failed on web-1: userdel: user ops is currently used by process 7");
        assert!(host.at("etc/sudoers.d/kubewright-ops").exists());
    });
}

#[test]
fn nothing_is_followed_in_a_users_home() {
    each(|host| {
        host.write("offers/visudo", "");
        host.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbob:x:0:0::/home/bob:/bin/sh\n");
        host.write("home/bob/.ssh/authorized_keys", "root::0:0::/root:/bin/sh\n");
        fs::set_permissions(host.at("home/bob/.ssh"), fs::Permissions::from_mode(0o773)).expect("it is ours");
        for way in ["authorized_keys", "folder"] {
            host.make(&[HostResource::User(user("bob"))]).expect("it is done");
            if way == "folder" {
                fs::rename(host.at("home/bob/.ssh"), host.at("home/bob/aside")).expect("it is bob's");
                fs::create_dir_all(host.at("etc/cron.d")).expect("a folder");
                symlink(host.at("etc/cron.d"), host.at("home/bob/.ssh")).expect("a link");
            } else {
                let keys = host.read("home/bob/.ssh/authorized_keys");
                host.write("secret", &keys);
                fs::remove_file(host.at("home/bob/.ssh/authorized_keys")).expect("it is bob's");
                symlink(host.at("secret"), host.at("home/bob/.ssh/authorized_keys")).expect("a link");
            }
            let before = host.at("secret").exists().then(|| host.read("secret"));
            let report = host.unmake(&host.ours()).expect("it is put back");
            assert_eq!(report.told, ["/home/bob/.ssh/authorized_keys stays as it is: a link leads there"]);
            assert_eq!(before, host.at("secret").exists().then(|| host.read("secret")));
            if way == "folder" {
                assert_eq!(host.mode("etc/cron.d"), "0755");
                assert!(!host.at("etc/cron.d/authorized_keys").exists());
            } else {
                fs::remove_file(host.at("home/bob/.ssh/authorized_keys")).expect("it is bob's");
            }
        }
    });
}

#[test]
fn what_was_ours_before_anything_was_written_down_is_no_state_to_go_back_to() {
    each(|host| {
        host.write("offers/visudo", "");
        host.write("mirror/one", "one");
        host.write("mirror/two", "two");
        host.write("etc/ssh/sshd_config", "");
        let make = |word: &str, port| {
            let artifact = Artifact {
                name: format!("k3s {word}"),
                url: format!("https://mirror.test/{word}"),
                proof: Proof::Sha256(Digest::of(word)),
            };
            let repository = RepositoryWish {
                name: "tools".into(),
                url: format!("https://packages.example.org/{word}/"),
                suites: Vec::new(),
                components: Vec::new(),
                key: "-----BEGIN PGP PUBLIC KEY BLOCK-----".into(),
            };
            let download =
                DownloadWish { path: "/usr/local/bin/k3s".into(), artifact, member: None, mode: Mode(0o755) };
            [
                HostResource::Repository(repository),
                HostResource::User(UserWish { authorized_keys: vec![word.into()], ..user("ops") }),
                HostResource::Download(download),
                unit("k3s.service", Some(word)),
                HostResource::SshDaemon(SshDaemonWish { port, harden: true }),
            ]
        };
        host.make(&make("one", 2222)).expect("it is done");
        fs::remove_dir_all(host.at("var/lib/kubewright/before")).expect("it was there");
        host.make(&make("two", 2223)).expect("it is done");
        assert_eq!(host.ours(), Vec::<String>::new());
        // What was forgotten by then is made by us as on any other host.
        fs::remove_dir_all(host.at("var/lib/kubewright")).expect("it was there");
        host.make(&make("one", 2222)).expect("it is done");
        assert!(host.ours().contains(&"unit k3s.service".to_string()), "{:?}", host.ours());
    });
}

#[test]
fn packages_go_unless_others_need_them() {
    each(|host| {
        host.write("packages", "base\n");
        host.write("brings", "libjq\nlibused\n");
        let all = ["curl", "jq", "haproxy"].map(|name| HostResource::Package(name.into()));
        host.make(&all).expect("it is done");
        host.write("packages", &format!("{}liborphan\ntheirs\n", host.read("packages")));
        host.write("needs", "theirs curl\n");
        host.write("along", "libjq\nliborphan\nbase\n");
        let report = host.unmake(&host.ours()).expect("it is put back");
        assert_eq!(report.told, ["what others need by now stays: curl"]);
        assert_eq!(host.read("packages"), "base\nlibused\ncurl\nliborphan\ntheirs\n");
        assert!(host.calls().contains(&"apt-mark auto curl".to_string()));
    });
    for manager in ["dnf", "zypper"] {
        each(|host| {
            host.of_another_family(manager);
            host.write("packages", "base\n");
            host.write("brings", "libjq\n");
            host.make(&["curl", "base", "jq"].map(|name| HostResource::Package(name.into()))).expect("it is done");
            host.write("needs", "theirs curl\n");
            let report = host.unmake(&host.ours()).expect("it is put back");
            assert_eq!(report.told, ["what others need by now stays: curl", "what came along with ours stays: libjq"]);
            assert_eq!(host.read("packages"), "base\ncurl\nlibjq\n");
        });
    }
}

#[test]
fn what_came_along_with_an_installation_that_failed_goes_too() {
    each(|host| {
        host.write("packages", "base\n");
        host.write("brings", "libjq\n");
        host.fails(&["jq", "nowhere"].map(|name| HostResource::Package(name.into())));
        fs::remove_file(host.at("brings")).expect("it was there");
        host.make(&[HostResource::Package("curl".into())]).expect("it is done");
        host.write("needs", "");
        host.write("along", "libjq\n");
        assert!(host.unmake(&host.ours()).expect("it is put back").changed);
        assert_eq!(host.read("packages"), "base\n");
    });
}

#[test]
fn what_went_for_ours_is_told_and_what_needs_another_of_ours_goes_before_it() {
    each(|host| {
        host.write("packages", "systemd-timesyncd\ntheirs\n");
        host.write("pushes", "systemd-timesyncd");
        host.make(&["a", "b", "c"].map(|name| HostResource::Package(name.into()))).expect("it is done");
        host.write("needs", "b a\ntheirs c\n");
        let report = host.unmake(&host.ours()).expect("it is put back");
        let told = ["what others need by now stays: c", "what went when ours came is not back: systemd-timesyncd"];
        assert_eq!((report.told, host.read("packages")), (told.map(String::from).to_vec(), "theirs\nc\n".into()));
    });
}

#[test]
fn swap_that_cannot_be_turned_on_any_more_is_told() {
    each(|host| {
        let swaps = "/dev/sda2 partition 1 0 -2\n/dev/gone partition 1 0 5\n";
        host.write("proc/swaps", &format!("Filename Type Size Used Priority\n{swaps}"));
        host.write("etc/fstab", "UUID=1\tnone swap sw 0 0\n");
        host.make(&[HostResource::SwapOff]).expect("it is done");
        let report = host.unmake(&host.ours()).expect("the rest is put back");
        assert_eq!(report.told, ["swap stays off that nobody can turn on any more: /dev/gone"]);
        assert!(host.read("proc/swaps").ends_with("/dev/sda2 partition 1 0 -2\n"));
    });
}

#[test]
fn what_is_wished_later_is_as_it_was_too() {
    each(|host| {
        host.write("offers/visudo", "");
        host.write("etc/sudoers.d/theirs", "");
        host.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbob:x:0:0::/home/bob:/bin/sh\n");
        for was in ["$6$theirs", ""] {
            host.write("etc/shadow", &format!("bob:{was}:19000:0:99999:7:::\n"));
            host.write("etc/systemd/system/own.service", "[Service]\nExecStart=/bin/their\n");
            host.write("home/bob/file", "");
            let hash = Some("$6$ours".into());
            let other = [
                HostResource::User(UserWish { password_hash: hash, ..user("bob") }),
                unit("own.service", Some("ours")),
            ];
            host.write("systemd/own.service.active", "inactive\n");
            host.write("systemd/own.service.enabled", "disabled\n");
            there_and_back(host, &[HostResource::User(user("bob")), unit("own.service", None)], &other);
        }
    });
}

#[test]
fn what_stood_at_a_path_first_comes_back_whatever_stood_there_since() {
    each(|host| {
        let link = HostResource::Link { path: "/etc/motd".into(), target: "/srv/motd".into() };
        let file = text("/etc/motd", "ours\n", 0o644);
        for (first, then) in [(&link, &file), (&file, &link)] {
            host.write("etc/motd", "theirs\n");
            let before = listing(host);
            host.make(std::slice::from_ref(first)).expect("it is done");
            host.make(std::slice::from_ref(then)).expect("it is done");
            host.unmake(&host.ours()).expect("it is put back");
            assert_eq!(listing(host), before);
        }
    });
}

#[test]
fn whose_a_host_is_stays_until_the_last_thing_is_back() {
    each(|host| {
        let motd = [text("/etc/motd", "hello\n", 0o644), text("/etc/issue", "hello\n", 0o644)];
        let of = |name: &str| HostChange { owner: Some(Owner(name.into())), ..host.change(&motd, &[]) };
        host.do_all(&of("office2")).expect("it was nobody's");
        assert_eq!(host.read("var/lib/kubewright/owner"), "office2\n");
        host.do_all(&of("office2")).expect("it is office2's");
        let before = listing(host);
        let error = host.do_all(&of("lab")).expect_err("it is not lab's").to_string();
        assert!(error.contains("the host belongs to the cluster office2"), "{error}");
        let leaves =
            |name: &str| HostChange { owner: Some(Owner(name.into())), ..host.change(&[], &["file /etc/motd".into()]) };
        let error = host.do_all(&leaves("lab")).expect_err("what is office2's is not put back for lab").to_string();
        assert!(error.contains("the host belongs to the cluster office2"), "{error}");
        assert_eq!(listing(host), before, "nothing was touched");
        host.write("var/lib/kubewright/owner", "");
        host.do_all(&of("office2")).expect("who wrote it was cut off");
        assert_eq!(host.read("var/lib/kubewright/owner"), "office2\n");
        host.unmake(&["file /etc/motd".into()]).expect("it is put back");
        assert_eq!(host.read("var/lib/kubewright/owner"), "office2\n", "it is still office2's");
        host.unmake(&host.ours()).expect("it is left");
        assert!(!host.at("var/lib/kubewright").exists());
        // What an older version has left there is no reason not to go.
        host.write("var/lib/kubewright/users/bob", "");
        host.do_all(&of("lab")).expect("it is nobody's again");
        host.unmake(&host.ours()).expect("it is left");
        assert!(!host.at("var/lib/kubewright").exists());
    });
}

#[test]
fn a_label_that_is_gone_already_is_no_failure() {
    each(|host| {
        host.write("sys/fs/selinux/enforce", "1");
        host.write("etc/ssh/sshd_config", "Port 22\n");
        host.make(&[HostResource::SshDaemon(SshDaemonWish { port: 2222, harden: false })]).expect("it is done");
        assert_eq!(host.read("labels"), "2222\n");
        let key = host.at("var/lib/kubewright/before/absent/port label 2222");
        assert!(
            host.unmake(&["port label 2222".into()]).expect("it is put back").changed && !host.at("labels").exists()
        );
        // One that was cut off before it was forgotten.
        fs::write(&key, "").expect("written");
        assert!(host.unmake(&["port label 2222".into()]).expect("it was so").changed && !key.exists());
    });
}

#[test]
fn the_daemon_is_where_it_was() {
    each(|host| {
        host.write("etc/ssh/sshd_config", "Port 22\nPermitRootLogin yes\n");
        std::fs::create_dir_all(host.at("etc/systemd/system")).expect("a folder");
        let sshd = |port| HostResource::SshDaemon(SshDaemonWish { port, harden: true });
        there_and_back(host, &[sshd(2222)], &[sshd(2223)]);
    });
}

#[test]
fn a_key_that_nobody_knows_is_refused() {
    each(|host| {
        for key in ["", "gadget x", "file ", "file etc/x", "file /etc/../x", "user -x", "swap x", "membership of a"] {
            let why = host.unmake(&[key.to_string()]).expect_err("it is none");
            assert!(why.to_string().contains("failed on web-1"), "{why}");
        }
    });
}
