//! What is drawn as one: single things, and groups of things that the same arrows lead to.
//!
//! A gate that leads to five workers would be five arrows, and two gates ten, most of them crossing. Things of one frame
//! that the same things lead to, and that lead nowhere themselves, become a group, and one arrow leads to the group.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Flowchart, Part, SLANT, Shape, Thing};

/// A thing as the layout sees it.
pub(super) struct Item<'a> {
    pub(super) shape: Shape,
    pub(super) lines: &'a [String],
    frame: Option<usize>,
}

/// A thing, or a group of them.
pub(super) struct Unit {
    pub(super) items: Vec<usize>,
    pub(super) frame: Option<usize>,
    /// How far down it stands; the units that arrows end at in a frame stand lowest of all.
    pub(super) rank: usize,
}

/// An arrow between units.
pub(super) struct Link<'a> {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: &'a str,
}

/// A flowchart as units and links.
#[derive(Default)]
pub(super) struct Graph<'a> {
    pub(super) items: Vec<Item<'a>>,
    pub(super) frames: Vec<&'a str>,
    pub(super) units: Vec<Unit>,
    pub(super) links: Vec<Link<'a>>,
    index: BTreeMap<Thing, usize>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(chart: &'a Flowchart) -> Self {
        let mut graph = Self::default();
        let mut arrows = Vec::new();
        graph.gather(&chart.parts, None, &mut arrows);
        let arrows: Vec<(usize, usize, &str)> = arrows
            .into_iter()
            .filter_map(|(from, to, label)| Some((*graph.index.get(&from)?, *graph.index.get(&to)?, label)))
            .filter(|(from, to, _)| from != to)
            .collect();
        let unit_of = graph.group(&arrows);
        for (from, to, label) in arrows {
            let (from, to) = (unit_of[from], unit_of[to]);
            if !graph.links.iter().any(|link| (link.from, link.to) == (from, to)) {
                graph.links.push(Link { from, to, label });
            }
        }
        graph.rank();
        graph
    }

    /// How far the sides of a unit stand out beyond its upper border.
    pub(super) fn slant(&self, unit: usize) -> i32 {
        let gate = self.units[unit].items.iter().any(|item| self.items[*item].shape == Shape::Gate);
        if gate { SLANT } else { 0 }
    }

    fn gather(&mut self, parts: &'a [Part], frame: Option<usize>, arrows: &mut Vec<(Thing, Thing, &'a str)>) {
        for part in parts {
            match part {
                Part::Thing { id, shape, lines } => {
                    self.index.insert(*id, self.items.len());
                    self.items.push(Item { shape: *shape, lines, frame });
                }
                Part::Frame { label, parts, .. } => {
                    self.frames.push(label);
                    self.gather(parts, Some(self.frames.len() - 1), arrows);
                }
                Part::Arrow { from, to, label } => arrows.push((*from, *to, label)),
            }
        }
    }

    /// Makes the units; says for each item which unit it is in.
    fn group(&mut self, arrows: &[(usize, usize, &str)]) -> Vec<usize> {
        let leads: BTreeSet<usize> = arrows.iter().map(|(from, ..)| *from).collect();
        let mut sources = vec![BTreeSet::new(); self.items.len()];
        for (from, to, _) in arrows {
            sources[*to].insert(*from);
        }
        let mut groups: BTreeMap<(usize, BTreeSet<usize>), usize> = BTreeMap::new();
        let mut unit_of = Vec::with_capacity(self.items.len());
        for (at, from) in sources.into_iter().enumerate() {
            let frame = self.items[at].frame;
            let fresh = self.units.len();
            let unit = match frame {
                Some(frame) if !leads.contains(&at) => *groups.entry((frame, from)).or_insert(fresh),
                _ => fresh,
            };
            if unit == fresh {
                self.units.push(Unit { items: Vec::new(), frame, rank: 0 });
            }
            self.units[unit].items.push(at);
            unit_of.push(unit);
        }
        unit_of
    }
}

impl Graph<'_> {
    /// Each unit stands below all that lead to it, by the longest way.
    fn rank(&mut self) {
        let count = self.units.len();
        let mut waits = vec![0_usize; count];
        for link in &self.links {
            waits[link.to] += 1;
        }
        let mut placed = vec![false; count];
        for _ in 0..count {
            // In a circle nobody is next; then the first one breaks it, and the arrow back is drawn upwards.
            let open = |unit: &usize| !placed[*unit];
            let Some(next) = (0..count).filter(open).min_by_key(|unit| (waits[*unit] > 0, *unit)) else { break };
            placed[next] = true;
            for link in self.links.iter().filter(|link| link.from == next && !placed[link.to]) {
                waits[link.to] = waits[link.to].saturating_sub(1);
                self.units[link.to].rank = self.units[link.to].rank.max(self.units[next].rank + 1);
            }
        }
        self.settle_ends();
    }

    /// What stands in a frame and leads nowhere goes to the bottom; gates that nothing leads to go down to what they
    /// lead to, so that only people stand at the top.
    fn settle_ends(&mut self) {
        let leads = |unit: usize| self.links.iter().any(|link| link.from == unit);
        let ends: Vec<bool> = (0..self.units.len()).map(|at| self.units[at].frame.is_some() && !leads(at)).collect();
        let others = self.units.iter().zip(&ends).filter(|(_, end)| !**end).map(|(unit, _)| unit.rank + 1);
        let bottom = others.max().unwrap_or(0);
        for (unit, _) in self.units.iter_mut().zip(&ends).filter(|(_, end)| **end) {
            unit.rank = bottom;
        }
        for at in 0..self.units.len() {
            let first = self.units[at].items.first().map(|item| self.items[*item].shape);
            if first == Some(Shape::Round) || self.links.iter().any(|link| link.to == at) {
                continue;
            }
            let below = self.links.iter().filter(|link| link.from == at).map(|link| self.units[link.to].rank);
            if let Some(nearest) = below.min() {
                self.units[at].rank = nearest.saturating_sub(1);
            }
        }
    }
}
