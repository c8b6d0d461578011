//! The JSON Schema of the language, made from the types, and a guide through it.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::diagnostic::SpecPath;
use crate::net::NumberRange;
use crate::spec::ClusterFile;
use crate::spec::formats::Format;

/// The JSON Schema (draft 2020-12) of a cluster file. It gives editors completion and hover text.
pub fn json_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let settings = SchemaSettings::draft2020_12().with_transform(Plain);
        let schema: Schema = SchemaGenerator::new(settings).into_root_schema_for::<ClusterFile>();
        schema.to_value()
    })
}

/// Takes out of the schema what makes its errors hard to read: an absent field is absent, never `null`.
#[derive(Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        // A run of numbers may be one number, which people write as one.
        if object.get("format") == Some(&Value::from(<NumberRange as Format>::NAME)) {
            object.insert("type".into(), text_or_number());
        }
        if let Some(Value::Array(options)) = object.get("anyOf")
            && let [only, Value::Object(null)] = options.as_slice()
            && null.get("type") == Some(&Value::from("null"))
            && let Value::Object(only) = only.clone()
        {
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".into(), only);
            }
        }
    }
}

/// The part of the schema that describes the value at a path, with references followed; none where anything may stand.
pub fn at(path: &SpecPath) -> Option<&'static Value> {
    path.segments().try_fold(follow(json_schema()), |schema, segment| {
        let next = schema
            .pointer("/properties")
            .and_then(|properties| properties.get(&segment))
            .or_else(|| schema.get("items"))
            .or_else(|| schema.get("additionalProperties").filter(|more| more.is_object()))?;
        Some(follow(next))
    })
}

/// Whether the field at a path is text that may be written as a whole number.
pub fn takes_numbers_as_text(path: &SpecPath) -> bool {
    at(path).and_then(|schema| schema.get("type")).is_some_and(|kind| *kind == text_or_number())
}

fn text_or_number() -> Value {
    Value::from(vec!["string", "integer"])
}

/// Whether the field at a path holds a reference to a secret.
pub fn is_secret(path: &SpecPath) -> bool {
    at(path).is_some_and(|schema| std::ptr::eq(schema, definition("SecretRef")))
}

fn follow(schema: &'static Value) -> &'static Value {
    match schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next()) {
        Some(name) => definition(name),
        None => schema,
    }
}

fn definition(name: &str) -> &'static Value {
    json_schema().pointer("/$defs").and_then(|all| all.get(name)).unwrap_or(&Value::Null)
}

/// The words that a field knows, when it knows only a few.
pub fn words(schema: &Value) -> Vec<&str> {
    let plain = schema.get("enum").and_then(Value::as_array);
    let described = schema.get("oneOf").and_then(Value::as_array);
    plain
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .chain(described.into_iter().flatten().flat_map(|option| {
            let one = option.get("const").and_then(Value::as_str);
            let several = option.get("enum").and_then(Value::as_array);
            one.into_iter().chain(several.into_iter().flatten().filter_map(Value::as_str)).collect::<Vec<_>>()
        }))
        .collect()
}
