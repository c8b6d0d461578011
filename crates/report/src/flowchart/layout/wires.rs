//! Between two rows: where arrows enter what is below, and on which height each goes sideways.
//!
//! Arrows leave their beginning at its middle as one stem, run sideways on a track of their own, and drop to their ends.
//! So two lines that touch always come from the same thing.

use std::collections::BTreeMap;

use super::rows::{Grid, spread};
use super::units::{Graph, Link};

/// Between the tracks of a channel, and between the ends of arrows at one thing.
pub(super) const TRACK: i32 = 12;
const ENTRY: i32 = 16;
/// From a box to the first track, and from the last track to an arrow's end.
pub(super) const STEM: i32 = 16;
const DROP: i32 = 26;
/// The room for words on an arrow.
const WORDS: i32 = 20;
/// No arrow enters nearer to a corner than this.
const CORNER: i32 = 12;

/// Where the arrows of all rows run, before anything has a height.
pub(super) struct Wires {
    /// Where each hop enters, from left to right.
    pub(super) entries: BTreeMap<(usize, usize), i32>,
    /// The track of each node's arrows in the channel below it; none for those that only go straight down.
    pub(super) tracks: BTreeMap<usize, i32>,
    /// How high the channel below each row is.
    pub(super) channels: Vec<i32>,
}

/// The arrows that leave one node together.
struct Bundle {
    node: usize,
    stem: i32,
    drops: Vec<i32>,
}

impl Wires {
    /// `tops` says how wide the upper side of each unit is; bends have none.
    pub(super) fn new(graph: &Graph<'_>, grid: &Grid, tops: &BTreeMap<usize, i32>) -> Self {
        let mut wires = Self { entries: BTreeMap::new(), tracks: BTreeMap::new(), channels: Vec::new() };
        wires.enter(grid, tops);
        for row in 0..grid.rows.len() {
            let tracks = wires.channel(grid, row);
            let words = |link: &Link<'_>| grid.row(link.to) == row + 1 && !link.label.is_empty();
            let words = if graph.links.iter().any(words) { WORDS } else { 0 };
            wires.channels.push(STEM + tracks * TRACK + DROP + words);
        }
        wires
    }

    /// Arrows enter right below their beginning where they can, each in a place of its own; one alone that cannot enters
    /// in the middle.
    fn enter(&mut self, grid: &Grid, tops: &BTreeMap<usize, i32>) {
        let mut into: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, to) in &grid.hops {
            into.entry(*to).or_default().push(*from);
        }
        for (to, mut sources) in into {
            sources.sort_by_key(|from| grid.x(*from));
            let (middle, room) = (grid.x(to), (tops.get(&to).copied().unwrap_or(0) / 2 - CORNER).max(0));
            let (first, last) = (middle - room, middle + room);
            let gaps = sources.len().saturating_sub(1);
            let step = i32::try_from(gaps).map_or(1, |gaps| ENTRY.min(2 * room / gaps.max(1)));
            let beside = |x: i32| if gaps == 0 { middle } else { x.clamp(first, last) };
            let straight = |x: i32| if (first..=last).contains(&x) { x } else { beside(x) };
            let wanted: Vec<(i32, i32)> = sources.iter().map(|from| (straight(grid.x(*from)), 1)).collect();
            let places = spread(&wanted, &vec![step; gaps]);
            let over = |place: Option<&i32>| place.map_or(0, |place| place - place.clamp(&first, &last));
            let shift = over(places.first()) + over(places.last());
            for (from, place) in sources.into_iter().zip(places) {
                self.entries.insert((from, to), place - shift);
            }
        }
    }

    /// Gives the bundles of a channel their tracks, so that they cross as rarely as swapping neighbours can make it.
    fn channel(&mut self, grid: &Grid, row: usize) -> i32 {
        let mut bundles: BTreeMap<usize, Bundle> = BTreeMap::new();
        for ((from, to), entry) in &self.entries {
            debug_assert!(grid.row(*to) == grid.row(*from) + 1, "a hop goes to the next row");
            if grid.row(*from) == row {
                let fresh = || Bundle { node: *from, stem: grid.x(*from), drops: Vec::new() };
                bundles.entry(*from).or_insert_with(fresh).drops.push(*entry);
            }
        }
        let sideways = bundles.into_values().filter(|bundle| bundle.drops.iter().any(|drop| *drop != bundle.stem));
        let mut sideways: Vec<Bundle> = sideways.collect();
        for _ in 0..sideways.len() {
            for at in 1..sideways.len() {
                if cost(&sideways[at], &sideways[at - 1]) < cost(&sideways[at - 1], &sideways[at]) {
                    sideways.swap(at, at - 1);
                }
            }
        }
        let mut used = 0;
        for bundle in sideways {
            self.tracks.insert(bundle.node, used);
            used += 1;
        }
        used
    }
}

/// How much two bundles are in each other's way when the first has the higher track.
fn cost(high: &Bundle, low: &Bundle) -> i32 {
    let span = |bundle: &Bundle| {
        let ends = || bundle.drops.iter().copied().chain([bundle.stem]);
        (ends().min().unwrap_or(0), ends().max().unwrap_or(0))
    };
    let within = |x: i32, bundle: &Bundle| {
        let (left, right) = span(bundle);
        i32::from(left <= x && x <= right)
    };
    let crossed = within(low.stem, high) + high.drops.iter().map(|drop| within(*drop, low)).sum::<i32>();
    // A drop right below another one's stem looks as if they were one line.
    let mistaken = high.drops.iter().filter(|drop| (**drop - low.stem).abs() < 5).count();
    crossed + if mistaken > 0 { 10 } else { 0 }
}
