//! Packages, the kernel, units, users and single settings.

use kubewright_model::digest::Digest;
use kubewright_model::host::{HostResource, SshDaemonWish, UnitRun, UnitWish, UserWish};
use kubewright_model::text::Text;

use super::host::{Host, each, nothing_beside};

fn package(name: &str) -> HostResource {
    HostResource::Package(name.into())
}

const APT: &str = "apt-get -q -y -o DPkg::Lock::Timeout=0 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold";

fn apt(calls: &[String]) -> Vec<&str> {
    calls.iter().filter_map(|call| call.strip_prefix(APT)).collect()
}

#[test]
fn all_packages_are_installed_in_one_call_with_new_lists_when_they_are_old() {
    each(|host| {
        let all = [package("curl"), HostResource::Module("overlay".into()), package("jq")];
        let calls = host.twice(&all);
        assert_eq!(apt(&calls), [" update", " --no-install-recommends install curl jq"]);
        // The lists are of today now.
        assert_eq!(apt(&host.twice(&[package("htop")])), [" --no-install-recommends install htop"]);
    });
}

#[test]
fn a_package_that_the_lists_do_not_know_asks_for_new_ones() {
    each(|host| {
        host.write("var/lib/apt/lists/partial/x", "");
        let calls = host.twice(&[package("new-thing")]);
        let install = " --no-install-recommends install new-thing";
        assert_eq!(apt(&calls), [install, " update", install]);
        assert_eq!(
            host.fails(&[package("nowhere")]),
            "installing nowhere failed on web-1: E: Unable to locate package nowhere"
        );
    });
}

#[test]
fn dnf_and_zypper_install_too() {
    each(|host| {
        host.of_another_family("dnf");
        let calls = host.twice(&[package("curl"), package("jq")]);
        assert_eq!(
            calls,
            [
                "rpm -q --quiet curl jq",
                "rpm -qa --qf %{NAME}\\n",
                "rpm -q --qf %{NAME} installed  curl jq",
                "dnf -y --setopt=install_weak_deps=False --setopt=exit_on_lock=True install curl jq",
                "rpm -qa --qf %{NAME}\\n"
            ]
        );
    });
    each(|host| {
        host.of_another_family("zypper");
        host.twice(&[package("curl"), package("jq")]);
        assert_eq!(
            host.fails(&[package("nowhere")]),
            "installing nowhere failed on web-1: Package 'nowhere' not found."
        );
    });
}

#[test]
fn modules_and_sysctls_hold_now_and_at_every_start() {
    each(|host| {
        host.write("sys/module/br_netfilter/refcnt", "0");
        host.write("proc/sys/net/ipv4/ip_forward", "0\n");
        host.write("proc/sys/net/ipv4/tcp_rmem", "1\t2\t3\n");
        host.write("proc/sys/net/ipv4/conf/eth0.1/rp_filter", "1\n");
        host.write("etc/modules-load.d/kubewright.conf", "overlay2\n");
        let sysctl = |key: &str, value: &str| HostResource::Sysctl { key: key.into(), value: value.into() };
        let calls = host.twice(&[
            HostResource::Module("br_netfilter".into()),
            HostResource::Module("nf-conntrack".into()),
            sysctl("net.ipv4.ip_forward", "1"),
            sysctl("net.ipv4.tcp_rmem", "1 2  4"),
            sysctl("net.ipv4.conf.eth0/1.rp_filter", "0"),
        ]);
        assert_eq!(calls, ["modprobe nf-conntrack"]);
        assert_eq!(host.read("etc/modules-load.d/kubewright.conf"), "overlay2\nbr_netfilter\nnf-conntrack\n");
        let settings = "net.ipv4.ip_forward = 1\nnet.ipv4.tcp_rmem = 1 2 4\nnet.ipv4.conf.eth0/1.rp_filter = 0\n";
        assert_eq!(host.read("etc/sysctl.d/90-kubewright.conf"), settings);
        assert_eq!(host.read("proc/sys/net/ipv4/ip_forward"), "1\n");
        host.twice(&[sysctl("net.ipv4.ip_forward", "0")]);
        assert!(host.read("etc/sysctl.d/90-kubewright.conf").starts_with("net.ipv4.ip_forward = 0\nnet.ipv4.tcp"));
        let why = host.fails(&[sysctl("net.ipv4.ip_forward", "1"), sysctl("net.bridge.x", "1")]);
        let missing = "setting net.bridge.x failed on web-1: this kernel has no setting net.bridge.x; ";
        assert!(why.starts_with(missing), "it names the one of them that failed: {why}");
    });
}

