//! Text in, [`ClusterFile`] out, or everything that is wrong with its form, at once.
//!
//! The schema that editors use also does the checking here, so what an editor accepts and what kubewright accepts
//! cannot differ. Its errors are turned into words by this module.

use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::codes;
use crate::diagnostic::{Diagnostic, SpecPath, nearest};
use crate::source::{self, Environment, Layered, SourceMap};
use crate::spec::formats::{FORMATS, Format, format_named};
use crate::spec::{ClusterFile, schema};
use crate::units::{Size, Span};

/// A cluster file and where its parts stand.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the user wrote.
    pub file: ClusterFile,
    /// Where it stands in the source text.
    pub places: SourceMap,
}

/// Reads a cluster file.
///
/// # Errors
///
/// Everything that is wrong with its form, located and sorted. Whether its values fit each other is the planner's.
pub fn load(text: &str) -> Result<Loaded, Vec<Diagnostic>> {
    load_layered(text, None)
}

/// Reads a cluster file with an environment on top.
///
/// # Errors
///
/// As of [`load`], each with the file that says it.
pub fn load_layered(text: &str, on_top: Option<Environment<'_>>) -> Result<Loaded, Vec<Diagnostic>> {
    let Layered { mut value, places, mut found } = source::read_layered(text, on_top)?;
    numbers_as_text(&mut value, &SpecPath::root());
    found.extend(validator().iter_errors(&value).flat_map(|error| words(&error, &places)));
    if found.is_empty() {
        match serde_json::from_value(value) {
            Ok(file) => return Ok(Loaded { file, places }),
            // The schema is made from the types, so this is a disagreement between the two and ours to mend.
            Err(error) => found.push(Diagnostic::new(codes::SCHEMA, SpecPath::root(), error.to_string())),
        }
    }
    places.locate(&mut found);
    Err(found)
}

/// A whole number where the schema takes it in the place of text becomes that text: `vmids: [401]` says what `["401"]`
/// says, and is judged by the form of that text.
pub(super) fn numbers_as_text(value: &mut Value, path: &SpecPath) {
    match value {
        Value::Number(number) if !number.is_f64() && schema::takes_numbers_as_text(path) => {
            *value = Value::String(number.to_string());
        }
        Value::Array(items) => {
            items.iter_mut().enumerate().for_each(|(index, item)| numbers_as_text(item, &path.then(index)));
        }
        Value::Object(map) => map.iter_mut().for_each(|(key, item)| numbers_as_text(item, &path.then(key))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

pub(super) fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| {
        let options = FORMATS.iter().fold(jsonschema::draft202012::options(), |options, format| {
            options.with_format(format.name, |text: &str| (format.check)(text).is_ok())
        });
        let built = options.should_validate_formats(true).build(schema::json_schema());
        #[expect(clippy::expect_used, reason = "the schema is a constant of the program and a test builds it")]
        built.expect("our own schema is valid")
    })
}

/// Turns one error of the validator into diagnostics.
fn words(error: &ValidationError<'_>, places: &SourceMap) -> Vec<Diagnostic> {
    let path = SpecPath::pointer(error.instance_path().as_str());
    let instance = error.instance();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| unknown_field(&path, name, places)).collect()
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let place = if path.as_str().is_empty() { "the file".to_string() } else { format!("`{path}`") };
            let message = format!("`{name}` is missing in {place}");
            let described = schema::at(&path.then(name)).and_then(description);
            let diagnostic = Diagnostic::new(codes::MISSING_FIELD, path.clone(), message);
            let diagnostic = match places.key_place(&path) {
                Some(key) => diagnostic.at(key),
                None => diagnostic,
            };
            vec![match described {
                Some(text) => diagnostic.help(format!("{name}: {text}")),
                None => diagnostic,
            }]
        }
        ValidationErrorKind::Type { kind } => vec![wrong_type(path, instance, kind)],
        ValidationErrorKind::Enum { .. }
        | ValidationErrorKind::Constant { .. }
        | ValidationErrorKind::OneOfNotValid { .. } => {
            vec![unknown_word(path, instance)]
        }
        ValidationErrorKind::Format { format } => vec![wrong_format(path, instance, format)],
        ValidationErrorKind::PropertyNames { error } => words(error, places)
            .into_iter()
            .map(|mut inner| {
                inner.path = error.instance().as_str().map_or(path.clone(), |name| path.then(name));
                inner.at = places.key_place(&inner.path);
                inner
            })
            .collect(),
        _ => vec![outside(path, error)],
    }
}

