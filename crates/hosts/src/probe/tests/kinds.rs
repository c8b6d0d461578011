//! Every kind of resource: true, not there, and another one, through real shells.

use std::net::Ipv4Addr;
use std::sync::Arc;

use kubewright_model::digest::Digest;
use kubewright_model::facts::{HostFacts, Lack, Virtualisation};
use kubewright_model::host::{
    Artifact, DirectoryWish, DownloadWish, FileWish, HostResource, HostsEntry, Mode, Proof, RepositoryWish,
    SshDaemonWish, UnitRun, UnitWish, UserWish,
};
use kubewright_model::ids::Owner;
use kubewright_model::observed::{CloudInit, HostSeen, KubernetesSeen, SHOWN_TEXT, UserSeen};
use kubewright_model::programs::{RESTORE, RKE2};
use kubewright_model::text::Text;
use kubewright_model::version::Version;

use super::super::ParseError;
use super::super::script::download_record;
use super::host::{Host, shells};

/// What a planner calls "no difference".
fn holds(resource: &HostResource, seen: &HostSeen) -> bool {
    match resource {
        HostResource::Package(name) => seen.packages.contains(name),
        HostResource::Module(name) => seen.modules.contains(name),
        HostResource::Sysctl { key, value } => seen.sysctls.get(key) == Some(value),
        HostResource::File(file) => seen.files.get(&file.path).is_some_and(|there| {
            Some(&there.digest) == file.content.digest().as_ref()
                && there.mode == file.mode
                && there.owner == file.owner
        }),
        HostResource::Block { path, lines } | HostResource::Lines { path, lines } => {
            seen.blocks.get(path) == Some(lines)
        }
        HostResource::HostsEntries(entries) => {
            seen.blocks.get("/etc/hosts") == Some(&entries.iter().map(HostsEntry::line).collect())
        }
        HostResource::Download(wish) => {
            let known = seen.settings.get(&resource.key()) == resource.setting().as_ref();
            seen.files.get(&wish.path).is_some_and(|there| {
                there.mode == wish.mode
                    && match &wish.artifact.proof {
                        Proof::Sha256(digest) => *digest == there.digest,
                        Proof::Checksums { .. } => known,
                    }
            })
        }
        HostResource::Link { path, target } => seen.links.get(path) == Some(target),
        HostResource::Unit(unit) => seen.units.get(&unit.name).is_some_and(|there| {
            let runs = unit.run != UnitRun::ByRecipe || there.reads.is_some();
            let written = unit.content.as_ref().is_none_or(|content| content.digest() == there.content);
            let placed = written && (unit.enabled && runs) == there.enabled && (!runs || there.active);
            let fresh = unit.run == UnitRun::Oneshot || !there.active || there.reads.as_ref() == Some(&unit.reads);
            placed && fresh
        }),
        HostResource::User(user) => seen.users.get(&user.name).is_some_and(|there| there.lines(user) == user.lines()),
        other => seen.settings.get(&other.key()) == other.setting().as_ref(),
    }
}

/// Whether a resource is true of a host.
fn is(host: &Host, resource: &HostResource) -> bool {
    holds(resource, &host.look(std::slice::from_ref(resource)))
}

#[test]
fn a_host_with_nothing_asked() {
    let facts = Host::debian().look(&[]);
    assert_eq!((facts.os.as_str(), facts.arch.as_str()), ("Debian 12", "amd64"));
    assert_eq!(facts.kubernetes, None);
    let more = facts.facts.expect("they were told");
    assert_eq!((more.cpus, more.memory_mib, more.cgroup), (Some(2), Some(3932), Some(2)));
    assert_eq!((more.kmsg, more.proc_sys_writable), (false, true));
    assert_eq!(more.listening.into_iter().collect::<Vec<_>>(), [2222]);
    assert_eq!(more.addresses[0].address, Ipv4Addr::new(10, 0, 0, 5));
    assert_eq!(more.virtualisation, Some(Virtualisation::Vm));
}

#[test]
fn what_guards_a_host_is_told() {
    let host = Host::debian();
    let facts = |host: &Host| host.look(&[]).facts.expect("they were told");
    assert_eq!((facts(&host).firewalld, facts(&host).selinux), (false, None));
    host.write("/sys/fs/cgroup/system.slice/firewalld.service/cgroup.procs", "12\n");
    host.write("/sys/fs/selinux/enforce", "1");
    assert_eq!((facts(&host).firewalld, facts(&host).selinux), (true, Some([].into())));
    host.write("/usr/share/selinux/packages/rke2.pp", "");
    assert_eq!(facts(&host).selinux, Some(["rke2".to_string()].into()));
    host.write("/sys/fs/selinux/enforce", "0");
    assert_eq!(facts(&host).selinux, None, "it only tells");
}

#[test]
fn a_default_route_of_either_version_leads_out() {
    let host = Host::debian();
    let leads = || host.look(&[]).facts.expect("they were told").default_route;
    assert_eq!(leads(), None, "nobody can tell");
    let head = "Iface\tDestination\tGateway \tFlags\n";
    let near = "eth0\t0000000A\t00000000\t0001\n";
    host.write("/proc/net/route", &format!("{head}{near}"));
    let none = "0".repeat(32);
    let nowhere = format!("{none} 00 {none} 00 {none} ffffffff 00000001 00000000 00200200       lo\n");
    host.write("/proc/net/ipv6_route", &nowhere);
    assert_eq!(leads(), Some(false));
    host.write(
        "/proc/net/ipv6_route",
        &format!("{nowhere}{none} 00 {none} 00 fe80 00000400 00000001 00000000 00000003     eth0\n"),
    );
    assert_eq!(leads(), Some(true));
    host.write("/proc/net/ipv6_route", "");
    host.write("/proc/net/route", &format!("{head}{near}eth0\t00000000\t0100000A\t0003\n"));
    assert_eq!(leads(), Some(true));
}