#[test]
fn a_container_leaves_the_kernel_to_its_hypervisor() {
    each(|host| {
        host.write("run/systemd/container", "lxc\n");
        host.write("modprobe-fails", "");
        assert_eq!(
            host.fails(&[HostResource::Module("overlay".into())]),
            "loading the module overlay failed on web-1: \
             the module overlay must be loaded by the hypervisor: this host is a container"
        );
        assert!(!host.make(&[HostResource::TimeSync]).expect("its clock is the hypervisor's").changed);
    });
}

#[test]
fn swap_goes_now_and_for_good() {
    each(|host| {
        host.write("proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n");
        host.write("etc/fstab", "# swap of old\nUUID=1 / ext4 defaults 0 1\n/dev/sda2\tnone swap sw 0 0\n");
        let calls = host.twice(&[HostResource::SwapOff]);
        assert_eq!(calls, ["swapoff -a", "systemctl daemon-reload"]);
        let fstab =
            "# swap of old\nUUID=1 / ext4 defaults 0 1\n# kubewright turned swap off: /dev/sda2\tnone swap sw 0 0\n";
        assert_eq!(host.read("etc/fstab"), fstab);
    });
}

fn unit(run: UnitRun, reads: &str) -> UnitWish {
    let content = Some("[Service]\nExecStart=/bin/true\n".into());
    UnitWish { name: "k3s.service".into(), content, enabled: true, run, reads: Digest::of(reads) }
}

/// What was done to units beside looking at them, and beside forgiving what they did before.
fn done(calls: &[String]) -> Vec<&str> {
    let quiet =
        |call: &&str| call.starts_with("systemctl show -p LoadState ") || call.starts_with("systemctl reset-failed ");
    calls.iter().map(String::as_str).filter(|call| !quiet(call)).collect()
}

#[test]
fn a_unit_runs_and_runs_again_when_it_reads_something_newer() {
    each(|host| {
        let one = HostResource::Unit(unit(UnitRun::Running, "one"));
        let other = UnitWish { name: "other.service".into(), enabled: false, ..unit(UnitRun::Oneshot, "one") };
        let calls = host.twice(&[one, HostResource::Unit(other)]);
        let wanted = [
            "systemctl daemon-reload",
            "systemctl -q enable k3s.service",
            "systemctl start k3s.service",
            "systemctl start other.service",
        ];
        assert_eq!(done(&calls), wanted);
        assert_eq!(host.read("etc/systemd/system/k3s.service"), "[Service]\nExecStart=/bin/true\n");
        assert_eq!(host.read("var/lib/kubewright/units/k3s.service.reads"), format!("{}\n", Digest::of("one")));
        let calls = host.twice(&[HostResource::Unit(unit(UnitRun::Running, "two"))]);
        assert_eq!(done(&calls), ["systemctl restart k3s.service"]);
        // It died in between: the file is there, and systemd has not read it.
        host.write("systemd/k3s.service.stale", "");
        host.make(&[HostResource::Unit(unit(UnitRun::Running, "two"))]).expect("it is done");
        assert_eq!(done(&host.calls()), ["systemctl daemon-reload"]);
        let off = UnitWish { enabled: false, ..unit(UnitRun::Running, "two") };
        assert_eq!(done(&host.twice(&[HostResource::Unit(off)])), ["systemctl -q disable k3s.service"]);
    });
}

#[test]
fn a_unit_that_reads_again_is_not_stopped_for_it() {
    each(|host| {
        let wish = |reads| UnitWish { content: None, ..unit(UnitRun::Reloading, reads) };
        host.write("systemd/k3s.service.active", "active\n");
        host.write("etc/systemd/system/k3s.service", "[Service]\n");
        let calls = host.twice(&[HostResource::Unit(wish("one"))]);
        // It was there before us, and that is written down.
        assert_eq!(done(&calls)[2..], ["systemctl -q enable k3s.service", "systemctl reload k3s.service"]);
        assert_eq!(done(&host.twice(&[HostResource::Unit(wish("two"))])), ["systemctl reload k3s.service"]);
        let another = HostResource::Unit(unit(UnitRun::Reloading, "three"));
        assert_eq!(done(&host.twice(&[another])), ["systemctl daemon-reload", "systemctl restart k3s.service"]);
    });
}