fn description(schema: &Value) -> Option<&str> {
    schema.get("description").and_then(Value::as_str).and_then(|text| text.split("\n\n").next())
}

fn unknown_field(path: &SpecPath, name: &str, places: &SourceMap) -> Diagnostic {
    let here = if path.as_str().is_empty() { "the file".to_string() } else { format!("`{path}`") };
    let known: Vec<&str> = schema::at(path)
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object)
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let at = path.then(name);
    let diagnostic =
        Diagnostic::new(codes::UNKNOWN_FIELD, at.clone(), format!("{here} has no field `{}`", shown(name)));
    let diagnostic = match nearest(name, known.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.help(format!("known here: {}", known.join(", "))),
    };
    match places.key_place(&at) {
        Some(place) => diagnostic.at(place),
        None => diagnostic,
    }
}

fn wrong_type(path: SpecPath, instance: &Value, kind: &TypeKind) -> Diagnostic {
    if schema::is_secret(&path) && !instance.is_null() {
        let mut diagnostic = Diagnostic::new(
            codes::SECRET_IN_CLEAR,
            path.clone(),
            format!("`{path}` holds a value in clear text where a reference to a secret belongs"),
        )
        .help("write where the secret is: {env: NAME}, {file: PATH}, {command: [..]} or {sops: KEY}; and change the secret if this file was ever shared");
        diagnostic.secret = true;
        return diagnostic;
    }
    let wanted = match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(set) => set.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or "),
    };
    let message = format!("`{path}` is {}, it should be {}", type_name(instance), wanted_name(&wanted));
    let secret = in_reference(&path);
    let mut diagnostic = Diagnostic::new(codes::WRONG_TYPE, path, message);
    if secret && !instance.is_null() {
        diagnostic.secret = true;
        return diagnostic.help(match wanted.as_str() {
            "array" => "write a program and its arguments as a list: [PROGRAM, ARGUMENT]",
            _ => "write where the secret is, in quotes, and never the secret itself",
        });
    }
    match (instance, wanted.as_str()) {
        (Value::Null, "object") => diagnostic.help("write `{}` to have it with its defaults, or remove the line"),
        (Value::Null, _) => diagnostic.help("write a value, or remove the line"),
        (Value::String(text), "array") => diagnostic.help(format!("write a list: [{}]", shown(text))),
        (Value::Number(number), "string") => match with_unit(&diagnostic.path, number) {
            Some(written) => diagnostic.help(format!("write it with its unit: {written}")),
            None => diagnostic.help(format!("put it into quotes: \"{number}\"")),
        },
        (Value::Bool(yes), "string") => diagnostic.help(format!("put it into quotes: \"{yes}\"")),
        _ => diagnostic,
    }
}

