//! What is wrong with a spec in words, a fact a line: a frame around the source with arrows below it cannot be heard.

use std::path::Path;

use kubewright_model::diagnostic::{Diagnostic, Severity};

use super::message;
use crate::plain::LINE;

/// What it is, where it is, the line it is in, and what to do. The text is what may be shown of the file.
pub(super) fn told(path: &Path, text: &str, diagnostic: &Diagnostic) -> String {
    let weight = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut lines = vec![format!("{weight} {}: {}", diagnostic.code, message(diagnostic))];
    if let Some(at) = diagnostic.at {
        lines.push(format!("  place: {}:{}:{}", path.display(), at.line, at.column));
        let line = text.lines().nth(at.line - 1).map(str::trim).filter(|line| !line.is_empty());
        lines.extend(line.map(|line| format!("  {LINE} {line}")));
    }
    let help = diagnostic.help.iter().flat_map(|help| help.lines());
    lines.extend(help.map(|line| format!("  → {}", line.trim())));
    lines.join("\n")
}