#[test]
fn a_unit_that_waits_for_its_recipe_is_only_written() {
    each(|host| {
        let calls = host.twice(&[HostResource::Unit(unit(UnitRun::ByRecipe, "one"))]);
        assert_eq!(done(&calls), ["systemctl daemon-reload"]);
        // Its recipe has started it.
        host.write("var/lib/kubewright/units/k3s.service.reads", &format!("{}\n", Digest::of("one")));
        host.write("systemd/k3s.service.active", "active\n");
        let calls = host.twice(&[HostResource::Unit(unit(UnitRun::ByRecipe, "two"))]);
        let waits = "systemctl -q is-active k3s.service";
        assert_eq!(done(&calls), ["systemctl -q enable k3s.service", "systemctl restart k3s.service", waits]);
        // A run before this one restarted it and is gone; it is not restarted once more for taking its time.
        host.write("systemd/k3s.service.active", "activating\n");
        host.write("systemd/k3s.service.next", "active\n");
        host.make(&[HostResource::Unit(unit(UnitRun::ByRecipe, "two"))]).expect("it is ready");
        assert_eq!(done(&host.calls()), [waits, "systemctl show -p ActiveState k3s.service", waits]);
        host.write("systemd/k3s.service.active", "activating\n");
        host.write("systemd/k3s.service.next", "failed\n");
        let told = host.fails(&[HostResource::Unit(unit(UnitRun::ByRecipe, "two"))]);
        assert!(told.contains("k3s.service is not ready yet"), "{told}");
        let none = UnitWish { name: "none.service".into(), content: None, ..unit(UnitRun::Running, "") };
        assert_eq!(
            host.fails(&[HostResource::Unit(none)]),
            "setting up none.service failed on web-1: this host has no unit none.service"
        );
    });
}

fn user(host: &Host) -> UserWish {
    host.write("bin-bash", "");
    UserWish {
        name: "ada.l".into(),
        authorized_keys: vec!["ssh-ed25519 AAAA it's $(ada)".into(), "ssh-rsa BBBB".into()],
        sudo: true,
        groups: vec!["sudo".into(), "docker".into()],
        shell: "/bin/sh".into(),
        password_hash: Some(Text::hole("secret/hash")),
    }
}

#[test]
fn a_user_comes_in_by_its_keys_and_may_use_sudo() {
    each(|host| {
        let wish = user(host);
        let mut holes = crate::Holes::new();
        holes.insert("secret/hash".into(), kubewright_model::secret::Secret::new("$6$salt$abcdef\n".into()));
        let change = host.change(&[HostResource::User(wish.clone())], &[]);
        let script = super::super::script(&change, &holes).expect("it can be written");
        assert!(!script.contains("salt"));
        assert_eq!(host.run(&script), "c 0 changed\n");
        let calls = host.calls();
        assert!(!calls.iter().any(|call| call.contains("salt")), "{calls:?}");
        assert!(calls.contains(&"useradd -m -s /bin/sh -U ada.l".to_string()), "{calls:?}");
        assert!(calls.contains(&"usermod -a -G sudo,docker ada.l".to_string()), "{calls:?}");
        assert_eq!(host.run(&script), "c 0 same\n");
        assert!(host.read("etc/shadow").contains("ada.l:$6$salt$abcdef:19000"));
        let keys = "# BEGIN kubewright\nssh-ed25519 AAAA it's $(ada)\nssh-rsa BBBB\n# END kubewright\n";
        assert_eq!(host.read("home/ada.l/.ssh/authorized_keys"), keys);
        assert_eq!(
            (host.mode("home/ada.l/.ssh"), host.mode("home/ada.l/.ssh/authorized_keys")),
            ("0700".into(), "0600".into())
        );
        assert_eq!(host.read("etc/sudoers.d/kubewright-ada_l"), "ada.l ALL=(ALL:ALL) NOPASSWD: ALL\n");
        assert_eq!(host.mode("etc/sudoers.d/kubewright-ada_l"), "0440");
        assert_eq!(host.read("var/lib/kubewright/users/ada.l"), format!("{}\n", wish.mark()));
    });
}

