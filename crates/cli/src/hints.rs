//! Commands in hints, as whoever is told can run them: for the spec at hand, its environment, and its pretend data centre.
//!
//! The planner and the engine name a command as it is for `cluster.yaml` in this folder. Here, where everything becomes words,
//! it gets what else it needs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use kubewright_model::diagnostic::Diagnostic;

use crate::screen::quoted;
use crate::source::STANDARD_INPUT;

/// The spec that commands take by themselves.
const USUAL: &str = "cluster.yaml";
/// A blank at which no line breaks, and what joins a sign to the next, while a text is laid out.
const KEPT: char = '\u{a0}';
const JOINED: char = '\u{2060}';

/// What commands are for.
#[derive(Clone, Debug, Default)]
struct AtHand {
    simulated: Option<PathBuf>,
    environment: Option<String>,
    spec: Option<PathBuf>,
}

static AT_HAND: Mutex<AtHand> = Mutex::new(AtHand { simulated: None, environment: None, spec: None });

/// From now on hints are for what is in this pretend data centre, or for the real world.
pub(crate) fn are_in(simulated: Option<&Path>) {
    AT_HAND.lock().unwrap_or_else(PoisonError::into_inner).simulated = simulated.map(Path::to_path_buf);
}

/// From now on hints are for this spec with this environment.
pub(crate) fn are_for(spec: &Path, environment: Option<&str>) {
    let mut at_hand = AT_HAND.lock().unwrap_or_else(PoisonError::into_inner);
    let unusual = spec != Path::new(STANDARD_INPUT) && spec != Path::new(USUAL);
    at_hand.spec = unusual.then(|| spec.to_path_buf());
    at_hand.environment = environment.filter(|name| !name.is_empty()).map(String::from);
}

/// What is wrong with a spec, with commands as they have to be run here.
pub(crate) fn complete(found: &mut [Diagnostic]) {
    for diagnostic in found {
        diagnostic.message = runnable(&diagnostic.message);
        diagnostic.help = diagnostic.help.as_deref().map(runnable);
    }
}

/// A text with the commands in it as they have to be run here.
pub(crate) fn runnable(text: &str) -> String {
    let at_hand = AT_HAND.lock().unwrap_or_else(PoisonError::into_inner).clone();
    each_command(text, |command| at_hand.complete(command))
}

