//! Another SSH key in the place of one, on real OpenSSH servers: nobody is locked out, wherever it is cut.

use kubewright_hosts::Hosts as _;
use kubewright_model::rotation::{KeyPart, KeySeen};

use super::*;

/// Users log in with keys of their own files.
const OWN_FILES: &str = r"
sed -i 's|/etc/ssh/lab_keys|.ssh/authorized_keys|' /etc/ssh/sshd_config
for home in /root:root /home/admin:admin; do
  mkdir -p ${home%%:*}/.ssh && cp /etc/ssh/lab_keys ${home%%:*}/.ssh/authorized_keys
  chmod 700 ${home%%:*}/.ssh && chmod 600 ${home%%:*}/.ssh/authorized_keys && chown -R ${home##*:} ${home%%:*}/.ssh
done
";

/// The key of the lab for each of these hosts, in a file of its own.
fn own_key(home: &Path, hosts: &[&LabHost]) -> String {
    let file = home.join("lab");
    lab::keygen(&file);
    let line = std::fs::read_to_string(home.join("lab.pub")).expect("a key");
    for host in hosts {
        for folder in ["/root", "/home/admin"] {
            host.sh(&format!("echo '{}' >>{folder}/.ssh/authorized_keys", line.trim()));
        }
    }
    file.display().to_string()
}

fn by(host: &LabHost, user: &str, file: &str) -> Way {
    Way { key_file: Some(file.into()), ..way(host, user) }
}

fn bring(host: &LabHost, way: &Way) -> KeyPart {
    KeyPart::Bring { host: host.name.clone(), way: way.clone() }
}

fn withdraw(host: &LabHost, way: &Way) -> KeyPart {
    KeyPart::Withdraw { host: host.name.clone(), way: way.clone() }
}

async fn seen(hands: &RealHosts, file: &str) -> KeySeen {
    hands.key(file).await.present().cloned().expect("it is there")
}

fn text(key: &str) -> &str {
    key.split_whitespace().nth(1).expect("a kind and a text")
}

#[tokio::test]
async fn another_key_lets_in_and_the_old_one_lets_nobody_in_any_more() {
    let Some(lab) = Lab::open() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let (one, two) = (lab.prepared("one", OWN_FILES), lab.prepared("two", OWN_FILES));
    let file = own_key(home.path(), &[&one, &two]);
    let hands = hands(home.path());
    // Options stand before the key on one of them, and the file is a link on the other, as on Proxmox VE.
    one.sh("sed -i 's/^ssh-ed25519/no-X11-forwarding ssh-ed25519/' /home/admin/.ssh/authorized_keys");
    two.sh("mv /root/.ssh/authorized_keys /root/keys && ln -s /root/keys /root/.ssh/authorized_keys");
    let ways = [(&one, by(&one, "admin", &file)), (&two, by(&two, "root", &file))];
    let old = seen(&hands, &file).await.current;
    assert!(hands.rotate_key(&file, &KeyPart::Make).await.expect("it is made").changed);
    let next = seen(&hands, &file).await.next.expect("it is made");
    for (host, way) in &ways {
        // Whoever does it twice does it once.
        for _ in 0..2 {
            hands.rotate_key(&file, &bring(host, way)).await.expect("it lets in");
        }
        let keys = host.sh("cat /home/admin/.ssh/authorized_keys /root/.ssh/authorized_keys");
        assert_eq!((keys.matches(text(&old)).count(), keys.matches(text(&next)).count()), (2, 1), "{keys}");
        // Before it has taken the place, nothing is taken away.
        let early = hands.rotate_key(&file, &withdraw(host, way)).await.expect_err("it is early");
        assert!(early.to_string().contains("no other key has taken its place"), "{early}");
    }
    hands.rotate_key(&file, &KeyPart::TakeOver).await.expect("it is taken");
    assert_eq!(seen(&hands, &file).await.outlived(), Some(old.as_str()));
    for (host, way) in &ways {
        let user = if &*way.user == "root" { "/root" } else { "/home/admin" };
        let (mode, keys) =
            (format!("stat -Lc '%a %U' {user}/.ssh/authorized_keys"), format!("cat {user}/.ssh/authorized_keys"));
        let before = host.sh(&mode);
        assert!(hands.rotate_key(&file, &withdraw(host, way)).await.expect("it goes").changed);
        assert!(!hands.rotate_key(&file, &withdraw(host, way)).await.expect("it is gone").changed);
        let left = host.sh(&keys);
        assert!(!left.contains(text(&old)) && left.contains(text(&next)), "{left}");
        assert_eq!(left.lines().count(), 2, "the key that others come in by stays: {left}");
        assert_eq!(host.sh(&mode), before);
    }
    assert_eq!(two.sh("readlink /root/.ssh/authorized_keys"), "/root/keys\n");
    assert!(hands.rotate_key(&file, &KeyPart::Drop).await.expect("it goes").changed);
    // Whoever comes anew comes in by the new one.
    let fresh = super::hands(home.path());
    for (host, way) in &ways {
        assert!(look(&fresh, *host, way, &[]).await.present().is_some());
    }
}

#[tokio::test]
async fn a_host_that_does_not_take_the_new_key_keeps_the_old_one() {
    let Some(lab) = Lab::open() else { return };
    let home = tempfile::tempdir().expect("a folder");
    // Its daemon reads keys from another file than the user's.
    let host = lab.host("one");
    let file = home.path().join("lab");
    std::fs::copy(host.at("user"), &file).expect("a key");
    std::fs::copy(host.at("user.pub"), home.path().join("lab.pub")).expect("a key");
    let (hands, file) = (hands(home.path()), file.display().to_string());
    let way = by(&host, "admin", &file);
    hands.rotate_key(&file, &KeyPart::Make).await.expect("it is made");
    let refused = hands.rotate_key(&file, &bring(&host, &way)).await.expect_err("it is not let in");
    assert!(refused.to_string().contains("the old one lets in as before"), "{refused}");
    assert!(look(&super::hands(home.path()), &host, &way, &[]).await.present().is_some());
    // Somebody puts it there, and later the old one lets in although it is taken away from where it is ours to take.
    let line = std::fs::read_to_string(home.path().join("lab.next.pub")).expect("a key");
    host.sh(&format!("echo '{}' >>/etc/ssh/lab_keys", line.trim()));
    hands.rotate_key(&file, &bring(&host, &way)).await.expect("it lets in");
    hands.rotate_key(&file, &KeyPart::TakeOver).await.expect("it is taken");
    let still = hands.rotate_key(&file, &withdraw(&host, &way)).await.expect_err("it lets in as before");
    assert!(still.to_string().contains("AuthorizedKeysFile"), "{still}");
    assert!(look(&super::hands(home.path()), &host, &way, &[]).await.present().is_some());
}

#[tokio::test]
async fn a_host_behind_another_one_is_come_in_to_by_the_new_key_all_the_way() {
    let Some(lab) = Lab::open() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let (gate, inner) = (lab.prepared("gate", OWN_FILES), lab.prepared("inner", OWN_FILES));
    let file = own_key(home.path(), &[&gate, &inner]);
    let hands = hands(home.path());
    let outer = by(&gate, "root", &file);
    let jump = format!("root@{}:{PORT}", gate.address);
    let behind = Way { jump: Some(jump.into()), ..by(&inner, "root", &file) };
    hands.rotate_key(&file, &KeyPart::Make).await.expect("it is made");
    // A bastion that does not let the new key in would lock everybody out who is behind it.
    let refused = hands.rotate_key(&file, &bring(&inner, &behind)).await.expect_err("the gate is shut");
    assert!(refused.to_string().contains("jump host"), "{refused}");
    for (host, way) in [(&gate, &outer), (&inner, &behind)] {
        hands.rotate_key(&file, &bring(host, way)).await.expect("it lets in");
    }
    hands.rotate_key(&file, &KeyPart::TakeOver).await.expect("it is taken");
    for (host, way) in [(&gate, &outer), (&inner, &behind)] {
        hands.rotate_key(&file, &withdraw(host, way)).await.expect("it goes");
    }
    hands.rotate_key(&file, &KeyPart::Drop).await.expect("it goes");
    assert!(look(&super::hands(home.path()), &inner, &behind, &[]).await.present().is_some());
}
