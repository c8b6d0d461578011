//! A cluster's secrets: their form, and OpenSSL's word on what they hold.

use std::process::Command;
use std::sync::LazyLock;

use super::*;

/// Some moment: 2026-11-22.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_305_600)
}

static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| Bundle::generate(now()).unwrap());

/// A value of a file as `talosctl` writes it, as PEM.
fn pem(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// What OpenSSL says; none where there is none, and that is said.
fn openssl(words: &[&str], files: &[(&str, &str)]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    match Command::new("openssl").args(words).current_dir(folder.path()).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some(String::from_utf8_lossy(&text).into_owned())
        }
        Err(error) => {
            eprintln!("SKIPPED: openssl does not judge certificates: {error}");
            None
        }
    }
}

#[test]
fn the_file_has_the_form_of_talosctl_and_reads_back() {
    let text = BUNDLE.to_yaml();
    assert_eq!(Bundle::parse(&text, now()).unwrap(), *BUNDLE);
    let names: Vec<&str> = text.expose().lines().map(|line| line.split_once(':').unwrap().0).collect();
    let expected = "cluster,    id,    secret,secrets,    bootstraptoken,    secretboxencryptionsecret,trustdinfo,    token,\
        certs,    etcd,        crt,        key,    k8s,        crt,        key,    k8saggregator,        crt,        key,\
        k8sserviceaccount,        key,    os,        crt,        key";
    assert_eq!(
        names.iter().map(|name| name.trim()).collect::<Vec<_>>(),
        expected.split(',').map(str::trim).collect::<Vec<_>>()
    );
    assert!(names.contains(&"    k8sserviceaccount") && names.contains(&"        key"));
}

#[test]
fn values_have_the_lengths_and_letters_of_talosctl() {
    let value = |name: &str| BUNDLE.part(name).unwrap().expose().clone();
    for name in ["cluster.id", "cluster.secret", "cluster.secretboxEncryptionSecret"] {
        assert_eq!(STANDARD.decode(value(name)).unwrap().len(), 32, "{name}");
    }
    assert!(!value("cluster.id").contains(['+', '/', '-', '_']));
    for name in ["cluster.token", "machine.token"] {
        let (first, second) = value(name).split_once('.').map(|(a, b)| (a.to_string(), b.to_string())).unwrap();
        assert_eq!((first.len(), second.len()), (6, 16), "{name}");
        assert!((first + &second).bytes().all(|byte| LETTERS.contains(&byte)), "{name}");
    }
    for (name, label) in [
        ("cluster.ca.crt", "CERTIFICATE"),
        ("cluster.ca.key", "EC PRIVATE KEY"),
        ("cluster.aggregatorCA.key", "EC PRIVATE KEY"),
        ("cluster.etcd.ca.key", "EC PRIVATE KEY"),
        ("cluster.serviceAccount.key", "RSA PRIVATE KEY"),
        ("machine.ca.key", "ED25519 PRIVATE KEY"),
    ] {
        assert!(pem(&value(name)).starts_with(&format!("-----BEGIN {label}-----\n")), "{name}");
    }
    for name in Bundle::PARTS {
        assert!(BUNDLE.part(name).is_some_and(|value| !value.expose().is_empty()), "{name}");
    }
    assert_eq!(BUNDLE.part("cluster.aescbcEncryptionSecret"), None);
    assert_eq!(BUNDLE.part("machine.ca"), None);
}

