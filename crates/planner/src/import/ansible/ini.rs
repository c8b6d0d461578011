//! Inventories in Ansible's own INI: sections of hosts, `:children` and `:vars`, and lines that Python's `shlex` cuts into
//! words. No other INI is like it, so it is read here, by what `ansible/plugins/inventory/ini.py` of Ansible 2.19 does.

use indexmap::IndexMap;
use kubewright_model::codes;
use kubewright_model::diagnostic::Place;

use super::{Inventory, Var, Vars, literal, pattern};
use crate::import::{FORM, Reading, Spot, sounds_secret};

/// What the lines of a section are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    Hosts,
    Children,
    Vars,
}

/// A word of a line, and the column at which it begins, from 1.
struct Word {
    column: usize,
    text: String,
}

/// Groups that something is said of before they are there.
#[derive(Default)]
struct Pending {
    vars: IndexMap<String, Spot>,
    children: IndexMap<String, Vec<(String, Spot)>>,
}

pub(super) fn read(inventory: &mut Inventory, text: usize, reading: &mut Reading) {
    let lines: Vec<String> = reading.texts[text].1.lines().map(str::to_string).collect();
    let (mut group, mut kind) = (super::UNGROUPED.to_string(), Lines::Hosts);
    let mut pending = Pending::default();
    let mut declared = vec![super::UNGROUPED.to_string(), super::ALL.to_string()];
    declared.extend(inventory.groups.keys().cloned());
    for (index, line) in lines.iter().enumerate() {
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let trimmed = line.trim();
        let place = |column: usize, length: usize| Place { file: 0, line: index + 1, column, length: length.max(1) };
        let spot = Spot { text, at: place(indent + 1, trimmed.chars().count()) };
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        match section(trimmed) {
            Some(Ok((name, lines))) => {
                if lines == Lines::Vars && !declared.contains(&name) {
                    pending.vars.entry(name.clone()).or_insert(spot);
                } else if !declared.contains(&name) {
                    declared.push(name.clone());
                }
                inventory.group(&name);
                (group, kind) = (name, lines);
                continue;
            }
            Some(Err(why)) => {
                reading.wrong(
                    spot,
                    FORM,
                    why,
                    "a section is [GROUP], [GROUP:children] or [GROUP:vars], without spaces",
                );
                continue;
            }
            None => {}
        }
        match kind {
            Lines::Hosts => host(inventory, &group, line, Spot { text, at: place(1, 1) }, reading),
            Lines::Vars => variable(inventory, &group, trimmed, spot, reading),
            Lines::Children => {
                let name = trimmed.split('#').next().unwrap_or_default().trim().to_string();
                if name.contains(|c: char| c.is_whitespace() || matches!(c, ':' | ']')) {
                    reading.wrong(
                        spot,
                        FORM,
                        "a line below `:children` is the name of a group",
                        "write one name in a line",
                    );
                    continue;
                }
                pending.children.entry(name.clone()).or_default().push((group.clone(), spot));
            }
        }
    }
    settle(inventory, pending, &declared, reading);
}

/// What was said of groups that came later; those that never came are told.
fn settle(inventory: &mut Inventory, pending: Pending, declared: &[String], reading: &mut Reading) {
    let help = |name: &str| {
        let known = declared.iter().map(String::as_str).filter(|known| *known != super::UNGROUPED);
        match kubewright_model::diagnostic::nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it: [{name}]"),
        }
    };
    for (name, spot) in pending.vars.iter().filter(|(name, _)| !declared.contains(*name)) {
        reading.wrong(
            *spot,
            codes::FOREIGN_GROUP,
            format!("[{name}:vars] is about a group that is not there"),
            help(name),
        );
    }
    for (name, parents) in pending.children {
        for (parent, spot) in parents {
            if declared.contains(&name) {
                inventory.group(&parent).children.insert(name.clone());
            } else {
                let message = format!("[{parent}:children] has the group `{name}`, which is not there");
                reading.wrong(spot, codes::FOREIGN_GROUP, message, help(&name));
            }
        }
    }
}

/// A section's name and kind; nothing where the line is none.
fn section(line: &str) -> Option<Result<(String, Lines), String>> {
    let rest = line.strip_prefix('[')?;
    let found =
        rest.split_once(']').filter(|(_, after)| after.trim().is_empty() || after.trim_start().starts_with('#'));
    let Some((inner, _)) = found else {
        return line.ends_with(']').then(|| Err(format!("`{line}` is no section")));
    };
    let (name, kind) = inner.split_once(':').unwrap_or((inner, "hosts"));
    // `[10:12].example.org` would not end here, and `[fd00::1]:22` neither: these are hosts.
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Some(Err(format!("`{line}` is no section")));
    }
    let lines = match kind {
        "hosts" => Lines::Hosts,
        "children" => Lines::Children,
        "vars" => Lines::Vars,
        other => return Some(Err(format!("`{other}` is no kind of section"))),
    };
    Some(Ok((name.to_string(), lines)))
}

