//! How big things are. A page is made without a font at hand, so text is measured by counting its characters, for the
//! widest of the usual fonts.

use super::super::{SLANT, STEP, Shape};
use super::units::{Graph, Unit};

/// The width of a character of a name, of other lines and of small words, in tenths of a pixel.
const NAME: i32 = 84;
const LINE: i32 = 74;
const SMALL: i32 = 69;
/// Space within a box, beside and above its text.
const BESIDE: i32 = 12;
const ABOVE: i32 = 9;
/// Between boxes, and between a border and what is in it.
pub(super) const GAP: i32 = 12;
/// The height of a caption.
pub(super) const CAPTION: i32 = 20;
/// Things of a group that stand in one row, at most.
const COLUMNS: usize = 5;

/// A width and a height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: i32,
    pub(super) height: i32,
}

/// A unit with its things in columns.
pub(super) struct Block {
    pub(super) unit: usize,
    pub(super) columns: usize,
    pub(super) size: Size,
    /// The size of each of its things; all are drawn equally big.
    pub(super) each: Size,
    /// What all of a group's things say at the end, said once.
    pub(super) caption: Option<String>,
}

/// How wide a text is, at so many tenths of a pixel for each character. Signs of East Asia are twice as wide.
fn width(text: &str, tenths: i32) -> i32 {
    let signs: i32 = text.chars().map(|c| if u32::from(c) >= 0x1100 { 2 } else { 1 }).sum();
    (signs * tenths + 9) / 10
}

/// How wide a caption, a frame's label or the words of an arrow are.
pub(super) fn small(text: &str) -> i32 {
    width(text, SMALL)
}

fn boxed(shape: Shape, lines: &[String]) -> Size {
    let widths = lines.iter().enumerate().map(|(at, line)| width(line, if at == 0 { NAME } else { LINE }));
    let slant = if shape == Shape::Gate { SLANT } else { 0 };
    let width = widths.max().unwrap_or(0) + 2 * (BESIDE + slant);
    let count = i32::try_from(lines.len()).unwrap_or(i32::MAX / STEP - 1);
    Size { width: width.max(70), height: count * STEP + 2 * ABOVE }
}

impl Block {
    /// A unit in at most [`COLUMNS`] columns.
    pub(super) fn new(graph: &Graph<'_>, at: usize) -> Self {
        let unit = &graph.units[at];
        let caption = caption(graph, unit);
        let mut each = Size::default();
        for item in unit.items.iter().map(|item| &graph.items[*item]) {
            let kept = item.lines.len() - usize::from(caption.is_some());
            let size = boxed(item.shape, &item.lines[..kept]);
            each = Size { width: each.width.max(size.width), height: each.height.max(size.height) };
        }
        let mut block = Self { unit: at, columns: 0, size: each, each, caption };
        block.set_columns(unit.items.len(), unit.items.len().min(COLUMNS));
        block
    }

    /// One column less, where there is more than one. The rows stay as even as they can be.
    pub(super) fn narrow(&mut self, items: usize) -> bool {
        let narrower = self.columns > 1;
        if narrower {
            self.set_columns(items, self.columns - 1);
        }
        narrower
    }

    /// Makes it as high as what stands beside it. A single thing grows a little only: a tall box looks like a mistake.
    pub(super) fn stretch(&mut self, height: i32, items: usize) {
        if items > 1 || height - self.size.height <= 3 * CAPTION {
            self.size.height = height;
        }
    }

    fn set_columns(&mut self, items: usize, most: usize) {
        let rows = items.div_ceil(most.max(1));
        self.columns = items.div_ceil(rows.max(1)).max(1);
        if items < 2 {
            return;
        }
        let along = |size: i32, count: usize| i32::try_from(count).map_or(i32::MAX / 4, |n| n * (size + GAP) + GAP);
        let text = self.caption.as_deref().map_or(0, small) + 2 * GAP;
        let caption = if self.caption.is_some() { CAPTION } else { 0 };
        self.size.width = along(self.each.width, self.columns).max(text);
        self.size.height = along(self.each.height, rows) + caption;
    }
}

/// The last line of a group's things, when it is the same for all and not their only one.
fn caption(graph: &Graph<'_>, unit: &Unit) -> Option<String> {
    let [first, rest @ ..] = unit.items.as_slice() else { return None };
    let last = |item: &usize| graph.items[*item].lines.get(1..).and_then(<[String]>::last);
    let caption = last(first)?;
    let same = !rest.is_empty() && rest.iter().all(|item| last(item) == Some(caption));
    same.then(|| caption.clone())
}