/// What a host says of itself and of downloads that it does not have.
fn first_contact(host: &Host) -> HostFacts {
    let wish = |path: &str, url: &str| {
        let artifact =
            Artifact { name: "k3s v1.31.4+k3s1".into(), url: url.into(), proof: Proof::Sha256(Digest::of("k3s")) };
        HostResource::Download(DownloadWish { path: path.into(), artifact, member: None, mode: Mode(0o755) })
    };
    // What lies where we are comes over the connection itself.
    let wishes = [
        wish("/opt/one", "https://example.org/k3s/k3s{-arch}"),
        wish("/opt/two", "https://example.org/two"),
        wish("/opt/ours", "file:///srv/three"),
    ];
    let looks = shells().into_iter().map(|shell| host.try_look(&shell, &wishes));
    let facts: Vec<_> = looks.map(|look| look.expect("it was read").facts.expect("they were told")).collect();
    facts[0].clone()
}

#[test]
fn a_host_that_was_never_a_member_is_asked_for_more() {
    let host = Host::debian();
    host.write("/sys/class/net/eth0/address", "02:00:00:00:00:05\n");
    host.write("/sys/class/net/lo/address", "00:00:00:00:00:00\n");
    let on =
        |number: u8, name: &str| format!("echo '{number}: {name}    inet 10.0.0.{number}/24 scope global {name}'\n");
    host.program("ip", &format!("#!/bin/sh\n{}{}", on(5, "eth0"), on(6, "lo")));
    host.folder("/var/lib");
    host.write("/fakes/datastore", "");
    host.program("curl", "#!/bin/sh\necho \"$@\" >>\"$KW_ROOT/fakes/curled\"\n");
    let facts = first_contact(&host);
    let macs: Vec<_> = facts.addresses.iter().map(|place| place.mac.as_deref()).collect();
    assert_eq!(macs, [Some("02:00:00:00:00:05"), None], "the loopback interface's is nobody's");
    assert_eq!(facts.sources, [("https://example.org".to_string(), None)].into());
    let asked = std::fs::read_to_string(host.path("/fakes/curled")).expect("it was called");
    assert_eq!(asked.lines().count(), shells().len(), "once for all that comes from one place: {asked}");
    assert!(asked.lines().all(|line| line.contains(" -I ") && line.ends_with(" https://example.org/")), "{asked}");
    assert!(facts.flush_us.is_some_and(|took| took < 10_000_000), "{:?}", facts.flush_us);
    assert_eq!(std::fs::read_dir(host.path("/var/lib")).expect("it is there").count(), 0, "nothing is left");
    // The program says why, and its last line tells most.
    host.program(
        "curl",
        "#!/bin/sh\necho some noise >&2\necho 'curl: (6) Could not resolve host: example.org' >&2\nexit 6\n",
    );
    let why = "curl: (6) Could not resolve host: example.org".to_string();
    assert_eq!(first_contact(&host).sources, [("https://example.org".to_string(), Some(why))].into());
    // A member works, and is asked for nothing that takes time.
    host.write("/var/lib/rancher/k3s/agent/kubelet.kubeconfig", "");
    let facts = first_contact(&host);
    assert_eq!((facts.flush_us, facts.sources.len()), (None, 0));
}

#[test]
fn what_is_in_a_file_is_told_where_it_differs_and_is_nobodys_secret() {
    let host = Host::debian();
    let wish = |content: Text, mode| {
        HostResource::File(FileWish { owner: host.owner(), ..FileWish::new("/etc/motd", content, mode) })
    };
    let told = |wish: &HostResource| host.look(std::slice::from_ref(wish)).files["/etc/motd"].text.clone();
    let motd = wish(Text::known("welcome\n"), 0o644);
    host.write("/etc/motd", "go away\n");
    assert_eq!(told(&motd).as_deref(), Some("go away\n"));
    // It is as asked for; it may hold a secret; only some may read it; it is long; it is no text.
    host.write("/etc/motd", "welcome\n");
    assert_eq!(told(&motd), None);
    assert_eq!(told(&wish(Text::hole("secret/motd"), 0o644)), None);
    host.write("/etc/motd", "go away\n");
    host.mode("/etc/motd", 0o640);
    assert_eq!(told(&motd), None);
    host.write("/etc/motd", &"go away\n".repeat(SHOWN_TEXT / 8 + 1));
    assert_eq!(told(&motd), None);
    std::fs::write(host.path("/etc/motd"), [0xff, 0xfe]).expect("it is ours");
    assert_eq!(told(&motd), None);
    // All at once, and each gets its own.
    let other = |path: &str| HostResource::File(FileWish { owner: host.owner(), ..FileWish::new(path, "1\n", 0o644) });
    host.write("/etc/motd", "2\n");
    host.write("/etc/a b", "3\n");
    let files = host.look(&[other("/etc/nothing"), other("/etc/a b"), motd.clone()]).files;
    let texts: Vec<_> = files.values().map(|file| file.text.as_deref()).collect();
    assert_eq!(texts, [Some("3\n"), Some("2\n")]);
}

#[test]
fn packages_of_dpkg() {
    let host = Host::debian();
    let curl = HostResource::Package("curl".into());
    let awk = HostResource::Package("awk".into());
    assert!(!is(&host, &curl));
    let entry = |name: &str, status: &str, more: &str| {
        format!(
            "Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: 1.0\nMaintainer: x\n{more}Description: x\n\n"
        )
    };
    host.write("/fakes/dpkg/status", &entry("curl", "deinstall ok config-files", ""));
    assert!(!is(&host, &curl), "only its configuration is left");
    let mawk = entry("mawk", "install ok installed", "Provides: awk (= 1), other\n");
    host.write("/fakes/dpkg/status", &(entry("curl", "install ok installed", "") + &mawk));
    assert!(is(&host, &curl));
    assert!(is(&host, &awk), "another package provides it");
    assert!(is(&host, &HostResource::Package("curl:amd64".into())));
    assert!(!is(&host, &HostResource::Package("aw".into())));
}

