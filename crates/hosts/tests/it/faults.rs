//! What people read when a host does not do as it should, and that running again finishes the job.

use super::*;

async fn unseen(hands: &RealHosts, host: &LabHost, way: &Way) -> String {
    let seen = look(hands, host, way, &[]).await;
    seen.why_unknown().unwrap_or_else(|| panic!("{seen:?}")).to_string()
}

#[tokio::test]
async fn another_host_key_stops_everything_with_both_fingerprints() {
    let Some(lab) = Lab::open() else { return };
    let mut host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let way = way(&host, "root");
    assert!(look(&hands(home.path()), &host, &way, &[]).await.present().is_some());
    host.power_off();
    let print = |name: &str| {
        let output = std::process::Command::new("ssh-keygen").arg("-lf").arg(host.at(name)).output();
        let output = String::from_utf8(output.expect("it is installed").stdout).expect("it is text");
        output.split_whitespace().nth(1).expect("a fingerprint").to_string()
    };
    let (known, shown) = (print("host"), print("stranger"));
    std::fs::copy(host.at("stranger"), host.at("host")).expect("a copy");
    host.power_on();
    let why = unseen(&hands(home.path()), &host, &way).await;
    assert!(why.contains(&known) && why.contains(&shown), "{why}");
    let error = make(&hands(home.path()), &host, &way, &[file("/etc/one", "1")]).await.expect_err("it is another");
    assert!(!error.may_pass());
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_is_finished_by_the_next_run() {
    let Some(lab) = Lab::open() else { return };
    let mut host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    let way = way(&host, "root");
    // The first write of a file whose name is known kills the connection under itself.
    let trap = "printf '#!/bin/sh\\n[ -e /once ] || { : >/once; kill -9 \"$(cat /run/session)\"; sleep 5; }\\n\
        exec /usr/bin/mv \"$@\"\\n' >/usr/local/sbin/mv; chmod 755 /usr/local/sbin/mv";
    host.sh(trap);
    assert!(look(&hands, &host, &way, &[]).await.present().is_some());
    host.sh("pgrep -f 'sshd: root' | head -n 1 >/run/session");
    let resources: Vec<HostResource> = (0..20).map(|number| file(&format!("/etc/many/{number}"), "text\n")).collect();
    let error = make(&hands, &host, &way, &resources).await.expect_err("it was cut");
    assert!(error.may_pass() && error.to_string().contains("cut"), "{error}");
    assert!(make(&hands, &host, &way, &resources).await.expect("it is finished").changed);
    assert!(!make(&hands, &host, &way, &resources).await.expect("it is finished").changed);
    assert_eq!(host.sh("ls -A /etc/many | wc -l").trim(), "20", "nothing else lies there");
    // A host that went away entirely says so, at the layer of the network, and comes back.
    host.power_off();
    let error = make(&hands, &host, &way, &resources).await.expect_err("it is off");
    assert!(error.may_pass(), "{error}");
    host.power_on();
    assert!(make(&hands, &host, &way, &resources).await.expect("it is back, as it came").changed);
}

#[tokio::test]
async fn a_shell_that_somebody_ends_passes() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "admin"));
    host.sh("printf '#!/bin/sh\\nkill -TERM $(pgrep -x sh | tr \"\\\\n\" \" \")\\nsleep 5\\n' >/usr/local/sbin/mv; \
        chmod 755 /usr/local/sbin/mv");
    let error = make(&hands, &host, &way, &[file("/etc/one", "1")]).await.expect_err("it was ended");
    assert!(error.may_pass(), "{error:?}");
    assert!(error.to_string().contains("in the middle of a command"), "{error}");
    host.sh("rm /usr/local/sbin/mv");
    assert!(make(&hands, &host, &way, &[file("/etc/one", "1")]).await.expect("it is done").changed);
}

#[tokio::test]
async fn a_host_that_was_started_again_between_two_looks_is_seen() {
    let Some(lab) = Lab::open() else { return };
    let mut host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "admin"));
    assert!(look(&hands, &host, &way, &[]).await.present().is_some());
    host.power_off();
    host.power_on();
    let again = look(&hands, &host, &way, &[]).await;
    assert!(again.present().is_some(), "{again:?}");
}

