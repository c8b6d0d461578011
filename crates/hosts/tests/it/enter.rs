//! Programs that people run on hosts, the way in by the system's `ssh`, images, and certificates that are looked at.

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use kubewright_hosts::{Archive, Logs, Piece, Program};

use super::*;

fn program(words: &[&str]) -> Program {
    let words = words.iter().map(|word| (*word).to_string()).collect();
    Program { words, sudo: false, input: Arc::from([]), deadline: Some(Duration::from_secs(20)) }
}

/// Runs it; what it said on both, and how it ended.
async fn run(
    hands: &RealHosts,
    host: &LabHost,
    way: &Way,
    program: &Program,
) -> (String, String, Result<Option<u32>, HostError>) {
    let said = Mutex::new((Vec::new(), Vec::new()));
    let hears = |piece: Piece<'_>| match piece {
        Piece::Out(bytes) => said.lock().unwrap().0.extend_from_slice(bytes),
        Piece::Err(bytes) => said.lock().unwrap().1.extend_from_slice(bytes),
    };
    let ended = hands.exec(&host.name, way, program, &hears).await;
    let (out, err) = said.into_inner().unwrap();
    (String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned(), ended)
}

#[tokio::test]
async fn a_program_gets_its_words_its_input_and_its_rights() {
    let Some(lab) = Lab::open() else { return };
    let (host, home) = (lab.host("one"), tempfile::tempdir().expect("a folder"));
    let (hands, admin) = (hands(home.path()), way(&host, "admin"));
    let (out, err, ended) = run(&hands, &host, &admin, &program(&["printf", "%s|", "a b", "$(id)", "it's"])).await;
    assert_eq!((out.as_str(), err.as_str(), ended), ("a b|$(id)|it's|", "", Ok(Some(0))));
    // A single word is a line for the shell.
    let (out, err, ended) = run(&hands, &host, &admin, &program(&["echo $((1+1)); echo no >&2; exit 3"])).await;
    assert_eq!((out.as_str(), err.as_str(), ended), ("2\n", "no\n", Ok(Some(3))));
    let as_root = Program { sudo: true, input: Arc::from(*b"secret\n"), ..program(&["sh", "-c", "id -un; cat"]) };
    let (out, _, ended) = run(&hands, &host, &admin, &as_root).await;
    assert_eq!((out.as_str(), ended), ("root\nsecret\n", Ok(Some(0))));
    let late = Program { deadline: Some(Duration::from_millis(300)), ..program(&["sleep", "600"]) };
    let why = run(&hands, &host, &admin, &late).await.2.expect_err("it never ends").to_string();
    assert!(why.contains("no end within") && why.contains("may go on"), "{why}");
    // The next one finds a connection that works.
    assert_eq!(run(&hands, &host, &admin, &program(&["true"])).await.2, Ok(Some(0)));
}

#[tokio::test]
async fn sudos_password_goes_before_the_input_and_into_nothing_else() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.prepared("one", "echo 'guest:right horse' | chpasswd");
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands_that_know(home.path(), |_| Ok(Secret::new("right horse".into())));
    let guest = Way { sudo: Some("secret/sudo-password".into()), ..way(&host, "guest") };
    let wish = Program { sudo: true, input: Arc::from(*b"one\ntwo\n"), ..program(&["sh", "-c", "id -un; cat"]) };
    for _ in 0..2 {
        let (out, _, ended) = run(&hands, &host, &guest, &wish).await;
        assert_eq!((out.as_str(), ended), ("root\none\ntwo\n", Ok(Some(0))));
    }
}

#[tokio::test]
async fn what_is_said_is_heard_at_once() {
    let Some(lab) = Lab::open() else { return };
    let (host, home) = (lab.host("one"), tempfile::tempdir().expect("a folder"));
    let (hands, admin) = (hands(home.path()), way(&host, "admin"));
    let (heard, hears) = tokio::sync::oneshot::channel();
    let heard = Mutex::new(Some(heard));
    let wish = program(&["echo first; sleep 600"]);
    let tells = |_: Piece<'_>| {
        if let Some(heard) = heard.lock().unwrap().take() {
            let _ = heard.send(());
        }
    };
    tokio::select! {
        ended = hands.exec(&host.name, &admin, &wish, &tells) => panic!("it has ended: {ended:?}"),
        first = hears => first.expect("somebody told"),
    }
}

