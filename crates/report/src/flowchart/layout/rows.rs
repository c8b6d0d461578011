//! Rows of cells: which row a thing stands in, in which order, and where on it.
//!
//! The way is the usual one for layered drawings: arrows over several rows get a bend in every row between, cells are
//! sorted by where their neighbours stand, and then moved as near to them as the room allows.

use std::collections::BTreeMap;

use super::sizes::{Block, CAPTION, GAP, Size, small};
use super::units::Graph;

/// A drawing should not be wider than this: it is what a page shows without making text smaller.
const WIDE: i32 = 940;
/// Between cells of a row.
const APART: i32 = 28;
/// What a frame weighs where anything else weighs one.
const HEAVY: i32 = 50;
/// How often cells are sorted, and how often they are moved. More often changes nothing that one would see.
const SORTS: usize = 4;
const MOVES: usize = 12;

/// What stands in a row: a thing, a piece of a frame with what is in it, or a bend of arrows.
pub(super) struct Cell {
    pub(super) row: usize,
    pub(super) size: Size,
    /// The middle.
    pub(super) x: i32,
    pub(super) frame: Option<usize>,
    pub(super) blocks: Vec<Block>,
}

/// What arrows begin, bend and end at: units by their number, then bends.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub(super) cell: usize,
    /// How far it is from the middle of its cell.
    pub(super) aside: i32,
}

/// All cells, by row and in their order.
pub(super) struct Grid {
    pub(super) cells: Vec<Cell>,
    pub(super) rows: Vec<Vec<usize>>,
    pub(super) nodes: Vec<Node>,
    /// The nodes that each link goes through, from its beginning to its end.
    pub(super) ways: Vec<Vec<usize>>,
    /// Parts of ways, each from a row to the next, none twice.
    pub(super) hops: Vec<(usize, usize)>,
}

impl Grid {
    pub(super) fn new(graph: &Graph<'_>) -> Self {
        let mut grid = Self {
            cells: Vec::new(),
            rows: Vec::new(),
            nodes: vec![Node { cell: 0, aside: 0 }; graph.units.len()],
            ways: Vec::new(),
            hops: Vec::new(),
        };
        let ranks = graph.units.iter().map(|unit| unit.rank + 1).max().unwrap_or(0);
        for rank in 0..ranks {
            grid.rank(graph, rank);
        }
        grid.links(graph);
        for _ in 0..SORTS {
            grid.sort();
        }
        for _ in 0..MOVES {
            grid.settle();
        }
        grid.straighten();
        grid
    }

    /// Where a node stands.
    pub(super) fn x(&self, node: usize) -> i32 {
        let Node { cell, aside } = self.nodes[node];
        self.cells[cell].x + aside
    }

    /// The row that a node stands in.
    pub(super) fn row(&self, node: usize) -> usize {
        self.cells[self.nodes[node].cell].row
    }

    /// The units of one rank: one row, or several when frames stand there that are too wide for one.
    fn rank(&mut self, graph: &Graph<'_>, rank: usize) {
        let mut frames: BTreeMap<usize, Vec<Block>> = BTreeMap::new();
        let mut cells = Vec::new();
        for at in (0..graph.units.len()).filter(|at| graph.units[*at].rank == rank) {
            let block = Block::new(graph, at);
            match graph.units[at].frame {
                Some(frame) => frames.entry(frame).or_default().push(block),
                None => cells.push(Cell { row: 0, size: block.size, x: 0, frame: None, blocks: vec![block] }),
            }
        }
        cells.extend(frames.into_iter().map(|(frame, blocks)| piece(graph, frame, blocks)));
        let mut row = Vec::new();
        let mut width = 0;
        for mut cell in cells {
            if !row.is_empty() && cell.frame.is_some() && width + cell.size.width > WIDE {
                self.rows.push(std::mem::take(&mut row));
                width = 0;
            }
            width += cell.size.width + APART;
            cell.row = self.rows.len();
            self.place(&cell);
            row.push(self.cells.len());
            self.cells.push(cell);
        }
        if !row.is_empty() {
            self.rows.push(row);
        }
    }