#[tokio::test]
async fn sudo_that_wants_a_password_is_told_as_that() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let why = unseen(&hands(home.path()), &host, &way(&host, "guest")).await;
    assert!(why.contains("(sudo)") && why.contains("a password is required"), "{why}");
    let host = lab.prepared("two", "rm /usr/bin/sudo");
    let why = unseen(&hands(home.path()), &host, &way(&host, "admin")).await;
    assert!(why.contains("(sudo)") && why.contains("not found"), "{why}");
}

#[tokio::test]
async fn a_key_that_is_not_let_in_is_named() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let stranger = host.at("stranger").display().to_string();
    let way = Way { key_file: Some(stranger.clone().into()), ..way(&host, "root") };
    let why = unseen(&hands(home.path()), &host, &way).await;
    assert!(why.contains("root is not let in") && why.contains(&stranger), "{why}");
}

#[tokio::test]
async fn a_disk_that_is_full_or_cannot_be_written_is_told_by_its_file() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.prepared(
        "one",
        "mkdir /full /fixed
        echo old >/fixed/one",
    );
    host.sh("mount -t tmpfs -o size=64k tmpfs /full && mount --bind /fixed /fixed && mount -o remount,bind,ro /fixed");
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "root"));
    let big = file("/full/big", &"x".repeat(200_000));
    let error = make(&hands, &host, &way, std::slice::from_ref(&big)).await.expect_err("there is no room");
    assert!(error.to_string().contains("writing /full/big") && error.to_string().contains("No space left"), "{error}");
    assert_eq!(host.sh("ls -A /full"), "", "no half of it is left");
    host.sh("mount -o remount,size=1m /full");
    assert!(make(&hands, &host, &way, &[big]).await.expect("there is room now").changed);
    let error = make(&hands, &host, &way, &[file("/fixed/one", "new")]).await.expect_err("it is read-only");
    assert!(error.to_string().contains("Read-only file system"), "{error}");
}

#[tokio::test]
async fn sudo_takes_its_password_from_standard_input_alone() {
    let Some(lab) = Lab::open() else { return };
    let give = "echo 'guest:right horse' | chpasswd";
    let forgets = "echo 'Defaults timestamp_timeout=0' >/etc/sudoers.d/forgets; chmod 440 /etc/sudoers.d/forgets";
    for prepare in [give.to_string(), format!("{give}; {forgets}")] {
        let host = lab.prepared("one", &prepare);
        let home = tempfile::tempdir().expect("a folder");
        let way = Way { sudo: Some("secret/sudo-password".into()), ..way(&host, "guest") };
        let right = hands_that_know(home.path(), |wanted| match wanted {
            Password::Sudo(hole) if hole.as_str() == "secret/sudo-password" => Ok(Secret::new("right horse".into())),
            other => Err(format!("nobody knows {other}")),
        });
        for _ in 0..3 {
            let seen = look(&right, &host, &way, &[]).await;
            assert!(seen.present().is_some(), "{seen:?}");
        }
        assert!(make(&right, &host, &way, &[file("/etc/one", "1\n")]).await.expect("it is let").changed);
        let wrong = hands_that_know(home.path(), |_| Ok(Secret::new("touch /etc/run-as-a-command".into())));
        // Somebody else's shell remembers nothing of ours.
        let why = unseen(&wrong, &host, &way).await;
        assert!(why.contains("(sudo)") && why.contains("1 incorrect password attempt"), "{why}");
        // Where none is wanted, the password is no command.
        let admin = Way { sudo: way.sudo.clone(), ..self::way(&host, "admin") };
        assert!(look(&wrong, &host, &admin, &[]).await.present().is_some());
        assert_eq!(host.sh("ls /etc/run-as-a-command 2>/dev/null || echo none"), "none\n");
    }
}

#[tokio::test]
async fn sudo_that_wants_a_terminal_says_so() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.prepared("one", "echo 'Defaults requiretty' >>/etc/sudoers.d/admin");
    let home = tempfile::tempdir().expect("a folder");
    let why = unseen(&hands(home.path()), &host, &way(&host, "admin")).await;
    assert!(why.contains("(sudo)") && why.contains("tty"), "{why}");
}

