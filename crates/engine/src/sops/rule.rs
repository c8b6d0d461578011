//! Which values of a file are encrypted: all, or as one rule in its metadata says (`sops.go`, `shouldBeEncrypted`, 3.11).

use regex::Regex;

use super::tree::Around;

/// Keys that end so stay in clear text where nothing else is said.
pub(crate) const UNENCRYPTED_SUFFIX: &str = "_unencrypted";

/// A rule; SOPS takes one in a file.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    UnencryptedSuffix(String),
    EncryptedSuffix(String),
    UnencryptedRegex(Regex),
    EncryptedRegex(Regex),
    UnencryptedCommentRegex(Regex),
    EncryptedCommentRegex(Regex),
}

impl Rule {
    /// The names of the rules in metadata and in `.sops.yaml`.
    pub(crate) const NAMES: [&str; 6] = [
        "unencrypted_suffix",
        "encrypted_suffix",
        "unencrypted_regex",
        "encrypted_regex",
        "unencrypted_comment_regex",
        "encrypted_comment_regex",
    ];

    /// A rule by its name. SOPS has Go's regular expressions, which are RE2's as these are.
    pub(crate) fn named(name: &str, text: &str) -> Result<Self, String> {
        let regex = || Regex::new(text).map_err(|_| format!("`{name}` is no regular expression: {text}"));
        Ok(match name {
            "unencrypted_suffix" => Self::UnencryptedSuffix(text.to_string()),
            "encrypted_suffix" => Self::EncryptedSuffix(text.to_string()),
            "unencrypted_regex" => Self::UnencryptedRegex(regex()?),
            "encrypted_regex" => Self::EncryptedRegex(regex()?),
            "unencrypted_comment_regex" => Self::UnencryptedCommentRegex(regex()?),
            "encrypted_comment_regex" => Self::EncryptedCommentRegex(regex()?),
            _ => return Err(format!("`{name}` is no rule of SOPS")),
        })
    }

    /// Whether what stands here is encrypted.
    pub(crate) fn encrypts(&self, around: &Around, comment: bool) -> bool {
        let keys = |holds: &dyn Fn(&str) -> bool| around.path.iter().any(|key| holds(key));
        let comments = || around.comments.iter().flatten();
        match self {
            Self::UnencryptedSuffix(suffix) => !keys(&|key| key.ends_with(suffix.as_str())),
            Self::EncryptedSuffix(suffix) => keys(&|key| key.ends_with(suffix.as_str())),
            Self::UnencryptedRegex(regex) => !keys(&|key| regex.is_match(key)),
            Self::EncryptedRegex(regex) => keys(&|key| regex.is_match(key)),
            Self::UnencryptedCommentRegex(regex) => !comments().any(|text| regex.is_match(text)),
            Self::EncryptedCommentRegex(regex) => {
                // The comment that says so stays in clear text itself.
                let before = comments().count().saturating_sub(usize::from(comment));
                comments().take(before).any(|text| regex.is_match(text))
            }
        }
    }
}
