//! A line of a screen that is drawn again and again: never longer than the screen is wide.

use anstyle::Style;

use crate::screen::{beginning, paint, wide};

/// Pieces of text, each in its style. The styles are laid on when it is known what there is room for.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Vec<(Style, String)>);

impl Line {
    /// With one more piece.
    pub(super) fn add(mut self, style: Style, text: impl Into<String>) -> Self {
        // A message of somebody else's program may have colours and lines of its own.
        let text = anstream::adapter::strip_str(&text.into()).to_string();
        self.0.push((style, text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()));
        self
    }

    /// The line, of at most so many columns, as a terminal takes it.
    pub(super) fn cut(&self, columns: usize) -> String {
        self.pieces(columns).into_iter().map(|(style, text)| paint(style, text)).collect()
    }

    /// Its pieces, of at most so many columns together; where something is cut off, the last is `…`.
    pub(super) fn pieces(&self, columns: usize) -> Vec<(Style, String)> {
        let all: usize = self.0.iter().map(|(_, text)| wide(text)).sum();
        let mut left = if all > columns { columns.saturating_sub(1) } else { all };
        let mut pieces = Vec::new();
        for (style, text) in &self.0 {
            let shown = beginning(text, left);
            // Behind the place where a wide character had no room comes nothing narrower.
            left = if shown.len() < text.len() { 0 } else { left - wide(shown) };
            let text = shown.to_string();
            if !text.is_empty() {
                pieces.push((*style, text));
            }
        }
        if all > columns {
            pieces.push((Style::new(), "…".to_string()));
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::GOOD;

    #[test]
    fn a_line_is_cut_where_the_screen_ends() {
        let line = Line::default().add(GOOD, "✓").add(Style::new(), " set up\nhost");
        let cut = |columns| anstream::adapter::strip_str(&line.cut(columns)).to_string();
        assert_eq!(cut(13), "✓ set up host");
        assert_eq!(cut(12), "✓ set up ho…");
        assert_eq!(cut(2), "✓…");
        assert_eq!(cut(1), "…");
        let line = Line::default().add(GOOD, "│").add(Style::new(), " \u{1b}[31mdisk full\u{1b}[0m: /var");
        let cut = |columns| anstream::adapter::strip_str(&line.cut(columns)).to_string();
        assert_eq!((cut(17), cut(12)), ("│ disk full: /var".into(), "│ disk full…".into()));
        let line = Line::default().add(GOOD, "主机").add(Style::new(), " ok");
        let cut = |columns| anstream::adapter::strip_str(&line.cut(columns)).to_string();
        assert_eq!((cut(7), cut(6), cut(4)), ("主机 ok".into(), "主机 …".into(), "主…".into()));
    }
}
