//! What shells complete, asked of real ones: they load the script that the program prints, and the program by its name.

use std::path::Path;
use std::process::{Command, Output};

const SPEC: &str = include_str!("../../../../examples/devboard/cluster.yaml");

/// A folder with a spec.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cluster.yaml"), SPEC).unwrap();
    folder
}

/// A shell that finds the program by its name.
fn shell(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let built = Path::new(env!("CARGO_BIN_EXE_kubewright")).parent().unwrap();
    let path = format!("{}:{}", built.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("PATH", path).env("HOME", folder);
    command.env_remove("KUBEWRIGHT_ENVIRONMENT").output().unwrap()
}

/// Words, one a line, without what a shell says of them; nothing may have been said besides.
fn words(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.is_empty(), "{said}");
    let lines = String::from_utf8(output.stdout.clone()).unwrap();
    lines.lines().map(|line| line.split('\t').next().unwrap_or_default().trim_end().to_string()).collect()
}

/// What bash completes the last of these words to.
fn bash(folder: &Path, line: &[&str]) -> Vec<String> {
    const ASK: &str = r#"
source <(kubewright completions bash)
complete -p kubewright >/dev/null || exit 1
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
_clap_complete_kubewright kubewright "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
for word in "${COMPREPLY[@]}"; do printf '%s\n' "$word"; done"#;
    let arguments = ["--norc", "-c", ASK, "bash", "kubewright"];
    words(&shell(folder, "bash", &[&arguments, line].concat()))
}

/// What fish completes a line to.
fn fish(folder: &Path, line: &str) -> Vec<String> {
    let ask = format!("kubewright completions fish | source; complete -C '{line}'");
    words(&shell(folder, "fish", &["--no-config", "-c", &ask]))
}

#[test]
fn nodes_of_the_spec_complete_where_a_node_is_asked_for() {
    let folder = folder();
    let nodes = ["k3s-server", "k3s-agent-1", "k3s-agent-2"];
    for line in [
        &["ssh", "k"][..],
        &["logs", "k"],
        &["replace", "k"],
        &["replace", "k3s-server", "k"],
        &["reboot", "k"],
        &["update-os", "k"],
        &["exec", "--on", "k"],
        &["doctor", "--node", "k"],
        &["images", "list", "--node", "k"],
        &["plan", "--only", "k"],
        &["apply", "--only", "k"],
        &["restore", "latest", "--without", "k"],
    ] {
        assert_eq!(bash(folder.path(), line), nodes, "{line:?}");
    }
    assert_eq!(bash(folder.path(), &["ssh", "k3s-a"]), ["k3s-agent-1", "k3s-agent-2"]);
    assert_eq!(fish(folder.path(), "kubewright ssh k3s-s"), ["k3s-server"]);
    assert_eq!(bash(folder.path(), &["plan", "--only", "control"]), ["control-plane"]);
    assert_eq!(bash(folder.path(), &["exec", "--on", "loadB"]), ["loadBalancer"]);
    assert_eq!(bash(folder.path(), &["rehea"]), ["rehearse"], "what the command line knows itself");
}

#[test]
fn flags_are_for_words_that_begin_like_one() {
    let folder = folder();
    let words = bash(folder.path(), &[""]);
    assert!(words.contains(&"apply".into()) && words.iter().all(|word| !word.starts_with('-')), "{words:?}");
    let words = fish(folder.path(), "kubewright ssh ");
    assert_eq!(words, ["k3s-server", "k3s-agent-1", "k3s-agent-2"]);
    for line in [&["-"][..], &["--"], &["ssh", "--"]] {
        let words = bash(folder.path(), line);
        assert!(
            words.contains(&"--simulated".into()) && words.iter().any(|word| word == "-h" || word == "--help"),
            "{line:?}: {words:?}"
        );
    }
    assert!(bash(folder.path(), &["plan", "--on"]).contains(&"--only".into()));
}

#[test]
fn the_spec_that_the_line_names_is_read() {
    let folder = folder();
    std::fs::write(folder.path().join("lab.yaml"), SPEC.replace("k3s-server", "lab-server")).unwrap();
    for line in [
        &["ssh", "--file", "lab.yaml", "lab"][..],
        &["ssh", "--file=lab.yaml", "lab"],
        &["plan", "lab.yaml", "--only", "lab"],
    ] {
        assert_eq!(bash(folder.path(), line), ["lab-server"], "{line:?}");
    }
    assert!(bash(folder.path(), &["ssh", "lab"]).is_empty(), "it is not of cluster.yaml");
}

#[test]
fn runs_bundles_and_environments_complete_from_what_is_kept() {
    let folder = folder();
    let journals = folder.path().join(".kubewright/devboard/journals");
    std::fs::create_dir_all(&journals).unwrap();
    for run in ["20261121-073012-418", "20261122-073012-418"] {
        std::fs::write(journals.join(format!("{run}.jsonl")), "").unwrap();
    }
    let runs = bash(folder.path(), &["history", "--run", ""]);
    assert_eq!(runs, ["last", "20261122-073012-418", "20261121-073012-418"]);
    std::fs::create_dir_all(folder.path().join("usb")).unwrap();
    for file in ["devboard-20261122T175300Z.tar.gz.age", "other-20261122T175300Z.tar.gz.age", "notes.txt"] {
        std::fs::write(folder.path().join("usb").join(file), "").unwrap();
    }
    let bundle = |word| bash(folder.path(), &["backup", "show", "--from", "usb", word]);
    assert_eq!(
        (bundle("dev"), bundle("la")),
        (vec!["devboard-20261122T175300Z.tar.gz.age".into()], vec!["latest".into()])
    );
    assert!(bundle("other").is_empty() && bundle("notes").is_empty(), "they are not of this cluster");
    std::fs::create_dir_all(folder.path().join("environments")).unwrap();
    for file in ["prod.yaml", "prod.lock", "test.yaml"] {
        std::fs::write(folder.path().join("environments").join(file), "").unwrap();
    }
    assert_eq!(bash(folder.path(), &["--environment", ""]), ["prod", "test"]);
}

#[test]
fn a_spec_that_is_broken_or_missing_completes_to_nothing_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let asks = |line: &str| {
        let ask = "KUBEWRIGHT_COMPLETE=fish exec kubewright -- kubewright ssh \"$1\"";
        let output = shell(folder.path(), "sh", &["-c", ask, "sh", line]);
        assert!(output.status.success(), "{output:?}");
        words(&output)
    };
    assert!(asks("k").is_empty(), "there is none");
    std::fs::write(folder.path().join("cluster.yaml"), "kind: [\n").unwrap();
    assert!(asks("k").is_empty(), "it is no YAML");
    std::fs::write(folder.path().join("cluster.yaml"), SPEC.replace("k3s-server", "Not A Name")).unwrap();
    assert!(asks("k").is_empty(), "it is wrong");
    assert!(std::fs::read_dir(folder.path()).unwrap().count() == 1, "nothing was written");
    std::fs::write(folder.path().join("cluster.yaml"), SPEC).unwrap();
    assert_eq!(asks("k3s-s"), ["k3s-server"]);
}
