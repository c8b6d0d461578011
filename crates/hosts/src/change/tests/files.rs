//! Files, lines, links and downloads.

use std::os::unix::fs::symlink;

use kubewright_model::digest::Digest;
use kubewright_model::host::{Artifact, DownloadWish, FileWish, HostResource, HostsEntry, Judge, Mode, Proof};
use kubewright_model::text::Text;

use super::host::{each, nothing_beside};
use crate::HostError;

fn file(path: &str, text: &str, mode: u32) -> HostResource {
    HostResource::File(FileWish::new(path, text, mode))
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_is_written_whole_with_its_mode() {
    each(|host| {
        host.twice(&[file("/etc/a/b/motd", "hello\n\nthere", 0o640)]);
        assert_eq!(
            (host.read("etc/a/b/motd").as_str(), host.mode("etc/a/b/motd").as_str()),
            ("hello\n\nthere", "0640")
        );
        assert_eq!(host.mode("etc/a/b"), "0755");
        nothing_beside(host, "etc/a/b");
        // Another mode alone is a change too, and so is another text.
        host.twice(&[file("/etc/a/b/motd", "hello\n\nthere", 0o600)]);
        host.twice(&[file("/etc/a/b/motd", "", 0o4755)]);
        assert_eq!((host.read("etc/a/b/motd").as_str(), host.mode("etc/a/b/motd").as_str()), ("", "4755"));
    });
}

#[test]
fn what_its_reader_refuses_never_takes_a_files_place() {
    each(|host| {
        // It wants to be called as it is, and takes what begins well.
        host.program(
            "haproxy",
            "#!/bin/sh\n[ \"$# $1 $2\" = '3 -c -f' ] || exit 64\ngrep -q good \"$3\" || { echo 'line 1: no' >&2; exit 1; }\n",
        );
        let judged = |text: &str| {
            let judge = Some(Judge::HaProxy);
            HostResource::File(FileWish { judge, ..FileWish::new("/etc/haproxy.cfg", text, 0o644) })
        };
        host.twice(&[judged("good\n")]);
        let Err(HostError::Failed { why, log, .. }) = host.make(&[judged("bad\n")]) else { panic!("it refuses it") };
        assert_eq!((why.as_str(), log[0].as_str()), ("haproxy refuses it, and what was there stays", "line 1: no"));
        assert_eq!(host.read("etc/haproxy.cfg"), "good\n");
        nothing_beside(host, "etc");
    });
}

#[test]
fn a_link_at_a_files_path_is_replaced_and_what_it_leads_to_is_not_touched() {
    each(|host| {
        host.write("etc/shadow-of-others", "theirs");
        symlink(host.at("etc/shadow-of-others"), host.at("etc/motd")).expect("a link");
        symlink(host.at("etc"), host.at("etc/folder")).expect("a link");
        // A name of ours that somebody planted leads nowhere either.
        symlink(host.at("etc/shadow-of-others"), host.at("etc/motd.kubewright")).expect("a link");
        host.twice(&[file("/etc/motd", "ours", 0o644), file("/etc/folder", "a file now", 0o644)]);
        assert_eq!((host.read("etc/shadow-of-others"), host.read("etc/motd")), ("theirs".into(), "ours".into()));
        assert_eq!(host.read("etc/folder"), "a file now");
    });
}

#[test]
fn nothing_in_a_path_or_a_text_is_obeyed() {
    each(|host| {
        host.write("etc/lines", "");
        let nasty = "/etc/a b'\"$(touch $KW_ROOT/owned)`touch $KW_ROOT/owned`;\n*/-rf ü";
        let text = "KW_END\n'; touch $KW_ROOT/owned; '\n$(touch $KW_ROOT/owned)\\\u{1b}[31m\n";
        host.twice(&[
            file(nasty, text, 0o644),
            HostResource::Block { path: "/etc/block".into(), lines: lines(&["KW_END", text.trim_end()]) },
            HostResource::Lines {
                path: "/etc/lines".into(),
                lines: lines(&["$(touch $KW_ROOT/owned)", "*", "\\n %s"]),
            },
            HostResource::Link { path: "/etc/-l $(touch x)".into(), target: "-n `touch $KW_ROOT/owned`".into() },
        ]);
        assert_eq!(host.read(nasty), text);
        assert_eq!(host.read("etc/block"), format!("# BEGIN kubewright\nKW_END\n{text}# END kubewright\n"));
        assert_eq!(host.read("etc/lines"), "$(touch $KW_ROOT/owned)\n*\n\\n %s\n");
        assert!(!host.at("owned").exists());
    });
}

#[test]
fn a_block_keeps_its_place_and_everything_around_it() {
    each(|host| {
        let block = |of: &[&str]| HostResource::Block { path: "/etc/conf".into(), lines: lines(of) };
        host.write("etc/conf", "theirs\n  indented \\n\n\n");
        host.twice(&[block(&["one", "two"])]);
        assert_eq!(host.read("etc/conf"), "theirs\n  indented \\n\n\n# BEGIN kubewright\none\ntwo\n# END kubewright\n");
        host.write("etc/conf", "before\n# BEGIN kubewright\none\n# END kubewright\nafter");
        host.twice(&[block(&["three", ""])]);
        assert_eq!(host.read("etc/conf"), "before\n# BEGIN kubewright\nthree\n\n# END kubewright\nafter\n");
        // A block without an end could be anything.
        host.write("etc/conf", "before\n# BEGIN kubewright\nafter\n");
        assert!(host.fails(&[block(&["one"])]).contains("never ends"));
    });
}

#[test]
fn a_block_goes_through_a_link_to_the_file_of_others() {
    each(|host| {
        host.write("etc/real", "theirs\n");
        symlink("real", host.at("etc/link")).expect("a link");
        host.twice(&[HostResource::Block { path: "/etc/link".into(), lines: lines(&["one"]) }]);
        assert_eq!(host.read("etc/real"), "theirs\n# BEGIN kubewright\none\n# END kubewright\n");
        assert!(host.at("etc/link").is_symlink());
    });
}

#[test]
fn lines_stand_before_the_first_section() {
    each(|host| {
        let wish = |of: &[&str]| HostResource::Lines { path: "/etc/pve/lxc/400.conf".into(), lines: lines(of) };
        host.write("etc/pve/lxc/400.conf", "arch: amd64\nlxc.a: 1\n\n[snap]\nlxc.b: 2\n");
        host.twice(&[wish(&["lxc.a: 1", "lxc.b: 2"])]);
        assert_eq!(host.read("etc/pve/lxc/400.conf"), "arch: amd64\nlxc.a: 1\n\nlxc.b: 2\n[snap]\nlxc.b: 2\n");
    });
}

#[test]
fn lines_of_a_container_wait_for_proxmox_to_let_go_of_them() {
    each(|host| {
        let path = "etc/pve/lxc/400.conf";
        let wish = |line| HostResource::Lines { path: format!("/{path}"), lines: lines(&[line]) };
        host.write(path, "arch: amd64\n");
        host.write("run/lock/lxc/pve-config-400.lock", "");
        let held = std::fs::File::open(host.at("run/lock/lxc/pve-config-400.lock")).expect("it is there");
        held.lock().expect("nobody else has it");
        std::thread::scope(|threads| {
            threads.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(500));
                // What a backup writes under the lock is not lost.
                host.write(path, "arch: amd64\nlock: backup\n");
                held.unlock().expect("it is ours");
            });
            host.twice(&[wish("lxc.a: 1")]);
        });
        assert_eq!(host.read(path), "arch: amd64\nlock: backup\nlxc.a: 1\n");
        host.program("flock", "#!/bin/sh\nexit 1\n");
        let busy = host.fails(&[wish("lxc.b: 2")]);
        assert_eq!(busy, "the container's configuration on web-1 is busy: held by Proxmox VE");
        assert_eq!(host.read(path), "arch: amd64\nlock: backup\nlxc.a: 1\n");
    });
}