    /// Notes where the cell that comes next has its units.
    fn place(&mut self, cell: &Cell) {
        let all: i32 = cell.blocks.iter().map(|block| block.size.width + GAP).sum();
        let mut left = -(all - GAP) / 2;
        for block in &cell.blocks {
            self.nodes[block.unit] = Node { cell: self.cells.len(), aside: left + block.size.width / 2 };
            left += block.size.width + GAP;
        }
    }
}

/// What of a frame stands in one rank: its blocks side by side, in fewer columns when they are too wide.
fn piece(graph: &Graph<'_>, frame: usize, mut blocks: Vec<Block>) -> Cell {
    let inner = |blocks: &[Block]| blocks.iter().map(|block| block.size.width + GAP).sum::<i32>() + GAP;
    while inner(&blocks) > WIDE {
        let most = blocks.iter_mut().max_by_key(|block| (block.columns, block.size.width));
        let narrower = most.is_some_and(|block| block.narrow(graph.units[block.unit].items.len()));
        if !narrower {
            break;
        }
    }
    // The label stands in the lower left corner, out of the way of arrows that leave in the middle.
    let leads = graph.links.iter().any(|link| blocks.iter().any(|block| block.unit == link.from));
    let label = small(graph.frames[frame]) + 2 * GAP;
    let width = inner(&blocks).max(if leads { 2 * label } else { label });
    let height = blocks.iter().map(|block| block.size.height).max().unwrap_or(0);
    for block in &mut blocks {
        block.stretch(height, graph.units[block.unit].items.len());
    }
    let height = height + 2 * GAP + CAPTION;
    Cell { row: 0, size: Size { width, height }, x: 0, frame: Some(frame), blocks }
}

impl Grid {
    /// The way of each link. All links of one unit share their bends, so that they part as late as they can.
    fn links(&mut self, graph: &Graph<'_>) {
        let mut bends: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for link in &graph.links {
            let mut way = vec![link.from];
            for row in self.row(link.from) + 1..self.row(link.to) {
                let fresh = self.nodes.len();
                let bend = *bends.entry((link.from, row)).or_insert(fresh);
                if bend == fresh {
                    self.nodes.push(Node { cell: self.cells.len(), aside: 0 });
                    self.rows[row].push(self.cells.len());
                    let size = Size::default();
                    self.cells.push(Cell { row, size, x: 0, frame: None, blocks: Vec::new() });
                }
                way.push(bend);
            }
            way.push(link.to);
            if self.row(link.from) < self.row(link.to) {
                for pair in way.windows(2) {
                    if !self.hops.contains(&(pair[0], pair[1])) {
                        self.hops.push((pair[0], pair[1]));
                    }
                }
            }
            self.ways.push(way);
        }
    }

    /// Sorts every row by the row above it, then every row by the row below it.
    fn sort(&mut self) {
        for row in 0..self.rows.len() {
            self.sort_row(row, true);
        }
        for row in (0..self.rows.len()).rev() {
            self.sort_row(row, false);
        }
    }

    fn sort_row(&mut self, row: usize, by_above: bool) {
        let mut order = self.rows[row].clone();
        order.sort_by_cached_key(|cell| self.pull(*cell, by_above, !by_above).unwrap_or(self.cells[*cell].x));
        // Frames stay in the order of the file, so that the third host is not found before the second.
        let frames: Vec<usize> = (0..order.len()).filter(|at| self.cells[order[*at]].frame.is_some()).collect();
        let mut framed: Vec<usize> = frames.iter().map(|at| order[*at]).collect();
        framed.sort_unstable();
        for (at, cell) in frames.into_iter().zip(framed) {
            order[at] = cell;
        }
        let wanted = vec![(0, 1); order.len()];
        let places = spread(&wanted, &self.distances(&order));
        let middle = self.middle(&order, &places);
        for (cell, x) in order.iter().zip(places) {
            self.cells[*cell].x = x - middle;
        }
        self.rows[row] = order;
    }

    /// The middle of a row's frames when its cells are at these places; of a row without frames, where it is already.
    fn middle(&self, order: &[usize], places: &[i32]) -> i32 {
        let half = |cell: &usize| self.cells[*cell].size.width / 2;
        let mut framed = order.iter().zip(places).filter(|(cell, _)| self.cells[**cell].frame.is_some());
        let Some((first, left)) = framed.next() else { return 0 };
        let (last, right) = framed.next_back().unwrap_or((first, left));
        (left - half(first) + right + half(last)) / 2
    }

