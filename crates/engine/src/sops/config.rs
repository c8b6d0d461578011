//! `.sops.yaml`: what tells the program `sops` for whom a new file is (`config/config.go`, 3.11).

use std::path::{Path, PathBuf};

use regex::Regex;

use super::tree::{Branch, Part, Value, pairs, put, under, values};
use super::{Fault, yaml};

/// Its name. SOPS looks for it beside a file and in all folders above.
pub const CONFIG: &str = ".sops.yaml";
const RULES: &str = "creation_rules";

/// A `.sops.yaml` that was read.
#[derive(Clone, Debug)]
pub struct Config {
    document: Branch,
}

impl Config {
    /// The nearest one above a file, as SOPS finds it.
    pub fn nearest(file: &Path) -> Option<PathBuf> {
        let file = std::path::absolute(file).ok()?;
        file.ancestors().skip(1).map(|folder| folder.join(CONFIG)).find(|path| path.is_file())
    }

    /// One for a single file beside it, for these recipients.
    pub fn for_file(name: &str, recipients: &[String]) -> Self {
        let rule = vec![pair("path_regex", format!("^{}$", regex::escape(name))), pair("age", recipients.join(","))];
        Self { document: vec![Part::Is((RULES.into(), Value::List(vec![Part::Is(Value::Map(rule))])))] }
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// It is no YAML.
    pub fn read(text: &str) -> Result<Self, Vec<Fault>> {
        Ok(Self { document: yaml::read(text)?.into_iter().next().unwrap_or_default() })
    }

    /// As text.
    pub fn text(&self) -> String {
        yaml::write(std::slice::from_ref(&self.document))
    }

    /// For whom a new file of this name is; none where no rule is for it. The name is relative to the folder of this file.
    pub fn recipients(&self, name: &str) -> Option<Vec<String>> {
        let Some(Value::List(rules)) = under(&self.document, RULES) else { return None };
        let rule = values(rules).find_map(|rule| matching(rule, name))?;
        Some(match under(rule, "age") {
            Some(Value::List(entries)) => values(entries).filter_map(Value::text).collect(),
            Some(value) => split(&value.text().unwrap_or_default()),
            None => Vec::new(),
        })
    }

    /// Puts a recipient into the rule for a file of this name; says whether there is one that can take it.
    pub fn add_recipient(&mut self, name: &str, recipient: &str) -> bool {
        let Some(rule) = self.rule_mut(name) else { return false };
        match under(rule, "age").cloned() {
            Some(Value::List(mut entries)) => {
                entries.push(Part::Is(Value::Text(recipient.to_string())));
                put(rule, "age", Value::List(entries));
            }
            Some(Value::Text(text)) => {
                let all = [split(&text), vec![recipient.to_string()]].concat();
                put(rule, "age", Value::Text(all.join(",")));
            }
            _ => return false,
        }
        true
    }

    /// Takes everybody else out of the rule for a file of this name; says whether somebody was.
    pub fn keep_recipients(&mut self, name: &str, recipients: &[String]) -> bool {
        let Some(there) = self.recipients(name) else { return false };
        let kept: Vec<String> = there.iter().filter(|it| recipients.contains(it)).cloned().collect();
        if kept.len() == there.len() {
            return false;
        }
        let Some(rule) = self.rule_mut(name) else { return false };
        let text = |it: &String| Part::Is(Value::Text(it.clone()));
        let kept = match under(rule, "age") {
            Some(Value::List(_)) => Value::List(kept.iter().map(text).collect()),
            _ => Value::Text(kept.join(",")),
        };
        put(rule, "age", kept);
        true
    }

    /// The rule for a file of this name.
    fn rule_mut(&mut self, name: &str) -> Option<&mut Branch> {
        let rules = self.document.iter_mut().find_map(|part| match part {
            Part::Is((key, Value::List(rules))) if key == RULES => Some(rules),
            _ => None,
        });
        let rule = rules.into_iter().flatten().find_map(|part| match part {
            Part::Is(rule) if matching(rule, name).is_some() => Some(rule),
            _ => None,
        });
        match rule {
            Some(Value::Map(rule)) => Some(rule),
            _ => None,
        }
    }

    /// Puts a rule for a file before all others.
    pub fn add_rule(&mut self, name: &str, recipients: &[String]) {
        let new = Self::for_file(name, recipients).document;
        let Some(Value::List(rule)) = under(&new, RULES) else { return };
        let there = match under(&self.document, RULES) {
            Some(Value::List(there)) => there.clone(),
            _ => Vec::new(),
        };
        put(&mut self.document, RULES, Value::List([rule.clone(), there].concat()));
    }
}

fn pair(key: &str, text: String) -> Part<(String, Value)> {
    Part::Is((key.to_string(), Value::Text(text)))
}

/// Recipients that are written in one text.
fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(String::from).collect()
}

/// A rule that is for a file of this name.
fn matching<'a>(rule: &'a Value, name: &str) -> Option<&'a Branch> {
    let Value::Map(fields) = rule else { return None };
    let regex = pairs(fields).find(|(key, _)| *key == "path_regex").and_then(|(_, value)| value.text());
    let matches = match regex.filter(|regex| !regex.is_empty()) {
        None => true,
        Some(regex) => Regex::new(&regex).is_ok_and(|regex| regex.is_match(name)),
    };
    matches.then_some(fields)
}