#[test]
fn packages_of_rpm() {
    let host = Host::rocky();
    let iptables = HostResource::Package("iptables".into());
    assert!(!is(&host, &iptables));
    host.write("/fakes/provided", "provides installed iptables-nft\nprovides installed iptables\n");
    assert!(is(&host, &iptables), "another package provides it");
    assert!(!is(&host, &HostResource::Package("ipset".into())));
    host.write("/fakes/rpms/ipset", "");
    assert!(is(&host, &HostResource::Package("ipset".into())));
}

#[test]
fn packages_that_are_held() {
    let held = HostResource::Hold("curl".into());
    let host = Host::debian();
    let status = |want: &str| {
        format!(
            "Package: curl\nStatus: {want} ok installed\nArchitecture: amd64\nVersion: 1.0\nMaintainer: x\nDescription: x\n\n"
        )
    };
    assert!(!is(&host, &held));
    host.write("/fakes/dpkg/status", &status("install"));
    assert!(!is(&host, &held));
    host.write("/fakes/dpkg/status", &status("hold"));
    assert!(is(&host, &held));
    assert!(is(&host, &HostResource::Package("curl".into())), "and it is installed");
    for (path, others, ours) in [
        ("/etc/zypp/locks", "\ntype: package\nsolvable_name: curl-dev\n", "\ntype: package\nsolvable_name: curl\n"),
        ("/etc/dnf/versionlock.toml", "[[packages]]\nname = \"curlie\"\n", "[[packages]]\nname = \"curl\"\n"),
        (
            "/etc/dnf/plugins/versionlock.list",
            "# Added: curl-0:1-1.*\ncurl-dev-0:1-1.el9.*\n",
            "curl-0:7.76.1-29.el9.*\n",
        ),
    ] {
        let host = Host::rocky();
        host.write(path, others);
        assert!(!is(&host, &held), "{path}");
        host.write(path, &format!("{others}{ours}"));
        assert!(is(&host, &held), "{path}");
    }
}

#[test]
fn repositories() {
    let wish = RepositoryWish {
        name: "tools".into(),
        url: "https://packages.example.org/deb".into(),
        suites: Vec::new(),
        components: Vec::new(),
        key: "key".into(),
    };
    let resource = HostResource::Repository(wish.clone());
    let debian = ("/etc/apt/keyrings/kubewright-tools.asc", "/etc/apt/sources.list.d/kubewright-tools.sources");
    let rocky = ("/etc/pki/rpm-gpg/kubewright-tools.asc", "/etc/yum.repos.d/kubewright-tools.repo");
    for (host, manager, (key, list)) in [(Host::debian(), "apt-get", debian), (Host::rocky(), "dnf", rocky)] {
        host.program(manager, "#!/bin/sh\nexit 64\n");
        assert!(!is(&host, &resource));
        host.write(key, "key");
        host.write(list, "list");
        assert!(!is(&host, &resource), "nobody wrote down that it was read");
        let record = format!("{} {} {}\n", wish.mark(), Digest::of("key"), Digest::of("list"));
        host.write("/var/lib/kubewright/repositories/tools", &record);
        assert!(is(&host, &resource));
        let other = HostResource::Repository(RepositoryWish { key: "other".into(), ..wish.clone() });
        assert!(!is(&host, &other));
        host.write(list, "changed by hand");
        assert!(!is(&host, &resource));
        host.remove(list);
        assert!(!is(&host, &resource));
    }
}

#[test]
fn directories() {
    let host = Host::debian();
    let wish = |mode| DirectoryWish { path: "/srv/a b".into(), mode: Mode(mode), owner: host.owner() };
    let resource = HostResource::Directory(wish(0o750));
    assert!(!is(&host, &resource));
    host.write("/srv/a b", "a file");
    assert!(!is(&host, &resource));
    host.remove("/srv/a b");
    host.folder("/srv/a b");
    host.mode("/srv/a b", 0o750);
    assert!(is(&host, &resource));
    assert!(!is(&host, &HostResource::Directory(wish(0o755))));
    assert!(!is(&host, &HostResource::Directory(DirectoryWish { owner: "nobody:nobody".into(), ..wish(0o750) })));
}

#[test]
fn modules() {
    let host = Host::debian();
    let module = HostResource::Module("br_netfilter".into());
    assert!(!is(&host, &module));
    host.folder("/sys/module/br_netfilter");
    assert!(!is(&host, &module), "it is gone at the next start");
    host.write("/etc/modules-load.d/kubewright.conf", "overlay\nbr-netfilter\n");
    assert!(is(&host, &module));
    let built_in = HostResource::Module("overlay".into());
    assert!(!is(&host, &built_in), "it is not loaded");
    host.write("/lib/modules/6.1.0-28-amd64/modules.builtin", "kernel/fs/overlayfs/overlay.ko\n");
    assert!(is(&host, &built_in));
}

#[test]
fn sysctls() {
    let host = Host::debian();
    let of = |key: &str, value: &str| HostResource::Sysctl { key: key.into(), value: value.into() };
    let forward = of("net.ipv4.ip_forward", "1");
    assert!(!is(&host, &forward));
    host.write("/proc/sys/net/ipv4/ip_forward", "1\n");
    assert!(!is(&host, &forward), "it is lost at the next start");
    host.write("/etc/sysctl.d/90-kubewright.conf", "# net.ipv4.ip_forward = 0\nnet.ipv4.ip_forward = 1\n");
    assert!(is(&host, &forward));
    host.write("/usr/lib/sysctl.d/99-other.conf", "-net/ipv4/ip_forward=0\n");
    assert!(!is(&host, &forward), "another file has the last word");
    host.write("/etc/sysctl.d/99-other.conf", "");
    assert!(is(&host, &forward), "and is hidden by one of its name");
    host.write("/proc/sys/net/ipv4/ip_forward", "0\n");
    assert!(!is(&host, &forward));
    host.write("/proc/sys/net/ipv4/ip_local_port_range", "1024\t65535\n");
    host.write("/etc/sysctl.d/90-kubewright.conf", "net.ipv4.ip_local_port_range = 1024 65535\n");
    assert!(is(&host, &of("net.ipv4.ip_local_port_range", "1024 65535")));
    host.write("/proc/sys/net/ipv4/conf/eth0.100/forwarding", "1\n");
    host.write("/etc/sysctl.d/90-kubewright.conf", "net/ipv4/conf/eth0.100/forwarding = 1\n");
    assert!(is(&host, &of("net.ipv4.conf.eth0/100.forwarding", "1")));
}