    /// Moves the cells of all rows towards their neighbours, from the bottom to the top and back. Frames at the end
    /// of arrows stay where they are, one row below the other, and all else gives way to them.
    fn settle(&mut self) {
        for row in (0..self.rows.len()).rev().chain(0..self.rows.len()) {
            let order = &self.rows[row];
            let wanted: Vec<(i32, i32)> = order.iter().map(|cell| self.wanted(*cell)).collect();
            let settled = spread(&wanted, &self.distances(order));
            for (cell, x) in self.rows[row].iter().zip(settled) {
                self.cells[*cell].x = x;
            }
        }
    }

    /// Where a cell wants to be, and how much.
    fn wanted(&self, cell: usize) -> (i32, i32) {
        let Cell { x, frame, .. } = self.cells[cell];
        let leads = || self.pull(cell, false, true).is_some();
        if frame.is_some() && !leads() {
            return (x, HEAVY);
        }
        (self.pull(cell, true, true).unwrap_or(x), 1)
    }

    /// Moves bends right below where their arrows come from, as far as their neighbours let them.
    fn straighten(&mut self) {
        for row in 0..self.rows.len() {
            let order = &self.rows[row];
            let distances = self.distances(order);
            for (at, cell) in order.iter().copied().enumerate() {
                let Some(wanted) = self.pull(cell, true, false).filter(|_| self.cells[cell].blocks.is_empty()) else {
                    continue;
                };
                let left = at.checked_sub(1).map_or(i32::MIN, |left| self.cells[order[left]].x + distances[left]);
                let right = order.get(at + 1).map_or(i32::MAX, |right| self.cells[*right].x - distances[at]);
                self.cells[cell].x = wanted.min(right).max(left);
            }
        }
    }

    /// Where a cell would stand best for its arrows; none when it has none.
    fn pull(&self, cell: usize, above: bool, below: bool) -> Option<i32> {
        let mut sum = 0;
        let mut count = 0;
        for (from, to) in &self.hops {
            let (start, end) = (self.nodes[*from], self.nodes[*to]);
            if above && end.cell == cell {
                sum += self.x(*from) - end.aside;
                count += 1;
            }
            if below && start.cell == cell {
                sum += self.x(*to) - start.aside;
                count += 1;
            }
        }
        (count > 0).then(|| sum / count)
    }

    /// How far apart the middles of neighbours must be.
    fn distances(&self, order: &[usize]) -> Vec<i32> {
        let half = |cell: usize| self.cells[cell].size.width / 2;
        order.windows(2).map(|pair| half(pair[0]) + half(pair[1]) + APART).collect()
    }
}

/// The places nearest to the wanted ones that keep their order and their distances. Neighbours in each other's way form
/// a chain, which stands where its members on average want it; what has weight, counts that often.
pub(super) fn spread(wanted: &[(i32, i32)], distances: &[i32]) -> Vec<i32> {
    let mut offset = 0;
    let offsets: Vec<i32> = std::iter::once(0)
        .chain(distances.iter().map(|distance| {
            offset += distance;
            offset
        }))
        .collect();
    let mut chains: Vec<Chain> = Vec::new();
    for ((place, weight), offset) in wanted.iter().zip(&offsets) {
        let mut chain = Chain { sum: (place - offset) * weight, weight: *weight, members: 1 };
        while let Some(before) = chains.pop_if(|before| before.first() >= chain.first()) {
            chain = chain.after(&before);
        }
        chains.push(chain);
    }
    let firsts = chains.iter().flat_map(|chain| (0..chain.members).map(|_| chain.first()));
    firsts.zip(offsets).map(|(first, offset)| first + offset).collect()
}

/// Neighbours that touch: the weighted sum of where the first of them would have to be.
struct Chain {
    sum: i32,
    weight: i32,
    members: usize,
}

impl Chain {
    fn first(&self) -> i32 {
        self.sum / self.weight
    }

    fn after(&self, before: &Self) -> Self {
        let Self { sum, weight, members } = before;
        Self { sum: sum + self.sum, weight: weight + self.weight, members: members + self.members }
    }
}
