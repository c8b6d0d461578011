//! Flowcharts as a picture within a page.
//!
//! The picture is a list of the same events as the rest of the page: what is ours is HTML, what is a user's is text,
//! which the library escapes. Colours are the page's own, so the picture is dark where the page is, and prints.
//! <https://www.w3.org/TR/SVG2/>

use std::fmt::Write;

use pulldown_cmark::Event;

use super::layout::{Arrow, Labelled, Panel, Rect, Scene};
use super::{Flowchart, SLANT, STEP, Shape};
use crate::page::flat;

/// What is wider than this has the class `wide`.
const WIDE: i32 = 576;
/// How round the corners of boxes and arrows are.
const ROUND: i32 = 6;

impl Flowchart {
    /// The flowchart as an `svg` element that scales with the page.
    pub(crate) fn svg(&self, title: &str) -> Vec<Event<'static>> {
        let scene = Scene::new(self);
        let mut picture = Picture::default();
        let (width, height) = scene.size;
        // On a telephone, what is wide scrolls rather than becoming too small to read.
        let class = if width > WIDE { "drawing wide" } else { "drawing" };
        picture.open(format_args!("<svg class=\"{class}\" role=\"img\" width=\"{width}\" height=\"{height}\""));
        picture.open(format_args!(" viewBox=\"0 0 {width} {height}\">\n"));
        picture.element("title", "", title);
        for frame in &scene.frames {
            picture.rect("frame", frame.rect, 8);
            picture.label(frame, frame.rect.y + frame.rect.height - 9);
        }
        for group in &scene.groups {
            picture.rect("group", group.rect, ROUND);
            picture.label(group, group.rect.y + 20);
        }
        for arrow in &scene.arrows {
            picture.arrow(arrow);
        }
        for thing in &scene.boxes {
            picture.thing(thing);
        }
        // Words last, so that no line runs over them.
        for arrow in scene.arrows.iter().filter(|arrow| !arrow.label.is_empty()) {
            picture.words(arrow);
        }
        picture.open(format_args!("</svg>\n"));
        picture.events
    }
}

#[derive(Default)]
struct Picture {
    events: Vec<Event<'static>>,
}

impl Picture {
    /// A piece of HTML in which nothing comes from a user.
    fn open(&mut self, html: std::fmt::Arguments<'_>) {
        self.events.push(Event::Html(html.to_string().into()));
    }

    /// An element with a user's text in it.
    fn element(&mut self, name: &str, attributes: &str, text: &str) {
        self.open(format_args!("<{name}{attributes}>"));
        self.events.push(Event::Text(flat(text).into()));
        self.open(format_args!("</{name}>\n"));
    }

    fn text(&mut self, class: &str, x: i32, y: i32, text: &str) {
        self.element("text", &format!(" class=\"{class}\" x=\"{x}\" y=\"{y}\""), text);
    }

    fn rect(&mut self, class: &str, rect: Rect, round: i32) {
        let Rect { x, y, width, height } = rect;
        self.open(format_args!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>\n"
        ));
    }

    /// The word in a corner of a frame or a group.
    fn label(&mut self, panel: &Panel, y: i32) {
        if !panel.label.is_empty() {
            self.text("small", panel.rect.x + 12, y, &panel.label);
        }
    }

    fn thing(&mut self, thing: &Labelled) {
        let Labelled { rect, shape, lines } = thing;
        match shape {
            Shape::Box => self.rect("box", *rect, ROUND),
            Shape::Round => self.rect("round", *rect, (rect.height / 2).min(20)),
            Shape::Gate => {
                let Rect { x, y, width, height } = *rect;
                let (right, bottom, middle) = (x + width, y + height, y + height / 2);
                let (inner, outer) = (x + SLANT, right - SLANT);
                self.open(format_args!(
                    "<path class=\"gate\" d=\"M{x} {middle}L{inner} {y}H{outer}L{right} {middle}L{outer} {bottom}H{inner}Z\"/>\n"
                ));
            }
        }
        let height = i32::try_from(lines.len()).unwrap_or(0) * STEP;
        let mut y = rect.y + (rect.height - height) / 2 + 13;
        for (at, line) in lines.iter().enumerate() {
            let class = if at == 0 { "name" } else { "line" };
            self.text(class, rect.x + rect.width / 2, y, line);
            y += STEP;
        }
    }

    fn arrow(&mut self, arrow: &Arrow) {
        let Some((x, y)) = arrow.points.last().copied() else { return };
        let path = path(&arrow.points);
        self.open(format_args!("<path class=\"arrow\" d=\"{path}\"/>\n"));
        self.open(format_args!("<path class=\"head\" d=\"M{x} {y}l-4 -9h8z\"/>\n"));
    }

    fn words(&mut self, arrow: &Arrow) {
        self.rect("words", arrow.at, 3);
        self.text("on", arrow.at.x + arrow.at.width / 2, arrow.at.y + 12, &arrow.label);
    }
}

/// A line through the points with its corners rounded.
fn path(points: &[(i32, i32)]) -> String {
    let mut path = String::new();
    for (at, (x, y)) in points.iter().copied().enumerate() {
        let (before, after) = (at.checked_sub(1).and_then(|at| points.get(at)), points.get(at + 1));
        let (Some(before), Some(after)) = (before, after) else {
            // The head covers the end of the line, so that its point stays sharp.
            let y = if after.is_none() { y - 5 } else { y };
            let _ = write!(path, "{}{x} {y}", if at == 0 { "M" } else { "L" });
            continue;
        };
        let (ax, ay) = towards((x, y), *before);
        let (bx, by) = towards((x, y), *after);
        let _ = write!(path, "L{ax} {ay}Q{x} {y} {bx} {by}");
    }
    path
}

/// The point on the way from a corner to the next one where the rounding ends.
fn towards(corner: (i32, i32), next: (i32, i32)) -> (i32, i32) {
    let step = |from: i32, to: i32| from + ((to - from) / 2).clamp(-ROUND, ROUND);
    (step(corner.0, next.0), step(corner.1, next.1))
}
