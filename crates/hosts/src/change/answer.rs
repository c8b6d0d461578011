//! What a script told. A host may say anything: what is not in our shape is passed over, and no log grows without end.

/// A log's lines and a line's signs, at most.
const LINES: usize = 40;
const SIGNS: usize = 500;

/// What a script told of one thing, by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was so already.
    Same(usize),
    /// It is so now.
    Changed(usize),
    /// It is so, and this should be known.
    Remark(usize, Vec<String>),
    /// It failed, and these are its last lines.
    Failed(usize, Vec<String>),
}

impl Told {
    /// Which.
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::Same(index) | Self::Changed(index) | Self::Remark(index, _) | Self::Failed(index, _) => *index,
        }
    }
}

/// Everything that a script told, in order.
pub(crate) fn told(answer: &str) -> impl Iterator<Item = Told> {
    answer.lines().filter_map(|line| {
        let (kind, rest) = line.split_once(' ')?;
        let mut words = rest.split(' ');
        let index = words.next()?.parse().ok()?;
        if kind == "t" {
            return Some(Told::Remark(index, lines(words.next()?)));
        }
        if kind != "c" {
            return None;
        }
        match (words.next()?, words.next()) {
            ("same", None) => Some(Told::Same(index)),
            ("changed", None) => Some(Told::Changed(index)),
            ("failed", log) => Some(Told::Failed(index, lines(log.unwrap_or_default()))),
            _ => None,
        }
    })
}

/// The lines of a log in hexadecimal, without what a terminal would obey.
pub(crate) fn lines(log: &str) -> Vec<String> {
    let bytes = hex::decode(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let shown = |line: &str| -> String { line.chars().filter(|c| !c.is_control()).take(SIGNS).collect() };
    let lines: Vec<String> = text.lines().map(shown).filter(|line| !line.trim().is_empty()).collect();
    lines.into_iter().rev().take(LINES).rev().collect::<Vec<_>>()
}