fn variable(inventory: &mut Inventory, group: &str, line: &str, spot: Spot, reading: &mut Reading) {
    let Some((name, value)) = line.split_once('=') else {
        reading.wrong(spot, FORM, "a line below `:vars` is a variable", "write NAME=VALUE");
        return;
    };
    let column = spot.at.column + line.chars().count() - value.trim_start().chars().count();
    let at = Place { column, length: value.trim().chars().count().max(1), ..spot.at };
    let var = Var { value: literal::value(value.trim()), spot: Spot { at, ..spot } };
    inventory.set(group, name.trim(), var, reading);
}

fn host(inventory: &mut Inventory, group: &str, line: &str, spot: Spot, reading: &mut Reading) {
    let place = |word: &Word| Spot {
        at: Place { column: word.column, length: word.text.chars().count().max(1), ..spot.at },
        ..spot
    };
    let words = match words(line) {
        Ok(words) => words,
        Err(column) => {
            let spot = Spot { at: Place { column, ..spot.at }, ..spot };
            reading.secrets.push(spot);
            return reading.wrong(spot, FORM, "a quote is opened here and never closed", "close it in the same line");
        }
    };
    let Some((first, rest)) = words.split_first() else { return };
    let (names, port) = match pattern::hosts(&first.text) {
        Ok(found) => found,
        Err(why) => {
            return reading.wrong(
                place(first),
                FORM,
                why,
                "a host is a name or an address, with ranges such as web[01:05]",
            );
        }
    };
    if let Some(odd) = names.iter().find(|name| !pattern::plausible(name)) {
        let help = "if this is no INI inventory, say what it is with `--format`";
        return reading.wrong(place(first), FORM, format!("`{odd}` is neither a host's name nor an address"), help);
    }
    let mut vars = Vars::new();
    for word in rest {
        let Some((name, value)) = word.text.split_once('=') else {
            reading.wrong(
                place(word),
                FORM,
                "behind a host stand variables",
                "write NAME=VALUE, with quotes around spaces",
            );
            // Whose name is forgotten may be a password.
            reading.secrets.push(place(word));
            continue;
        };
        let column = word.column + name.chars().count() + 1;
        let spot = Spot { at: Place { column, length: value.chars().count().max(1), ..spot.at }, ..spot };
        if sounds_secret(name) {
            reading.secrets.push(spot);
        }
        vars.insert(name.to_string(), Var { value: literal::value(value), spot });
    }
    inventory.add(group, names, port, &vars, place(first));
}

/// A line cut into words as Python's `shlex.split(line, comments=True)` does it: `#` begins a comment also inside of a
/// word, and in double quotes a backslash keeps only a quote and itself.
fn words(line: &str) -> Result<Vec<Word>, usize> {
    let signs: Vec<char> = line.chars().collect();
    let mut words: Vec<Word> = Vec::new();
    let mut open: Option<Word> = None;
    let mut at = 0;
    while let Some(sign) = signs.get(at).copied() {
        let word = |open: Option<Word>| open.unwrap_or(Word { column: at + 1, text: String::new() });
        match sign {
            '#' => break,
            _ if sign.is_whitespace() => words.extend(open.take()),
            '\'' | '"' => {
                let mut inner = word(open.take());
                let start = at;
                at += 1;
                loop {
                    match (signs.get(at), signs.get(at + 1)) {
                        (None, _) => return Err(start + 1),
                        (Some(end), _) if *end == sign => break,
                        (Some('\\'), Some(next @ ('"' | '\\'))) if sign == '"' => {
                            inner.text.push(*next);
                            at += 1;
                        }
                        (Some(other), _) => inner.text.push(*other),
                    }
                    at += 1;
                }
                open = Some(inner);
            }
            '\\' => {
                let mut inner = word(open.take());
                at += 1;
                inner.text.extend(signs.get(at));
                open = Some(inner);
            }
            _ => {
                let mut inner = word(open.take());
                inner.text.push(sign);
                open = Some(inner);
            }
        }
        at += 1;
    }
    words.extend(open);
    Ok(words)
}