#[test]
fn files() {
    let host = Host::debian();
    let mut wish = FileWish { owner: host.owner(), ..FileWish::new("/etc/it's a file\"$x", "text\n", 0o640) };
    let file = HostResource::File(wish.clone());
    assert!(!is(&host, &file));
    host.write(&wish.path, "text\n");
    assert!(!is(&host, &file), "its mode is another one");
    host.mode(&wish.path, 0o640);
    assert!(is(&host, &file));
    host.write(&wish.path, "other\n");
    host.mode(&wish.path, 0o640);
    assert!(!is(&host, &file));
    wish.path = "/etc/a".into();
    host.folder("/etc/a");
    assert!(!is(&host, &HostResource::File(wish.clone())), "a folder is no file");
    wish.path = "/etc/passwd/below".into();
    assert!(!is(&host, &HostResource::File(wish)));
}

#[test]
fn blocks() {
    let host = Host::debian();
    let block = HostResource::Block { path: "/etc/environment".into(), lines: vec!["A=1".into(), " B=\\n".into()] };
    assert!(!is(&host, &block));
    host.write("/etc/environment", "A=1\n B=\\n\n");
    assert!(!is(&host, &block), "there are no marks");
    host.write("/etc/environment", "C=3\n# BEGIN kubewright\nA=1\n B=\\n\n# END kubewright");
    assert!(is(&host, &block));
    host.write("/etc/environment", "# BEGIN kubewright\nA=1\n B=\\n\n");
    assert!(!is(&host, &block), "it never ends");
    host.write("/etc/environment", "# BEGIN kubewright\nA=2\n# END kubewright\n");
    assert!(!is(&host, &block));
    let entry = HostsEntry { address: Ipv4Addr::new(10, 0, 0, 1).into(), names: vec!["a".into(), "b".into()] };
    let entries = HostResource::HostsEntries(Arc::new(vec![entry]));
    assert!(!is(&host, &entries));
    host.write("/etc/hosts", "127.0.0.1 localhost\n# BEGIN kubewright\n10.0.0.1 a b\n# END kubewright\n::1 x\n");
    assert!(is(&host, &entries));
}

#[test]
fn lines() {
    let host = Host::debian();
    let wanted = ["lxc.apparmor.profile: unconfined", "lxc.cap.drop:"].map(String::from);
    let lines = HostResource::Lines { path: "/etc/pve/lxc/400.conf".into(), lines: wanted.to_vec() };
    assert!(!is(&host, &lines));
    host.write("/etc/pve/lxc/400.conf", "arch: amd64\nlxc.cap.drop: \nlxc.apparmor.profile: unconfined\n");
    assert!(is(&host, &lines));
    host.write("/etc/pve/lxc/400.conf", "lxc.cap.drop:\n[before]\nlxc.apparmor.profile: unconfined\n");
    assert!(!is(&host, &lines), "one stands in a section");
    let seen = host.look(std::slice::from_ref(&lines));
    assert_eq!(seen.blocks["/etc/pve/lxc/400.conf"], ["lxc.cap.drop:"]);
}

#[test]
fn links() {
    let host = Host::debian();
    let link =
        |name: &str| HostResource::Link { path: format!("/usr/local/bin/{name}"), target: "/usr/local/bin/k3s".into() };
    let both = [link("kubectl"), link("ctr")];
    assert!(!is(&host, &both[0]));
    host.link("/usr/local/bin/kubectl", "/usr/local/bin/k3s");
    host.link("/usr/local/bin/ctr", "/usr/local/bin/k3s\nx");
    let seen = host.look(&both);
    assert!(holds(&both[0], &seen) && !holds(&both[1], &seen));
    host.link("/usr/local/bin/ctr", "/usr/local/bin/k3s");
    let seen = host.look(&both);
    assert!(holds(&both[0], &seen) && holds(&both[1], &seen));
    host.remove("/usr/local/bin/ctr");
    host.write("/usr/local/bin/ctr", "a file");
    assert!(!is(&host, &both[1]));
}

fn download(proof: Proof) -> DownloadWish {
    let artifact = Artifact { name: "k3s v1.31.4+k3s1".into(), url: "https://x/k3s".into(), proof };
    DownloadWish { path: "/usr/local/bin/k3s".into(), artifact, member: None, mode: Mode(0o755) }
}

#[test]
fn downloads() {
    let host = Host::debian();
    let wish = download(Proof::Checksums { url: "https://x/sums".into(), file: "k3s".into() });
    let (path, k3s) = (wish.path.clone(), HostResource::Download(wish.clone()));
    let by_digest = HostResource::Download(download(Proof::Sha256(Digest::of("program"))));
    assert!(!is(&host, &k3s));
    host.write(&path, "program");
    host.mode(&path, 0o755);
    assert!(!is(&host, &k3s), "nobody wrote down that it was verified");
    assert!(is(&host, &by_digest), "its digest tells all");
    let time = std::fs::metadata(host.path(&path)).expect("it is there").modified().expect("it has one");
    let time = time.duration_since(std::time::UNIX_EPOCH).expect("it is later").as_secs();
    let record = format!("{} 7 {time} k3s v1.31.4+k3s1\n", wish.artifact.mark());
    host.write(&download_record(&path), &record);
    assert!(is(&host, &k3s) && is(&host, &by_digest));
    let printed = host.print(&["sh"], std::slice::from_ref(&k3s));
    assert!(!printed.contains("sums"), "it is not read again");
    let seen = host.look(&[]);
    let version = Version::known("v1.31.4+k3s1");
    assert_eq!(seen.kubernetes, Some(KubernetesSeen { version: Some(version), ..KubernetesSeen::default() }));
    host.mode(&path, 0o644);
    assert!(!is(&host, &k3s));
    host.mode(&path, 0o755);
    host.write(&download_record(&path), &record.replace(" 7 ", " 8 "));
    assert!(!is(&host, &k3s), "somebody touched it");
}

