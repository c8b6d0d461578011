//! Flowcharts for Mermaid, which browsers and code hosts draw.
//!
//! Identifiers are numbers that we give, so no name of a user is ever read as syntax; names stand in quoted labels only.
//! <https://mermaid.js.org/syntax/flowchart.html>

/// A flowchart in the making, from top to bottom.
pub(crate) struct Flowchart {
    lines: Vec<String>,
    count: usize,
}

/// A thing of a flowchart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thing(usize);

/// How a thing looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A box.
    Box,
    /// A box with round ends: people, names.
    Round,
    /// A hexagon: something that passes traffic on.
    Gate,
}

impl Flowchart {
    pub(crate) fn new() -> Self {
        Self { lines: vec!["flowchart TB".into()], count: 0 }
    }

    /// Adds a thing with the lines of its label.
    pub(crate) fn thing(&mut self, shape: Shape, label: &[String]) -> Thing {
        let (open, close) = match shape {
            Shape::Box => ("[", "]"),
            Shape::Round => ("([", "])"),
            Shape::Gate => ("{{", "}}"),
        };
        let label = label.iter().filter(|line| !line.is_empty()).map(|line| escape(line)).collect::<Vec<_>>();
        let id = self.next();
        self.lines.push(format!("  n{id}{open}\"{}\"{close}", label.join("<br/>")));
        Thing(id)
    }

    /// Adds a frame around what `fill` adds.
    pub(crate) fn frame(&mut self, label: &str, fill: impl FnOnce(&mut Self)) {
        let id = self.next();
        self.lines.push(format!("  subgraph n{id}[\"{}\"]", escape(label)));
        fill(self);
        self.lines.push("  end".into());
    }

    /// Adds an arrow, with words on it where there are any.
    pub(crate) fn arrow(&mut self, from: Thing, to: Thing, label: &str) {
        let label = if label.is_empty() { String::new() } else { format!("|\"{}\"|", escape(label)) };
        self.lines.push(format!("  n{} -->{label} n{}", from.0, to.0));
    }

    /// The flowchart's lines.
    pub(crate) fn finish(self) -> Vec<String> {
        self.lines
    }

    fn next(&mut self) -> usize {
        self.count += 1;
        self.count
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
        let mut chart = Flowchart::new();
        let one = chart.thing(Shape::Box, &["a\"] --> b".into(), "<script>".into()]);
        let two = chart.thing(Shape::Round, &["`x`|y\nend".into()]);
        chart.arrow(one, two, "1#2");
        assert_eq!(
            chart.finish(),
            [
                "flowchart TB",
                "  n1[\"a#34;] --#62; b<br/>#60;script#62;\"]",
                "  n2([\"#96;x#96;#124;y end\"])",
                "  n1 -->|\"1#35;2\"| n2",
            ]
        );
    }
}