#[test]
fn a_line_takes_the_place_of_another_with_its_key_in_a_file_that_is_there() {
    each(|host| {
        let wish = |of: &[&str]| HostResource::Lines { path: "/etc/pve/lxc/400.conf".into(), lines: lines(of) };
        let wished = [wish(&["features: fuse=1,nesting=1", "lxc.mount.entry: b"])];
        let why = host.fails(&wished);
        assert!(why.contains("there is no file /etc/pve/lxc/400.conf"), "{why}");
        assert!(!host.at("etc/pve/lxc/400.conf").exists(), "a container that is gone would seem to be there");
        host.write(
            "etc/pve/lxc/400.conf",
            "arch: amd64\nfeatures: nesting=1\nlxc.mount.entry: a\n[s]\nfeatures: x=1\n",
        );
        host.twice(&wished);
        assert_eq!(
            host.read("etc/pve/lxc/400.conf"),
            "arch: amd64\nlxc.mount.entry: a\nfeatures: fuse=1,nesting=1\nlxc.mount.entry: b\n[s]\nfeatures: x=1\n"
        );
    });
}

#[test]
fn where_cloud_init_writes_the_hosts_file_its_template_has_our_block_too() {
    each(|host| {
        let entry = |name: &str| HostsEntry { address: "10.0.0.9".parse().unwrap(), names: vec![name.into()] };
        let wish = |name: &str| HostResource::HostsEntries(vec![entry(name)].into());
        let template = "etc/cloud/templates/hosts.debian.tmpl";
        host.write(template, "## template:jinja\n127.0.1.1 {{fqdn}}\n");
        host.write("etc/hosts", "127.0.1.1 web-1\n");
        host.twice(&[wish("db")]);
        assert!(!host.read(template).contains("db"), "it is not in use");
        host.write("var/lib/cloud/instance/cloud-config.txt", "#cloud-config\nmanage_etc_hosts: true\n");
        host.twice(&[wish("db")]);
        host.twice(&[wish("store")]);
        let block = "# BEGIN kubewright\n10.0.0.9 store\n# END kubewright\n";
        assert_eq!(host.read("etc/hosts"), format!("127.0.1.1 web-1\n{block}"));
        assert_eq!(host.read(template), format!("## template:jinja\n127.0.1.1 {{{{fqdn}}}}\n{block}"));
    });
}

