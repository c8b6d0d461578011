//! A spec with an environment on top: one value, and the place of every part of it in the file that says it.
//!
//! Mappings are merged, lists and texts are replaced, and `null` takes away. There is no language in it: what a file means is
//! what it says, with what the spec says below it.

use serde_json::Value;

use super::{SourceMap, read};
use crate::codes;
use crate::diagnostic::{Diagnostic, Place, SpecPath};

/// What an environment says, by the name that people choose it by.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// Its name: `staging`.
    pub name: &'a str,
    /// Its file's text; none where the spec itself is of this environment.
    pub text: &'a str,
}

/// A spec with an environment on top.
#[derive(Clone, Debug)]
pub struct Layered {
    /// What both say together.
    pub value: Value,
    /// Where each part stands.
    pub places: SourceMap,
    /// What the environment says that does not fit the spec, sorted: the rest can be judged all the same.
    pub found: Vec<Diagnostic>,
}

/// What an environment may say something about.
const PARTS: [&str; 2] = ["metadata", "spec"];

/// Reads a spec with an environment on top.
///
/// # Errors
///
/// Either is no YAML.
pub fn read_layered(spec: &str, on_top: Option<Environment<'_>>) -> Result<Layered, Vec<Diagnostic>> {
    let Some(environment) = on_top else {
        return read(spec).map(|(value, places)| Layered { value, places, found: Vec::new() });
    };
    let (base, layer) = (read(spec), read(environment.text));
    let layer = layer.map_err(|found| found.into_iter().map(in_layer).collect::<Vec<_>>());
    let (base, layer) = match (base, layer) {
        (Ok(base), Ok(layer)) => (base, layer),
        (base, layer) => return Err([base.err(), layer.err()].into_iter().flatten().flatten().collect()),
    };
    let (mut value, places) = base;
    let (over, mut above) = layer;
    above.places.values_mut().for_each(|places| {
        places.value.file = 1;
        places.key.iter_mut().for_each(|key| key.file = 1);
    });
    let mut merge = Merge { places, above, found: Vec::new() };
    merge.judge(&over, environment.name);
    merge.put(&SpecPath::root(), &mut value, over);
    let Merge { places, mut found, .. } = merge;
    name(&mut value, environment.name);
    found.sort_by_key(|diagnostic| diagnostic.at);
    Ok(Layered { value, places, found })
}

/// Environments bear the names of their files.
fn name(value: &mut Value, name: &str) {
    if let Some(metadata) = value.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.insert("environment".into(), name.into());
    }
}

fn in_layer(mut diagnostic: Diagnostic) -> Diagnostic {
    let first = Place { file: 1, line: 1, column: 1, length: 1 };
    diagnostic.at = Some(diagnostic.at.map_or(first, |at| Place { file: 1, ..at }));
    diagnostic
}

struct Merge {
    places: SourceMap,
    above: SourceMap,
    found: Vec<Diagnostic>,
}

impl Merge {
    /// What an environment must say, and what it may not.
    fn judge(&mut self, over: &Value, name: &str) {
        let root = SpecPath::root();
        let Some(parts) = over.as_object() else {
            return self.refuse(&root, "an environment is a mapping of what differs".into(), "begin with `metadata:`");
        };
        for part in parts.keys().filter(|part| !PARTS.contains(&part.as_str())) {
            let message = format!("an environment says nothing of `{part}`");
            self.refuse(&root.then(part), message, "write what differs below `metadata` and `spec`");
        }
        let text = |field: &str| over.pointer(&format!("/metadata/{field}")).and_then(Value::as_str);
        if text("name").is_none() {
            let message = "the environment has no `metadata.name` of its own".into();
            let help = "two environments with one name are one cluster: give each its own";
            self.refuse(&root.then("metadata"), message, help);
        }
        if let Some(other) = text("environment").filter(|other| *other != name) {
            let message = format!("`{other}` in the file of `{name}`");
            self.refuse(&root.then("metadata").then("environment"), message, "remove it: the file's name says it");
        }
    }

    fn refuse(&mut self, path: &SpecPath, message: String, help: &str) {
        let first = Place { file: 1, line: 1, column: 1, length: 1 };
        let at = self.above.key_place(path).unwrap_or(first);
        self.found.push(Diagnostic::new(codes::ENVIRONMENT, path.clone(), message).help(help).at(at));
    }

