//! Documents as HTML, judged by html-validate: what the standard forbids, what is doubtful, and what those who cannot see the
//! page would miss.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PACKAGE: &str = "html-validate@11.18.0";

/// A judge of the files that it is named: prints a line for each fault.
const JUDGE: &str = r#"
import fs from "node:fs";
import { HtmlValidate } from "html-validate";
const judge = new HtmlValidate({ root: true, extends: ["html-validate:recommended", "html-validate:a11y"] });
const faults = [];
for (const file of process.argv.slice(2)) {
  const { results } = await judge.validateString(fs.readFileSync(file, "utf8"), file);
  for (const { messages } of results) faults.push(...messages.map((it) => `${file}:${it.line}: ${it.ruleId}: ${it.message}`));
}
console.log(JSON.stringify(faults));
"#;

/// The judge, put beside its package once, since modules are looked for from where a script lies.
fn judge() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("html-validate");
    fs::create_dir_all(&home).unwrap();
    let turn = File::create(home.join("lock")).unwrap();
    turn.lock().unwrap();
    let done = home.join("installed");
    if fs::read_to_string(&done).ok().as_deref() != Some(PACKAGE) {
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(&home).arg(PACKAGE);
        let output = npm.output().expect("npm starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::write(&done, PACKAGE).unwrap();
    }
    let script = home.join("judge.mjs");
    fs::write(&script, JUDGE).unwrap();
    script
}

fn faults(files: &[PathBuf]) -> Vec<Value> {
    let output = Command::new("node").arg(judge()).args(files).output().expect("node starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Vec<Value>>(&output.stdout).unwrap()
}

#[test]
fn pages_are_html_as_its_judges_want_it() {
    let folder = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut pages = Vec::new();
    let mut write = |name: String, arguments: &[&str], option: &str| {
        let page = folder.path().join(format!("{name}.html"));
        let ran = Command::new(env!("CARGO_BIN_EXE_kubewright"))
            .args(arguments)
            .arg(option)
            .arg(&page)
            .current_dir(&examples)
            .env("PROXMOX_TOKEN_SECRET", "x")
            .output()
            .unwrap();
        assert!(page.exists(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
        pages.push(page);
    };
    for example in ["devboard", "keybuzz", "mlops", "valaskjalf", "vixens"] {
        let spec = format!("{example}/cluster.yaml");
        for language in ["en", "fr"] {
            write(format!("{example}.{language}"), &["docs", &spec, "--lang", language], "--out");
        }
    }
    // As it stands after it was built, with its checks, and the page of the run that built it.
    write("rehearsed".into(), &["rehearse", "devboard/cluster.yaml"], "--docs");
    let world = folder.path().join("world");
    let simulated = ["--simulated", world.to_str().unwrap()];
    let with = |words: &[&'static str]| [words, &simulated].concat();
    let apply = with(&["apply", "devboard/cluster.yaml", "--yes"]);
    let applied = Command::new(env!("CARGO_BIN_EXE_kubewright")).args(apply).current_dir(&examples).output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    write("checks".into(), &with(&["verify", "devboard/cluster.yaml"]), "--report");
    write("run".into(), &with(&["history", "devboard/cluster.yaml", "--run", "last"]), "--report");
    assert_eq!(faults(&pages), Vec::<Value>::new());

    let wrong = folder.path().join("wrong.html");
    fs::write(&wrong, "<!DOCTYPE html>\n<html>\n<head></head>\n<body><p><div></p><img src=\"x\"></body></html>\n")
        .unwrap();
    let found = format!("{:?}", faults(&[wrong]));
    for rule in ["close-order", "wcag/h37", "element-required-content", "element-required-attributes"] {
        assert!(found.contains(rule), "{rule}: {found}");
    }
}
