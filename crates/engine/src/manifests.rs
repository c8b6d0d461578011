//! Files of objects that a spec names: read, and put in the place of their names.

use std::path::Path;

use indexmap::IndexMap;
use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::ClusterFile;
use serde_json::Value;

use crate::foreign::no_yaml;
use crate::holes;

/// Puts the objects of files beside those that stand in the spec itself; returns the files that cannot be read.
pub(crate) fn read(file: &mut ClusterFile, folder: &Path) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (name, source) in &mut file.spec.addons.manifests {
        let Some(named) = source.file.take() else { continue };
        match objects(&holes::path(&named, folder)) {
            Ok(objects) => source.objects.extend(objects),
            Err(why) => {
                let path = ["spec", "addons", "manifests", name.as_str(), "file"];
                let path = path.into_iter().fold(SpecPath::root(), |path, segment| path.then(segment));
                let diagnostic = Diagnostic::new(codes::MANIFEST_FILE, path, format!("`{named}`: {why}"));
                found.push(diagnostic.help("a relative path begins in the spec's own folder"));
            }
        }
    }
    found
}

/// The objects of a file of one or many YAML documents; empty documents are none.
fn objects(path: &Path) -> Result<Vec<IndexMap<String, Value>>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).map_err(|error| no_yaml(&error))?;
    let objects = documents.into_iter().zip(1..).filter(|(document, _)| !document.is_null());
    objects
        .map(|(document, number)| match document {
            Value::Object(fields) => Ok(fields.into_iter().collect()),
            _ => Err(format!("document {number} is no object")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::Engine;

    const SPEC: &str = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  \
        kubernetes: { distribution: k3s, version: v1.31.4+k3s1 }\n  network: { cidr: 10.0.0.0/24 }\n  pools:\n    \
        server: { role: both, name: server, addresses: [10.0.0.1], existing: {} }\n  \
        addons: { manifests: { mine: { file: mine.yaml } } }\n";

    #[test]
    fn objects_of_a_file_are_applied() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Engine::load_in(folder.path(), SPEC).unwrap_err();
        assert!(missing[0].message.contains("No such file"), "{missing:?}");
        assert_eq!(missing[0].at.map(|at| at.line), Some(9));
        let object = |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {name} }}\n");
        let text = format!("{}---\n{}---\n", object("one"), object("two"));
        std::fs::write(folder.path().join("mine.yaml"), text).unwrap();
        let desired = Engine::load_in(folder.path(), SPEC).unwrap().desired;
        let objects = desired.objects.iter().flat_map(|group| &group.manifests);
        let names: Vec<String> = objects.filter_map(|object| object.id().ok()).map(|id| id.name.to_string()).collect();
        assert!(names.contains(&"one".into()) && names.contains(&"two".into()), "{names:?}");
    }
}