/// A text in which no command is broken while it is laid out; [`unlocked`] undoes it.
pub(crate) fn locked(text: &str) -> String {
    // Lines break behind these, too: in the middle of a path.
    let keep = |command: &str| {
        let joined = command.replace('/', &format!("/{JOINED}")).replace('-', &format!("-{JOINED}"));
        joined.replace(' ', &KEPT.to_string())
    };
    let lines = text.split('\n').map(|line| match ["kubewright ", "git "].iter().any(|word| line.starts_with(word)) {
        true => match line.split_once("   #") {
            Some((command, comment)) => format!("{}   #{comment}", keep(command)),
            None => keep(line),
        },
        false => quotes(line, &keep),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    // The path of a file is copied as often as a command.
    let is_path = |word: &&str| word.starts_with('/') || word.starts_with("~/");
    text.split(' ').map(|word| if is_path(&word) { keep(word) } else { word.to_string() }).collect::<Vec<_>>().join(" ")
}

/// The text as it is written.
pub(crate) fn unlocked(text: &str) -> String {
    text.replace(JOINED, "").replace(KEPT, " ")
}

/// Changes every command of ours: those between backticks, and lines that are one.
fn each_command(text: &str, change: impl Fn(&str) -> String) -> String {
    let ours = |command: &str| match command.starts_with("kubewright ") {
        true => change(command),
        false => command.to_string(),
    };
    let lines = text.split('\n').map(|line| match line.starts_with("kubewright ") {
        true => match line.split_once("   #") {
            Some((command, comment)) => format!("{}   #{comment}", ours(command)),
            None => ours(line),
        },
        false => quotes(line, &ours),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Changes what stands between backticks.
fn quotes(line: &str, change: &dyn Fn(&str) -> String) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let last = parts.len() - 1;
    let inside = |at: usize| at % 2 == 1 && at < last;
    let parts = parts.iter().enumerate().map(|(at, part)| if inside(at) { change(part) } else { (*part).to_string() });
    parts.collect::<Vec<_>>().join("`")
}

impl AtHand {
    /// A command with what it needs to be for the spec at hand.
    fn complete(&self, command: &str) -> String {
        let words: Vec<&str> = command.split(' ').collect();
        let verb = words.get(1).copied().unwrap_or_default();
        let Some(takes) = Takes::of(verb) else { return command.to_string() };
        let has = |flag: &str| words.iter().any(|word| word.starts_with(flag));
        let mut options = String::new();
        // The secrets of a pretend data centre's cluster are those of the spec.
        if let Some(folder) = self.simulated.as_ref().filter(|_| verb != "secrets" && !has("--simulated")) {
            options += &format!("--simulated {} ", quoted(folder));
        }
        if let Some(name) = self.environment.as_ref().filter(|_| !has("--environment")) {
            options += &format!("--environment {} ", quoted(Path::new(name)));
        }
        let named = |spec: &&PathBuf| words.contains(&quoted(spec).as_str()) || has("--file=");
        let spec = self.spec.as_ref().filter(|spec| !named(spec)).map(|spec| match takes {
            Takes::Spec => format!(" {}", quoted(spec)),
            Takes::File => format!(" --file {}", quoted(spec)),
        });
        let rest = command.strip_prefix("kubewright ").unwrap_or_default();
        format!("kubewright {options}{rest}{}", spec.unwrap_or_default())
    }
}

/// How a command is told its spec.
#[derive(Clone, Copy)]
enum Takes {
    /// Behind everything else.
    Spec,
    /// With `--file`.
    File,
}

impl Takes {
    /// That of a command; none where it has no spec.
    fn of(verb: &str) -> Option<Self> {
        let all = [
            "validate",
            "plan",
            "apply",
            "destroy",
            "rebuild",
            "status",
            "verify",
            "kubeconfig",
            "talosconfig",
            "secrets",
            "history",
            "docs",
            "rehearse",
        ];
        match verb {
            "replace" => Some(Self::File),
            verb => all.contains(&verb).then_some(Self::Spec),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(spec: &str, environment: Option<&str>) -> AtHand {
        AtHand { simulated: None, environment: environment.map(String::from), spec: Some(spec.into()) }
    }

    #[test]
    fn commands_get_the_spec_and_its_environment() {
        let said = |at: &AtHand, text: &str| each_command(text, |command| at.complete(command));
        let (lab, prod) = (at("labs/my lab.yaml", None), at("lab.yaml", Some("prod")));
        assert_eq!(
            said(
                &lab,
                "see to it:\nkubewright secrets set a.b   # asks for the value\ngit rm x\nthen `kubewright status`."
            ),
            "see to it:\nkubewright secrets set a.b 'labs/my lab.yaml'   # asks for the value\ngit rm x\nthen `kubewright status 'labs/my lab.yaml'`."
        );
        assert_eq!(
            said(
                &prod,
                "`kubewright replace a`, then `kubewright apply lab.yaml`, `kubewright explain CODE`, a `kubewright` alone"
            ),
            "`kubewright --environment prod replace a --file lab.yaml`, then `kubewright --environment prod apply lab.yaml`, `kubewright explain CODE`, a `kubewright` alone"
        );
        let pretend = AtHand { simulated: Some("dc".into()), ..AtHand::default() };
        assert_eq!(
            said(&pretend, "`kubewright status` and `kubewright secrets check`"),
            "`kubewright --simulated dc status` and `kubewright secrets check`"
        );
    }

    #[test]
    fn no_command_is_broken_where_a_text_is_laid_out() {
        let text = "run `kubewright secrets rotate` and wait\nkubewright status labs/a-b.yaml   # and look";
        let kept = locked(text);
        assert!(kept.contains("kubewright\u{a0}secrets\u{a0}rotate") && kept.contains("and wait"), "{kept}");
        assert!(kept.contains("labs/\u{2060}a-\u{2060}b.yaml   # and look"), "{kept}");
        assert_eq!(unlocked(&kept), text);
    }
}
