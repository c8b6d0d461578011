//! The first contact: a password lets us in until our key takes its place.

use super::*;

/// What the spec says of the password.
const SECRET: &str = "secret/first-password";
/// A host that nobody gave our key: users log in with the password `first contact` or with keys of their own.
const WITHOUT_KEY: &str = r"
sed -i -e 's|/etc/ssh/lab_keys|.ssh/authorized_keys|' -e 's/^$HOW no/$HOW yes/' /etc/ssh/sshd_config
sed -i 's|^admin:[^:]*:|admin:$6$kubewright$N6sFv5YYGL/2K.SSkhDYpiqUTdvzU4KmcGzBR0pzFTq06xB9.M3AT.nqm24VdtLMirCUPT.NKGrqOx4UtRXpo.:|' /etc/shadow
";

fn host(lab: &Lab, how: &str) -> LabHost {
    lab.prepared("one", &WITHOUT_KEY.replace("$HOW", how))
}

fn knows(password: &'static str, home: &Path) -> RealHosts {
    hands_that_know(home, move |wanted| match wanted {
        Password::First(hole) if hole.as_str() == SECRET => Ok(Secret::new(password.to_string())),
        other => Err(format!("nobody knows {other}")),
    })
}

fn first(host: &LabHost) -> Way {
    Way { first: Some(SECRET.into()), ..way(host, "admin") }
}

#[tokio::test]
async fn a_password_lets_us_in_until_our_key_takes_its_place() {
    let Some(lab) = Lab::open() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let host = host(&lab, "PasswordAuthentication");
    let (keys, way) = ("cat /home/admin/.ssh/authorized_keys 2>/dev/null || true", first(&host));
    // Without the word of the spec, no password is tried.
    let refused = look(&knows("first contact", home.path()), &host, &super::way(&host, "admin"), &[]).await;
    assert!(refused.why_unknown().expect("it is not let in").words.contains("authentication"), "{refused:?}");
    // A look changes nothing.
    let hands = knows("first contact", home.path());
    assert!(look(&hands, &host, &way, &[]).await.present().is_some());
    assert_eq!(host.sh(keys), "");
    // A change puts the key in its place first; whoever is there already stays.
    host.sh("mkdir -p /home/admin/.ssh && printf 'ssh-ed25519 AAAA other' >/home/admin/.ssh/authorized_keys && chown -R admin /home/admin");
    make(&hands, &host, &way, &[file("/etc/one", "1")]).await.expect("it is done");
    let key = std::fs::read_to_string(host.at("user.pub")).expect("a key");
    let key = key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let there = host.sh(keys);
    let lines: Vec<&str> = there.lines().collect();
    assert_eq!(lines.len(), 2, "{there}");
    assert!(lines[0].ends_with("other") && lines[1].starts_with(&key), "{there}");
    assert_eq!(
        host.sh("stat -c '%a %U' /home/admin/.ssh /home/admin/.ssh/authorized_keys").lines().next(),
        Some("755 admin")
    );
    // From now on the key does it, whatever becomes of the password.
    assert!(look(&knows("forgotten", home.path()), &host, &way, &[]).await.present().is_some());
    make(&hands, &host, &way, &[file("/etc/one", "2")]).await.expect("it is done");
    assert_eq!(host.sh(keys), there, "once is enough");
    let log = host.log();
    assert_eq!(log.matches("Accepted password").count(), 1, "{log}");
}

#[tokio::test]
async fn questions_of_a_host_are_answered_with_the_password() {
    let Some(lab) = Lab::open() else { return };
    let home = tempfile::tempdir().expect("a folder");
    // PAM asks by itself, and the daemon takes no password otherwise.
    let pam = "sed -i 's/^UsePAM no/UsePAM yes/' /etc/ssh/sshd_config\n\
        printf 'auth required pam_unix.so\\naccount required pam_permit.so\\nsession required pam_permit.so\\n' >/etc/pam.d/sshd\n";
    let host = lab.prepared("one", &(WITHOUT_KEY.replace("$HOW", "KbdInteractiveAuthentication") + pam));
    let seen = look(&knows("first contact", home.path()), &host, &first(&host), &[]).await;
    assert!(seen.present().is_some(), "{seen:?}");
    assert!(host.log().contains("Accepted keyboard-interactive"), "{}", host.log());
    let refused = look(&knows("wrong", home.path()), &host, &first(&host), &[]).await;
    assert!(refused.why_unknown().is_some(), "{refused:?}");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_a_host_that_takes_no_key_too() {
    let Some(lab) = Lab::open() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let host = host(&lab, "PasswordAuthentication");
    let refused = look(&knows("wrong", home.path()), &host, &first(&host), &[]).await;
    let why = &refused.why_unknown().expect("it is not let in").words;
    assert!(why.contains("the password for the first contact (secret/first-password)"), "{why}");
    assert!(!why.contains("wrong"), "{why}");
    // The folder of keys is a file: the change fails before it began, and says why.
    host.sh("touch /home/admin/.ssh");
    let hands = knows("first contact", home.path());
    let failed = make(&hands, &host, &first(&host), &[file("/etc/one", "1")]).await.expect_err("it cannot");
    assert!(failed.to_string().contains("our key could not be put in its place"), "{failed}");
    assert_eq!(host.sh("ls /etc/one 2>/dev/null || true"), "");
    host.sh("rm /home/admin/.ssh");
    make(&hands, &host, &first(&host), &[file("/etc/one", "1")]).await.expect("running again finishes it");
}
