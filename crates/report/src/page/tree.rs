//! A document as a tree of values, for whoever sets pages: a layout wants to know a table's rows before it draws the first.
//!
//! The shape, with `[…]` for running text, a list of `{"text"}`, `{"code"}`, `{"strong": […]}` and `{"link", "body": […]}`:
//!
//! ```text
//! {"title", "lead", "language", "contents",
//!  "body": [{"heading": […], "level"}, {"paragraph": […]}, {"list": [[…]], "numbered"}, {"code", "language"},
//!           {"heads": [[…]], "rows": [[[…]]]}, {"drawing": {…}, "title"}]}
//! ```

use pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use serde_json::{Value, json};

use super::{Block, Document};

/// The whole document.
pub(super) fn tree(document: &Document) -> Value {
    let mut open = vec![Open::default()];
    for block in &document.blocks {
        match block {
            Block::Event(event) => take(&mut open, event),
            Block::Drawing { title, chart } => put(&mut open, json!({"drawing": chart.scene(), "title": title})),
        }
    }
    json!({
        "title": document.title,
        "lead": document.lead,
        "language": document.language,
        "contents": document.contents,
        "body": open.pop().unwrap_or_default().children,
    })
}

/// Something that has begun and not ended: its children so far, and the heads of a table.
#[derive(Default)]
struct Open {
    children: Vec<Value>,
    heads: Value,
    /// What is known of it when it begins.
    mark: Value,
}

fn put(open: &mut [Open], value: Value) {
    if let Some(innermost) = open.last_mut() {
        innermost.children.push(value);
    }
}

fn take(open: &mut Vec<Open>, event: &Event<'_>) {
    match event {
        Event::Start(tag) => open.push(Open { mark: mark(tag), ..Open::default() }),
        Event::End(tag) => {
            let Some(ended) = open.pop() else { return };
            match (tag, open.last_mut()) {
                (TagEnd::TableHead, Some(table)) => table.heads = ended.children.into(),
                _ => put(open, ended.close(*tag)),
            }
        }
        Event::Text(text) => put(open, json!({"text": &**text})),
        Event::Code(code) => put(open, json!({"code": &**code})),
        // A page is made of the pieces above and of nothing else.
        _ => {}
    }
}

fn mark(tag: &Tag<'_>) -> Value {
    match tag {
        Tag::Heading { level, .. } => json!(*level as usize),
        Tag::List(first) => json!(first.is_some()),
        Tag::CodeBlock(CodeBlockKind::Fenced(language)) => json!(&**language),
        Tag::Link { dest_url, .. } => json!(&**dest_url),
        _ => Value::Null,
    }
}

impl Open {
    fn close(self, tag: TagEnd) -> Value {
        let Self { children, heads, mark } = self;
        match tag {
            TagEnd::Heading(_) => json!({"heading": children, "level": mark}),
            TagEnd::Paragraph => json!({"paragraph": children}),
            TagEnd::List(_) => json!({"list": children, "numbered": mark}),
            TagEnd::Strong => json!({"strong": children}),
            TagEnd::Link => json!({"link": mark, "body": children}),
            TagEnd::Table => json!({"heads": heads, "rows": children}),
            TagEnd::CodeBlock => {
                let text: String = children.iter().filter_map(|line| line["text"].as_str()).collect();
                json!({"code": text.trim_end_matches('\n'), "language": mark})
            }
            // Items, rows and cells are the list of what is in them.
            _ => children.into(),
        }
    }
}