#[tokio::test]
async fn an_encrypted_key_is_opened_by_who_knows_its_password_and_nobody_is_asked_twice() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let key = host.at("user");
    let status = std::process::Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"])
        .arg(&key)
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.expect("ssh-keygen is installed").success());
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let knows = hands_that_know(home.path(), move |wanted| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(*wanted, Password::Key(key.clone()));
        Ok(Secret::new("open sesame".into()))
    });
    let (root, admin) = (way(&host, "root"), way(&host, "admin"));
    let other = kubewright_model::ids::NodeName::from("the-same-as-admin");
    let probe = Probe { host: &other, way: &admin, resources: &[], holds_data: false, updates: false };
    let (one, two) = tokio::join!(look(&knows, &host, &root, &[]), knows.observe(probe));
    assert!(one.present().is_some() && two.present().is_some(), "{one:?} {two:?}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
    let why = unseen(&hands(home.path()), &host, &root).await;
    assert!(why.contains("encrypted") && why.contains("nobody is asked"), "{why}");
    let wrong = hands_that_know(home.path(), |_| Ok(Secret::new("open barley".into())));
    let why = unseen(&wrong, &host, &root).await;
    assert!(why.contains("the password does not open it"), "{why}");
}

#[tokio::test]
async fn a_package_manager_that_others_use_is_busy_and_the_next_run_installs() {
    let Some(lab) = Lab::open() else { return };
    // The real one, as long as somebody holds its lock.
    let host = lab.prepared("one", "mv /usr/local/sbin/apt-get /root/stand-in");
    host.sh("cat >/root/hold <<'END'
import fcntl, time
lists, packages = open('/var/lib/apt/lists/lock', 'w'), open('/var/lib/dpkg/lock-frontend', 'w')
fcntl.lockf(lists, fcntl.LOCK_EX); fcntl.lockf(packages, fcntl.LOCK_EX)
open('/run/held', 'w').close()
time.sleep(600)
END
        python3 /root/hold >/dev/null 2>&1 & echo $! >/run/holder; until [ -e /run/held ]; do sleep 0.1; done");
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "admin"));
    let package = [HostResource::Package("kubewright-lab".into())];
    let error = make(&hands, &host, &way, &package).await.expect_err("somebody holds it");
    assert!(error.may_pass(), "{error}");
    assert!(error.to_string().contains("the package manager on one is busy: held by process"), "{error}");
    host.sh("kill $(cat /run/holder); mv /root/stand-in /usr/local/sbin/apt-get");
    assert!(make(&hands, &host, &way, &package).await.expect("it is free").changed);
}

#[tokio::test]
async fn names_that_are_no_text_are_looked_past() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.prepared(
        "one",
        "odd=$(printf '\\377\\376')
        mkdir -p /etc/sysctl.d /etc/modules-load.d
        echo 'kernel.pid_max = 5' >\"/etc/sysctl.d/0$odd.conf\"
        echo overlay >\"/etc/modules-load.d/$odd.conf\"
        ln -s \"/opt/$odd\" /opt/now
        printf 'theirs %s\\n' \"$odd\" >/etc/theirs",
    );
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "admin"));
    let value = host.sh("cat /proc/sys/kernel/pid_max").trim().to_string();
    let resources = [
        HostResource::Sysctl { key: "kernel.pid_max".into(), value },
        HostResource::Link { path: "/opt/now".into(), target: "/etc".into() },
        HostResource::Block { path: "/etc/theirs".into(), lines: vec!["ours".into()] },
    ];
    let seen = look(&hands, &host, &way, &resources).await;
    assert!(seen.present().is_some_and(|seen| seen.links["/opt/now"] != "/etc"), "{seen:?}");
    assert!(make(&hands, &host, &way, &resources).await.expect("it is done").changed);
    assert!(!make(&hands, &host, &way, &resources).await.expect("it is done").changed);
    assert_eq!(host.sh("head -n 1 /etc/theirs | od -An -tx1").trim(), "74 68 65 69 72 73 20 ff fe 0a");
}
