//! Files that go to hosts over the connection.

use kubewright_model::digest::Digest;
use kubewright_model::host::{Artifact, DownloadWish, Mode, Proof};

use super::*;

const PLACE: &str = "/usr/local/bin/program";
const BESIDE: &str = "/usr/local/bin/program.kubewright";
const MIB: usize = 1024 * 1024;

/// A file of ours that nobody can pack, and its wish.
fn program(home: &Path, size: usize) -> HostResource {
    let path = home.join("v1+1").join("program-amd64");
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let make = format!("head -c {size} /dev/urandom >'{0}' && sha256sum <'{0}'", path.display());
    let made = std::process::Command::new("sh").args(["-c", &make]).output().expect("there is a shell");
    let digest = String::from_utf8_lossy(&made.stdout).chars().take(64).collect::<String>();
    wish(home, Proof::Sha256(Digest::parse(&digest).expect("a digest")))
}

fn wish(home: &Path, proof: Proof) -> HostResource {
    let url = format!("file://{}/v1%2B1/program-{{arch}}", home.display());
    let artifact = Artifact { name: "program v1".into(), url, proof };
    HostResource::Download(DownloadWish { path: PLACE.into(), artifact, member: None, mode: Mode(0o755) })
}

fn digest(resource: &HostResource) -> String {
    match resource {
        HostResource::Download(DownloadWish { artifact: Artifact { proof: Proof::Sha256(digest), .. }, .. }) => {
            digest.to_string()
        }
        other => panic!("{other:?}"),
    }
}

/// The most memory that this process has held, in bytes.
fn high_water() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is told");
    line.split_whitespace().next().expect("a number").parse::<usize>().expect("a number") * 1024
}

fn arrived(host: &LabHost) -> String {
    let sum = host.sh(&format!("stat -c '%a %U:%G' {PLACE}; sha256sum <{PLACE}"));
    sum.trim_end_matches("  -\n").to_string()
}

