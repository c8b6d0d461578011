//! A distribution's recipe as scripts, and what they answered.
//!
//! Steps that follow one another go in one script, one round trip. A step that waits is a script that looks once: who
//! runs it waits in between, and can tell meanwhile what is waited for. The last script also gives the recipe's outputs.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_model::ids::NodeName;
use kubewright_model::recipe::{Recipe, RecipeStep};
use kubewright_model::secret::Secret;
use kubewright_model::units::Span;

use crate::change::{Call, Calls, Library, Told, failed, filled, lines, memory, path, plain, refuse, told, write_file};
use crate::mask::masked;
use crate::{Holes, HostError};

/// A part of a recipe, for one round trip or for one that is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Steps that are done once.
    Once {
        /// The body of their script.
        body: String,
        /// Which steps: from the first one to before the second one.
        steps: std::ops::Range<usize>,
    },
    /// Something that is looked at until it holds.
    Until(Box<Until>),
    /// A file that comes here, by its pattern, and the ending of what goes with it.
    Bring(String, Option<String>),
    /// A file that goes there, and the ending of what goes with it.
    Send(String, Option<String>),
}

/// Something that is looked at until it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Until {
    /// What is waited for, for people.
    pub(crate) what: String,
    /// How long at most.
    pub(crate) timeout: Span,
    /// The body of the script that looks.
    pub(crate) look: String,
    /// The same for the last time: it brings the unit's log in any case.
    pub(crate) last_look: String,
}

/// What a look at something that is waited for has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// It holds.
    pub(crate) done: bool,
    /// What the program said, when it does not.
    pub(crate) said: Vec<String>,
    /// The unit's state and its finer one: `activating`, `auto-restart`.
    pub(crate) state: Option<(String, String)>,
    /// The unit's last lines.
    pub(crate) log: Vec<String>,
}

impl Look {
    /// The unit is down and systemd does not start it again: waiting is in vain.
    pub(crate) fn is_lost(&self) -> bool {
        !self.done && self.state.as_ref().is_some_and(|(state, _)| state == "failed")
    }

    /// Why it does not hold yet, in a line.
    pub(crate) fn why(&self) -> String {
        match (&self.state, self.said.last()) {
            (Some((_, finer)), _) if finer == "auto-restart" => "the unit ended and is being started again".into(),
            (Some((state, _)), _) if state == "failed" => "the unit failed".into(),
            (_, Some(said)) => said.trim().to_string(),
            (Some((state, _)), None) => format!("the unit is {state}"),
            (None, None) => "not yet".into(),
        }
    }
}

/// The scripts of a recipe, in order.
pub(crate) fn steps(recipe: &Recipe, holes: &Holes, host: &NodeName) -> Result<Vec<Part>, HostError> {
    let mut parts = Vec::new();
    let mut once = Calls::default();
    let mut first = 0;
    for (index, step) in recipe.steps.iter().enumerate() {
        let gives = index + 1 == recipe.steps.len();
        let Some(alone) = alone(recipe, host, step, gives)? else {
            add(&mut once, index, step, holes, host)?;
            continue;
        };
        if first < index {
            parts.push(Part::Once { body: std::mem::take(&mut once).script(), steps: first..index });
        }
        first = index + 1;
        parts.push(alone);
    }
    let all = recipe.steps.len();
    if first < all || (all == 0 && !recipe.gives.is_empty()) {
        give(&mut once, recipe, host)?;
        parts.push(Part::Once { body: once.script(), steps: first..all });
    }
    Ok(parts)
}

/// A step that is a part of its own: one that waits, and files that come and go.
fn alone(recipe: &Recipe, host: &NodeName, step: &RecipeStep, gives: bool) -> Result<Option<Part>, HostError> {
    Ok(Some(match step {
        RecipeStep::Until { command, what, timeout, log } => {
            let look = |last| look(recipe, host, command, log.as_deref(), last, gives);
            let until = Until { what: what.clone(), timeout: *timeout, look: look(false)?, last_look: look(true)? };
            Part::Until(Box::new(until))
        }
        RecipeStep::Bring { newest, with } => {
            path(host, newest)?;
            Part::Bring(newest.clone(), with.clone())
        }
        RecipeStep::Send { to, with } => {
            path(host, to)?;
            Part::Send(to.clone(), with.clone())
        }
        _ => return Ok(None),
    }))
}

fn add(calls: &mut Calls, index: usize, step: &RecipeStep, holes: &Holes, host: &NodeName) -> Result<(), HostError> {
    let mut tell = |function, words: &[&str]| calls.call(Library::Steps, &Call::tell(index, function, words));
    match step {
        RecipeStep::Run(command) if command.is_empty() => {
            return refuse(host, "an empty command", "there is nothing to run".into());
        }
        RecipeStep::Run(command) => tell("kw_run", &command.iter().map(String::as_str).collect::<Vec<_>>()),
        RecipeStep::Write(file) => write_file(calls, index, host, file, holes)?,
        RecipeStep::Remove(gone) => {
            path(host, gone)?;
            // What stands right under the root is never a distribution's own.
            if gone.matches('/').count() < 2 {
                return refuse(host, &in_words(step), "it is not ours alone".into());
            }
            tell("kw_remove", &[gone, &memory(gone)]);
        }
        RecipeStep::Start { unit, reads } => {
            plain(host, "a unit", unit)?;
            tell("kw_start", &[unit, reads.as_str()]);
        }
        RecipeStep::Restart { unit, reads } => {
            plain(host, "a unit", unit)?;
            tell("kw_restart", &[unit, reads.as_str()]);
        }
        RecipeStep::Stop { unit } => {
            plain(host, "a unit", unit)?;
            tell("kw_stop", &[unit]);
        }
        RecipeStep::Until { .. } | RecipeStep::Bring { .. } | RecipeStep::Send { .. } => {}
        RecipeStep::Talos(_) => {
            return refuse(host, &in_words(step), "Talos has no shell, and this host has one".into());
        }
    }
    Ok(())
}

