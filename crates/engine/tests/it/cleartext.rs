//! Secrets in clear text that Git keeps are found, with the commands that move them; nothing else is.

use std::fs;
use std::path::Path;
use std::process::Command;

use kubewright_engine::{Engine, cleartext};
use kubewright_model::diagnostic::{Diagnostic, Severity};

const SPEC: &str = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  \
    kubernetes: { distribution: k3s, version: v1.31.4+k3s1, joinToken: { file: join.token } }\n  \
    network: { cidr: 10.0.0.0/24 }\n  pools:\n    server: { role: both, name: server, addresses: [10.0.0.1], existing: {} }\n  \
    secrets: { sopsFile: secrets.sops.yaml, clearText: [tests/example-key.pem] }\n";

const AGE: &str = "AGE-SECRET-KEY-1QQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQ";
const PEM: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n";

/// A repository with these files, all of them in its index.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    git(folder.path(), &["init", "--quiet"]);
    git(folder.path(), &["add", "--all"]);
    folder
}

fn git(folder: &Path, arguments: &[&str]) {
    let ran = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

fn found(folder: &Path) -> Vec<Diagnostic> {
    cleartext::found(&Engine::load_in(folder, SPEC).unwrap(), folder)
}

/// What was found, without the folder that it is in.
fn told(folder: &Path) -> Vec<String> {
    let root = format!("{}/", folder.display());
    let line =
        |it: Diagnostic| format!("{} {} {}", it.code, it.at.map_or(0, |at| at.line), it.message.replace(&root, ""));
    found(folder).into_iter().map(line).collect()
}

#[test]
fn every_form_of_a_secret_is_found_with_its_line() {
    let list = format!(
        "x: y\n--- # two\n{}\n",
        r#"{"kind": "SecretList", "items": [{"kind": "Secret", "metadata": {"name": "b.c"}, "data": {"k": "Zm9v"}}]}"#
    );
    let talos = "cluster: { id: x }\ntrustdinfo:\n  token: Zm9v\ncerts:\n  k8s: { crt: Zm9v, key: Zm9v }\n";
    let repository = repository(&[
        ("cluster.yaml", SPEC),
        ("join.token", "s3cret\n"),
        ("secrets.sops.yaml", "gandi:\n  apiToken: s3cret\n"),
        (
            ".secrets/dev/gandi.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: { name: gandi, namespace: cert-manager }\nstringData:\n  api-token: s3cret\n",
        ),
        (".secrets/dev/client-info.yml", "clients: [{ password: s3cret }]\n"),
        ("apps/list.yaml", &list),
        ("apps/kubeconfig", "apiVersion: v1\nkind: Config\nusers:\n- user:\n    token: s3cret\n"),
        ("apps/talosconfig", "context: a\ncontexts:\n  a:\n    key: Zm9v\n"),
        ("apps/talos-secrets.yaml", talos),
        ("apps/controlplane.yaml", "machine:\n  type: controlplane\n  token: a.b\n"),
        ("apps/id_ed25519", PEM),
        ("apps/keys.txt", &format!("# a key\n{AGE}\n")),
    ]);
    let expected = [
        "KW0020 5 join.token, line 1: the secret itself, which the spec reads from here, in clear text and in Git",
        "KW0020 9 .secrets/dev/client-info.yml, line 1: a file below .secrets/, in clear text and in Git",
        "KW0020 9 .secrets/dev/gandi.yaml, line 4: the Secret cert-manager/gandi, in clear text and in Git",
        "KW0020 9 apps/controlplane.yaml, line 3: a machine configuration of Talos with its secrets, in clear text and in Git",
        "KW0020 9 apps/id_ed25519, line 1: a private key, in clear text and in Git",
        "KW0020 9 apps/keys.txt, line 2: a private key of age, in clear text and in Git",
        "KW0020 9 apps/kubeconfig, line 5: a kubeconfig with its key, in clear text and in Git",
        "KW0020 9 apps/list.yaml, line 2: the Secret default/b.c, in clear text and in Git",
        "KW0020 9 apps/talos-secrets.yaml, line 3: the secrets of a Talos cluster, in clear text and in Git",
        "KW0020 9 apps/talosconfig, line 4: a talosconfig with its key, in clear text and in Git",
        "KW0020 9 secrets.sops.yaml, line 1: the SOPS file, which is not encrypted, in clear text and in Git",
    ];
    assert_eq!(told(repository.path()), expected);
    let all = found(repository.path());
    let help = |file: &str| all.iter().find(|it| it.message.contains(file)).and_then(|it| it.help.clone()).unwrap();
    let root = repository.path().display();
    assert!(help("gandi.yaml").contains("kubewright secrets set gandi.api-token   # asks for the value"));
    assert!(
        help("gandi.yaml").contains(&format!("git -C {root} rm --cached .secrets/dev/gandi.yaml")),
        "{}",
        help("gandi.yaml")
    );
    assert!(
        help("client-info").contains(&format!("secrets set client-info --file {root}/.secrets/dev/client-info.yml"))
    );
    assert!(help("apps/list").contains("secrets set '[\"b.c\"].k'"), "{}", help("apps/list"));
    assert!(help("keys.txt").contains("kubewright secrets rotate") && !help("keys.txt").contains("secrets set"));
    assert!(all.iter().all(|it| it.help.as_deref().is_some_and(|help| help.contains("Git's history keeps"))));
    let whole = format!("{all:?}");
    assert!(!whole.contains("s3cret") && !whole.contains(AGE), "no value is shown: {whole}");
    git(
        repository.path(),
        &["rm", "--quiet", "--cached", "-r", "--force", ".secrets", "apps", "join.token", "secrets.sops.yaml"],
    );
    assert_eq!(told(repository.path()), Vec::<String>::new(), "what Git keeps no more is no matter");
}

#[test]
fn what_only_looks_so_is_left_alone() {
    let public = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let (_, public_key) = kubewright_engine::sops::generate("now");
    let sops = kubewright_engine::sops::SopsFile::begin(
        kubewright_engine::sops::Form::Yaml,
        "kind: Secret\nstringData: { a: s3cret }\n",
        &[public_key],
    );
    let sops = sops.unwrap().sealed(kubewright_model::units::Moment(1_800_000_000)).unwrap();
    let repository = repository(&[
        ("cluster.yaml", SPEC),
        ("join.token", public),
        ("secrets.sops.yaml", &sops),
        ("tests/example-key.pem", PEM),
        (".secrets/README.md", "What is here is encrypted.\n"),
        (".secrets/dev/gandi.sops.yaml", &sops),
        (".secrets/dev/old.age", "-----BEGIN AGE ENCRYPTED FILE-----\nZm9v\n"),
        (".secrets/dev/.sops.yaml", "creation_rules: []\n"),
        ("apps/sealed.yaml", "kind: SealedSecret\nspec: { encryptedData: { a: Zm9v } }\n"),
        ("apps/external.yaml", "kind: ExternalSecret\nspec: { data: [{ secretKey: a }] }\n"),
        (
            "apps/gap.yaml",
            "kind: Secret\nmetadata: { name: a }\nstringData: { a: \"${TOKEN}\", b: \"<path:kv/data/x#y>\", c: \"\" }\n",
        ),
        ("apps/empty.yaml", "kind: Secret\ntype: kubernetes.io/service-account-token\n"),
        ("apps/template.yaml", "{{- if .Values.x }}\nkind: Secret\ndata: { a: {{ .Values.a }} }\n{{- end }}\n"),
        ("apps/rbac.yaml", "kind: Role\nrules: [{ resources: [Secret] }]\n"),
        ("apps/words.txt", "A key begins with AGE-SECRET-KEY-1 and one in PEM with -----BEGIN PRIVATE KEY-----.\n"),
        ("apps/locked.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n"),
        ("apps/main.rs", PEM),
    ]);
    assert_eq!(told(repository.path()), Vec::<String>::new());
    fs::write(repository.path().join("new.yaml"), "kind: Secret\nstringData: { a: s3cret }\n").unwrap();
    assert_eq!(told(repository.path()), Vec::<String>::new(), "Git does not keep it");
}

#[test]
fn elsewhere_in_the_repository_only_what_is_kept_as_a_secret_counts() {
    let secret = "kind: Secret\nmetadata: { name: a }\nstringData: { a: s3cret }\n";
    let repository = repository(&[
        ("clusters/lab/cluster.yaml", SPEC),
        ("clusters/lab/apps/a.yaml", secret),
        ("clusters/other/b.yaml", secret),
        ("fixtures/key.pem", PEM),
        (".secrets/c.yaml", secret),
    ]);
    let folder = repository.path().join("clusters/lab");
    let told: Vec<String> =
        told(&folder).iter().map(|line| line.replace(&repository.path().display().to_string(), "")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains(".secrets/c.yaml, line 3") && told[1].contains("apps/a.yaml, line 3"), "{told:?}");
    let all = found(&folder);
    let help = all[0].help.as_deref().unwrap();
    // What stands in a spec is the same in every copy of the repository.
    assert!(help.contains("rm --cached ../../.secrets/c.yaml"), "{help}");
    assert!(help.contains("`secrets.clearText: [../../.secrets/c.yaml]`"), "{help}");
    let spec = SPEC.replace("tests/example-key.pem", "../../.secrets/c.yaml");
    let allowed = cleartext::found(&Engine::load_in(&folder, &spec).unwrap(), &folder);
    assert_eq!(allowed.len(), 1, "{allowed:?}");
}

#[test]
fn what_terraform_leaves_is_found() {
    let state = r#"{ "version": 4, "terraform_version": "1.9.0", "resources": [
  { "type": "talos_machine_secrets", "instances": [{ "attributes": { "machine_secrets": {} } }] } ] }"#;
    let sensitive = r#"{ "version": 4, "resources": [{ "type": "random_password", "instances": [
  { "attributes": { "result": "s3cret" }, "sensitive_attributes": [[{ "type": "get_attr", "value": "result" }]] }] }] }"#;
    let outputs = "{ \"version\": 4,\n\"outputs\": { \"x\": { \"value\": \"s3cret\",\n\"sensitive\": true } } }";
    let harmless = r#"{ "version": 4, "resources": [{ "type": "null_resource", "instances": [{ "sensitive_attributes": [] }] }] }"#;
    let repository = repository(&[
        ("cluster.yaml", SPEC),
        ("terraform.tfstate", state),
        ("terraform.tfstate.backup", sensitive),
        ("outputs.tfstate", outputs),
        ("harmless.tfstate", harmless),
        ("terraform.tfvars", "nodes = 3\ngandi_api_token = \"s3cret\"\nkey_path = \"x\"\n"),
        ("dev.tfvars.json", "{\n\"db_password\": \"s3cret\" }"),
        ("gaps.tfvars", "gandi_api_token = \"\"\nother_token = \"${x}\"\n"),
    ]);
    let expected = [
        "KW0020 9 dev.tfvars.json, line 2: Terraform's variable db_password, in clear text and in Git",
        "KW0020 9 outputs.tfstate, line 3: Terraform's state, with outputs that are sensitive, in clear text and in Git",
        "KW0020 9 terraform.tfstate, line 2: Terraform's state, with the secrets of a Talos cluster, in clear text and in Git",
        "KW0020 9 terraform.tfstate.backup, line 2: Terraform's state, with values that are sensitive, in clear text and in Git",
        "KW0020 9 terraform.tfvars, line 2: Terraform's variable gandi_api_token, in clear text and in Git",
    ];
    assert_eq!(told(repository.path()), expected);
    let all = found(repository.path());
    let help = |file: &str| all.iter().find(|it| it.message.contains(file)).and_then(|it| it.help.clone()).unwrap();
    assert!(help("terraform.tfvars").contains("TF_VAR_gandi_api_token"), "{}", help("terraform.tfvars"));
    assert!(!format!("{all:?}").contains("s3cret"), "no value is shown");
}