#[tokio::test]
async fn the_systems_ssh_comes_in_by_all_that_ours_goes_by() {
    let Some(lab) = Lab::open() else { return };
    let (host, gate, home) = (lab.host("one"), lab.host("gate"), tempfile::tempdir().expect("a folder"));
    // Each has a user's key of its own; the gate is let in with the host's too.
    let key = std::fs::read_to_string(host.at("user.pub")).expect("there is one");
    gate.sh(&format!("echo '{}' >>/etc/ssh/lab_keys", key.trim()));
    let hands = hands(home.path());
    let jump = format!("root@{}:{PORT}", gate.address);
    let pinned = std::fs::read_to_string(host.at("host.pub")).expect("there is one");
    let direct = way(&host, "admin");
    let ways = [
        direct.clone(),
        Way { jump: Some(jump.into()), ..direct.clone() },
        Way { host_key: Some(pinned.trim().into()), ..direct.clone() },
    ];
    for way in ways {
        let way_in = hands.way_in(&host.name, &way).await.expect("it leads in");
        assert_eq!(way_in.told, Vec::<String>::new());
        let (program, words) = way_in.words.split_first().expect("a program");
        let ran = Command::new(program).args(words).args(["-o", "BatchMode=yes"]).arg("id -un; hostname").output();
        let ran = ran.expect("OpenSSH is there");
        let (said, why) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert_eq!(said, "admin\none\n", "{words:?}: {why}");
    }
    // Another key than the one that is known lets nobody in.
    let known = std::fs::read_to_string(home.path().join("known")).expect("it was learnt");
    let other = std::fs::read_to_string(host.at("stranger.pub")).expect("there is one");
    let other = other.split_whitespace().nth(1).expect("a key").to_string();
    let changed: Vec<String> = known
        .lines()
        .map(|line| line.split(' ').take(2).chain([other.as_str()]).collect::<Vec<_>>().join(" "))
        .collect();
    let way_in = hands.way_in(&host.name, &direct).await.expect("the connection is kept");
    std::fs::write(home.path().join("known"), changed.join("\n") + "\n").expect("a file");
    let (program, words) = way_in.words.split_first().expect("a program");
    let ran = Command::new(program).args(words).args(["-o", "BatchMode=yes"]).arg("true").output().expect("it runs");
    assert!(!ran.status.success() && String::from_utf8_lossy(&ran.stderr).contains("REMOTE HOST IDENTIFICATION"));
}

#[tokio::test]
async fn logs_are_those_of_the_journal() {
    let Some(lab) = Lab::open() else { return };
    let home = tempfile::tempdir().expect("a folder");
    // The lab boots no systemd: what its journalctl would be asked for is what is looked at.
    let says =
        "printf '#!/bin/sh\\necho \"$(id -un): $*\"\\n' >/usr/local/bin/journalctl; chmod +x /usr/local/bin/journalctl";
    let host = lab.prepared("one", says);
    let (hands, said) = (hands(home.path()), Mutex::new(String::new()));
    let hears = |piece: Piece<'_>| match piece {
        Piece::Out(bytes) => said.lock().unwrap().push_str(&String::from_utf8_lossy(bytes)),
        // sudo finds nobody who knows the host by its name.
        Piece::Err(_) => {}
    };
    let units = ["k3s.service", "kernel"].map(String::from).to_vec();
    let wish = Logs { units, lines: 7, since: Some("1h".parse().expect("a span")), follow: false };
    hands.logs(&host.name, &way(&host, "admin"), &wish, &hears).await.expect("it answers");
    let asked = "root: --no-pager --output=short-iso --lines=7 --since=-3600s --unit=k3s.service --dmesg\n";
    assert_eq!(said.into_inner().unwrap(), asked);
}

