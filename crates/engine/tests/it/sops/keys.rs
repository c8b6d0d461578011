//! Who opens a file: keys that are right, wrong, of other kinds, or needed together.

use std::fs;
use std::process::Command;

use kubewright_engine::sops::{Config, Form, Identities, SopsError, SopsFile, Sources, generate, openers};
use kubewright_model::secret::Secret;

use super::{Desk, NOW, place};

#[test]
fn whoever_has_no_key_is_told_where_keys_were_looked_for_and_whose_it_takes() {
    let desk = Desk::new();
    desk.write("a.yaml", "a: s3cret\n");
    desk.printed("one.key", &["--encrypt", "--in-place", "--age", &desk.keys[0], "a.yaml"]);
    let stranger = Identities::look(&Sources {
        keys: Some(Secret::new("AGE-SECRET-KEY-1NONSENSE".into())),
        file: Some(desk.path("two.key")),
        command: Some("cat /no/such/file".into()),
        own: Some(desk.path("none.txt")),
    });
    let error = SopsFile::open(Form::Yaml, &desk.read("a.yaml"), &stranger).unwrap_err().told();
    let (one, two) = (&desk.keys[0], &desk.keys[1]);
    let folder = desk.path("").display().to_string();
    let expected = format!(
        "none of the keys here opens it. It is for {one}. Keys were looked for in: SOPS_AGE_KEY: line 1 is no private key of age; \
         SOPS_AGE_KEY_FILE ({folder}two.key): {two}; SOPS_AGE_KEY_CMD: the command ended with exit status: 1; \
         {folder}none.txt: there is no such file"
    );
    assert_eq!(error, expected);
    assert!(!desk.sops("two.key", &["--decrypt", "a.yaml"]).0, "SOPS does not open it either");
    let others = [
        Sources { keys: Some(Secret::new(desk.read("one.key"))), ..Sources::default() },
        Sources { command: Some(format!("cat '{folder}one.key'")), ..Sources::default() },
        Sources { own: Some(desk.path("one.key")), file: Some(desk.path("none")), ..Sources::default() },
    ];
    for sources in others {
        let file = SopsFile::open(Form::Yaml, &desk.read("a.yaml"), &Identities::look(&sources)).unwrap();
        assert_eq!(file.value(&place("a")).unwrap().expose(), "s3cret", "{sources:?}");
    }
}

#[test]
fn keys_and_files_of_age_are_what_age_takes() {
    let desk = Desk::new();
    let (key, public) = generate("2026-11-22T10:00:00Z");
    desk.write("ours.key", key.expose());
    let ran = Command::new("age-keygen").arg("-y").arg(desk.path("ours.key")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), public);
    let file = SopsFile::begin(Form::Yaml, "a: b\n", std::slice::from_ref(&public)).unwrap();
    desk.save("a.yaml", &file);
    let (_, sealed) = desk.read("a.yaml").split_once("enc: |\n").map(|(a, b)| (a.to_string(), b.to_string())).unwrap();
    let sealed: Vec<&str> = sealed.lines().take_while(|line| !line.contains("lastmodified")).map(str::trim).collect();
    desk.write("sealed.age", &(sealed.join("\n") + "\n"));
    let mut age = Command::new("age");
    let ran = age.arg("--decrypt").arg("-i").arg(desk.path("ours.key")).arg(desk.path("sealed.age")).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.stdout.len(), 32, "a data key");
    assert_eq!(desk.printed("ours.key", &["--decrypt", "a.yaml"]), "a: b\n");
}

#[test]
fn a_recipient_is_added_and_a_new_key_is_taken_for_those_who_are_left() {
    let desk = Desk::new();
    desk.write("a.yaml", "# why\na: s3cret\nlist: [x, x]\n");
    desk.printed("one.key", &["--encrypt", "--in-place", "--age", &desk.keys[0], "a.yaml"]);
    let mut file = desk.open("a.yaml");
    assert!(file.add_recipient(&desk.keys[1]).unwrap() && !file.add_recipient(&desk.keys[1]).unwrap());
    for wrong in ["age1nonsense", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1ABCDEFGH", "age1yubikey1q2w3e"] {
        let told = file.add_recipient(wrong).unwrap_err().to_string();
        assert!(told.starts_with('`') && !told.contains("ABCDEFGH"), "{told}");
    }
    let before = desk.read("a.yaml");
    desk.save("a.yaml", &file);
    let clear = desk.printed("two.key", &["--decrypt", "a.yaml"]);
    assert_eq!(super::lasting(&before)[..5], super::lasting(&desk.read("a.yaml"))[..5], "no value is another");
    file.rotate(&desk.keys[1..]).unwrap();
    desk.save("a.yaml", &file);
    assert_eq!(desk.printed("two.key", &["--decrypt", "a.yaml"]), clear);
    assert!(!desk.sops("one.key", &["--decrypt", "a.yaml"]).0, "who was taken out opens it no more");
    let after = desk.read("a.yaml");
    assert!(before.lines().filter(|line| line.contains("data:")).all(|line| !after.contains(line)), "{after}");
    assert!(file.rotate(&[]).unwrap_err().to_string().contains("for nobody"));
}

