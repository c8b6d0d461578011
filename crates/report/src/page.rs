//! A document as a list of Markdown events and drawings, and how it is put together.
//!
//! The same events are written as Markdown and as HTML, so the two never differ in what they say, and no text of a user
//! is escaped by us.

mod html;
mod tree;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, HeadingLevel, LinkType, Options, Tag, TagEnd};

use crate::flowchart::Flowchart;
use crate::words::Words;

/// A finished document in one language.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    title: String,
    lead: Option<String>,
    blocks: Vec<Block>,
    language: &'static str,
    contents: &'static str,
}

/// What a document is made of.
#[derive(Clone, Debug, PartialEq)]
enum Block {
    /// An event of Markdown: the same in both.
    Event(Event<'static>),
    /// A drawing: text and a block of Mermaid in Markdown, a picture on the page.
    Drawing { title: String, chart: Flowchart },
}

/// What the Markdown is written for: GitHub's dialect. Everything that it gives a meaning to is escaped in users' text.
const DIALECT: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_GFM);

impl Document {
    /// The document's title.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Puts one sentence of the user's below the title: the description of the cluster.
    #[must_use]
    pub fn with_lead(mut self, sentence: &str) -> Self {
        self.lead = Some(one_line(sentence)).filter(|line| !line.is_empty());
        self
    }

    /// The document as Markdown, as GitHub and its like show it. Diagrams are drawn as text and as `mermaid` blocks.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        // The list of tokens is well-formed by construction, and a `String` takes all that is written.
        let options = pulldown_cmark_to_cmark::Options {
            code_block_token_count: 3,
            increment_ordered_list_bullets: true,
            ..Default::default()
        };
        let events = self.all_blocks().into_iter().flat_map(Block::into_events);
        let _ = pulldown_cmark_to_cmark::cmark_with_options(events, &mut text, DIALECT, options);
        text.push('\n');
        text
    }

    /// The document as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// The document as a tree of values, its drawings with the places of all that is in them: for whoever sets pages. The
    /// module `tree` says how it looks.
    pub fn tree(&self) -> serde_json::Value {
        tree::tree(self)
    }

    fn all_blocks(&self) -> Vec<Block> {
        let mut top = Page::default();
        top.heading(HeadingLevel::H1, &self.title);
        if let Some(lead) = &self.lead {
            top.paragraph(lead.as_str());
        }
        top.blocks.extend(self.blocks.iter().cloned());
        top.blocks
    }
}

impl Block {
    /// The block as Markdown has it.
    fn into_events(self) -> Vec<Event<'static>> {
        match self {
            Self::Event(event) => vec![event],
            Self::Drawing { chart, .. } => {
                [("text", chart.text()), ("mermaid", chart.mermaid())].into_iter().flat_map(block).collect()
            }
        }
    }
}

/// A block of code in a language.
fn block((language, text): (&'static str, Vec<String>)) -> [Event<'static>; 3] {
    let tag = Tag::CodeBlock(CodeBlockKind::Fenced(language.into()));
    [Event::Start(tag), lines(&text), Event::End(TagEnd::CodeBlock)]
}

/// A piece of running text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// Words.
    Plain(String),
    /// A name, a path or a command, set as code.
    Code(String),
    /// Words that should be seen first.
    Strong(String),
    /// An address to follow.
    Link(String),
}

/// Running text: what stands in a paragraph or a table's cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Line(pub(crate) Vec<Piece>);

impl Line {
    /// Whether there is nothing to see.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds another text at the end.
    pub(crate) fn join(mut self, other: Line) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Adds a piece at the end.
    pub(crate) fn and(mut self, piece: Piece) -> Self {
        self.0.push(piece);
        self
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::from(text.to_string())
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self(if text.is_empty() { Vec::new() } else { vec![Piece::Plain(text)] })
    }
}

impl From<Piece> for Line {
    fn from(piece: Piece) -> Self {
        Self(vec![piece])
    }
}

/// A document in the making.
#[derive(Default)]
pub(crate) struct Page {
    blocks: Vec<Block>,
}

impl Page {
    /// Closes the document.
    pub(crate) fn finish(self, title: String, words: &Words) -> Document {
        let title = one_line(&title);
        Document { title, lead: None, blocks: self.blocks, language: words.code, contents: words.contents }
    }

    /// A section with its heading; nothing at all when `fill` writes nothing.
    pub(crate) fn section(&mut self, title: &str, fill: impl FnOnce(&mut Page)) {
        self.under(HeadingLevel::H2, title, fill);
    }

    /// A part of a section; nothing at all when `fill` writes nothing.
    pub(crate) fn part(&mut self, title: &str, fill: impl FnOnce(&mut Page)) {
        self.under(HeadingLevel::H3, title, fill);
    }

