//! Where everything of a flowchart goes: a simple layered drawing, from top to bottom.
//!
//! [`units`] says what is drawn as one and how far down, [`rows`] puts it into rows, [`wires`] leads the arrows through
//! the channels between them; here, all of it gets its place in pixels. Whole numbers only, so that the same flowchart
//! has the same drawing on every machine.

mod rows;
mod sizes;
mod units;
mod wires;

use std::collections::BTreeMap;

use super::{Flowchart, Shape};
use rows::{Cell, Grid};
use sizes::{Block, CAPTION, GAP, Size, small};
use units::Graph;
use wires::{TRACK, Wires};

/// A drawing with the places of all that is in it.
#[derive(Default)]
pub(super) struct Scene {
    pub(super) size: (i32, i32),
    pub(super) frames: Vec<Panel>,
    pub(super) groups: Vec<Panel>,
    pub(super) boxes: Vec<Labelled>,
    pub(super) arrows: Vec<Arrow>,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

/// A frame or a group: a rectangle with a word in a corner.
pub(super) struct Panel {
    pub(super) rect: Rect,
    pub(super) label: String,
}

/// A thing with its lines.
pub(super) struct Labelled {
    pub(super) rect: Rect,
    pub(super) shape: Shape,
    pub(super) lines: Vec<String>,
}

/// An arrow: its corners, its words and the middle of them.
pub(super) struct Arrow {
    pub(super) points: Vec<(i32, i32)>,
    pub(super) label: String,
    pub(super) at: Rect,
}

/// Around the whole drawing.
const MARGIN: i32 = 10;
/// The height of the words on an arrow, and how far above what the arrow leads to they end.
const WORDS: i32 = 16;
const RAISED: i32 = 14;

impl Scene {
    pub(super) fn new(chart: &Flowchart) -> Self {
        let graph = Graph::new(chart);
        if graph.units.is_empty() {
            return Self::default();
        }
        let mut grid = Grid::new(&graph);
        let left = grid.cells.iter().map(|cell| cell.x - cell.size.width / 2).min().unwrap_or(0);
        for cell in &mut grid.cells {
            cell.x += MARGIN - left;
        }
        let blocks = grid.cells.iter().flat_map(|cell| &cell.blocks);
        let tops = blocks.map(|block| (block.unit, block.size.width - 2 * graph.slant(block.unit))).collect();
        let wires = Wires::new(&graph, &grid, &tops);
        let heights = Heights::new(&grid, &wires);
        let right = grid.cells.iter().map(|cell| cell.x + cell.size.width / 2).max().unwrap_or(0);
        let mut scene = Self { size: (right + MARGIN, heights.end + MARGIN), ..Self::default() };
        let mut places = BTreeMap::new();
        for cell in &grid.cells {
            scene.cell(&graph, &grid, &heights, cell, &mut places);
        }
        for (link, way) in graph.links.iter().zip(&grid.ways) {
            let arrow = arrow(&grid, &wires, &heights, &places, way, link.label);
            scene.arrows.extend(arrow);
        }
        scene
    }

    /// A cell's frame and the units in it, whose places are noted.
    fn cell(
        &mut self,
        graph: &Graph<'_>,
        grid: &Grid,
        heights: &Heights,
        cell: &Cell,
        places: &mut BTreeMap<usize, Rect>,
    ) {
        let Size { width, height } = cell.size;
        let (top, room) = heights.rows[cell.row];
        let mut y = top + (room - height) / 2;
        if let Some(frame) = cell.frame {
            let label = graph.frames[frame].to_string();
            self.frames.push(Panel { rect: Rect { x: cell.x - width / 2, y: top, width, height }, label });
            y = top + GAP;
        }
        for block in &cell.blocks {
            let Size { width, height } = block.size;
            let rect = Rect { x: grid.x(block.unit) - width / 2, y, width, height };
            places.insert(block.unit, rect);
            self.block(graph, block, rect);
        }
    }

    /// A single thing, or a group with its things in columns.
    fn block(&mut self, graph: &Graph<'_>, block: &Block, rect: Rect) {
        let items = graph.units[block.unit].items.iter().map(|item| &graph.items[*item]);
        let grouped = items.len() > 1;
        let caption = if block.caption.is_some() { CAPTION } else { 0 };
        let Size { width, height } = block.each;
        // A caption can be wider than the things below it, which then stand in the middle.
        let columns = i32::try_from(block.columns).unwrap_or(1);
        let indent = (rect.width - columns * (width + GAP) + GAP) / 2;
        let (mut x, mut y) = (rect.x + indent, rect.y + GAP + caption);
        for (at, item) in items.enumerate() {
            if grouped && at > 0 && at % block.columns == 0 {
                (x, y) = (rect.x + indent, y + height + GAP);
            }
            let kept = item.lines.len() - usize::from(block.caption.is_some());
            let place = if grouped { Rect { x, y, width, height } } else { rect };
            self.boxes.push(Labelled { rect: place, shape: item.shape, lines: item.lines[..kept].to_vec() });
            x += width + GAP;
        }
        if grouped {
            self.groups.push(Panel { rect, label: block.caption.clone().unwrap_or_default() });
        }
    }
}

/// How high everything stands.
struct Heights {
    /// The top of each row and how high it is.
    rows: Vec<(i32, i32)>,
    /// The bottom of the last row.
    end: i32,
}

impl Heights {
    fn new(grid: &Grid, wires: &Wires) -> Self {
        let mut rows = Vec::new();
        let mut top = MARGIN;
        let mut end = top;
        for (row, channel) in grid.rows.iter().zip(&wires.channels) {
            let height = row.iter().map(|cell| grid.cells[*cell].size.height).max().unwrap_or(0);
            rows.push((top, height));
            end = top + height;
            top = end + channel;
        }
        Self { rows, end }
    }
}

/// The corners of an arrow along its way.
fn arrow(
    grid: &Grid,
    wires: &Wires,
    heights: &Heights,
    places: &BTreeMap<usize, Rect>,
    way: &[usize],
    label: &str,
) -> Option<Arrow> {
    let (start, end) = (way.first()?, way.last()?);
    let (from, to) = (places.get(start)?, places.get(end)?);
    let mut x = grid.x(*start);
    let mut points = vec![(x, from.y + from.height)];
    for hop in way.windows(2) {
        // An arrow of a circle leads upwards and has no entry: it is a straight line.
        let Some(entry) = wires.entries.get(&(hop[0], hop[1])).copied() else {
            x = grid.x(*end);
            continue;
        };
        if entry != x {
            let (top, height) = heights.rows[grid.row(hop[0])];
            let track = wires.tracks.get(&hop[0]).copied().unwrap_or(0);
            let y = top + height + wires::STEM + track * TRACK;
            points.extend([(x, y), (entry, y)]);
        }
        x = entry;
    }
    points.push((x, to.y));
    let width = small(label) + 10;
    let y = heights.rows[grid.row(*end)].0 - RAISED - WORDS;
    Some(Arrow { points, label: label.into(), at: Rect { x: x - width / 2, y, width, height: WORDS } })
}
