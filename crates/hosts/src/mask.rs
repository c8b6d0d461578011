//! Texts that others wrote, without the secrets that came back in them: hosts and APIs quote what they were given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Holes;

/// A value that is shorter stands in many a word by chance.
const SHORTEST: usize = 4;

/// A text without the values of holes: neither whole lines of them, nor a value as Kubernetes packs it.
pub fn masked(text: &str, holes: &Holes) -> String {
    let values = holes.values().map(|secret| secret.expose());
    let lines = values.clone().flat_map(|value| value.lines().map(|line| line.trim().to_string()));
    let packed = values.map(|value| STANDARD.encode(value));
    let mut values: Vec<String> = lines.chain(packed).filter(|value| value.len() >= SHORTEST).collect();
    // One that begins another one must not take its beginning away first.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.iter().fold(text.to_string(), |text, value| text.replace(value.as_str(), "[secret]"))
}

#[cfg(test)]
mod tests {
    use kubewright_model::secret::Secret;

    use super::*;

    #[test]
    fn the_longest_value_goes_first_and_each_line_by_itself() {
        let holes: Holes = [
            ("secret/one".into(), Secret::new("open".to_string())),
            ("secret/two".into(), Secret::new("open-sesame\n  and more\n".to_string())),
            ("secret/none".into(), Secret::new("no".to_string())),
        ]
        .into();
        let told = masked("open-sesame, and more, b3Blbg==, open, no", &holes);
        assert_eq!(told, "[secret], [secret], [secret], [secret], no");
    }
}