    fn under(&mut self, level: HeadingLevel, title: &str, fill: impl FnOnce(&mut Page)) {
        let mut inner = Page::default();
        fill(&mut inner);
        if !inner.blocks.is_empty() {
            self.heading(level, title);
            self.blocks.append(&mut inner.blocks);
        }
    }

    fn heading(&mut self, level: HeadingLevel, title: &str) {
        self.within(Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() }, |page| {
            page.line(title.into());
        });
    }

    /// A paragraph; nothing when the line is empty.
    pub(crate) fn paragraph(&mut self, line: impl Into<Line>) {
        let line = line.into();
        if !line.is_empty() {
            self.within(Tag::Paragraph, |page| page.line(line));
        }
    }

    /// A list with one line for each item; numbered where their order matters.
    pub(crate) fn list(&mut self, numbered: bool, items: impl IntoIterator<Item = Line>) {
        let items: Vec<Line> = items.into_iter().collect();
        if !items.is_empty() {
            self.within(Tag::List(numbered.then_some(1)), |page| {
                for item in items {
                    page.within(Tag::Item, |page| page.line(item));
                }
            });
        }
    }

    /// A block of code in a language; nothing when there are no lines.
    pub(crate) fn code(&mut self, language: &'static str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.within(Tag::CodeBlock(CodeBlockKind::Fenced(language.into())), |page| {
            page.event(self::lines(lines));
        });
    }

    /// A drawing with its title, which those hear who cannot see it.
    pub(crate) fn drawing(&mut self, title: &str, chart: Flowchart) {
        self.blocks.push(Block::Drawing { title: title.into(), chart });
    }

    /// A table; nothing when no row says anything. A column in which no row says anything is left out.
    pub(crate) fn table(&mut self, heads: &[&str], rows: Vec<Vec<Line>>) {
        let said = |column: usize| rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()));
        let columns: Vec<usize> = (0..heads.len()).filter(|column| said(*column)).collect();
        if columns.is_empty() {
            return;
        }
        let width = heads.len();
        self.within(Tag::Table(vec![Alignment::None; columns.len()]), |page| {
            let heads = columns.iter().map(|column| Line::from(heads[*column])).collect();
            page.cells(Tag::TableHead, heads);
            for mut row in rows {
                row.resize(width, Line::default());
                let cells = columns.iter().map(|column| std::mem::take(&mut row[*column])).collect();
                page.cells(Tag::TableRow, cells);
            }
        });
    }

    fn cells(&mut self, tag: Tag<'static>, cells: Vec<Line>) {
        self.within(tag, |page| {
            for cell in cells {
                page.within(Tag::TableCell, |page| page.line(cell));
            }
        });
    }

    fn event(&mut self, event: Event<'static>) {
        self.blocks.push(Block::Event(event));
    }

    fn within(&mut self, tag: Tag<'static>, fill: impl FnOnce(&mut Page)) {
        let end: TagEnd = tag.to_end();
        self.event(Event::Start(tag));
        fill(self);
        self.event(Event::End(end));
    }

    fn line(&mut self, line: Line) {
        for piece in line.0 {
            match piece {
                Piece::Plain(text) => self.event(Event::Text(flat(&text).into())),
                Piece::Code(text) => self.event(Event::Code(one_line(&text).into())),
                Piece::Strong(text) => self.within(Tag::Strong, |page| page.line(text.into())),
                // What no address can hold (the star of a wildcard, a bar, which would end a table's cell) is no link.
                Piece::Link(url) if !url.chars().all(in_address) => self.line(Piece::Code(url).into()),
                Piece::Link(url) => {
                    let tag = Tag::Link {
                        link_type: LinkType::Inline,
                        dest_url: one_line(&url).into(),
                        title: "".into(),
                        id: "".into(),
                    };
                    self.within(tag, |page| page.line(url.into()));
                }
            }
        }
    }
}

/// Characters of an address that mean nothing else in Markdown.
fn in_address(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/%?=&".contains(c)
}

/// The text of a block of code.
fn lines(lines: &[String]) -> Event<'static> {
    let text: String = lines.iter().map(|line| flat(line).trim_end().to_string() + "\n").collect();
    Event::Text(text.into())
}

/// Text on one line: what a terminal or a parser would take as a command is a space.
pub(crate) fn flat(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// [`flat`] text without spaces around it.
fn one_line(text: &str) -> String {
    flat(text).trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_the_columns_that_say_something() {
        let mut page = Page::default();
        page.table(&["A", "B"], vec![vec![Line::default(), Line::default()], Vec::new()]);
        assert!(page.blocks.is_empty(), "one without columns can be set nowhere");
        page.table(&["A", "B"], vec![vec![Line::default(), "b".into()]]);
        let said = |text: &str| {
            let is = |block: &Block| matches!(block, Block::Event(Event::Text(it)) if &**it == text);
            page.blocks.iter().any(is)
        };
        assert!(said("B") && said("b") && !said("A"));
    }
}