#[test]
fn the_hosts_file_has_our_block() {
    each(|host| {
        host.write("etc/hosts", "127.0.0.1 localhost\n");
        let entry = HostsEntry { address: "10.0.0.1".parse().expect("an address"), names: lines(&["web-1", "w1"]) };
        host.twice(&[HostResource::HostsEntries(vec![entry].into())]);
        assert_eq!(
            host.read("etc/hosts"),
            "127.0.0.1 localhost\n# BEGIN kubewright\n10.0.0.1 web-1 w1\n# END kubewright\n"
        );
    });
}

#[test]
fn links_replace_links_and_files_but_no_folders() {
    each(|host| {
        let link = |target: &str| HostResource::Link { path: "/usr/local/bin/kubectl".into(), target: target.into() };
        host.twice(&[link("/usr/local/bin/k3s")]);
        host.twice(&[link("k3s")]);
        assert_eq!(std::fs::read_link(host.at("usr/local/bin/kubectl")).expect("a link").to_str(), Some("k3s"));
        std::fs::remove_file(host.at("usr/local/bin/kubectl")).expect("it was there");
        host.write("usr/local/bin/kubectl/file", "");
        assert!(host.fails(&[link("k3s")]).contains("/usr/local/bin/kubectl is a folder"));
    });
}

fn download(proof: Proof, url: String) -> HostResource {
    let artifact = Artifact { name: "k3s v1.31.4+k3s1".into(), url, proof };
    let path = "/usr/local/bin/k3s".into();
    HostResource::Download(DownloadWish { path, artifact, member: None, mode: Mode(0o755) })
}

