//! What is left of a spec when everything whose form is wrong is left out: so that the rest can be judged all the same,
//! and nobody is told of one half of his mistakes after he has mended the other.

use std::collections::BTreeSet;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use crate::diagnostic::SpecPath;
use crate::source::{self, Environment, Layered};
use crate::spec::load::{Loaded, numbers_as_text, validator};
use crate::spec::schema;

/// Leaving something out may break what holds it, and so on up; deeper than this nothing is nested.
const ROUNDS: usize = 16;

/// What is left of a spec.
#[derive(Clone, Debug)]
pub struct Salvaged {
    /// It, without what is wrong with its form.
    pub rest: Loaded,
    /// What was left out.
    pub gone: BTreeSet<SpecPath>,
}

impl Salvaged {
    /// Reads what can be read; nothing when too much is wrong.
    pub fn of(text: &str, on_top: Option<Environment<'_>>) -> Option<Self> {
        let Layered { mut value, places, .. } = source::read_layered(text, on_top).ok()?;
        numbers_as_text(&mut value, &SpecPath::root());
        let mut gone = BTreeSet::new();
        for _ in 0..ROUNDS {
            let wrong = validator().iter_errors(&value).flat_map(|error| blamed(&error));
            // Ten thousand wrong items of a list are one field.
            let wrong: BTreeSet<SpecPath> = wrong.map(|path| field(&value, path)).collect::<Option<_>>()?;
            if wrong.is_empty() {
                let file = serde_json::from_value(value).ok()?;
                return Some(Self { rest: Loaded { file, places }, gone });
            }
            wrong.iter().for_each(|field| remove(&mut value, field));
            gone.extend(wrong);
        }
        None
    }

    /// Whether a judgement on this place could be another one with what was left out.
    pub fn doubts(&self, path: &SpecPath) -> bool {
        let mut above = std::iter::successors(Some(path.clone()), SpecPath::parent);
        // Fields of one thing are often judged together; entries that people name are not.
        let beside = |parent: &SpecPath| {
            let fields = schema::at(parent).is_some_and(|schema| schema.get("properties").is_some());
            fields && self.below(parent).any(|gone| gone.parent().as_ref() == Some(parent))
        };
        above.any(|path| self.gone.contains(&path))
            || self.below(path).next().is_some()
            || path.parent().is_some_and(|parent| beside(&parent))
    }

    /// What was left out below a place.
    fn below(&self, path: &SpecPath) -> impl Iterator<Item = &SpecPath> {
        let start = format!("{}/", path.as_str());
        let rest = self.gone.range(SpecPath::pointer(start.as_str())..);
        rest.take_while(move |gone| gone.as_str().starts_with(&start))
    }
}

/// What has to go for an error to go.
fn blamed(error: &ValidationError<'_>) -> Vec<SpecPath> {
    let path = SpecPath::pointer(error.instance_path().as_str());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| path.then(name)).collect()
        }
        ValidationErrorKind::PropertyNames { error } => {
            error.instance().as_str().map(|name| path.then(name)).into_iter().collect()
        }
        _ => vec![path],
    }
}

/// The nearest field or named entry that holds a place: without an item of a list, the others would stand elsewhere.
/// Nothing where that would be the whole spec.
fn field(value: &Value, path: SpecPath) -> Option<SpecPath> {
    let parent = path.parent()?;
    if value.pointer(parent.as_str()).is_some_and(Value::is_array) {
        return field(value, parent);
    }
    (path.as_str().matches('/').count() > 1).then_some(path)
}

fn remove(value: &mut Value, field: &SpecPath) {
    let Some(parent) = field.parent() else { return };
    if let (Some(Value::Object(map)), Some(name)) = (value.pointer_mut(parent.as_str()), field.segments().last()) {
        map.shift_remove(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVBOARD: &str = include_str!("../../../../examples/devboard/cluster.yaml");

    #[test]
    fn what_is_wrong_goes_with_its_field_and_the_rest_stays() {
        let text = DEVBOARD
            .replace("memory: 3Gi", "memory: 3GB")
            .replace("name: devboard\n", "name: devboard\n  nmae: x\n")
            .replace("vmids: [400]", "vmids: [-5]");
        let salvaged = Salvaged::of(&text, None).expect("most of it is right");
        assert_eq!(salvaged.rest.file.spec.pools.len(), 2);
        let gone: Vec<_> = salvaged.gone.iter().map(ToString::to_string).collect();
        assert!(gone.contains(&"metadata.nmae".to_string()), "{gone:?}");
        assert!(gone.iter().any(|path| path.ends_with(".vmids")), "the whole list: {gone:?}");
        let at = |path: &str| SpecPath::pointer(path);
        assert!(salvaged.doubts(&at("/metadata")) && salvaged.doubts(&at("/metadata/name")));
        assert!(!salvaged.doubts(&at("/spec/kubernetes/version")));
    }

    #[test]
    fn of_entries_that_people_name_one_says_nothing_of_the_other() {
        let text =
            DEVBOARD.replace("  hosts:\n", "  hosts:\n    files: { /etc/a: { mode: \"9\", content: a }, b: 5 }\n");
        let salvaged = Salvaged::of(&text, None).expect("most of it is right");
        assert!(salvaged.doubts(&SpecPath::pointer("/spec/hosts/files/~1etc~1a/content")));
        assert!(!salvaged.doubts(&SpecPath::pointer("/spec/hosts/files/c")));
    }

    #[test]
    fn ten_thousand_mistakes_are_sorted_out() {
        let packages: String = (0..10_000).map(|_| "        - true\n").collect();
        let files: String = (0..10_000).map(|n| format!("      /etc/{n}: {{ content: a, mode: \"9\" }}\n")).collect();
        let text = DEVBOARD.replace("  hosts:\n", &format!("  hosts:\n    packages:\n{packages}    files:\n{files}"));
        let text = text.replace("    packages: [curl, iptables, apparmor]\n", "");
        let salvaged = Salvaged::of(&text, None).expect("most of it is right");
        assert_eq!(salvaged.gone.len(), 10_001, "each file's mode, and the packages");
        assert!((0..10_000).all(|n| !salvaged.doubts(&SpecPath::pointer(format!("/spec/pools/{n}")))));
    }

    #[test]
    fn nothing_is_left_where_the_whole_is_wrong() {
        assert!(Salvaged::of("spec: 5\n", None).is_none());
        assert!(Salvaged::of("a: [\n", None).is_none());
    }
}
