//! Files of chart values that a spec names: read, and put below the values that stand in the spec itself.

use std::path::Path;

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::ClusterFile;
use serde_json::{Map, Value};

use crate::foreign::no_yaml;
use crate::holes;

/// Puts values of files below those that stand in the spec, each file over those before it; returns the files that cannot
/// be read.
pub(crate) fn read(file: &mut ClusterFile, folder: &Path) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (name, chart) in &mut file.spec.addons.charts {
        let mut below = Map::new();
        for (index, named) in std::mem::take(&mut chart.values_files).iter().enumerate() {
            match values(&holes::path(named, folder)) {
                Ok(values) => put(&mut below, values),
                Err(why) => {
                    let path = ["spec", "addons", "charts", name.as_str(), "valuesFiles"];
                    let path = path.into_iter().fold(SpecPath::root(), |path, segment| path.then(segment)).then(index);
                    let diagnostic = Diagnostic::new(codes::VALUES_FILE, path, format!("`{named}`: {why}"));
                    found.push(diagnostic.help("a relative path begins in the spec's own folder"));
                }
            }
        }
        put(&mut below, std::mem::take(&mut chart.values).into_iter().collect());
        chart.values = below.into_iter().collect();
    }
    found
}

/// The values of a file: one mapping, or nothing.
fn values(path: &Path) -> Result<Map<String, Value>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Map::new());
    }
    match serde_saphyr::from_str(&text).map_err(|error| no_yaml(&error))? {
        Value::Object(fields) => Ok(fields),
        _ => Err("it is no mapping".into()),
    }
}

/// Maps are joined level by level, everything else is replaced, as Helm does with several `--values`. A `null` stays: it
/// takes away what the chart itself has there.
fn put(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => put(under, over),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Engine;

    const SPEC: &str = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  \
        kubernetes: { distribution: k3s, version: v1.31.4+k3s1 }\n  network: { cidr: 10.0.0.0/24 }\n  pools:\n    \
        server: { role: both, name: server, addresses: [10.0.0.1], existing: {} }\n  addons:\n    charts:\n      web:\n        \
        chart: ./web\n        namespace: apps\n        valuesFiles:\n          - one.yaml\n          - two.yaml\n        \
        values: { a: { d: 4 } }\n        secretValues: { a.c: { env: C } }\n";

    #[test]
    fn values_of_files_are_below_those_of_the_spec_and_secrets_above_all() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("one.yaml", "# ours\na: { b: 1, c: 1, d: 1 }\nlist: [1, 2]\n");
        let found = Engine::load_in(folder.path(), SPEC).unwrap_err();
        assert!(found[0].message.starts_with("`two.yaml`: No such file"), "{found:?}");
        assert_eq!(found[0].at.map(|at| at.line), Some(16));
        write("two.yaml", "a: { b: 2 }\nlist: [3]\nwrong: [\n");
        let found = Engine::load_in(folder.path(), SPEC).unwrap_err();
        assert!(found[0].message.contains("line ") && found[0].message.starts_with("`two.yaml`: "), "{found:?}");
        write("two.yaml", "- a\n");
        assert_eq!(Engine::load_in(folder.path(), SPEC).unwrap_err()[0].at.map(|at| at.line), Some(16));
        write("two.yaml", "a: { b: 2 }\nlist: [3]\ngone: null\n");
        let release = Engine::load_in(folder.path(), SPEC).unwrap().desired.releases.remove(0);
        assert_eq!(release.values["a"]["b"], 2);
        assert_eq!((&release.values["a"]["d"], &release.values["list"]), (&json!(4), &json!([3])));
        assert!(release.values["a"]["c"].as_str().unwrap().contains("web.a.c"), "{:?}", release.values);
    }
}