#[test]
fn what_the_spec_names_or_has_already_is_not_moved_elsewhere() {
    let spec = SPEC.replace(
        "secrets: {",
        "secrets: { objects: { web/db: { password: { sops: db.word }, user: { sops: db.user } } },",
    );
    let repository = repository(&[
        ("cluster.yaml", &spec),
        ("db.yaml", "kind: Secret\nmetadata: { name: db, namespace: web }\nstringData: { password: s3cret }\n"),
        ("talosconfig", "context: a\ncontexts:\n  a:\n    key: Zm9v\n"),
    ]);
    let found = cleartext::found(&Engine::load_in(repository.path(), &spec).unwrap(), repository.path());
    let help = |file: &str| found.iter().find(|it| it.message.contains(file)).and_then(|it| it.help.clone()).unwrap();
    assert!(
        help("db.yaml")
            .starts_with("put it in the SOPS file, where the spec looks for it:\nkubewright secrets set db.word ")
    );
    let config = help("talosconfig");
    assert!(config.contains("`kubewright talosconfig` writes another") && !config.contains("secrets set"), "{config}");
}

#[test]
fn where_git_does_not_tell_it_is_said_and_nothing_is_refused() {
    let repository = repository(&[("cluster.yaml", SPEC)]);
    fs::write(repository.path().join(".git/index"), "broken").unwrap();
    let found = found(repository.path());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].code.to_string(), found[0].severity), ("KW0021".into(), Severity::Warning));
    assert!(found[0].message.contains("was not looked at: `git ls-files`"), "{}", found[0].message);
    let alone = tempfile::tempdir().unwrap();
    assert!(self::found(alone.path()).is_empty(), "no repository, nothing to tell");
    let large = repository.path().join("large.yaml");
    git(repository.path(), &["read-tree", "--empty"]);
    fs::write(&large, format!("kind: Secret\nstringData: {{ a: {} }}\n", "x".repeat(300 * 1024))).unwrap();
    git(repository.path(), &["add", "--all"]);
    assert!(self::found(repository.path()).is_empty(), "no person writes a secret of this size");
}