    /// Puts what an environment says in the place of what the spec says there.
    fn put(&mut self, path: &SpecPath, value: &mut Value, over: Value) {
        match (value, over) {
            (Value::Object(map), Value::Object(over)) => {
                for (key, over) in over {
                    let path = path.then(&key);
                    match (map.get_mut(&key), over) {
                        (Some(_), Value::Null) => {
                            drop(map.remove(&key));
                            self.forget(&path);
                        }
                        (None, Value::Null) => {
                            let message = format!("`{path}` is taken away, and the spec does not have it");
                            self.refuse(&path, message, "remove the line, or correct the word");
                        }
                        (Some(value), over) => self.put(&path, value, over),
                        (None, over) => {
                            map.insert(key, over);
                            self.take(&path);
                        }
                    }
                }
            }
            (value, over) => {
                *value = over;
                self.forget(path);
                self.take(path);
            }
        }
    }

    /// Nothing of the spec stands at this place any more.
    fn forget(&mut self, path: &SpecPath) {
        let below = format!("{}/", path.as_str());
        self.places.places.retain(|place, _| place != path.as_str() && !place.starts_with(&below));
    }

    /// All of this place stands in the environment.
    fn take(&mut self, path: &SpecPath) {
        let below = format!("{}/", path.as_str());
        let here = |place: &str| place == path.as_str() || place.starts_with(&below);
        let taken = self.above.places.iter().filter(|(place, _)| here(place));
        self.places.places.extend(taken.map(|(place, at)| (place.clone(), *at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "kind: Cluster\nmetadata: { name: lab }\nspec:\n  network:\n    cidr: 10.0.0.0/24\n    vlan: 7\n  \
                        pools: { a: { addresses: [1, 2, 3] } }\n";

    fn merged(text: &str) -> Result<Layered, Vec<String>> {
        let told = |found: Vec<Diagnostic>| {
            let at = |it: &Diagnostic| it.at.map_or((9, 9, 9), |at| (at.file, at.line, at.column));
            found.iter().map(|it| format!("{:?} {} {}", at(it), it.code, it.message)).collect()
        };
        let layered = read_layered(SPEC, Some(Environment { name: "test", text })).map_err(told)?;
        if layered.found.is_empty() { Ok(layered) } else { Err(told(layered.found)) }
    }

    #[test]
    fn mappings_are_merged_lists_replaced_and_null_takes_away() {
        let text = "metadata: { name: lab-test }\nspec:\n  network:\n    vlan: null\n    mtu: 1400\n  pools:\n    \
                    a: { addresses: [9] }\n";
        let Layered { value, places, .. } = merged(text).unwrap();
        let expected = serde_json::json!({
            "kind": "Cluster",
            "metadata": { "name": "lab-test", "environment": "test" },
            "spec": { "network": { "cidr": "10.0.0.0/24", "mtu": 1400 }, "pools": { "a": { "addresses": [9] } } },
        });
        assert_eq!(value, expected);
        let at = |path: &str| places.place(&SpecPath::pointer(path)).map(|at| (at.file, at.line));
        assert_eq!(at("/spec/network/cidr"), Some((0, 5)));
        assert_eq!(at("/spec/network/mtu"), Some((1, 5)));
        assert_eq!(at("/spec/pools/a/addresses/0"), Some((1, 7)));
        assert_eq!(at("/spec/pools/a/addresses/2"), Some((1, 7)), "what the spec had there is gone");
        assert_eq!(at("/metadata/name"), Some((1, 1)));
    }

    #[test]
    fn what_is_wrong_with_either_is_told_with_its_file() {
        let found = merged("kind: Other\nspec:\n  network: { mask: null }\n  network: {}\n").unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("(1, 4, 3) KW0002"), "{found:?}");
        let found =
            merged("kind: Other\nmetadata: { environment: prod }\nspec:\n  network: { mask: null }\n").unwrap_err();
        assert_eq!(
            found,
            [
                "(1, 1, 1) KW0022 an environment says nothing of `kind`",
                "(1, 2, 1) KW0022 the environment has no `metadata.name` of its own",
                "(1, 2, 13) KW0022 `prod` in the file of `test`",
                "(1, 4, 14) KW0022 `spec.network.mask` is taken away, and the spec does not have it",
            ]
        );
    }
}