#[tokio::test]
async fn an_archive_is_taken_in_and_nothing_of_it_stays() {
    let Some(lab) = Lab::open() else { return };
    let (host, home) = (lab.host("one"), tempfile::tempdir().expect("a folder"));
    let path = home.path().join("web 100%.tar");
    let make = format!(
        "cd '{}' && printf '[{{\"RepoTags\":[\"web:1.0\"]}}]' >manifest.json && tar cf '{}' manifest.json",
        home.path().display(),
        path.display()
    );
    assert!(Command::new("sh").args(["-c", &make]).status().expect("there is a shell").success());
    let archive = Archive::read(&path).expect("it names one");
    assert_eq!(archive.images, ["docker.io/library/web:1.0"]);
    let (hands, admin) = (hands(home.path()), way(&host, "admin"));
    let hears = |_: Piece<'_>| {};
    let import = ["sh", "-c", "sha256sum <\"$1\" >/root/taken", "import"].map(String::from);
    let ended = hands.take_in(&host.name, &admin, &archive, &import, &hears).await;
    assert_eq!(ended, Ok(Some(0)));
    assert_eq!(host.sh("cut -c -64 /root/taken").trim(), archive.digest.as_str());
    let left = "find /var/lib/kubewright -type f | grep -v 'absent/folder %2fvar%2flib%2fkubewright$'; true";
    assert_eq!(host.sh(left), "");
    let refused = ["false".to_string()];
    assert_eq!(hands.take_in(&host.name, &admin, &archive, &refused, &hears).await, Ok(Some(1)));
    assert_eq!(host.sh(left), "");
}

#[tokio::test]
async fn certificates_tell_until_when_they_are_good_and_keys_stay_where_they_are() {
    let Some(lab) = Lab::open() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let make = "new() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x -days $2 \
                -keyout /tmp/key -out \"$1\" 2>/dev/null; }\n\
                mkdir -p /var/lib/rancher/k3s/server/tls/etcd /etc/kubernetes/pki /var/lib/kubelet/pki\n\
                new /var/lib/rancher/k3s/server/tls/serving-kube-apiserver.crt 10\n\
                new /etc/kubernetes/pki/ca.crt 3650\n\
                new /tmp/kubelet.crt 20; cat /tmp/key /tmp/kubelet.crt >/var/lib/kubelet/pki/kubelet-client-current.pem\n\
                new /var/lib/kubelet/pki/kubelet.crt 1; new /var/lib/kubelet/pki/kubelet-server-current.pem 30\n\
                new /tmp/admin.crt 5\n\
                echo \"    client-certificate-data: $(base64 -w 0 /tmp/admin.crt)\" >/etc/kubernetes/admin.conf\n\
                echo nonsense >/etc/kubernetes/pki/broken.crt\n";
    let host = lab.prepared("one", make);
    let seen = look(&hands(home.path()), &host, &way(&host, "admin"), &[]).await;
    let seen = seen.present().unwrap_or_else(|| panic!("{seen:?}"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later").as_secs();
    let days = |place: &str| seen.certificates.get(place).map(|until| (until - now + 43_200) / 86_400);
    assert_eq!(days("/var/lib/rancher/k3s/server/tls/serving-kube-apiserver.crt"), Some(10));
    assert_eq!(days("/etc/kubernetes/pki/ca.crt"), Some(3650));
    assert_eq!(days("/var/lib/kubelet/pki/kubelet-client-current.pem"), Some(20));
    assert_eq!(days("/var/lib/kubelet/pki/kubelet-server-current.pem"), Some(30));
    assert_eq!(days("/var/lib/kubelet/pki/kubelet.crt"), None, "nobody shows it any more");
    assert_eq!(days("/etc/kubernetes/admin.conf"), Some(5));
    assert_eq!(seen.certificates.len(), 5, "what is none tells nothing: {:?}", seen.certificates);
    assert!(seen.boot.as_ref().is_some_and(|boot| !boot.id.is_empty()));
}
