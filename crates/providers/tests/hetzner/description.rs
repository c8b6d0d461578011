//! Requests and answers, held against the API's own description (OpenAPI).
//!
//! The description is no part of the project: it is looked for in a folder `shared/schemas` beside it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::Validator;
use jsonschema::error::{ValidationError, ValidationErrorKind};
use serde_json::{Map, Value, json};

use super::era::{self, Era};
use super::state::Ask;

/// What is wrong, by field.
pub(crate) type Wrong = Vec<(String, String)>;

pub(crate) struct Description {
    document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// Where it is, if it is to be had here.
pub(crate) fn file() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().map(|folder| folder.join("shared/schemas/hcloud-openapi.json")).find(|path| path.is_file())
}

/// It, as it is of this era.
pub(crate) fn document(path: &Path, era: Era) -> Value {
    era::description(era, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

/// It, read once; without it nothing is held against it, and the test says so.
pub(crate) fn description(era: Era) -> Option<&'static Description> {
    static READ: [OnceLock<Option<Description>>; 2] = [OnceLock::new(), OnceLock::new()];
    let read = READ[era as usize].get_or_init(|| {
        let Some(path) = file() else {
            println!(
                "skipped: no shared/schemas/hcloud-openapi.json beside the project, so no call is held against it"
            );
            return None;
        };
        Some(Description { document: document(&path, era), validators: Mutex::default() })
    });
    read.as_ref()
}

impl Description {
    /// The operation of a request; else whether there is such a path.
    fn operation(&self, method: &str, path: &str) -> Result<&Value, bool> {
        let wanted: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let parts: Vec<&str> = template.split('/').collect();
            let one = |(part, wanted): (&&str, &&str)| part.starts_with('{') || part == wanted;
            parts.len() == wanted.len() && parts.iter().zip(&wanted).all(one)
        };
        let paths = self.document["paths"].as_object().unwrap().iter().filter(|(template, _)| fits(template));
        // Words go before places for identifiers: `/servers/actions` is no server.
        let best = paths.min_by_key(|(template, _)| template.matches('{').count());
        let methods = best.map(|(_, methods)| methods).ok_or(false)?;
        methods.get(method.to_lowercase()).ok_or(true)
    }

    /// What is wrong with a request. The error is a path or a method that there is not.
    pub(crate) fn wrong_request(&self, ask: &Ask) -> Result<Wrong, bool> {
        let operation = self.operation(&ask.method, &ask.path)?;
        let mut wrong = self.wrong_query(operation, ask);
        let body = &operation["requestBody"];
        if body.is_null() {
            if ask.body.as_object().map_or(!ask.body.is_null(), |fields| !fields.is_empty()) {
                wrong.push(("body".into(), "must be empty".into()));
            }
        } else if !ask.body.is_null() || body["required"] == true {
            let schema = &body["content"]["application/json"]["schema"];
            let validator = self.validator(&format!("{operation_id} asks", operation_id = id(operation)), schema);
            wrong.extend(validator.iter_errors(&ask.body).flat_map(|error| words(&error)));
        }
        Ok(wrong)
    }

    fn wrong_query(&self, operation: &Value, ask: &Ask) -> Wrong {
        let known = operation["parameters"].as_array().into_iter().flatten().map(|one| self.resolved(one));
        let known: Vec<&Value> = known.filter(|one| one["in"] == "query").collect();
        let mut wrong = Wrong::new();
        for (name, value) in &ask.query {
            let Some(parameter) = known.iter().find(|one| one["name"] == **name) else {
                wrong.push((name.clone(), "is no parameter of this operation".into()));
                continue;
            };
            let mut schema = self.resolved(&parameter["schema"]);
            if schema["type"] == "array" {
                schema = self.resolved(&schema["items"]);
            }
            let words = schema["enum"].as_array();
            let fits = match schema["type"].as_str() {
                Some("integer") => value.parse::<u64>().is_ok(),
                Some("boolean") => matches!(value.as_str(), "true" | "false"),
                _ => words.is_none_or(|words| words.iter().any(|word| word == value)),
            };
            if !fits {
                wrong.push((name.clone(), format!("{value} is not allowed")));
            }
        }
        for parameter in known.iter().filter(|one| one["required"] == true) {
            let name = parameter["name"].as_str().unwrap_or_default();
            if ask.one(name).is_none() {
                wrong.push((name.into(), "is missing".into()));
            }
        }
        wrong
    }

    /// What is wrong with an answer: the fake itself is judged as well.
    pub(crate) fn wrong_answer(&self, ask: &Ask, status: u16, body: &Value) -> Wrong {
        let Ok(operation) = self.operation(&ask.method, &ask.path) else { return Wrong::new() };
        let class = format!("{}xx", status / 100);
        let responses = &operation["responses"];
        let response = if status < 300 { &responses[status.to_string()] } else { &responses[&class] };
        if response.is_null() {
            return vec![("status".into(), format!("{status} is not described"))];
        }
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            let empty = body.is_null();
            return if empty { Wrong::new() } else { vec![("body".into(), "must be empty".into())] };
        }
        let validator = self.validator(&format!("{} answers {class}", id(operation)), schema);
        validator.iter_errors(body).flat_map(|error| words(&error)).collect()
    }

    fn validator(&self, name: &str, schema: &Value) -> Arc<Validator> {
        let mut built = self.validators.lock().unwrap();
        let build = || {
            let plain = self.plain(schema, true);
            Arc::new(jsonschema::draft202012::options().build(&plain).expect("the description is valid"))
        };
        built.entry(name.into()).or_insert_with(build).clone()
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(place) => self.resolved(self.document.pointer(place.trim_start_matches('#')).unwrap()),
            None => schema,
        }
    }

    /// The same in JSON Schema: `nullable` is a type there. Strictly, what has no name is not allowed.
    fn plain(&self, schema: &Value, strict: bool) -> Value {
        let schema = self.resolved(schema);
        let Some(fields) = schema.as_object() else { return schema.clone() };
        let mut plain = Map::new();
        for (name, value) in fields {
            let value = match (name.as_str(), value) {
                ("example" | "examples" | "description" | "nullable" | "default" | "format" | "deprecated", _) => {
                    continue;
                }
                ("properties", Value::Object(all)) => {
                    all.iter().map(|(name, one)| (name.clone(), self.plain(one, strict))).collect::<Map<_, _>>().into()
                }
                ("items" | "additionalProperties", Value::Object(_)) => self.plain(value, strict),
                ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => {
                    // Each part of several only knows its own fields.
                    let strict = strict && (name != "allOf" || all.len() == 1);
                    all.iter().map(|one| self.plain(one, strict)).collect::<Vec<_>>().into()
                }
                _ => value.clone(),
            };
            plain.insert(name.clone(), value);
        }
        // The description says it in words alone, and the vendor's own clients send numbers.
        let said = fields.get("description").and_then(Value::as_str).unwrap_or_default();
        if said.contains("ID or name") && fields.get("type") == Some(&json!("string")) {
            plain.insert("type".into(), json!(["string", "integer"]));
        }
        if said.contains("IDs (`integer`) or names (`string`)") {
            plain.insert("items".into(), json!({"type": ["string", "integer"]}));
        }
        if strict && plain.contains_key("properties") && !plain.contains_key("allOf") {
            plain.entry("additionalProperties").or_insert(json!(false));
        }
        let plain = Value::Object(plain);
        if schema["nullable"] == true { json!({"anyOf": [{"type": "null"}, plain]}) } else { plain }
    }
}

fn id(operation: &Value) -> &str {
    operation["operationId"].as_str().expect("every operation of the description has a name")
}

fn words(error: &ValidationError<'_>) -> Wrong {
    let place = error.instance_path().as_str().trim_start_matches('/').replace('/', ".");
    let below = |name: &str| if place.is_empty() { name.to_string() } else { format!("{place}.{name}") };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| (below(name), "is unknown".into())).collect()
        }
        ValidationErrorKind::Required { property } => {
            vec![(below(property.as_str().unwrap_or_default()), "is missing".into())]
        }
        _ => vec![(place, error.to_string())],
    }
}
