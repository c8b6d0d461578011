//! What is encrypted and what is not, what breaks a file, and what a text may not be.

use kubewright_engine::sops::{Form, SopsError, SopsFile};
use kubewright_model::secret::Secret;
use proptest::prelude::*;

use super::{Desk, NOW, lasting, place};

#[test]
fn every_rule_of_what_is_encrypted_is_kept() {
    let desk = Desk::new();
    let text = "# plain\nkind: Secret\nmetadata:\n    name: x\n# secret: yes\ndata:\n    # inside\n    a: one\n    b_clear: two\n    \
                list: [1, x]\nstringData: { c: three }\nlast: 5\n";
    let rules = [
        "encrypted_regex: ^(data|stringData)$",
        "unencrypted_regex: ^(kind|metadata)$",
        "encrypted_suffix: ata",
        "unencrypted_suffix: _clear",
        "encrypted_comment_regex: 'secret:'",
        "unencrypted_comment_regex: plain",
    ];
    for only in ["false", "true"] {
        for rule in rules {
            let rules =
                format!("creation_rules:\n  - age: {}\n    {rule}\n    mac_only_encrypted: {only}\n", desk.keys[0]);
            desk.write(".sops.yaml", &rules);
            desk.write("a.yaml", text);
            desk.printed("one.key", &["--encrypt", "--in-place", "a.yaml"]);
            let before = desk.read("a.yaml");
            let mut file = desk.open("a.yaml");
            let told = desk.printed("one.key", &["--decrypt", "a.yaml"]);
            assert_eq!(file.clear().unwrap().expose(), &told, "{rule}");
            desk.save("a.yaml", &file);
            assert_eq!(lasting(&desk.read("a.yaml")), lasting(&before), "{rule}");
            for key in ["data.a", "data.new", "last"] {
                file.set(&place(key), &Secret::new("other".into())).unwrap();
            }
            desk.save("a.yaml", &file);
            let told = desk.printed("one.key", &["--decrypt", "a.yaml"]);
            assert!(told.contains("new: other") && told.contains("last: other"), "{rule}: {told}");
        }
    }
}

#[test]
fn what_was_changed_without_the_key_is_refused() {
    let desk = Desk::new();
    desk.write("a.yaml", "a: one\nb: two\nc_unencrypted: three\nd: four\n");
    desk.encrypt("a.yaml");
    let text = desk.read("a.yaml");
    let open = |text: &str| SopsFile::open(Form::Yaml, text, &desk.identities("one.key")).unwrap_err();
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap().to_string();
    let refused_by_sops = |text: &str| {
        desk.write("b.yaml", text);
        !desk.sops("one.key", &["--decrypt", "b.yaml"]).0
    };
    let clear = text.replace("c_unencrypted: three", "c_unencrypted: 3");
    let gone = text.replace(&format!("{}\n", line("d:")), "");
    let turned = text
        .replace(&line("a:"), "@")
        .replace(&format!("{}\n", line("b:")), "")
        .replace('@', &format!("{}\n{}", line("b:"), line("a:")));
    for changed in [clear, gone, turned] {
        assert!(matches!(open(&changed), SopsError::Tampered), "{changed}");
        assert!(refused_by_sops(&changed));
    }
    let swapped = text.replace(&line("a:"), &line("b:").replacen("b:", "a:", 1));
    let plain = text.replace(&line("a:"), "a: clear");
    for (changed, why) in [(swapped, "stands in another place"), (plain, "not encrypted, and it should be")] {
        let error = open(&changed);
        assert!(
            matches!(&error, SopsError::Value { place, .. } if place == "a") && error.to_string().contains(why),
            "{error}"
        );
        assert!(refused_by_sops(&changed));
    }
    let later = text.replace("lastmodified: \"2", "lastmodified: \"3");
    assert!(matches!(open(&later), SopsError::Tampered) && refused_by_sops(&later));
    assert!(matches!(open("a: one\n"), SopsError::Clear));
    assert!(matches!(open("sops: { mac: x }\n"), SopsError::Metadata(_)));
}

