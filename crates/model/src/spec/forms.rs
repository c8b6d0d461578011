//! Forms of text that the spec holds as plain text: addresses, user names, and what Proxmox, Hetzner, Git and S3 accept.
//!
//! A form is a type without values. A field names it with `#[schemars(with = "…")]`, so that the schema knows it and
//! the validator refuses what is not in it; whoever reads the field gets the text as it was written.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::net::IpAddr;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::spec::formats::{Format, dns_subdomain, schema_for_format};

mod names;
mod places;

pub use names::*;
pub use places::*;

/// Defines a form: its name in the schema, an example, and its check.
macro_rules! form {
    ($(#[$doc:meta])* $name:ident, $format:literal, $example:literal, $check:expr) => {
        $(#[$doc])*
        pub enum $name {}

        impl Format for $name {
            const NAME: &'static str = $format;
            const EXAMPLE: &'static str = $example;

            fn check(text: &str) -> Result<(), String> {
                $check(text)
            }
        }

        schema_for_format!($name);
    };
}
use form;

/// A mapping whose keys are in a form. The schema of a plain `IndexMap` says nothing of its keys, so that any would do.
pub struct ByName<K, V>(PhantomData<(K, V)>);

impl<K: Format + JsonSchema, V: JsonSchema> JsonSchema for ByName<K, V> {
    fn schema_name() -> Cow<'static, str> {
        IndexMap::<K, V>::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = IndexMap::<K, V>::json_schema(generator);
        schema.insert("propertyNames".into(), K::json_schema(generator).to_value());
        schema
    }
}

/// Refuses a text that is empty, or that has a character which the form does not know.
fn only(text: &str, more: &str, words: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && !more.contains(*c)) {
        Some(bad) => Err(format!("`{}` is not allowed, only {words}", bad.escape_debug())),
        None => Ok(()),
    }
}

/// Refuses a text that is longer than a form allows.
fn at_most(text: &str, limit: usize) -> Result<(), String> {
    let length = text.chars().count();
    if length > limit {
        return Err(format!("it has {length} characters, at most {limit} are allowed"));
    }
    Ok(())
}

/// Refuses a text that is empty or has blanks or control characters.
fn one_word(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it has a blank or a line break in it".into());
    }
    Ok(())
}

/// An address or a DNS name in any case.
fn host(text: &str) -> Result<(), String> {
    if text.contains("://") {
        return Err("it is a whole URL, and only the host belongs here".into());
    }
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    // What is all digits and dots can only be an address that was mistyped.
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err("it is no IPv4 address".into());
    }
    dns_subdomain(&text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