/// A bare number with the unit that it most likely lacks, where the field has one.
fn with_unit(path: &SpecPath, number: &serde_json::Number) -> Option<String> {
    let format = schema::at(path)?.get("format")?.as_str()?;
    match format {
        _ if format == <Size as Format>::NAME => {
            Some(number.as_u64().map_or_else(|| "for example 4Gi".into(), Size::without_unit))
        }
        _ if format == <Span as Format>::NAME => Some(format!("{number}s")),
        _ => None,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

fn wanted_name(kind: &str) -> &str {
    match kind {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
}

fn unknown_word(path: SpecPath, instance: &Value) -> Diagnostic {
    let known = schema::at(&path).map(schema::words).unwrap_or_default();
    let word = instance.as_str().map_or_else(|| instance.to_string(), str::to_string);
    let message = format!("`{path}` does not know `{}`", shown(&word));
    let all = known.join(", ");
    let help = match nearest(&word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? It knows: {all}"),
        None => format!("it knows: {all}"),
    };
    Diagnostic::new(codes::UNKNOWN_WORD, path, message).help(help)
}

fn wrong_format(path: SpecPath, instance: &Value, format: &str) -> Diagnostic {
    let text = instance.as_str().unwrap_or_default();
    let Some(known) = format_named(format) else {
        let message = format!("`{path}` holds `{}`, which is not of the form {format}", shown(text));
        return Diagnostic::new(codes::FORMAT, path, message);
    };
    let why = (known.check)(text).err().unwrap_or_default();
    let name = named(format);
    let secret = in_reference(&path);
    let message = match secret {
        true => format!("this is not {name}"),
        false => format!("`{}` is not {name}: {why}", shown(text)),
    };
    let mut diagnostic = Diagnostic::new(codes::FORMAT, path, message).help(format!("for example `{}`", known.example));
    diagnostic.secret = secret;
    diagnostic
}

/// Whether a place is a field of a reference to a secret: whoever mistakes a reference for its value writes the secret
/// itself there.
fn in_reference(path: &SpecPath) -> bool {
    path.parent().is_some_and(|parent| schema::is_secret(&parent))
}

/// A format's name in a sentence: `a size`, `an address range`.
fn named(format: &str) -> String {
    let article = if format.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    let name = format.replace('-', " ");
    let name = ["lxc", "https"].iter().fold(name, |name, word| name.replace(word, &word.to_uppercase()));
    match format {
        "cidr" => "a network".into(),
        "ip" => "an IP address".into(),
        "lxc-line" | "https-address" => format!("an {name}"),
        _ => format!("{article} {name}"),
    }
}

/// A text as a message shows it: in one line, and only its beginning.
fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let plain = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    let line: String = text.chars().take(LONGEST).map(plain).collect();
    if text.chars().nth(LONGEST).is_some() { line + "…" } else { line }
}

fn outside(path: SpecPath, error: &ValidationError<'_>) -> Diagnostic {
    let (code, message) = match error.kind() {
        ValidationErrorKind::Minimum { limit } => (codes::OUT_OF_RANGE, format!("must be at least {limit}")),
        ValidationErrorKind::Maximum { limit } => (codes::OUT_OF_RANGE, format!("must be at most {limit}")),
        ValidationErrorKind::MinItems { .. } | ValidationErrorKind::MinProperties { .. } => {
            (codes::OUT_OF_RANGE, "must not be empty".to_string())
        }
        ValidationErrorKind::Pattern { pattern } => (codes::OUT_OF_RANGE, format!("must match the pattern {pattern}")),
        _ => (codes::SCHEMA, error.masked().to_string()),
    };
    let described = schema::at(&path).and_then(description);
    let diagnostic = Diagnostic::new(code, path.clone(), format!("`{path}` {message}"));
    match described {
        Some(text) => diagnostic.help(text),
        None => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVBOARD: &str = include_str!("../../../../examples/devboard/cluster.yaml");

    fn broken(from: &str, to: &str) -> Vec<Diagnostic> {
        assert!(DEVBOARD.contains(from), "{from}");
        load(&DEVBOARD.replacen(from, to, 1)).unwrap_err()
    }

    #[test]
    fn an_example_loads() {
        let loaded = load(DEVBOARD).unwrap_or_else(|found| panic!("{found:#?}"));
        assert_eq!(loaded.file.metadata.name.as_str(), "devboard");
        assert_eq!(loaded.file.spec.pools.len(), 2);
    }

    #[test]
    fn a_number_that_is_too_large_has_its_place() {
        for number in ["9999999999", "-5"] {
            let found = broken("vmids: [400]", &format!("vmids: [{number}]"));
            assert_eq!(found[0].code, codes::FORMAT, "{found:#?}");
            assert!(found[0].path.as_str().ends_with("/vmids/0"), "{found:#?}");
        }
    }

    #[test]
    fn a_misspelt_field_has_its_place_and_the_near_word() {
        let found = broken("addresses:", "adresses:");
        assert_eq!(found[0].code, codes::UNKNOWN_FIELD);
        assert_eq!(found[0].help.as_deref(), Some("did you mean `addresses`?"));
        let place = found[0].at.unwrap();
        assert_eq!((place.line, place.column, place.length), (24, 7, 8), "{found:#?}");
    }

    #[test]
    fn all_errors_come_at_once() {
        let text = DEVBOARD
            .replace("role: agent", "role: agnet")
            .replace("memory: 3Gi", "memory: 3GB")
            .replace("name: devboard\n", "name: Dev_board\n");
        let found = load(&text).unwrap_err();
        let codes: Vec<_> = found.iter().map(|d| d.code).collect();
        assert_eq!(codes, [codes::FORMAT, codes::UNKNOWN_WORD, codes::FORMAT], "{found:#?}");
        assert!(found[1].help.as_deref().unwrap().starts_with("did you mean `agent`?"), "{found:#?}");
        assert_eq!(found[2].message, "`3GB` is not a size: units are binary: write 3Gi");
    }

    #[test]
    fn a_secret_in_clear_text_is_found_and_masked() {
        let found = broken("tokenSecret: { env: PROXMOX_TOKEN_SECRET }", "tokenSecret: 1b2c-secret");
        assert_eq!(found[0].code, codes::SECRET_IN_CLEAR);
        assert!(found[0].secret);
        assert!(!format!("{found:?}").contains("1b2c-secret"));
    }

    #[test]
    fn an_empty_field_says_what_to_write() {
        let found = broken("monitoring: {}", "monitoring:");
        assert_eq!(found[0].help.as_deref(), Some("write `{}` to have it with its defaults, or remove the line"));
    }

    #[test]
    fn the_keys_of_a_mapping_have_their_form_too() {
        let found = broken("\n    agents:", "\n    Agents of mine:");
        assert_eq!((found.len(), found[0].code), (1, codes::FORMAT), "{found:#?}");
        assert!(found[0].message.starts_with("`Agents of mine` is not a pool name"), "{found:#?}");
        assert_eq!(found[0].at.map(|at| (at.line, at.column, at.length)), Some((29, 5, 14)), "{found:#?}");
    }

    #[test]
    fn a_number_without_its_unit_gets_one() {
        let found = broken("memory: 3Gi", "memory: 4");
        assert_eq!(found[0].code, codes::WRONG_TYPE);
        assert_eq!(found[0].help.as_deref(), Some("write it with its unit: 4Gi"));
        let found = broken("memory: 3Gi", "memory: 4096");
        assert_eq!(found[0].help.as_deref(), Some("write it with its unit: 4096Mi or 4Gi"));
    }

    #[test]
    fn a_text_out_of_its_form_names_its_field_and_stays_in_one_line() {
        let found = broken("nameservers: [192.168.1.1]", "nameservers: [dns.lan]");
        assert_eq!((found[0].code, found[0].path.to_string().as_str()), (codes::FORMAT, "spec.network.nameservers[0]"));
        assert_eq!(found[0].message, "`dns.lan` is not an IP address: names are not looked up here");
        let found = broken("addresses: [192.168.1.40]", "addresses: [192.168.1.4x]");
        assert!(found[0].message.starts_with("`192.168.1.4x` is not an address range: "), "{found:#?}");
        let found = broken("node: proxade", &format!("node: \"a\\n{}\"", "b".repeat(200)));
        assert!(found[0].message.len() < 200 && !found[0].message.contains('\n'), "{found:#?}");
    }

    #[test]
    fn what_stands_in_the_place_of_a_secrets_name_is_not_shown() {
        let found = broken("tokenSecret: { env: PROXMOX_TOKEN_SECRET }", "tokenSecret: { generate: \"hunter2!\" }");
        assert!(found[0].secret && !format!("{found:?}").contains("hunter2"), "{found:#?}");
        for mistaken in ["command: hunter2", "env: 4711"] {
            let found = broken("tokenSecret: { env: PROXMOX_TOKEN_SECRET }", &format!("tokenSecret: {{ {mistaken} }}"));
            let shown = format!("{found:?}");
            assert!(found[0].secret && !shown.contains("hunter2") && !shown.contains("4711"), "{found:#?}");
        }
    }
}