#[test]
fn a_users_wish_may_change_and_others_keys_stay() {
    each(|host| {
        let plain = UserWish { password_hash: None, ..user(host) };
        host.twice(&[HostResource::User(plain.clone())]);
        let there = host.read("home/ada.l/.ssh/authorized_keys");
        host.write("home/ada.l/.ssh/authorized_keys", &format!("ssh-rsa of-somebody\n{there}"));
        host.write("bin/zsh", "");
        host.program("zsh", "#!/bin/sh\n");
        let less = UserWish {
            authorized_keys: vec!["ssh-rsa CCCC".into()],
            sudo: false,
            groups: Vec::new(),
            shell: "/bin/zsh".into(),
            ..plain.clone()
        };
        host.twice(&[HostResource::User(less.clone())]);
        let keys = "ssh-rsa of-somebody\n# BEGIN kubewright\nssh-rsa CCCC\n# END kubewright\n";
        assert_eq!(host.read("home/ada.l/.ssh/authorized_keys"), keys);
        assert!(!host.at("etc/sudoers.d/kubewright-ada_l").exists());
        assert!(host.read("etc/passwd").contains(":/home/ada.l:/bin/zsh\n"));
        host.twice(&[HostResource::User(UserWish { authorized_keys: Vec::new(), ..less })]);
        assert_eq!(host.read("home/ada.l/.ssh/authorized_keys"), "ssh-rsa of-somebody\n", "none are wished any more");
        let nowhere = UserWish { shell: "/bin/fish".into(), ..plain.clone() };
        assert!(host.fails(&[HostResource::User(nowhere)]).contains("this host has no shell /bin/fish"));
        host.write("visudo-fails", "");
        assert!(host.fails(&[HostResource::User(plain.clone())]).contains("syntax error"));
        assert!(!host.at("etc/sudoers.d/kubewright-ada_l").exists());
        nothing_beside(host, "etc/sudoers.d");
        for name in ["ALL", "-x", "a b", "../x", "a\nb", ""] {
            let wish = UserWish { name: name.into(), ..plain.clone() };
            assert!(host.fails(&[HostResource::User(wish)]).contains("no login name"), "{name:?}");
        }
    });
}

#[test]
fn the_host_has_its_name_its_time_and_its_language() {
    each(|host| {
        host.write("usr/share/zoneinfo/Europe/Paris", "TZif");
        host.write("etc/timezone", "Etc/UTC\n");
        host.write("usr/share/i18n/SUPPORTED", "fr_FR ISO-8859-1\nfr_FR.UTF-8 UTF-8\n");
        host.write("etc/locale.gen", "# fr_FR.UTF-8 UTF-8\n");
        host.write("etc/default/locale", "#  File\nLANG=C\nLC_TIME=C\n");
        let calls = host.twice(&[
            HostResource::Hostname("web-1".into()),
            HostResource::Timezone("Europe/Paris".into()),
            HostResource::Locale("fr_FR.UTF-8".into()),
            HostResource::TimeSync,
        ]);
        let wanted =
            ["hostnamectl set-hostname web-1", "locale-gen", "systemctl -q enable --now systemd-timesyncd.service"];
        for wanted in wanted {
            assert!(calls.iter().any(|call| call == wanted), "{calls:?}");
        }
        assert_eq!(host.read("etc/hostname"), "web-1\n");
        assert_eq!(host.read("etc/timezone"), "Europe/Paris\n");
        let link = std::fs::read_link(host.at("etc/localtime")).expect("a link");
        assert_eq!(link.to_str(), Some("../usr/share/zoneinfo/Europe/Paris"));
        assert_eq!(host.read("etc/default/locale"), "#  File\nLANG=fr_FR.UTF-8\nLC_TIME=C\n");
        assert!(host.fails(&[HostResource::Timezone("Mars/North".into())]).contains("knows no time zone Mars/North"));
    });
}

/// Sets the SSH daemon up, comes in by the new way, and does it again; the calls of the first time.
fn moved(host: &Host, port: u16, harden: bool) -> Vec<String> {
    let wish = [HostResource::SshDaemon(SshDaemonWish { port, harden })];
    host.calls();
    assert!(host.make(&wish).expect("it is done").changed);
    let calls = host.calls();
    // Nobody came in yet, so whoever comes second is told to prove it.
    assert!(host.make(&wish).expect("it is done").changed);
    assert_eq!(host.run(&super::super::ssh_daemon_proven()), "c 0 same\n");
    assert!(!host.make(&wish).expect("it is done").changed);
    host.calls();
    calls
}