/// A file that comes in an archive.
fn unpacked(digest: Digest, member: &str) -> HostResource {
    let url = "https://mirror.test/rke2.linux-{arch}.tar.gz".into();
    let artifact = Artifact { name: "rke2 v1.33.5+rke2r1".into(), url, proof: Proof::Sha256(digest) };
    let path = "/usr/local/bin/rke2".into();
    HostResource::Download(DownloadWish { path, artifact, member: Some(member.into()), mode: Mode(0o755) })
}

#[test]
fn a_file_of_an_archive_is_taken_out_of_it_once_the_archive_is_verified() {
    each(|host| {
        host.write("mirror/tree/bin/rke2", "the program");
        host.write("mirror/tree/lib/unit", "another file");
        let archive = host.at("mirror/rke2.linux-amd64.tar.gz");
        let tar = std::process::Command::new("tar")
            .args(["-czf", archive.to_str().expect("a path"), "-C"])
            .args([host.at("mirror/tree").to_str().expect("a path"), "bin", "lib"])
            .status();
        assert!(tar.expect("tar is there").success());
        std::fs::copy(&archive, host.at("mirror/rke2.linux-arm64.tar.gz")).expect("room for it");
        let digest = Digest::of(std::fs::read(&archive).expect("it was made"));
        let why = host.fails(&[unpacked(digest.clone(), "bin/other")]);
        assert!(why.contains("bin/other could not be taken out of the archive"), "{why}");
        let why = host.fails(&[unpacked(Digest::of("another archive"), "bin/rke2")]);
        assert!(why.contains("what was downloaded has the digest"), "{why}");
        assert!(!host.at("usr/local/bin/rke2").exists());
        host.twice(&[unpacked(digest, "bin/rke2")]);
        assert_eq!(host.read("usr/local/bin/rke2"), "the program");
        assert_eq!(host.mode("usr/local/bin/rke2"), "0755");
        nothing_beside(host, "usr/local/bin");
    });
}

/// Two files of an archive, of which a publisher has a file with its digest beside it.
fn two_of(archive: &str) -> [HostResource; 2] {
    let at = |file: &str| format!("https://mirror.test/{file}");
    let of = |member: &str| {
        let proof = Proof::Checksums { url: at("plugins.sha256"), file: archive.into() };
        let artifact = Artifact { name: "CNI plugins v1.5.1".into(), url: at(archive), proof };
        let path = format!("/opt/cni/bin/{member}");
        HostResource::Download(DownloadWish { path, artifact, member: Some(format!("./{member}")), mode: Mode(0o755) })
    };
    [of("bridge"), of("portmap")]
}

#[test]
fn an_archive_comes_once_for_all_files_of_it() {
    each(|host| {
        host.write("mirror/tree/bridge", "a bridge");
        host.write("mirror/tree/portmap", "ports");
        let archive = host.at("mirror/plugins.tgz");
        let (archive, tree) = (archive.to_str().expect("a path"), host.at("mirror/tree"));
        let tar = std::process::Command::new("tar").args(["-czf", archive, "-C"]).arg(tree).arg(".").status();
        assert!(tar.expect("tar is there").success());
        let digest = Digest::of(std::fs::read(archive).expect("it was made"));
        // One publisher writes the name beside the digest, and another nothing, not even the end of the line.
        for sums in [format!("{digest}  plugins.tgz\n"), digest.to_string()] {
            host.write("mirror/plugins.sha256", &sums);
            host.write("mirror/fetched", "");
            host.twice(&two_of("plugins.tgz"));
            let both = (host.read("opt/cni/bin/bridge"), host.read("opt/cni/bin/portmap"));
            assert_eq!(both, ("a bridge".into(), "ports".into()));
            let fetched = host.read("mirror/fetched");
            assert_eq!(fetched.matches("plugins.tgz").count(), 1, "{fetched}");
            assert!(!host.at("var/lib/kubewright/downloads/archive").exists());
            nothing_beside(host, "opt/cni/bin");
            std::fs::remove_dir_all(host.at("opt/cni/bin")).expect("it was there");
        }
        host.write("mirror/plugins.sha256", &format!("{digest}\n{digest}\n"));
        let why = host.fails(&two_of("plugins.tgz"));
        assert!(why.contains("lists no digest of plugins.tgz"), "{why}");
    });
}