#[test]
fn kubeadm() {
    let host = Host::debian();
    host.write("/etc/kubernetes/kubewright/under-way", "first\n");
    assert!(!host.look(&[]).may_vote(), "nobody else is in its etcd");
    host.write("/etc/kubernetes/kubewright/under-way", "server\n");
    assert!(host.look(&[]).may_vote());
    host.write("/var/lib/etcd/member/wal/0.wal", "");
    assert!(host.look(&[]).is_half_a_member(), "kubeadm has begun");
    host.write("/etc/kubernetes/kubelet.conf", "");
    host.write("/usr/local/bin/kubelet", "program");
    let seen = host.look(&[]);
    assert!(!seen.is_member() && seen.is_half_a_member(), "it was cut off");
    host.remove("/etc/kubernetes/kubewright/under-way");
    shown(&host, "kubelet.service", "loaded", "active", "enabled");
    let seen = host.look(&[]).kubernetes.expect("it is there");
    assert!(seen.joined && !seen.serving && !seen.begins, "{seen:?}: an agent has a kubelet as well");
    shown(&host, "kubelet.service", "loaded", "inactive", "enabled");
    let listens = "  sl  local_address rem_address   st\n   0: 0100007F:094B 00000000:0000 0A 00000000:00000000\n";
    host.write("/proc/net/tcp", listens);
    assert!(host.look(&[]).serves(), "its etcd goes on in a container");
    host.remove("/etc/kubernetes/kubelet.conf");
    assert!(!host.look(&[]).is_member(), "somebody has reset it");
}

#[test]
fn rke2() {
    let host = Host::debian();
    let kubernetes = |host: &Host| host.look(&[]).kubernetes;
    host.write("/var/lib/rancher/rke2/agent/kubelet.kubeconfig", "");
    let data = KubernetesSeen { joined: true, ..KubernetesSeen::default() };
    assert_eq!(kubernetes(&host), Some(data.clone()), "data without a program are data");
    host.write("/usr/local/bin/rke2", "program");
    shown(&host, "rke2-server.service", "loaded", "active", "enabled");
    assert_eq!(kubernetes(&host), Some(KubernetesSeen { serving: true, ..data }));
    // Its etcd is in a container, which listens on port 2379 when the unit has ended.
    shown(&host, "rke2-server.service", "loaded", "inactive", "enabled");
    assert!(!kubernetes(&host).is_some_and(|it| it.serving));
    let listens = "  sl  local_address rem_address   st\n   0: 0100007F:094B 00000000:0000 0A 00000000:00000000\n";
    host.write("/proc/net/tcp", listens);
    assert!(kubernetes(&host).is_some_and(|it| it.serving && !it.starting));
    // Nobody has said which cluster a server with etcd's data is of.
    host.write("/var/lib/rancher/rke2/server/db/etcd/member/wal/0.wal", "");
    assert!(kubernetes(&host).is_some_and(|it| it.begins));
    let membership = "/etc/rancher/rke2/config.yaml.d/50-kubewright-membership.yaml";
    host.write(membership, "server: https://10.0.0.5:9345\n");
    assert!(kubernetes(&host).is_some_and(|it| !it.begins));
    // While its etcd is made of what was saved, it is a member of nothing.
    let saved = format!("{}/{RESTORE}", RKE2.data);
    host.write(&saved, "saved");
    assert!(kubernetes(&host).is_some_and(|it| !it.joined && !it.begins));
    host.remove(&saved);
    assert!(kubernetes(&host).is_some_and(|it| it.joined));
    let artifact = Artifact {
        name: "rke2 v1.33.5+rke2r1".into(),
        url: "https://x/rke2.linux-{arch}.tar.gz".into(),
        proof: Proof::Checksums { url: "https://x/sums".into(), file: "rke2.linux-{arch}.tar.gz".into() },
    };
    let member = Some("bin/rke2".into());
    let wish = DownloadWish { path: "/usr/local/bin/rke2".into(), artifact, member, mode: Mode(0o755) };
    let time = std::fs::metadata(host.path(&wish.path)).expect("it is there").modified().expect("it has one");
    let time = time.duration_since(std::time::UNIX_EPOCH).expect("it is later").as_secs();
    let record = format!("{} 7 {time} {}\n", wish.artifact.mark(), wish.artifact.name);
    host.write(&download_record(&wish.path), &record);
    let seen = host.look(&[HostResource::Download(wish)]);
    assert_eq!(seen.kubernetes.and_then(|it| it.version), Some(Version::known("v1.33.5+rke2r1")));
}

#[test]
fn kubernetes() {
    let host = Host::debian();
    host.write("/usr/local/bin/k3s", "program");
    host.write("/var/lib/rancher/k3s/server/db/state.db", "");
    let kubernetes = |host: &Host| host.look(&[]).kubernetes;
    assert_eq!(kubernetes(&host), Some(KubernetesSeen { joined: true, ..KubernetesSeen::default() }));
    shown(&host, "k3s.service", "loaded", "active", "enabled");
    assert_eq!(kubernetes(&host), Some(KubernetesSeen { joined: true, serving: true, ..KubernetesSeen::default() }));
    assert_eq!(host.look(&[]).facts.expect("they were told").kubernetes, ["/usr/local/bin/k3s"]);
    for (state, serving) in [("start", true), ("auto-restart", false)] {
        let text = "Names=k3s.service\nLoadState=loaded\nActiveState=activating\nUnitFileState=enabled\n";
        host.write("/fakes/units/k3s.service", &format!("{text}SubState={state}\n"));
        assert_eq!(kubernetes(&host).is_some_and(|kubernetes| kubernetes.serving), serving, "{state}");
        assert_eq!(kubernetes(&host).is_some_and(|kubernetes| kubernetes.starting), serving, "{state}");
    }
}

