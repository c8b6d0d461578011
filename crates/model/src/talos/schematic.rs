//! What the image factory makes images from.
//!
//! The form and the id are those of `siderolabs/image-factory` `pkg/schematic/schematic.go` (v1.5): the id is the
//! SHA-256 of the text that its YAML encoder writes, so this writes the same bytes.

use crate::digest::Digest;

/// An image of Talos beyond the plain one: with extensions of its system, and arguments of its kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schematic {
    /// The text as the factory writes it, to be sent to `POST {factory}/schematics`.
    pub text: String,
    /// By what the factory knows it: part of the names of its images and installers.
    pub id: Digest,
}

impl Schematic {
    /// The schematic of some extensions (`siderolabs/qemu-guest-agent`) and arguments of the kernel, in their order: another
    /// order is another schematic.
    ///
    /// # Errors
    ///
    /// The words whose YAML is not known here: with spaces, control characters, or letters that are not ASCII.
    pub fn new(extensions: &[String], kernel_arguments: &[String]) -> Result<Self, Vec<String>> {
        let refused = |word: &&String| word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic());
        let wrong: Vec<String> = extensions.iter().chain(kernel_arguments).filter(refused).cloned().collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut text = "customization:".to_string();
        if extensions.is_empty() && kernel_arguments.is_empty() {
            text += " {}";
        }
        text += "\n";
        // Four columns for each level, also before the dashes of a list: so does go-yaml.
        if !kernel_arguments.is_empty() {
            text += "    extraKernelArgs:\n";
            text.extend(kernel_arguments.iter().map(|word| format!("        - {}\n", scalar(word))));
        }
        if !extensions.is_empty() {
            text += "    systemExtensions:\n        officialExtensions:\n";
            text.extend(extensions.iter().map(|word| format!("            - {}\n", scalar(word))));
        }
        let id = Digest::of(&text);
        Ok(Self { text, id })
    }
}

/// A word as go-yaml writes it in a list of lines: plain where that reads as the same text, in double quotes where it would read as
/// something else than text, in single quotes where it could not be read (`emitterc.go`, `yaml_emitter_analyze_scalar`).
fn scalar(word: &str) -> String {
    if reads_as_something_else(word) {
        return format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let marks = word.starts_with(|first| "#,[]{}&*!|>'\"%@`".contains(first));
    let alone = matches!(word, "-" | "?") || word.ends_with(':');
    if marks || alone || word.starts_with("---") || word.starts_with("...") {
        return format!("'{}'", word.replace('\'', "''"));
    }
    word.to_string()
}

/// It is a truth value, nothing, a number or a date in YAML 1.1 or 1.2 (`resolve.go`).
fn reads_as_something_else(word: &str) -> bool {
    const WORDS: &[&str] =
        &["true", "false", "null", "~", "<<", "y", "n", "yes", "no", "on", "off", ".nan", ".inf", "+.inf", "-.inf"];
    let plain = word.to_ascii_lowercase().replace('_', "");
    let unsigned = plain.trim_start_matches(['+', '-']);
    let begins_as_number = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let based = [("0x", 16), ("0o", 8), ("0b", 2)].iter().any(|(prefix, radix)| {
        unsigned
            .strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(*radix)))
    });
    let parts: Vec<&str> = unsigned.split(['-', ':']).collect();
    let counted =
        parts.len() > 1 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    WORDS.contains(&plain.as_str()) || based || (begins_as_number && (unsigned.parse::<f64>().is_ok() || counted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(extensions: &[&str], arguments: &[&str]) -> String {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        Schematic::new(&words(extensions), &words(arguments)).unwrap().id.to_string()
    }

    /// From `pkg/schematic/schematic_test.go`, and from Talos' documentation.
    #[test]
    fn ids_are_those_that_the_factory_gives() {
        assert_eq!(id(&[], &[]), "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba");
        // The images that most clusters on Proxmox, and those with Longhorn, are made of.
        let proxmox = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";
        assert_eq!(id(&["siderolabs/qemu-guest-agent"], &[]), proxmox);
        let longhorn = "613e1592b2da41ae5e265e8789429f22e121aab91cb4deb6bc3c0b6262961245";
        assert_eq!(id(&["siderolabs/iscsi-tools", "siderolabs/util-linux-tools"], &[]), longhorn);
        assert_eq!(id(&[], &["noapic", "nolapic"]), "9cba8e32753f91a16c1837ab8abf356af021706ef284aef07380780177d9a06c");
    }

    #[test]
    fn words_are_quoted_as_the_factory_quotes_them() {
        let plain = [
            "siderolabs/gvisor",
            "console=ttyS0,115200n8",
            "net.ifnames=0",
            "-console",
            "8250.nr_uarts=4",
            "a:b",
            "a#b",
        ];
        for word in plain {
            assert_eq!(scalar(word), word);
        }
        let quoted = [
            ("3", "\"3\""),
            ("on", "\"on\""),
            ("0x1f", "\"0x1f\""),
            ("a:", "'a:'"),
            ("*a", "'*a'"),
            ("'a'", "'''a'''"),
        ];
        for (word, expected) in quoted {
            assert_eq!(scalar(word), expected);
        }
        let wrong = Schematic::new(&["a b".to_string()], &["é".to_string(), "quiet".to_string()]).unwrap_err();
        assert_eq!(wrong, ["a b", "é"]);
    }
}
