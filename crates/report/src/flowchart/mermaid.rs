//! Flowcharts for Mermaid, which code hosts draw.
//!
//! Identifiers are numbers that we give, so no name of a user is ever read as syntax; names stand in quoted labels only.
//! <https://mermaid.js.org/syntax/flowchart.html>

use super::{Flowchart, Part, Shape};

impl Flowchart {
    /// The lines of a Mermaid flowchart.
    pub(crate) fn mermaid(&self) -> Vec<String> {
        let mut lines = vec!["flowchart TB".into()];
        write(&self.parts, &mut lines);
        lines
    }
}

fn write(parts: &[Part], to: &mut Vec<String>) {
    for part in parts {
        match part {
            Part::Thing { id, shape, lines } => {
                let (open, close) = match shape {
                    Shape::Box => ("[", "]"),
                    Shape::Round => ("([", "])"),
                    Shape::Gate => ("{{", "}}"),
                };
                let label = lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join("<br/>");
                to.push(format!("  n{}{open}\"{label}\"{close}", id.0));
            }
            Part::Frame { id, label, parts } => {
                to.push(format!("  subgraph n{id}[\"{}\"]", escape(label)));
                write(parts, to);
                to.push("  end".into());
            }
            Part::Arrow { from, to: end, label } => {
                let label = if label.is_empty() { String::new() } else { format!("|\"{}\"|", escape(label)) };
                to.push(format!("  n{} -->{label} n{}", from.0, end.0));
            }
        }
    }
}

/// A label's text. Mermaid knows characters by number: `#34;`.
/// <https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters>
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => escaped.push(' '),
            '"' | '#' | '<' | '>' | '&' | '`' | '*' | '_' | ';' | '\\' | '|' | '$' => {
                escaped.push_str(&format!("#{};", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_labels() {
        let mut chart = Flowchart::default();
        let one = chart.thing(Shape::Box, &["a\"] --> b".into(), "<script>".into()]);
        let two = chart.thing(Shape::Round, &["`x`|y\nend".into()]);
        chart.arrow(one, two, "1#2");
        assert_eq!(
            chart.mermaid(),
            [
                "flowchart TB",
                "  n1[\"a#34;] --#62; b<br/>#60;script#62;\"]",
                "  n2([\"#96;x#96;#124;y end\"])",
                "  n1 -->|\"1#35;2\"| n2",
            ]
        );
    }
}