#[test]
fn nothing_of_a_bundle_prints() {
    let shown = format!("{:?} {:?}", *BUNDLE, BUNDLE.admin(now()).unwrap());
    for name in Bundle::PARTS.iter().filter(|name| !name.ends_with("crt")) {
        assert!(!shown.contains(BUNDLE.part(name).unwrap().expose().as_str()), "{name}");
    }
    assert!(!shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn openssl_reads_our_authorities_as_talos_makes_them() {
    for (name, subject, algorithm) in [
        ("machine.ca.crt", "subject=O=talos", "ED25519"),
        ("cluster.ca.crt", "subject=O=kubernetes", "ecdsa-with-SHA256"),
        ("cluster.etcd.ca.crt", "subject=O=etcd", "ecdsa-with-SHA256"),
        ("cluster.aggregatorCA.crt", "subject=\n", "ecdsa-with-SHA256"),
    ] {
        let text = pem(BUNDLE.part(name).unwrap().expose());
        let words = ["x509", "-in", "ca", "-noout", "-text", "-subject", "-startdate", "-enddate"];
        let Some(said) = openssl(&words, &[("ca", &text)]) else { return };
        let said = said.replace(" = ", "=");
        for part in [
            subject,
            algorithm,
            "CA:TRUE",
            "Digital Signature, Certificate Sign",
            "TLS Web Server Authentication, TLS Web Client Authentication",
            "notBefore=Nov 22 00:00:00 2026 GMT",
            // 87600 hours later; two leap days lie between.
            "notAfter=Nov 19 00:00:00 2036 GMT",
        ] {
            assert!(said.contains(part), "{name}: no `{part}` in\n{said}");
        }
        let Some(said) = openssl(&["verify", "-x509_strict", "-CAfile", "ca", "ca"], &[("ca", &text)]) else { return };
        // A certificate must have a subject to be an authority in strict eyes; the aggregator's has none in Talos either.
        assert!(said.contains("ca: OK") || name.contains("aggregator"), "{name}: {said}");
    }
}

#[test]
fn openssl_reads_every_key_and_finds_its_certificate_in_it() {
    for name in ["machine.ca", "cluster.ca", "cluster.etcd.ca", "cluster.aggregatorCA"] {
        let half = |half: &str| pem(BUNDLE.part(&format!("{name}.{half}")).unwrap().expose());
        // Talos' own label for Ed25519 is known to Go and to nobody else.
        let key = half("key").replace("ED25519 PRIVATE", "PRIVATE");
        let Some(public) = openssl(&["pkey", "-in", "key", "-pubout"], &[("key", &key)]) else { return };
        let Some(certified) = openssl(&["x509", "-in", "ca", "-noout", "-pubkey"], &[("ca", &half("crt"))]) else {
            return;
        };
        assert!(public.contains("PUBLIC KEY") && public == certified, "{name}: {public} {certified}");
    }
    let key = pem(BUNDLE.part("cluster.serviceAccount.key").unwrap().expose());
    let Some(said) = openssl(&["rsa", "-in", "key", "-check", "-noout", "-text"], &[("key", &key)]) else { return };
    assert!(said.contains("(4096 bit") && said.contains("RSA key ok"), "{said}");
}

#[test]
fn openssl_lets_the_admin_in_as_a_client_and_not_as_a_server() {
    let admin = BUNDLE.admin(now()).unwrap();
    assert_eq!(admin.roles(), ["os:admin"]);
    let files = [("ca", admin.authority()), ("crt", admin.certificate())];
    let verify = |purpose: &str| {
        let words = ["verify", "-x509_strict", "-attime", "1795305601", "-purpose", purpose, "-CAfile", "ca", "crt"];
        openssl(&words, &files)
    };
    let Some(said) = verify("sslclient") else { return };
    assert!(said.contains("crt: OK"), "{said}");
    assert!(!verify("sslserver").unwrap().contains("crt: OK"));
    let words = ["x509", "-in", "crt", "-noout", "-text", "-enddate"];
    let said = openssl(&words, &files).unwrap().replace(" = ", "=");
    assert!(said.contains("Subject: O=os:admin") && said.contains("Issuer: O=talos"), "{said}");
    assert!(said.contains("notAfter=Nov 22 00:00:00 2027 GMT") && !said.contains("CA:TRUE"), "{said}");
}

#[test]
fn talosconfig_is_what_talosctl_reads() {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let text = BUNDLE.talosconfig("prod", &words(&["10.0.0.2", "10.0.0.3"]), &words(&["10.0.0.2"]), now()).unwrap();
    let value: serde_json::Value = serde_saphyr::from_str(text.expose()).unwrap();
    assert_eq!(value["context"], "prod");
    let context = &value["contexts"]["prod"];
    assert_eq!(context["endpoints"], serde_json::json!(["10.0.0.2", "10.0.0.3"]));
    assert_eq!(context["nodes"], serde_json::json!(["10.0.0.2"]));
    assert_eq!(context["ca"], BUNDLE.part("machine.ca.crt").unwrap().expose().as_str());
    assert!(pem(context["crt"].as_str().unwrap()).starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(pem(context["key"].as_str().unwrap()).starts_with("-----BEGIN ED25519 PRIVATE KEY-----"));
    let identity = ClientIdentity::from_talosconfig(&text, None).unwrap();
    assert_eq!(
        (identity.roles(), identity.authority()),
        (vec!["os:admin".to_string()], BUNDLE.os.certificate.as_str())
    );
    assert_eq!(ClientIdentity::from_talosconfig(&text, Some("prod")).unwrap(), identity);
    for (wrong, context, words) in [
        (text.expose().clone(), Some("lab"), "no context `lab`"),
        (text.expose().replace("crt:", "other:"), None, "`crt` of the context `prod` is no"),
        ("- a".to_string(), None, "no talosconfig"),
    ] {
        let fault = ClientIdentity::from_talosconfig(&Secret::new(wrong), context).unwrap_err();
        assert!(fault.contains(words), "{fault}");
    }
    let without = BUNDLE.talosconfig("prod", &[], &[], now()).unwrap();
    assert!(!without.expose().contains("nodes"));
}

#[test]
fn everything_wrong_with_a_file_is_told_at_once_and_without_values() {
    let whole = BUNDLE.to_yaml().expose().clone();
    let other = Bundle::generate(now()).unwrap();
    let line = |bundle: &Bundle, name: &str| bundle.part(name).unwrap().expose().clone();
    let broken = whole
        .replace(&line(&BUNDLE, "cluster.secret"), "")
        .replace("bootstraptoken", "token")
        .replace(&line(&BUNDLE, "cluster.ca.key"), &line(&other, "cluster.ca.key"))
        .replace(&line(&BUNDLE, "cluster.etcd.ca.crt"), "bm90IHBlbQ==")
        .replace(&line(&BUNDLE, "cluster.etcd.ca.key"), "'******'")
        .replace(&line(&BUNDLE, "cluster.aggregatorCA.crt"), &line(&BUNDLE, "cluster.aggregatorCA.key"))
        .replace(&line(&BUNDLE, "cluster.serviceAccount.key"), &line(&BUNDLE, "machine.ca.crt"));
    let faults = Bundle::parse(&Secret::new(broken), now()).unwrap_err();
    let expected = "cluster.secret is missing
        secrets.bootstraptoken is missing
        certs.etcd.key has been taken out of this file
        certs.etcd.crt is no PEM
        certs.k8s.key does not belong to the certificate beside it
        certs.k8saggregator.crt is PEM of a `EC PRIVATE KEY`, not of a certificate
        certs.k8sserviceaccount.key is PEM of a `CERTIFICATE`, not of a private key";
    assert_eq!(faults, expected.lines().map(str::trim).collect::<Vec<_>>());
    let later = now() + Duration::from_secs(11 * 365 * 24 * 3600);
    let faults = Bundle::parse(&Secret::new(whole), later).unwrap_err();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(
        faults.iter().all(|fault| fault.ends_with(".crt has expired 365 days ago") || fault.contains("expired")),
        "{faults:?}"
    );
}

#[test]
fn a_file_that_is_no_yaml_is_not_quoted() {
    for text in ["cluster:\n    id: [geheim", "geheim", "- geheim", "cluster: geheim", ""] {
        let faults = Bundle::parse(&Secret::new(text.to_string()), now()).unwrap_err();
        assert!(!faults.is_empty() && !faults.join(" ").contains("geheim"), "{faults:?}");
    }
}

#[test]
fn tokens_that_read_as_numbers_stay_text() {
    let mut bundle = BUNDLE.clone();
    bundle.bootstrap_token = Secret::new("123456.1234567890123456".into());
    bundle.trustd_token = Secret::new("1e3456.7890123456789012".into());
    let text = bundle.to_yaml();
    assert!(text.expose().contains("\"123456.1234567890123456\""));
    assert_eq!(Bundle::parse(&text, now()).unwrap(), bundle);
    let unquoted = Secret::new(text.expose().replace('"', ""));
    assert_eq!(Bundle::parse(&unquoted, now()).unwrap(), bundle);
}

/// Clusters that Talos 1.2 or older began, and those whose Kubernetes was there before, with keys of RSA.
#[test]
fn older_files_are_read_and_written_as_they_are() {
    let rsa =
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kubernetes", "-days", "4000", "-keyout", "-"];
    let Some(made) = openssl(&rsa, &[]) else { return };
    let cut = |label: &str| {
        let from = made.find(&format!("-----BEGIN {label}-----")).unwrap();
        let end = format!("-----END {label}-----\n");
        STANDARD.encode(&made[from..made.find(&end).unwrap() + end.len()])
    };
    let text = BUNDLE.to_yaml().expose().replace("secretboxencryptionsecret", "aescbcencryptionsecret");
    let text = text.replace(BUNDLE.part("cluster.ca.crt").unwrap().expose(), &cut("CERTIFICATE"));
    let text = Secret::new(text.replace(BUNDLE.part("cluster.ca.key").unwrap().expose(), &cut("PRIVATE KEY")));
    let bundle = Bundle::parse(&text, now()).unwrap();
    assert_eq!(bundle.to_yaml(), text);
    assert_eq!(bundle.part("cluster.secretboxEncryptionSecret"), None);
    assert_eq!(bundle.part("cluster.aescbcEncryptionSecret"), BUNDLE.part("cluster.secretboxEncryptionSecret"));
}
