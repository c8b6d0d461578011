//! Flowcharts: things, frames around some of them, and arrows between them.
//!
//! A flowchart is a value that knows nothing of how it is shown. Its writers do: [`Flowchart::text`] for those who read in a
//! terminal, [`Flowchart::mermaid`] for Markdown, which code hosts draw, [`Flowchart::svg`] for the page, which must not
//! ask a script to draw anything, and [`Flowchart::scene`] for whoever draws it on paper.

mod layout;
mod mermaid;
mod scene;
mod svg;
#[cfg(test)]
mod tests;
mod text;

/// In a picture, the way from one line of text to the next.
const STEP: i32 = 17;
/// How far the sides of a gate stand out.
const SLANT: i32 = 12;

/// A flowchart, from top to bottom.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Flowchart {
    parts: Vec<Part>,
    count: usize,
}

/// A thing of a flowchart, by the number that the flowchart gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// What a flowchart says, in the order in which it was said.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Thing { id: Thing, shape: Shape, lines: Vec<String> },
    Frame { id: usize, label: String, parts: Vec<Part> },
    Arrow { from: Thing, to: Thing, label: String },
}

impl Flowchart {
    /// Adds a thing with the lines of its label. Empty lines are left out.
    pub(crate) fn thing(&mut self, shape: Shape, label: &[String]) -> Thing {
        let id = Thing(self.next());
        let lines = label.iter().filter(|line| !line.is_empty()).cloned().collect();
        self.parts.push(Part::Thing { id, shape, lines });
        id
    }

    /// Adds a frame around what `fill` adds.
    pub(crate) fn frame(&mut self, label: &str, fill: impl FnOnce(&mut Self)) {
        let id = self.next();
        let before = std::mem::take(&mut self.parts);
        fill(self);
        let parts = std::mem::replace(&mut self.parts, before);
        self.parts.push(Part::Frame { id, label: label.into(), parts });
    }

    /// Adds an arrow, with words on it where there are any.
    pub(crate) fn arrow(&mut self, from: Thing, to: Thing, label: &str) {
        self.parts.push(Part::Arrow { from, to, label: label.into() });
    }

    fn next(&mut self) -> usize {
        self.count += 1;
        self.count
    }
}
