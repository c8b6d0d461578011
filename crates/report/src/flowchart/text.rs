//! Flowcharts as text, for those who read a page in a terminal or a pager: frames with boxes in them, and below them
//! which way requests go.

use std::collections::BTreeMap;

use super::{Flowchart, Part, Thing};
use crate::page::flat;

/// So wide a drawing becomes at most, as far as its words allow: two columns of a pager side by side, and no more than a
/// page of Git's hosts shows without scrolling.
const WIDTH: usize = 96;

impl Flowchart {
    /// The lines of the drawing.
    pub(crate) fn text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for part in &self.parts {
            if let Part::Frame { label, parts, .. } = part {
                lines.extend(frame(label, parts));
            }
        }
        lines.extend(self.ways());
        lines
    }

    /// One line for each arrow's beginning and words: `People → Kubernetes API (kubectl)`.
    fn ways(&self) -> Vec<String> {
        let mut names = BTreeMap::new();
        named(&self.parts, &mut names);
        let mut ways: Vec<(Thing, &str, Vec<&str>)> = Vec::new();
        for part in &self.parts {
            let Part::Arrow { from, to, label } = part else { continue };
            let Some(name) = names.get(to) else { continue };
            match ways.iter_mut().find(|(thing, words, _)| thing == from && *words == label.as_str()) {
                Some((_, _, ends)) => ends.push(name),
                None => ways.push((*from, label, vec![name])),
            }
        }
        ways.sort_by_key(|(from, ..)| *from);
        let line = |(from, label, ends): (Thing, &str, Vec<&str>)| {
            let words = if label.is_empty() { String::new() } else { format!(" ({label})") };
            Some(format!("{} → {}{words}", names.get(&from)?, ends.join(", ")))
        };
        ways.into_iter().filter_map(line).collect()
    }
}

/// What each thing is called in a line; of what passes traffic on, its ports belong to that.
fn named(parts: &[Part], names: &mut BTreeMap<Thing, String>) {
    for part in parts {
        match part {
            Part::Thing { id, shape: super::Shape::Gate, lines } if lines.len() > 1 => {
                names.insert(*id, flat(&format!("{} [{}]", lines[0], lines[1..].join(", "))));
            }
            Part::Thing { id, lines, .. } => {
                names.insert(*id, flat(lines.first().map_or("", String::as_str)));
            }
            Part::Frame { parts, .. } => named(parts, names),
            Part::Arrow { .. } => {}
        }
    }
}

/// A frame with its label above its boxes.
fn frame(label: &str, parts: &[Part]) -> Vec<String> {
    let boxes: Vec<Vec<String>> = parts.iter().filter_map(of_thing).collect();
    let mut rows = Vec::new();
    let mut row: Vec<&Vec<String>> = Vec::new();
    for one in &boxes {
        let width: usize = row.iter().map(|other| wide(other) + 6).sum();
        if !row.is_empty() && width + wide(one) + 8 > WIDTH {
            rows.extend(side_by_side(&row));
            row.clear();
        }
        row.push(one);
    }
    rows.extend(side_by_side(&row));
    let label = flat(label);
    let width = rows.iter().chain([&label]).map(|line| columns(line)).max().unwrap_or(0);
    let edge = "─".repeat(width + 2);
    let inner = std::iter::once(&label).chain(&rows).map(|line| format!("│ {} │", padded(line, width)));
    let top = std::iter::once(format!("┌{edge}┐"));
    top.chain(inner).chain([format!("└{edge}┘")]).collect()
}

fn of_thing(part: &Part) -> Option<Vec<String>> {
    match part {
        Part::Thing { lines, .. } => Some(lines.iter().map(|line| flat(line)).collect()),
        Part::Frame { .. } | Part::Arrow { .. } => None,
    }
}

/// Boxes in one row, all as high as the highest.
fn side_by_side(boxes: &[&Vec<String>]) -> Vec<String> {
    let height = boxes.iter().map(|lines| lines.len()).max().unwrap_or(0);
    let row = |cell: &dyn Fn(&Vec<String>, usize) -> String| {
        boxes.iter().map(|lines| cell(lines, wide(lines))).collect::<Vec<_>>().join("  ")
    };
    let edge = |width: usize| "─".repeat(width + 2);
    let mut lines = vec![row(&|_, width| format!("┌{}┐", edge(width)))];
    for at in 0..height {
        lines.push(row(&|lines, width| {
            let line = lines.get(at).map_or("", String::as_str);
            format!("│ {} │", padded(line, width))
        }));
    }
    lines.push(row(&|_, width| format!("└{}┘", edge(width))));
    lines
}

fn wide(lines: &[String]) -> usize {
    lines.iter().map(|line| columns(line)).max().unwrap_or(0)
}

fn columns(line: &str) -> usize {
    line.chars().count()
}

fn padded(line: &str, width: usize) -> String {
    format!("{line:<width$}")
}
