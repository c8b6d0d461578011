//! A document as one HTML page.

use pulldown_cmark::html::push_html;
use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};

use super::{Block, Document, flat};

const STYLE: &str = include_str!("style.css");

/// The whole page. Its own parts are HTML events; everything that comes from a user stays text, which the library
/// escapes.
pub(super) fn page(document: &Document) -> String {
    let mut body = Body::default();
    for block in document.all_blocks() {
        match block {
            Block::Event(event) => body.take(event),
            Block::Drawing { title, chart } => {
                body.events.push(raw("<figure class=\"scroll\">\n"));
                body.events.extend(chart.svg(&title));
                body.events.push(raw("</figure>\n"));
            }
        }
    }
    let mut events = vec![
        raw("<!DOCTYPE html>\n<html lang=\""),
        text(document.language),
        raw("\">\n<head>\n<meta charset=\"utf-8\">\n"),
        raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>"),
        text(&document.title),
        raw("</title>\n<style>\n"),
        raw(STYLE),
        raw("</style>\n</head>\n<body>\n"),
    ];
    events.extend(body.contents(document.contents));
    events.push(raw("<main>\n"));
    events.append(&mut body.events);
    events.push(raw("</main>\n</body>\n</html>\n"));
    let mut html = String::new();
    push_html(&mut html, events.into_iter());
    html
}

/// The document's events, with places to jump to, tables that scroll.
#[derive(Default)]
struct Body {
    events: Vec<Event<'static>>,
    /// The section headings, in order.
    sections: Vec<String>,
    in_section_heading: bool,
}

impl Body {
    fn take(&mut self, event: Event<'static>) {
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H2, classes, attrs, .. }) => {
                self.in_section_heading = true;
                self.sections.push(String::new());
                let id = Some(format!("s{}", self.sections.len()).into());
                self.events.push(Event::Start(Tag::Heading { level: HeadingLevel::H2, id, classes, attrs }));
                return;
            }
            Event::End(TagEnd::Heading(_)) => self.in_section_heading = false,
            Event::Text(ref text) if self.in_section_heading => {
                if let Some(title) = self.sections.last_mut() {
                    title.push_str(text);
                }
            }
            Event::Start(Tag::Table(_)) => self.events.push(raw("<div class=\"scroll\">")),
            Event::End(TagEnd::Table) => {
                self.events.extend([event, raw("</div>\n")]);
                return;
            }
            _ => {}
        }
        self.events.push(event);
    }

    /// The list of sections, each a link. Nothing when there is only one.
    fn contents(&self, label: &'static str) -> Vec<Event<'static>> {
        if self.sections.len() < 2 {
            return Vec::new();
        }
        let mut events = vec![raw("<nav aria-label=\""), text(label), raw("\">\n<ul>\n")];
        for (index, title) in self.sections.iter().enumerate() {
            let link = Event::Html(format!("<li><a href=\"#s{}\">", index + 1).into());
            events.extend([link, text(title), raw("</a></li>\n")]);
        }
        events.push(raw("</ul>\n</nav>\n"));
        events
    }
}

fn raw(html: &'static str) -> Event<'static> {
    Event::Html(html.into())
}

fn text(text: &str) -> Event<'static> {
    Event::Text(flat(text).into())
}
