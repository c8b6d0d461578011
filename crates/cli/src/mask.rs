//! Stars where secrets stand in a spec that is shown.
//!
//! Two nets: places that a diagnostic marks as secret, and values of keys that sound like one. The second is needed
//! because a spec whose form is wrong is not judged any further, and its lines are shown all the same.

use kubewright_model::diagnostic::Diagnostic;

/// What stands for a secret, however long it is.
const STARS: &str = "********";
/// Words of keys whose values are secrets.
const SECRET_WORDS: [&str; 6] = ["password", "passphrase", "secret", "token", "privatekey", "apikey"];
/// Ends of keys that sound secret and only name something.
const NAMING_ENDS: [&str; 4] = ["id", "file", "name", "ref"];

/// The text with stars in the place of secrets; it keeps its lines. `file` says which of the files it is, for places.
pub(crate) fn masked(text: &str, file: usize, found: &[Diagnostic]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    let secrets = found.iter().filter(|diagnostic| diagnostic.secret).filter_map(|diagnostic| diagnostic.at);
    for at in secrets.filter(|at| at.file == file) {
        mask(&mut lines, at.line - 1, at.column - 1);
    }
    for number in 0..lines.len() {
        // From the last to the first, so that places stay where they are.
        for column in secret_values(&lines[number]).into_iter().rev() {
            mask(&mut lines, number, column);
        }
        if let Some((at, column)) = below(&lines, number) {
            mask(&mut lines, at, column);
        }
    }
    lines.join("\n")
}

/// Masks from a column to the end of the line, and the lines that go on with the same value.
fn mask(lines: &mut [String], number: usize, column: usize) {
    let Some(line) = lines.get_mut(number) else { return };
    let kept: String = line.chars().take(column).collect();
    let own_line = kept.trim().is_empty();
    let depth = indentation(line);
    // A brace that opened before the value closes after it, so that what is shown still looks like the file.
    let closes = if kept.contains('{') && line.trim_end().ends_with('}') { " }" } else { "" };
    *line = format!("{kept}{STARS}{closes}");
    for line in &mut lines[number + 1..] {
        let deeper = indentation(line) > depth || (own_line && indentation(line) == depth && !line.contains(": "));
        if !line.trim().is_empty() && !deeper {
            break;
        }
        if !line.trim().is_empty() {
            *line = format!("{}{STARS}", " ".repeat(indentation(line)));
        }
    }
}

fn indentation(line: &str) -> usize {
    line.chars().take_while(|c| *c == ' ').count()
}

/// Whether what stands before a `:` ends with a key that sounds like a secret. It may be quoted, and stand away from it.
fn sounds_secret(before: &[char]) -> bool {
    let key = before.iter().rev().skip_while(|c| c.is_whitespace() || "\"'".contains(**c));
    let key: String = key.take_while(|c| c.is_alphanumeric() || "-_".contains(**c)).collect();
    let key: String = key.chars().rev().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word)) && !NAMING_ENDS.iter().any(|end| key.ends_with(end))
}

/// The line and the column of a value that stands below its key, and is no mapping and no list.
fn below(lines: &[String], number: usize) -> Option<(usize, usize)> {
    let key: Vec<char> = lines.get(number)?.trim_end().strip_suffix(':')?.chars().collect();
    let depth = indentation(lines.get(number)?);
    let (at, next) = lines.iter().enumerate().skip(number + 1).find(|(_, line)| !line.trim().is_empty())?;
    let text = next.trim();
    let plain = !text.contains(": ") && !text.ends_with(':') && !text.starts_with(['-', '{', '[', '#']);
    (sounds_secret(&key) && plain && indentation(next) > depth).then_some((at, indentation(next)))
}

/// The columns at which values begin whose key sounds like a secret and that are no references.
fn secret_values(line: &str) -> Vec<usize> {
    let characters: Vec<char> = line.chars().collect();
    let mut columns = Vec::new();
    for (at, _) in characters.iter().enumerate().filter(|(_, c)| **c == ':') {
        let rest = &characters[at + 1..];
        let Some(skip) = rest.iter().position(|c| *c != ' ') else { continue };
        // A reference, an alias, and what opens something else is no value; a `:` without a space is a quoted key's.
        let quoted = characters[..at].last().is_some_and(|c| "\"'".contains(*c));
        let plain = (skip > 0 || quoted) && !"{[&*#".contains(rest[skip]);
        if plain && sounds_secret(&characters[..at]) {
            columns.push(at + 1 + skip);
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_keys_are_masked_over_all_their_lines() {
        let text = "a: 1\nprivateKey: |\n  -----BEGIN\n  MIIE\n\n  xyz\nb: 2\npools:\n  token: abc\n  tokenId: me!you\n\
                    tokenSecret: { env: TOKEN }\nx: { password: hunter2, y: 1 }\nq: { y: 1, password: hunter2 }\n";
        let shown = masked(text, 0, &[]);
        for secret in ["BEGIN", "MIIE", "xyz", "abc", "hunter2"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for kept in ["b: 2", "me!you", "env: TOKEN", "x: { password: ******** }", "y: 1, password: ******** }"] {
            assert!(shown.contains(kept), "{kept} in\n{shown}");
        }
        assert_eq!(shown.lines().count(), text.lines().count());
    }

    #[test]
    fn a_quoted_key_is_a_key_too() {
        let text = "{ \"password\": \"hunter2\", \"y\": 1 }\n{\"token\":\"hunter3\"}\n'apiKey' : hunter4\n\
                    \"tokenId\": \"me\"\n";
        let shown = masked(text, 0, &[]);
        let expected = "{ \"password\": ******** }\n{\"token\":******** }\n'apiKey' : ********\n\"tokenId\": \"me\"";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_value_below_its_key_is_its_value() {
        let text = "a:\n  password:\n    hunter2\n    hunter3\n  y: 1\ntokenSecret:\n  env: TOKEN\n";
        let shown = masked(text, 0, &[]);
        assert_eq!(shown, "a:\n  password:\n    ********\n    ********\n  y: 1\ntokenSecret:\n  env: TOKEN");
    }

    #[test]
    fn a_place_that_is_marked_is_masked_with_the_lines_that_go_on() {
        use kubewright_model::codes;
        use kubewright_model::diagnostic::{Place, SpecPath};
        let mut found = Diagnostic::new(codes::SECRET_IN_CLEAR, SpecPath::root(), "clear");
        found.secret = true;
        let found = [found.at(Place { file: 0, line: 2, column: 9, length: 5 })];
        let shown = masked("a:\n  hash: \"one\n    two\"\n  next: here\n", 0, &found);
        assert_eq!(shown, "a:\n  hash: ********\n    ********\n  next: here");
    }
}