#[test]
fn a_way_in_that_nobody_proves_is_taken_back_by_the_host_itself() {
    each(|host| {
        host.write("etc/ssh/sshd_config", "Port 22\n");
        host.write("systemd/ssh.service.active", "active\n");
        let change = host.change(&[HostResource::SshDaemon(SshDaemonWish { port: 2222, harden: false })], &[]);
        let script = super::super::script(&change, &crate::Holes::new()).expect("it can be written");
        let soon = script.replacen(" 120 ", " 1 ", 1);
        assert_ne!(soon, script);
        assert_eq!(host.run(&soon), "c 0 changed\n");
        assert!(host.read("etc/ssh/sshd_config").contains("# kubewright"));
        let begun = std::time::Instant::now();
        while host.at("etc/ssh/sshd_config.d/00-kubewright.conf").exists() {
            assert!(begun.elapsed().as_secs() < 20, "it stays");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let begun = std::time::Instant::now();
        while host.read("etc/ssh/sshd_config") != "Port 22\n" {
            assert!(begun.elapsed().as_secs() < 20, "it stays");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
}

#[test]
fn the_ssh_daemon_listens_elsewhere_and_takes_keys_only() {
    each(|host| {
        host.write("etc/ssh/sshd_config", "Port 22\nPasswordAuthentication yes\nUsePAM yes\n");
        host.write("etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication yes\n");
        host.write("sys/fs/selinux/enforce", "1");
        host.write("systemd/ssh.service.active", "active\n");
        let calls = moved(host, 2222, true);
        let does: Vec<&str> = calls.iter().map(String::as_str).filter(|call| !call.contains("is-active")).collect();
        assert!(does.contains(&"semanage port -a -t ssh_port_t -p tcp 2222"), "{does:?}");
        assert_eq!(does.last(), Some(&"systemctl reload ssh.service"), "{does:?}");
        let ours = "# Written by kubewright.\nPort 2222\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
            PermitRootLogin no\n";
        assert_eq!(host.read("etc/ssh/sshd_config.d/00-kubewright.conf"), ours);
        let main = "Include /etc/ssh/sshd_config.d/*.conf\n# kubewright says it in its own file: Port 22\n\
            PasswordAuthentication yes\nUsePAM yes\n";
        assert_eq!(host.read("etc/ssh/sshd_config"), main);
        // Whoever could not come in by the new way puts the old one back.
        assert_eq!(host.run(&super::super::ssh_daemon_back()), "c 0 changed\n");
        assert_eq!(host.read("etc/ssh/sshd_config"), "Port 22\nPasswordAuthentication yes\nUsePAM yes\n");
        assert!(!host.at("etc/ssh/sshd_config.d/00-kubewright.conf").exists());
    });
}

#[test]
fn a_socket_that_listens_for_the_ssh_daemon_moves_too() {
    each(|host| {
        host.write("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n");
        host.write("systemd/ssh.socket.active", "active\n");
        let calls = moved(host, 2222, false);
        let wanted = ["systemctl daemon-reload", "systemctl stop ssh.socket ssh.service", "systemctl start ssh.socket"];
        assert_eq!(calls[calls.len() - 3..], wanted);
        let socket = "[Socket]\nListenStream=\nListenStream=2222\n";
        assert_eq!(host.read("etc/systemd/system/ssh.socket.d/zz-kubewright.conf"), socket);
        // Ubuntu makes it from sshd's own configuration.
        host.write("usr/lib/systemd/system-generators/sshd-socket-generator", "");
        moved(host, 2223, false);
        assert_eq!(host.read("etc/systemd/system/ssh.socket.d/zz-kubewright.conf"), socket);
        // One that did not come up again is started all the same by whoever takes it back.
        host.write("systemd/ssh.socket.active", "failed\n");
        assert_eq!(host.run(&super::super::ssh_daemon_back()), "c 0 changed\n");
        assert_eq!(host.read("systemd/ssh.socket.active"), "active\n");
    });
}