#[tokio::test]
async fn a_large_file_goes_to_ten_hosts_at_once_and_is_never_held_whole() {
    let Some(lab) = Lab::open() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let hosts: Vec<LabHost> = (1..=10).map(|number| lab.host(&format!("host-{number}"))).collect();
    let file = program(home.path(), 200 * MIB);
    let hands = hands(home.path());
    let looked = hosts.iter().map(|host| async { look(&hands, host, &way(host, "admin"), &[]).await });
    assert!(futures::future::join_all(looked).await.iter().all(|seen| seen.present().is_some()));
    // The kernel forgets what was the most until now.
    std::fs::write("/proc/self/clear_refs", "5").expect("it is let");
    let (before, begin) = (high_water(), std::time::Instant::now());
    let sent =
        hosts.iter().map(|host| async { make(&hands, host, &way(host, "admin"), std::slice::from_ref(&file)).await });
    for report in futures::future::join_all(sent).await {
        assert!(report.expect("it arrives").changed);
    }
    let (took, more) = (begin.elapsed(), high_water() - before);
    println!("200 MiB to 10 hosts: {took:.1?}, {} KiB more memory", more / 1024);
    assert!(more < 100 * MIB, "{more} bytes more");
    for host in &hosts {
        assert_eq!(arrived(host), format!("755 root:root\n{}", digest(&file)));
        assert_eq!(host.sh("ls -A /usr/local/bin/*.kubewright 2>/dev/null | wc -l").trim(), "0");
        let way = way(host, "admin");
        assert!(!make(&hands, host, &way, std::slice::from_ref(&file)).await.expect("it is there").changed);
        let seen = look(&hands, host, &way, std::slice::from_ref(&file)).await;
        let settings = &seen.present().expect("it answers").settings;
        assert_eq!(settings.get(&file.key()), file.setting().as_ref(), "{settings:?}");
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_goes_on_where_it_was() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let file = program(home.path(), 64 * MIB);
    let (hands, way) = (hands(home.path()), way(&host, "root"));
    assert!(look(&hands, &host, &way, &[]).await.present().is_some());
    host.sh(&format!(
        "pgrep -f 'sshd: root' | head -n 1 >/run/session
        (while [ \"$(stat -c %s {BESIDE} || echo 0)\" -lt 9000000 ]; do sleep 0.01; done
        kill -9 \"$(cat /run/session)\") >/dev/null 2>&1 &"
    ));
    let error = make(&hands, &host, &way, std::slice::from_ref(&file)).await.expect_err("it was cut");
    assert!(error.may_pass() && error.to_string().contains("cut"), "{error}");
    let first: Vec<String> =
        host.sh(&format!("stat -c '%i %s' {BESIDE}")).split_whitespace().map(str::to_string).collect();
    assert!(host.sh(&format!("ls {PLACE} 2>/dev/null || echo none")) == "none\n", "nobody sees a half");
    assert!(make(&hands, &host, &way, std::slice::from_ref(&file)).await.expect("it goes on").changed);
    assert_eq!(arrived(&host), format!("755 root:root\n{}", digest(&file)));
    assert_eq!(host.sh(&format!("stat -c %i {PLACE}")).trim(), first[0], "what had arrived was not sent again");
    // A beginning that is not ours, or of another version, is thrown away.
    host.sh(&format!("rm {PLACE}; echo rubbish >{BESIDE}; rm -r /var/lib/kubewright/downloads"));
    assert!(make(&hands, &host, &way, std::slice::from_ref(&file)).await.expect("it begins anew").changed);
    assert_eq!(arrived(&host), format!("755 root:root\n{}", digest(&file)));
}

#[tokio::test]
async fn an_upload_that_is_wrong_or_has_no_room_leaves_nothing() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.prepared("one", "mkdir -p /opt/small");
    host.sh("mount -t tmpfs -o size=1m tmpfs /opt/small");
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "admin"));
    let mut file = program(home.path(), 3 * MIB);
    let other = wish(home.path(), Proof::Sha256(Digest::of("another")));
    let error = make(&hands, &host, &way, &[other]).await.expect_err("it is another");
    assert!(error.to_string().contains("uploading program v1") && error.to_string().contains("whole"), "{error}");
    assert_eq!(host.sh(&format!("ls -A {PLACE}* 2>/dev/null | wc -l")).trim(), "0");
    let HostResource::Download(download) = &mut file else { panic!("it is none") };
    download.path = "/opt/small/program".into();
    let error = make(&hands, &host, &way, std::slice::from_ref(&file)).await.expect_err("there is no room");
    assert!(error.to_string().contains("No space left"), "{error}");
    assert_eq!(host.sh("ls -A /opt/small"), "");
    host.sh("mount -o remount,size=10m /opt/small");
    assert!(make(&hands, &host, &way, &[file]).await.expect("there is room now").changed);
    // A publisher's list lies beside the file.
    let list = format!("file://{}/sums-{{arch}}.txt", home.path().display());
    let listed = wish(home.path(), Proof::Checksums { url: list, file: "program{-arch}".into() });
    let error = make(&hands, &host, &way, std::slice::from_ref(&listed)).await.expect_err("there is no list");
    assert!(error.to_string().contains("sums-amd64.txt cannot be read here"), "{error}");
    let bytes = std::fs::read(home.path().join("v1+1/program-amd64")).expect("it is there");
    std::fs::write(home.path().join("sums-amd64.txt"), format!("{}  program\n", Digest::of(bytes))).expect("a file");
    assert!(make(&hands, &host, &way, &[listed]).await.expect("it is listed").changed);
}

#[tokio::test]
async fn an_upload_goes_through_sudo_with_a_password_and_odd_shells() {
    let Some(lab) = Lab::open() else { return };
    let forgets = "echo 'guest:right horse' | chpasswd
        echo 'Defaults:guest timestamp_timeout=0' >/etc/sudoers.d/forgets; chmod 440 /etc/sudoers.d/forgets";
    for shell in ["dash", "bash", "fish", "tcsh"] {
        let other = format!("sed -i 's|^guest:\\(.*\\):/bin/sh|guest:\\1:/usr/bin/{shell}|' /etc/passwd\n{forgets}");
        let host = lab.prepared("one", &other);
        assert_eq!(
            host.sh(&format!("grep -c '^guest:.*/usr/bin/{shell}$' /etc/passwd; test -x /usr/bin/{shell}")),
            "1\n"
        );
        let home = tempfile::tempdir().expect("a folder");
        let file = program(home.path(), MIB);
        let knows = hands_that_know(home.path(), |_| Ok(Secret::new("right horse".into())));
        let way = Way { sudo: Some("secret/sudo-password".into()), ..way(&host, "guest") };
        assert!(
            make(&knows, &host, &way, &[file.clone(), super::file("/etc/one", "1")]).await.expect("it arrives").changed
        );
        assert_eq!(arrived(&host), format!("755 root:root\n{}", digest(&file)));
        assert!(!make(&knows, &host, &way, &[file]).await.expect("it is there").changed);
    }
}