fn look(
    recipe: &Recipe,
    host: &NodeName,
    command: &[String],
    unit: Option<&str>,
    last: bool,
    gives: bool,
) -> Result<String, HostError> {
    if let Some(unit) = unit {
        plain(host, "a unit", unit)?;
    }
    let mut calls = Calls::default();
    let words = [unit.unwrap_or_default(), if last { "yes" } else { "no" }];
    let words: Vec<&str> = words.into_iter().chain(command.iter().map(String::as_str)).collect();
    calls.plain(Library::Steps, "kw_until", &words);
    if gives {
        give(&mut calls, recipe, host)?;
    }
    Ok(calls.script())
}

/// The outputs come with the last script.
fn give(calls: &mut Calls, recipe: &Recipe, host: &NodeName) -> Result<(), HostError> {
    for (index, output) in recipe.gives.iter().enumerate() {
        path(host, &output.file)?;
        calls.plain(
            Library::Steps,
            "kw_give",
            &[&index.to_string(), &output.file, if output.once { "once" } else { "stays" }],
        );
    }
    Ok(())
}

/// What steps that are done once came to: whether anything was changed.
pub(crate) fn ran(
    recipe: &Recipe,
    steps: &std::ops::Range<usize>,
    holes: &Holes,
    host: &NodeName,
    answer: &str,
) -> Result<bool, HostError> {
    let mut changed = false;
    let mut next = steps.start;
    for told in told(answer) {
        let Some(step) = recipe.steps.get(told.index()).filter(|_| steps.contains(&told.index())) else { continue };
        next = next.max(told.index() + 1);
        match told {
            Told::Same(_) | Told::Remark(..) => {}
            Told::Changed(_) => changed = true,
            Told::Failed(_, log) => return Err(failed(host, in_words(step), &log, holes)),
        }
    }
    match recipe.steps.get(next).filter(|_| next < steps.end) {
        None => Ok(changed),
        Some(step) => refuse(host, &in_words(step), "the host stopped to answer in the middle of it".into()),
    }
}

/// What a look has shown.
pub(crate) fn looked(answer: &str, holes: &Holes) -> Look {
    let mut look = Look::default();
    let shown = |log: &str| lines(log).iter().map(|line| masked(line, holes)).collect();
    for line in answer.lines().filter_map(|line| line.strip_prefix("u ")) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("done", _) => look.done = true,
            ("wait", said) => look.said = shown(said),
            ("log", log) => look.log = shown(log),
            ("state", state) => look.state = state.split_once(' ').map(|(one, two)| (word(one), word(two))),
            _ => {}
        }
    }
    look
}

/// A word of systemd's, whatever a host says instead.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(30).collect()
}

/// The error of something that was waited for in vain.
pub(crate) fn waited(until: &Until, host: &NodeName, look: &Look) -> HostError {
    let what = format!("waiting until {}", until.what);
    let within = if look.is_lost() { String::new() } else { format!("not within {}: ", until.timeout) };
    let log = if look.log.is_empty() { &look.said } else { &look.log };
    HostError::Failed { host: host.clone(), what, why: format!("{within}{}", look.why()), log: log.clone() }
}

/// The values that a recipe gives, by the answer of its last script.
pub(crate) fn gave(recipe: &Recipe, holes: &Holes, host: &NodeName, answer: &str) -> Result<Holes, HostError> {
    let mut gave = Holes::new();
    for (index, output) in recipe.gives.iter().enumerate() {
        let start = format!("g {index} ");
        let value = answer.lines().find_map(|line| line.strip_prefix(start.as_str()));
        let bytes = value.and_then(|value| STANDARD.decode(value).ok());
        let Some(mut text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            let why = if value == Some("missing") { "there is no such file" } else { "the host gave no text" };
            return refuse(host, &format!("reading {}", output.file), why.into());
        };
        for (from, to) in &output.replace {
            text = text.replace(from, &filled(host, to, holes)?);
        }
        gave.insert(output.hole.clone(), Secret::new(text));
    }
    Ok(gave)
}

/// What is being done, for people.
fn in_words(step: &RecipeStep) -> String {
    let text = match step {
        RecipeStep::Run(command) | RecipeStep::Until { command, .. } => format!("running `{}`", command.join(" ")),
        RecipeStep::Write(file) => format!("writing {}", file.path),
        RecipeStep::Remove(path) => format!("removing {path}"),
        RecipeStep::Start { unit, .. } => format!("starting {unit}"),
        RecipeStep::Restart { unit, .. } => format!("restarting {unit}"),
        RecipeStep::Stop { unit } => format!("stopping {unit}"),
        RecipeStep::Bring { newest, .. } => format!("bringing {newest} to this computer"),
        RecipeStep::Send { to, .. } => format!("sending {to}"),
        RecipeStep::Talos(call) => call.to_string(),
    };
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