fn shown(host: &Host, unit: &str, load: &str, active: &str, file: &str) {
    let text = format!("Names={unit}\nLoadState={load}\nActiveState={active}\nUnitFileState={file}\n");
    host.write(&format!("/fakes/units/{unit}"), &text);
}

#[test]
fn units() {
    let host = Host::debian();
    let wish = UnitWish {
        name: "a.service".into(),
        content: Some("[Unit]\n".into()),
        enabled: true,
        run: UnitRun::Running,
        reads: Digest::of("1"),
    };
    let unit = HostResource::Unit(wish.clone());
    assert!(!is(&host, &unit));
    host.write("/etc/systemd/system/a.service", "[Unit]\n");
    assert!(!is(&host, &unit));
    shown(&host, "a.service", "loaded", "active", "enabled");
    assert!(!is(&host, &unit), "nobody wrote down what it read");
    host.write("/var/lib/kubewright/units/a.service.reads", &format!("{}\n", Digest::of("1")));
    assert!(is(&host, &unit));
    shown(&host, "a.service", "loaded", "active", "disabled");
    assert!(!is(&host, &unit));
    shown(&host, "a.service", "loaded", "failed", "enabled");
    assert!(!is(&host, &unit));
    shown(&host, "a.service", "loaded", "inactive", "enabled");
    assert!(!is(&host, &unit));
    assert!(is(&host, &HostResource::Unit(UnitWish { run: UnitRun::Oneshot, ..wish.clone() })), "it has done its work");
    host.write("/etc/systemd/system/a.service", "[Unit]\n#\n");
    shown(&host, "a.service", "loaded", "active", "enabled");
    assert!(!is(&host, &unit));
    let packaged = HostResource::Unit(UnitWish { content: None, ..wish });
    assert!(is(&host, &packaged));
}

#[test]
fn units_of_recipes() {
    let host = Host::debian();
    let unit = HostResource::Unit(UnitWish {
        name: "k3s.service".into(),
        content: Some("[Unit]\n".into()),
        enabled: true,
        run: UnitRun::ByRecipe,
        reads: Digest::of("1"),
    });
    host.write("/etc/systemd/system/k3s.service", "[Unit]\n");
    shown(&host, "k3s.service", "loaded", "inactive", "disabled");
    assert!(is(&host, &unit), "it waits for its recipe");
    host.write("/var/lib/kubewright/units/k3s.service.reads", Digest::of("1").as_str());
    assert!(!is(&host, &unit), "it was started once, and should run");
    shown(&host, "k3s.service", "loaded", "active", "enabled");
    assert!(is(&host, &unit));
    host.write("/var/lib/kubewright/units/k3s.service.reads", Digest::of("2").as_str());
    assert!(!is(&host, &unit), "it read something older");
}

/// A user with two keys, who may use sudo.
fn deploy() -> UserWish {
    UserWish {
        name: "deploy".into(),
        authorized_keys: vec!["ssh-ed25519 AAAA anna@desk".into(), "ssh-rsa BBBB".into()],
        sudo: true,
        groups: vec!["adm".into(), "docker".into()],
        shell: "/bin/sh".into(),
        password_hash: None,
    }
}

fn user_seen(host: &Host, wish: &UserWish) -> UserSeen {
    host.look(&[HostResource::User(wish.clone())]).users.remove(&wish.name).expect("it is there")
}

#[test]
fn users() {
    let host = Host::debian();
    let wish = deploy();
    let user = HostResource::User(wish.clone());
    host.write("/etc/group", "adm:x:4:syslog,deploy\ndeploy:x:1000:\n");
    assert_eq!(user_seen(&host, &wish).lines(&wish), ["shell /bin/sh", "group adm"]);
    host.write("/etc/group", "adm:x:4:syslog,deploy\ndocker:x:1000:\nroot:x:0:\n");
    let block = "# BEGIN kubewright\nssh-ed25519 AAAA anna@desk\nssh-rsa BBBB\n# END kubewright\n";
    host.write("/home/deploy/.ssh/authorized_keys", block);
    host.write("/etc/sudoers.d/kubewright-deploy", "deploy ALL=(ALL:ALL) NOPASSWD: ALL\n");
    assert!(is(&host, &user), "{:?}", user_seen(&host, &wish));
    assert!(!is(&host, &HostResource::User(UserWish { shell: "/bin/bash".into(), ..wish.clone() })));
    assert!(!is(&host, &HostResource::User(UserWish { sudo: false, ..wish.clone() })), "it may more than it should");
    host.write("/etc/sudoers.d/kubewright-deploy", "deploy ALL=(ALL:ALL) ALL\n");
    assert_eq!(user_seen(&host, &wish).sudo, Some(false));
    host.remove("/etc/sudoers.d/kubewright-deploy");
    assert!(!is(&host, &user));
    let hashed = UserWish { sudo: false, password_hash: Some(Text::hole("secret/hash")), ..wish };
    assert!(!is(&host, &HostResource::User(hashed.clone())), "nobody knows its password");
    host.write("/var/lib/kubewright/users/deploy", hashed.mark().as_str());
    assert!(is(&host, &HostResource::User(hashed)));
    host.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    assert!(host.look(&[user]).users.is_empty(), "somebody deleted it");
}

#[test]
fn keys_of_others_are_told_and_are_no_difference() {
    let host = Host::debian();
    let wish = UserWish { sudo: false, groups: Vec::new(), ..deploy() };
    let block = "# BEGIN kubewright\nssh-ed25519 AAAA anna@desk\nssh-rsa BBBB\n# END kubewright\n";
    let others =
        "# theirs\n\nfrom=\"10.0.0.1\" ssh-ed25519 AAAAC3NzaC1lZDI1 evil\u{1b}[2J\nssh-rsa BBBB the same\nnonsense\n";
    host.write("/home/deploy/.ssh/authorized_keys", &format!("{block}{others}{}\n", "x".repeat(100_000)));
    let seen = user_seen(&host, &wish);
    assert_eq!(seen.lines(&wish), wish.lines());
    assert_eq!(seen.other_keys, ["ssh-ed25519 …C3NzaC1lZDI1 evil [2J"]);
    // A link could lead to what only root may read.
    host.write("/etc/shadow", "ssh-rsa SECRET\n");
    host.link("/home/deploy/.ssh/authorized_keys", &host.path("/etc/shadow").to_string_lossy());
    let seen = user_seen(&host, &wish);
    assert!(seen.keys.is_empty() && seen.other_keys.is_empty(), "{seen:?}");
}