#[test]
fn what_sops_could_not_keep_is_refused_with_all_places_at_once() {
    let wrong = |form, text: &str| match SopsFile::begin(form, text, &["age1x".to_string()]) {
        Err(SopsError::Form(faults)) => faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let many = "a: 1\na: 2\n1: b\nc: !vault x\nd: 18446744073709551615\n[x]: y\n";
    let told = [
        "line 2: the key `a` stands twice in one mapping",
        "line 3: the key `1` is a number, and keys are text: quote it",
        "line 4: SOPS keeps no tags, so `!vault` would be lost",
        "line 5: 18446744073709551615 is too large for a number of SOPS; quote it to keep it as text",
        "line 6: a key is plain text",
    ];
    assert_eq!(wrong(Form::Yaml, many), told);
    assert_eq!(wrong(Form::Yaml, "- a\n"), ["line 2: a document of SOPS is a mapping, and this is none"]);
    assert!(wrong(Form::Yaml, "a: [b\n")[0].contains("this is not YAML"));
    assert!(wrong(Form::Yaml, "sops: x\n")[0].contains("no key of yours"));
    assert_eq!(wrong(Form::Json, "{\"a\": 1, \"a\": 2}"), ["line 1: the key `a` stands twice in one mapping"]);
    assert_eq!(wrong(Form::Json, "{\"token\": s3cret}"), ["line 1: this is not JSON"], "no value is repeated");
    assert_eq!(wrong(Form::Dotenv, "A=1\ns3cret\nA=2\n").len(), 2);
    let bomb: String = "a: &a [x]\n".to_string()
        + &(0..30)
            .map(|n| format!("b{n}: &b{n} [*{0}, *{0}]\n", if n == 0 { "a".into() } else { format!("b{}", n - 1) }))
            .collect::<String>();
    assert!(wrong(Form::Yaml, &bomb)[0].contains("aliases followed"));
    assert!(wrong(Form::Yaml, &format!("a: {}{}", "[".repeat(100), "]".repeat(100)))[0].contains("nested deeper"));
}

/// Texts that make YAML think.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "x y",
        ":",
        ": ",
        " #",
        "#",
        "-",
        "- ",
        "\n",
        "\n\n",
        " ",
        "\t",
        "'",
        "\"",
        "\\",
        "é",
        "😀",
        "0",
        "1",
        ".",
        "true",
        "null",
        "~",
        "2023-01-02",
        "{",
        "]",
        ",",
        "&",
        "*",
        "!",
        "|",
        ">",
        "%",
        "@",
        "`",
        "?",
        "\r",
        "\u{1}",
        "\u{85}",
        "\u{2028}",
        "=",
        "<<",
        "---",
        "...",
        "yes",
        "0x1",
        "1e3",
        "ENC[",
    ]);
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_the_same_after_it_was_kept(values in prop::collection::vec((text(), text()), 1..6), open in text(), depth in 0..3_usize) {
        let (_, public) = kubewright_engine::sops::generate("now");
        let mut file = SopsFile::begin(Form::Yaml, "{}", std::slice::from_ref(&public)).unwrap();
        let mut kept = Vec::new();
        for (index, (key, value)) in values.iter().enumerate() {
            let quoted = |key: &str| format!("[{}]", serde_json::Value::from(key));
            let way: String = (0..depth).map(|level| quoted(&format!("{key}{level}"))).collect();
            for (end, value) in [(format!("{index}{key}"), value), (format!("{index}{key}_unencrypted"), &open)] {
                let place = place(&format!("{way}{}", quoted(&end)));
                if file.set(&place, &Secret::new(value.clone())).is_ok() {
                    kept.push((place, value.clone()));
                }
            }
            let list = place(&format!("list_unencrypted[{index}]"));
            file.set(&list, &Secret::new(value.clone())).unwrap();
            kept.push((list, value.clone()));
        }
        let sealed = file.sealed(NOW).unwrap();
        let mut again = SopsFile::begin(Form::Yaml, "{}", &[public]).unwrap();
        again.replace(file.clear().unwrap().expose()).unwrap();
        for (place, value) in kept {
            prop_assert_eq!(again.value(&place).map(|it| it.expose().clone()), Ok(value), "{}\n{}", place, sealed);
        }
    }
}
