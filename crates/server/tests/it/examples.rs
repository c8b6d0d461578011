//! The alarms and the drawing that the guide hands out name metrics that there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn handed_out(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/dashboard").join(name)
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("kubewright_")).map(String::from).collect()
}

#[test]
fn promtool_takes_the_alarms() {
    let ran = Command::new("promtool").args(["check", "rules"]).arg(handed_out("alerts.yaml")).output();
    let ran = ran.unwrap_or_else(|error| panic!("promtool is in Debian's package prometheus: {error}"));
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(ran.status.success() && said.contains("6 rules found"), "{said}");
}

#[test]
fn alarms_and_panels_are_about_metrics_that_there_are() {
    // Some are only there with a bundle or a run, so that no run shows them all.
    let source = include_str!("../../src/metrics.rs");
    let names = source.split("family(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
    let there: BTreeSet<String> = names.map(|name| format!("kubewright_{name}")).collect();
    assert!(there.len() > 12, "{there:?}");
    for file in ["alerts.yaml", "grafana.json"] {
        let asked = named(&std::fs::read_to_string(handed_out(file)).unwrap());
        assert!(asked.len() > 5, "{asked:?}");
        let missing: Vec<&String> = asked.difference(&there).collect();
        assert!(missing.is_empty(), "{file} asks for {missing:?}, and there are {there:?}");
    }
    let panels: Value = serde_json::from_str(&std::fs::read_to_string(handed_out("grafana.json")).unwrap()).unwrap();
    assert_eq!(panels["panels"].as_array().unwrap().len(), 10);
}
