//! What is shown of a file of others when something is wrong with it: the lines in question, without secrets.

use kubewright_model::diagnostic::{Diagnostic, Place};

use super::sounds_secret;

/// What stands for a secret, however long it is.
const STARS: &str = "********";

/// The text with only those lines that something is wrong with, and stars in the place of secrets. All others are empty,
/// so that places stay true.
pub(super) fn shown(text: &str, found: &[Diagnostic], secrets: impl Iterator<Item = Place>) -> String {
    let secrets: Vec<Place> = secrets.collect();
    let mut lines: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let wanted = found.iter().any(|diagnostic| diagnostic.at.is_none_or(|at| at.line == number));
        if !wanted {
            lines.push(String::new());
            continue;
        }
        let here = secrets.iter().filter(|place| place.line == number).map(|place| place.column);
        lines.push(starred(line, here.chain(values(line)).min()));
    }
    lines.join("\n")
}

/// A line up to a column, counted from 1; what follows it may be the secret, or go on with it.
fn starred(line: &str, column: Option<usize>) -> String {
    match column {
        Some(column) => line.chars().take(column.saturating_sub(1)).chain(STARS.chars()).collect(),
        None => line.to_string(),
    }
}

/// Where values begin whose key sounds like a secret: `ansible_password=…`, `token: …`, `"secret": "…"`.
fn values(line: &str) -> impl Iterator<Item = usize> {
    let signs: Vec<char> = line.chars().collect();
    let ends: Vec<usize> = (0..signs.len()).filter(|at| matches!(signs[*at], '=' | ':')).collect();
    ends.into_iter().filter_map(move |end| {
        let key = signs[..end].iter().rev().skip_while(|c| c.is_whitespace() || "\"'".contains(**c));
        let key: String = key.take_while(|c| c.is_alphanumeric() || "-_.".contains(**c)).collect();
        let key: String = key.chars().rev().collect();
        let skip = signs[end + 1..].iter().take_while(|c| c.is_whitespace()).count();
        (sounds_secret(&key) && end + 1 + skip < signs.len()).then_some(end + 2 + skip)
    })
}

#[cfg(test)]
mod tests {
    use kubewright_model::codes;
    use kubewright_model::diagnostic::SpecPath;

    use super::*;

    #[test]
    fn only_lines_in_question_are_shown_and_no_secret_of_them() {
        let text = "a ansible_become_pass=x\nb ansible_port=zz ansible_ssh_pass='y z'\nc token: t\n";
        let wrong = Diagnostic::new(codes::FOREIGN_VALUE, SpecPath::root(), "m");
        let wrong = wrong.at(Place { file: 0, line: 2, column: 3, length: 1 });
        let lines = shown(text, &[wrong], std::iter::empty());
        assert_eq!(lines, "\nb ansible_port=zz ansible_ssh_pass=********\n");
    }
}