#[test]
fn hostname_time_zone_and_locale() {
    let host = Host::debian();
    let name = HostResource::Hostname("n1".into());
    assert!(!is(&host, &name), "it is lost at the next start");
    host.write("/etc/hostname", "n1");
    assert!(is(&host, &name));
    host.write("/etc/hostname", "n2\n");
    assert!(!is(&host, &name));
    let zone = HostResource::Timezone("Europe/Paris".into());
    assert!(!is(&host, &zone));
    host.link("/etc/localtime", "../usr/share/zoneinfo/Europe/Paris");
    assert!(is(&host, &zone));
    host.link("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC");
    assert!(!is(&host, &zone));
    let locale = HostResource::Locale("fr_FR.UTF-8".into());
    assert!(!is(&host, &locale));
    host.write("/etc/default/locale", "#  File generated\nLANG=\"fr_FR.UTF-8\"\n");
    assert!(is(&host, &locale));
    host.link("/etc/localtime", "/usr/share/zoneinfo/Europe/Paris");
    host.write("/etc/timezone", "Etc/UTC\n");
    assert!(!is(&host, &zone), "Debian has it twice");
    host.write("/etc/timezone", "Europe/Paris\n");
    assert!(is(&host, &zone));
    host.write("/etc/locale.conf", "LANG=C.UTF-8\n");
    assert!(!is(&host, &locale));
}

#[test]
fn what_stands_in_the_way_is_told() {
    let host = Host::debian();
    host.folder("/etc/motd");
    host.folder("/etc/now");
    host.write("/srv/data", "a file");
    host.write("/proc/sys/vm/swappiness", "60\n");
    let directory = DirectoryWish { path: "/srv/data".into(), mode: Mode(0o755), owner: "root:root".into() };
    let sysctl = |key: &str| HostResource::Sysctl { key: key.into(), value: "1".into() };
    let wishes = [
        HostResource::File(FileWish::new("/etc/motd", "text", 0o644)),
        HostResource::File(FileWish::new("/etc/issue", "text", 0o644)),
        HostResource::Link { path: "/etc/now".into(), target: "/etc/then".into() },
        HostResource::Directory(directory),
        sysctl("vm.swappiness"),
        sysctl("net.ipv4.nope"),
    ];
    let lacks = host.look(&wishes).facts.expect("they were told").lacks;
    let wanted = [
        ("directory /srv/data", Lack::File),
        ("file /etc/motd", Lack::Folder),
        ("link /etc/now", Lack::Folder),
        ("sysctl net.ipv4.nope", Lack::Setting),
    ];
    assert_eq!(lacks, wanted.map(|(key, lack)| (key.to_string(), lack)).into());
}

#[test]
fn what_resources_name_and_the_host_has_not_is_told() {
    let host = Host::debian();
    host.write("/etc/group", "root:x:0:\nstaff:x:50:\n");
    host.program("getent", "#!/bin/sh\n[ \"$*\" = 'passwd of-a-directory' ]\n");
    let file = |path: &str, owner: &str| {
        HostResource::File(FileWish { owner: owner.into(), ..FileWish::new(path, "text", 0o644) })
    };
    let user = |name: &str, shell: &str| {
        let (authorized_keys, groups) = (Vec::new(), Vec::new());
        HostResource::User(UserWish {
            name: name.into(),
            authorized_keys,
            sudo: false,
            groups,
            shell: shell.into(),
            password_hash: None,
        })
    };
    let wishes = [
        HostResource::Timezone("Mars/Phobos".into()),
        user("deploy", "/bin/zsh"),
        user("new", "/bin/sh"),
        file("/etc/a", "of-a-directory:staff"),
        file("/etc/b", "deploy:nobodys"),
        file("/etc/c", "nobody-s:1000"),
        HostResource::Directory(DirectoryWish {
            path: "/srv/d".into(),
            mode: Mode(0o755),
            owner: "1234:nobodys".into(),
        }),
    ];
    host.write("/bin/sh", "");
    let lacks = |host: &Host| host.look(&wishes).facts.expect("they were told").lacks;
    let mut wanted: std::collections::BTreeMap<String, Lack> = [
        ("user deploy".to_string(), Lack::Shell),
        ("file /etc/b".to_string(), Lack::Group),
        ("file /etc/c".to_string(), Lack::User),
        ("directory /srv/d".to_string(), Lack::Group),
    ]
    .into();
    assert_eq!(lacks(&host), wanted, "a host without time zones is given them");
    host.write("/usr/share/zoneinfo/UTC", "");
    wanted.insert("time zone".into(), Lack::Zone);
    assert_eq!(lacks(&host), wanted);
    host.write("/usr/share/zoneinfo/Mars/Phobos", "");
    wanted.remove("time zone");
    assert_eq!(lacks(&host), wanted);
}