#[test]
fn a_download_is_verified_and_known_again() {
    each(|host| {
        host.write("mirror/k3s", "the program");
        host.write("mirror/k3s-arm64", "the program");
        let digest = Digest::of("the program");
        host.write("mirror/sums-amd64", &format!("{}  other\n{digest}  k3s\n", Digest::of("x")));
        host.write("mirror/sums-arm64", &format!("{digest}  k3s-arm64\n"));
        let at = |file: &str| format!("https://mirror.test/{file}");
        let listed = Proof::Checksums { url: at("sums-{arch}"), file: "k3s{-arch}".into() };
        host.twice(&[download(listed.clone(), at("k3s{-arch}"))]);
        assert_eq!(
            (host.read("usr/local/bin/k3s").as_str(), host.mode("usr/local/bin/k3s").as_str()),
            ("the program", "0755")
        );
        let key = &Digest::of("/usr/local/bin/k3s").as_str()[..32].to_string();
        let memory = host.read(&format!("var/lib/kubewright/downloads/{key}"));
        let fields: Vec<&str> = memory.trim_end().splitn(4, ' ').collect();
        assert_eq!((fields[1], fields[3]), ("11", "k3s v1.31.4+k3s1"), "{memory}");
        assert_eq!(host.mode("var/lib/kubewright"), "0700");
        // The list knows that the right bytes are there, so nothing but the list is fetched.
        std::fs::remove_dir_all(host.at("var/lib/kubewright")).expect("it was there");
        std::fs::remove_file(host.at("mirror/k3s")).expect("it was there");
        std::fs::remove_file(host.at("mirror/k3s-arm64")).expect("it was there");
        host.twice(&[download(listed, at("k3s{-arch}"))]);
        // Somebody changed it, and nobody has it any more.
        host.write("usr/local/bin/k3s", "something else");
        let why = host.fails(&[download(Proof::Sha256(digest), at("k3s"))]);
        assert!(why.contains("could not be downloaded"), "{why}");
        assert_eq!(host.read("usr/local/bin/k3s"), "something else");
        nothing_beside(host, "usr/local/bin");
    });
}

#[test]
fn a_download_with_another_digest_is_thrown_away() {
    each(|host| {
        host.write("mirror/k3s", "not the program");
        let url = "https://mirror.test/k3s".to_string();
        let why = host.fails(&[download(Proof::Sha256(Digest::of("the program")), url)]);
        assert!(
            why.starts_with("downloading k3s v1.31.4+k3s1 failed on web-1: what was downloaded has the digest"),
            "{why}"
        );
        assert!(!host.at("usr/local/bin/k3s").exists());
        nothing_beside(host, "usr/local/bin");
    });
}

#[test]
fn holes_are_filled_and_never_seen_in_a_script() {
    each(|host| {
        let wish = FileWish::new("/etc/token", Text::known("token: ").and_hole("secret/join-token"), 0o600);
        let mut holes = crate::Holes::new();
        holes.insert("secret/join-token".into(), kubewright_model::secret::Secret::new("s3cr3t-v4lue".into()));
        let change = host.change(&[HostResource::File(wish)], &[]);
        let script = super::super::script(&change, &holes).expect("it can be written");
        assert!(!script.contains("s3cr3t"));
        host.run(&script);
        assert_eq!(host.read("etc/token"), "token: s3cr3t-v4lue");
        let hole = super::super::script(&change, &crate::Holes::new()).expect_err("it has no value");
        assert_eq!(hole.to_string(), "no value for secret/join-token on web-1");
    });
}
