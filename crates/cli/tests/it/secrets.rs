//! `kubewright secrets edit`: the clear text is nobody else's, and gone afterwards, however that ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const SPEC: &str = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  \
    kubernetes: { distribution: k3s, version: v1.31.4+k3s1 }\n  network: { cidr: 10.0.0.0/24 }\n  pools:\n    \
    server: { role: both, name: server, addresses: [10.0.0.1], existing: {} }\n  secrets:\n    sopsFile: s.yaml\n    \
    objects: { web/db: { password: { sops: db.password } } }\n";

/// The program in a folder of its own, with a home there.
fn kubewright(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubewright"));
    command.current_dir(folder).arg("secrets").args(arguments).env("HOME", folder).env_remove("XDG_CONFIG_HOME");
    command.env("XDG_RUNTIME_DIR", folder.join("run")).stdin(Stdio::null());
    for name in ["SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD", "SOPS_EDITOR"] {
        command.env_remove(name);
    }
    command
}

/// A folder with a spec, a key and a file that holds one secret.
fn begun() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cluster.yaml"), SPEC).unwrap();
    fs::create_dir(folder.path().join("run")).unwrap();
    fs::set_permissions(folder.path().join("run"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(folder.path().join("value"), "s3cret").unwrap();
    for arguments in [&["init"] as &[&str], &["set", "db.password", "--file", "value"]] {
        let ran = kubewright(folder.path(), arguments).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    folder
}

fn left(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder.join("run")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_key_and_the_clear_text_are_for_their_owner_alone() {
    let folder = begun();
    let key = folder.path().join(".config/sops/age/keys.txt");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&key), mode(key.parent().unwrap())), (0o600, 0o700));
    let before = fs::read_to_string(folder.path().join("s.yaml")).unwrap();
    assert!(!before.contains("s3cret"));
    let editor = "sh -c 'stat -c %a \"$1\" \"$(dirname \"$1\")\"; cat \"$1\"; sed -i s/s3cret/other/ \"$1\"' edit";
    let ran = kubewright(folder.path(), &["edit"]).env("EDITOR", editor).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(said, "600\n700\ndb:\n    password: s3cret\nwrote s.yaml\n");
    assert_eq!(left(folder.path()), Vec::<PathBuf>::new());
    assert_ne!(fs::read_to_string(folder.path().join("s.yaml")).unwrap(), before);
}

/// What is told to be done can be done as it is told, from where the program was run.
#[test]
fn commands_about_clear_text_name_the_spec() {
    let folder = begun();
    let labs = folder.path().join("labs/dev");
    fs::create_dir_all(&labs).unwrap();
    for (from, to) in [("cluster.yaml", "lab.yaml"), ("s.yaml", "s.yaml")] {
        fs::rename(folder.path().join(from), labs.join(to)).unwrap();
    }
    let secret = "kind: Secret\nmetadata: { name: db, namespace: web }\nstringData: { password: OPEN }\n";
    fs::create_dir(folder.path().join(".secrets")).unwrap();
    fs::write(folder.path().join(".secrets/db.yaml"), secret.replace("OPEN", "s3cret")).unwrap();
    fs::write(labs.join("other.yaml"), secret.replace("OPEN", "0ther")).unwrap();
    for arguments in [&["init", "--quiet"] as &[&str], &["add", "labs", ".secrets"]] {
        assert!(Command::new("git").arg("-C").arg(folder.path()).args(arguments).status().unwrap().success());
    }
    let validated = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubewright"));
        command.current_dir(folder.path()).args(["validate", "labs/dev/lab.yaml"]).env("HOME", folder.path());
        let ran = command.env_remove("XDG_CONFIG_HOME").env("NO_COLOR", "1").output().unwrap();
        (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    let (code, said) = validated();
    assert_eq!(code, Some(3), "{said}");
    for line in [
        ".secrets/db.yaml, line 3: the Secret web/db",
        "the SOPS file has it already, as `db.password`:",
        "git -C labs/dev rm --cached ../../.secrets/db.yaml ",
        "labs/dev/other.yaml, line 3: the Secret web/db",
        "kubewright secrets set db.password labs/dev/lab.yaml   # asks for the value",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(!said.contains("s3cret") && !said.contains("0ther"), "{said}");
    let removed = ["-C", "labs/dev", "rm", "--quiet", "--cached", "../../.secrets/db.yaml", "other.yaml"];
    assert!(Command::new("git").current_dir(folder.path()).args(removed).status().unwrap().success());
    assert_eq!(validated().0, Some(0));
}

#[test]
fn an_editor_that_is_ended_leaves_nothing_behind() {
    let folder = begun();
    let before = fs::read_to_string(folder.path().join("s.yaml")).unwrap();
    let mut running = kubewright(folder.path(), &["edit"]).env("EDITOR", "sleep 60 #").spawn().unwrap();
    let open = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !left(folder.path()).is_empty()
    });
    assert!(open, "the editor was never opened");
    // It hears signals a moment after the folder is there.
    std::thread::sleep(Duration::from_millis(300));
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(running.try_wait().unwrap().is_none(), "Ctrl-C is the editor's");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(130));
    assert_eq!(left(folder.path()), Vec::<PathBuf>::new());
    assert_eq!(fs::read_to_string(folder.path().join("s.yaml")).unwrap(), before);
}

/// The secrets of a Talos cluster are neither replaced by what are none, nor without a word that it is meant.
#[test]
fn the_secrets_of_talos_are_only_replaced_by_others_and_when_it_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let talos = SPEC.replace(
        "k3s, version: v1.31.4+k3s1",
        "talos, version: v1.34.1, talos: { version: v1.11.5, secrets: { sops: talos } }",
    );
    let talos = talos.replace("10.0.0.0/24", "10.0.0.0/24, gateway: 10.0.0.254, nameservers: [10.0.0.254]");
    fs::write(folder.path().join("cluster.yaml"), talos).unwrap();
    let run = |arguments: &[&str]| {
        let ran = kubewright(folder.path(), arguments).env("NO_COLOR", "1").output().unwrap();
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let kept = || fs::read_to_string(folder.path().join("s.yaml")).unwrap();
    assert_eq!(run(&["init"]).0, Some(0));
    let begun = kept();
    for junk in ["hello", "", "cluster: { id: a }"] {
        fs::write(folder.path().join("junk"), junk).unwrap();
        let (code, said) = run(&["set", "talos", "--file", "junk", "--yes"]);
        assert_ne!(code, Some(0), "{said}");
        assert_eq!(kept(), begun);
    }
    let other = kubewright_engine::Engine::new_talos_secrets().unwrap();
    fs::write(folder.path().join("other"), other.expose()).unwrap();
    let (code, said) = run(&["set", "talos", "--file", "other"]);
    assert_eq!((code, kept()), (Some(5), begun), "{said}");
    assert!(said.contains("nobody agreed") && said.contains("--yes"), "{said}");
    let (code, said) = run(&["set", "talos", "--file", "other", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let (_, said) = run(&["check"]);
    assert!(said.contains("✓ spec.kubernetes.talos.secrets"), "{said}");
    // What came there by another way is looked at, too.
    let editor = "sh -c 'printf \"talos: hello\\n\" > \"$1\"' edit";
    assert!(kubewright(folder.path(), &["edit"]).env("EDITOR", editor).output().unwrap().status.success());
    let (code, said) = run(&["check"]);
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("✗ spec.kubernetes.talos.secrets") && said.contains("no file of secrets of Talos"), "{said}");
    // Junk is no loss.
    assert_eq!(run(&["set", "talos", "--file", "other"]).0, Some(0));
}
