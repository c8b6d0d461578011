//! Whether a host is the one that we know: by the spec, or by known_hosts in every form that OpenSSH writes.

use super::*;

/// A file of the lab's keys, without its comment.
fn public(host: &LabHost, name: &str) -> String {
    let text = std::fs::read_to_string(host.at(&format!("{name}.pub"))).expect("a key");
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn fingerprint(host: &LabHost, name: &str) -> String {
    let output = std::process::Command::new("ssh-keygen").arg("-lf").arg(host.at(name)).output();
    let output = String::from_utf8(output.expect("it is installed").stdout).expect("it is text");
    output.split_whitespace().nth(1).expect("a fingerprint").to_string()
}

/// Why a host is not seen by a user with this `known_hosts`; none when it is. Nothing is ever learnt.
async fn refused(host: &LabHost, way: &Way, known: &[u8]) -> Option<String> {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".ssh")).expect("a folder");
    std::fs::write(home.path().join(".ssh/known_hosts"), known).expect("a file");
    let seen = look(&hands(home.path()), host, way, &[]).await;
    assert!(!home.path().join("known").exists(), "a key was learnt: {seen:?}");
    seen.why_unknown().map(ToString::to_string)
}

#[tokio::test]
async fn a_key_that_the_spec_says_is_known_before_the_first_contact() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    for right in [public(&host, "host"), format!("{} me@here", public(&host, "host")), fingerprint(&host, "host")] {
        let way = Way { host_key: Some(right.as_str().into()), ..way(&host, "root") };
        assert_eq!(refused(&host, &way, b"").await, None, "{right}");
    }
    for wrong in [public(&host, "stranger"), fingerprint(&host, "stranger")] {
        let way = Way { host_key: Some(wrong.as_str().into()), ..way(&host, "root") };
        // The spec goes first, whatever else is known.
        let known = format!("[{}]:{PORT} {}\n", host.address, public(&host, "host"));
        let why = refused(&host, &way, known.as_bytes()).await.expect("it is another");
        assert!(why.contains("(host key)") && why.contains("(the spec)"), "{why}");
        assert!(why.contains(&fingerprint(&host, "host")) && why.contains(&fingerprint(&host, "stranger")), "{why}");
    }
    let way = Way { host_key: Some("nonsense".into()), ..way(&host, "root") };
    assert!(refused(&host, &way, b"").await.is_some_and(|why| why.contains("no public key")));
}

/// A file of known hosts that knows this key.
type Form<'a> = &'a dyn Fn(&str) -> Vec<u8>;

#[tokio::test]
async fn what_is_known_holds_in_every_form() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let name = format!("[{}]:{PORT}", host.address);
    let hashed = |key: &str| {
        let file = host.at("to-hash");
        std::fs::write(&file, format!("{name} {key}\n")).expect("a file");
        let status = std::process::Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file).output();
        assert!(status.expect("it is installed").status.success());
        std::fs::read(&file).expect("it was written")
    };
    let odd = |key: &str| {
        let mut text = b"# caf\xe9\nbroken\n* ssh-ed25519 AAAAbroken\n".to_vec();
        text.extend_from_slice(format!("{name} {key}\n").as_bytes());
        text
    };
    let pattern = |key: &str| format!("[10.76.*]:{PORT},!nobody {key}\n").into_bytes();
    let marked = |key: &str| format!("@cert-authority * {key}\n{name}\t{key} comment\n").into_bytes();
    let forms: [(&str, Form<'_>); 4] =
        [("hashed", &hashed), ("beside odd lines", &odd), ("by a pattern", &pattern), ("beside an authority", &marked)];
    let way = way(&host, "root");
    for (form, known) in forms {
        assert_eq!(refused(&host, &way, &known(&public(&host, "host"))).await, None, "{form}");
        let why = refused(&host, &way, &known(&public(&host, "stranger"))).await;
        let why = why.unwrap_or_else(|| panic!("{form}: another key was believed"));
        assert!(why.contains(&fingerprint(&host, "stranger")) && why.contains("line "), "{form}: {why}");
    }
    let revoked = format!("{name} {0}\n@revoked * {0}\n", public(&host, "host"));
    let why = refused(&host, &way, revoked.as_bytes()).await.expect("it was revoked");
    assert!(why.contains("revoked") && why.contains("line 2"), "{why}");
}

#[tokio::test]
async fn a_host_that_shows_another_kind_of_key_than_the_known_one_is_refused() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let status = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ecdsa", "-N", "", "-f"])
        .arg(host.at("ecdsa"))
        .status();
    assert!(status.expect("it is installed").success());
    let known = format!("[{}]:{PORT} {}\n", host.address, public(&host, "ecdsa"));
    let why = refused(&host, &way(&host, "root"), known.as_bytes()).await.expect("it has none of that kind");
    assert!(why.contains(&fingerprint(&host, "ecdsa")) && why.contains(&fingerprint(&host, "host")), "{why}");
}