/// A key of GnuPG, made for this test.
fn pgp(desk: &Desk) -> String {
    let home = desk.path("gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let gpg = |arguments: &[&str]| {
        let ran =
            Command::new("gpg").env("GNUPGHOME", &home).args(["--batch", "--quiet"]).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    gpg(&["--passphrase", "", "--quick-generate-key", "lab@example.org", "default", "default", "1d"]);
    let told = gpg(&["--with-colons", "--list-keys"]);
    told.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().trim_matches(':').to_string()
}

#[test]
fn keys_of_other_kinds_beside_age_are_kept_and_not_given_a_new_key() {
    let desk = Desk::new();
    let fingerprint = pgp(&desk);
    desk.write("a.yaml", "a: s3cret\n");
    desk.printed("one.key", &["--encrypt", "--in-place", "--age", &desk.keys[0], "--pgp", &fingerprint, "a.yaml"]);
    let mut file = desk.open("a.yaml");
    assert_eq!(file.openers().others, [format!("pgp {fingerprint}")]);
    file.set(&place("a"), &Secret::new("other".into())).unwrap();
    file.add_recipient(&desk.keys[1]).unwrap();
    desk.save("a.yaml", &file);
    assert_eq!(desk.printed("none", &["--decrypt", "a.yaml"]), "a: other\n", "who has only the PGP key still opens it");
    let told = file.rotate(&desk.keys).unwrap_err().to_string();
    assert_eq!(told, format!("a new key cannot be given to pgp {fingerprint}: only the program `sops` reaches them"));
    desk.save("a.yaml", &file);
    assert_eq!(desk.printed("none", &["--decrypt", "a.yaml"]), "a: other\n", "after the refusal it is as it was");
    // A file for PGP alone is opened by nobody here, and says so.
    desk.write("b.yaml", "a: s3cret\n");
    desk.printed("one.key", &["--encrypt", "--in-place", "--pgp", &fingerprint, "b.yaml"]);
    let error = SopsFile::open(Form::Yaml, &desk.read("b.yaml"), &desk.identities("one.key")).unwrap_err();
    assert!(error.told().contains(&format!("It is for pgp {fingerprint}")), "{}", error.told());
    assert_eq!(openers(Form::Yaml, &desk.read("b.yaml")).unwrap().others, [format!("pgp {fingerprint}")]);
    // One of Amazon's is never reached, and stays.
    let kms = "    kms:\n        - arn: arn:aws:kms:us-east-1:1:key/x\n          created_at: \"2026-11-22T10:00:00Z\"\n          \
               enc: AQIC\n          aws_profile: \"\"\n    age:\n";
    desk.write("c.yaml", &desk.read("a.yaml").replacen("    age:\n", kms, 1));
    let file = desk.open("c.yaml");
    let before = desk.read("c.yaml");
    desk.save("c.yaml", &file);
    assert_eq!(super::lasting(&desk.read("c.yaml")), super::lasting(&before));
    assert!(file.openers().others.contains(&"kms arn:aws:kms:us-east-1:1:key/x".to_string()), "{:?}", file.openers());
}

#[test]
fn groups_of_keys_are_refused() {
    let desk = Desk::new();
    let rules = format!(
        "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{}]\n      - age: [{}]\n",
        desk.keys[0], desk.keys[1]
    );
    desk.write(".sops.yaml", &rules);
    desk.write("a.yaml", "a: s3cret\n");
    desk.printed("one.key", &["--encrypt", "--in-place", "a.yaml"]);
    let error = SopsFile::open(Form::Yaml, &desk.read("a.yaml"), &desk.identities("one.key")).unwrap_err();
    assert!(matches!(error, SopsError::KeyGroups), "{error}");
    assert!(error.to_string().contains("several groups together"));
}

#[test]
fn the_rules_that_we_write_are_those_that_sops_goes_by() {
    let desk = Desk::new();
    let mut config = Config::for_file("secrets.sops.yaml", &desk.keys[..1]);
    desk.write(".sops.yaml", &config.text());
    desk.write("secrets.sops.yaml", "a: b\n");
    desk.printed("one.key", &["--encrypt", "--in-place", "secrets.sops.yaml"]);
    assert_eq!(desk.open("secrets.sops.yaml").openers().recipients, desk.keys[..1]);
    assert!(!desk.sops("one.key", &["--encrypt", "--in-place", "secretsXsops.yaml"]).0, "no other file is meant");
    assert!(
        config.add_recipient("secrets.sops.yaml", &desk.keys[1]) && !config.add_recipient("other.yaml", &desk.keys[1])
    );
    desk.write(".sops.yaml", &config.text());
    desk.printed("one.key", &["updatekeys", "--yes", "secrets.sops.yaml"]);
    assert_eq!(desk.open("secrets.sops.yaml").openers().recipients, desk.keys);
    // Somebody else's rules stay, with their comments, and come after ours.
    let theirs = format!("# ours\ncreation_rules:\n    # all\n    - age:\n        - {}\n", desk.keys[1]);
    let mut config = Config::read(&theirs).unwrap();
    assert_eq!(config.recipients("x.yaml"), Some(desk.keys[1..].to_vec()));
    config.add_rule("secrets.sops.yaml", &desk.keys[..1]);
    let text = config.text();
    assert!(
        text.contains("# ours")
            && text.contains("# all")
            && text.find("secrets").unwrap() < text.find("# all").unwrap()
    );
    assert_eq!(config.recipients("secrets.sops.yaml"), Some(desk.keys[..1].to_vec()));
    assert!(config.add_recipient("x.yaml", &desk.keys[0]));
    desk.write(".sops.yaml", &config.text());
    desk.write("x.yaml", "a: b\n");
    desk.printed("one.key", &["--encrypt", "--in-place", "x.yaml"]);
    assert_eq!(desk.open("x.yaml").openers().recipients.len(), 2);
    assert_eq!(file_of(&desk, "a: c\n"), "a: c\n");
}

/// A text, there and back.
fn file_of(desk: &Desk, text: &str) -> String {
    let file = SopsFile::begin(Form::Yaml, text, &desk.keys).unwrap();
    let sealed = file.sealed(NOW).unwrap();
    SopsFile::open(Form::Yaml, &sealed, &desk.identities("two.key")).unwrap().clear().unwrap().expose().clone()
}