#[test]
fn swap_and_time() {
    let host = Host::debian();
    let off = HostResource::SwapOff;
    host.write("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
    assert!(is(&host, &off));
    host.write(
        "/etc/fstab",
        "# /dev/sda2 none swap sw 0 0\n/dev/sda1 / ext4 defaults 0 1\nUUID=x none swap noauto 0 0\n",
    );
    assert!(is(&host, &off));
    host.write("/etc/fstab", "/swapfile\tnone\tswap\tsw\t0 0");
    assert!(!is(&host, &off), "it is on at the next start");
    host.remove("/etc/fstab");
    host.write("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 8 0 100\n");
    assert!(!is(&host, &off));
    assert!(!is(&host, &HostResource::TimeSync));
    shown(&host, "chrony.service", "loaded", "active", "enabled");
    assert!(is(&host, &HostResource::TimeSync));
    host.remove("/fakes/units/chrony.service");
    host.write("/run/systemd/container", "lxc\n");
    assert!(is(&host, &HostResource::TimeSync), "its hypervisor keeps the clock");
}

#[test]
fn what_cloud_init_has_not_done_is_told() {
    let host = Host::debian();
    let told = |host: &Host| host.look(&[]).cloud_init;
    let failed = |why: &str| Some(CloudInit::Failed(why.into()));
    assert_eq!(told(&host), None, "there is none");
    host.write("/run/cloud-init/enabled", "");
    host.program("systemctl", "#!/bin/sh\necho starting\nexit 1\n");
    assert_eq!(told(&host), Some(CloudInit::AtWork));
    host.program("systemctl", "#!/bin/sh\necho degraded\nexit 1\n");
    assert_eq!(told(&host), failed("the host has booted, and it has not ended"));
    let result = |errors: &str| {
        format!("{{\n \"v1\": {{\n  \"datasource\": \"DataSourceNoCloud\",\n  \"errors\": {errors}\n }}\n}}\n")
    };
    host.write("/run/cloud-init/result.json", &result("[]"));
    assert_eq!(told(&host), None);
    let errors = "[\n   \"('package_update_upgrade_install', ProcessExecutionError(\\\"x\\ny\\\"))\",\n   \"two\"\n  ]";
    host.write("/run/cloud-init/result.json", &result(errors));
    assert_eq!(told(&host), failed("('package_update_upgrade_install', ProcessExecutionError(\"x y\")); two"));
    host.write("/run/cloud-init/result.json", "{");
    assert_eq!(told(&host), failed("its result cannot be read"));
}

#[test]
fn ssh_daemon() {
    let host = Host::debian();
    let hard = HostResource::SshDaemon(SshDaemonWish { port: 2222, harden: true });
    let soft = HostResource::SshDaemon(SshDaemonWish { port: 2222, harden: false });
    host.write(
        "/fakes/sshd",
        "port 2222\npermitrootlogin no\npasswordauthentication no\nkbdinteractiveauthentication no\n",
    );
    assert!(is(&host, &hard) && is(&host, &soft));
    host.write("/fakes/sshd", "port 2222\npermitrootlogin yes\npasswordauthentication no\nx $(y)\n");
    assert!(!is(&host, &hard) && is(&host, &soft));
    host.write("/fakes/sshd", "port 2222\npermitrootlogin without-password\npasswordauthentication no\n");
    assert!(is(&host, &hard), "we come in as root, with a key");
    host.write("/fakes/sudo", "");
    assert!(!is(&host, &hard), "nobody needs to");
    host.write("/fakes/sshd", "port 22\nport 2222\npermitrootlogin no\npasswordauthentication no\n");
    assert!(!is(&host, &hard) && !is(&host, &soft), "the old door is open still");
    host.write("/fakes/sshd", "port 2222\n");
    host.write("/proc/net/tcp", "  sl\n   0: 00000000:0016 00000000:0000 0A 0\n");
    assert!(!is(&host, &soft), "it was not restarted");
}

#[test]
fn what_nobody_may_look_at_is_not_absent() {
    let host = Host::debian();
    host.write("/root/secret", "text");
    host.write("/etc/open", "text");
    host.write("/etc/closed", "text");
    host.mode("/etc/closed", 0o000);
    host.mode("/root", 0o600);
    host.as_nobody();
    let file = |path: &str| HostResource::File(FileWish::new(path, "text", 0o644));
    let denied = |path: &str| Err(ParseError::Denied { resource: format!("file {path}") });
    for shell in shells() {
        for path in ["/root/secret", "/root/nothing", "/root/no/thing", "/etc/closed"] {
            assert_eq!(host.try_look(&shell, &[file(path)]), denied(path));
        }
        let facts = host.try_look(&shell, &[file("/etc/open"), file("/etc/nothing")]).expect("it may look there");
        assert_eq!(facts.files.len(), 1);
        assert_eq!(facts.os, "Debian 12");
    }
    // It must not stay closed to the one who cleans up.
    host.mode("/root", 0o755);
}

#[test]
fn odd_names_are_never_asked_for_and_never_absent() {
    let host = Host::debian();
    let unit = UnitWish {
        name: "a b;reboot.service".into(),
        content: None,
        enabled: false,
        run: UnitRun::Running,
        reads: Digest::of(""),
    };
    let file = |path: &str| HostResource::File(FileWish::new(path, "", 0o644));
    for odd in [HostResource::Unit(unit), HostResource::Package("a$(b)".into()), file("/etc/a\nb"), file("/a\tb")] {
        let unanswered = ParseError::Unanswered { resource: odd.key() };
        assert_eq!(host.try_look(&["sh"], &[odd]), Err(unanswered));
    }
    for name in ["/etc/*", "/etc/$(x) `y` \"z\" \\n", "/etc/-n", "/etc/\u{fc}\u{1f980}"] {
        host.write(name, "text");
        assert_eq!(host.look(&[file(name)]).files.len(), 1, "{name}");
    }
}

#[test]
fn who_came_in_and_whose_the_host_is() {
    let host = Host::debian();
    let login = |host: &Host| host.look(&[]).facts.and_then(|facts| facts.login);
    assert_eq!((login(&host).as_deref(), host.look(&[]).owner), (Some("root"), None));
    host.write("/fakes/sudo", "");
    host.write("/var/lib/kubewright/owner", "office2\n");
    assert_eq!(login(&host).as_deref(), Some("deploy"));
    assert_eq!(host.look(&[]).owner, Some(Owner("office2".into())));
    // What cannot be a cluster is nobody who could be asked.
    host.write("/var/lib/kubewright/owner", "Not A Cluster\n");
    let error = host.try_look(&["sh"], &[]).expect_err("nobody knows whose it is");
    assert_eq!(error.to_string(), "the host did not tell whose it is");
}
