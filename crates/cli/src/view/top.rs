//! `kubewright top`: what the dashboard's page of a cluster shows, on a terminal.
//!
//! [`Model`] is what is known, [`Screen`] is what somebody looks at; [`draw`] makes a picture of both, and
//! [`Screen::press`] another screen of a key. None of them looks at a clock, a file or a terminal: the loop that does is
//! `commands::top`.

mod draw;
mod sheet;

use kubewright_server::shapes::{Cluster, Run};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub(crate) use self::draw::draw;
use self::sheet::Sheet;

/// What is known.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// The cluster's page.
    pub(crate) cluster: Cluster,
    /// The run that goes on, or the one that is chosen.
    pub(crate) run: Option<Run>,
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// Which picture of what turns.
    pub(crate) frame: usize,
    /// Whether there is colour.
    pub(crate) colour: bool,
}

/// A view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tab {
    #[default]
    Overview,
    Machines,
    Topology,
    Addons,
    Certificates,
    Backups,
    Drift,
    Runs,
}

impl Tab {
    pub(crate) const ALL: [Self; 8] = [
        Self::Overview,
        Self::Machines,
        Self::Topology,
        Self::Addons,
        Self::Certificates,
        Self::Backups,
        Self::Drift,
        Self::Runs,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Machines => "Machines",
            Self::Topology => "Topology",
            Self::Addons => "Add-ons",
            Self::Certificates => "Certs",
            Self::Backups => "Backups",
            Self::Drift => "Drift",
            Self::Runs => "Runs",
        }
    }

    fn at(self) -> usize {
        Self::ALL.iter().position(|tab| *tab == self).unwrap_or_default()
    }

    /// The view so many places on, and from the last again the first.
    fn on(self, places: usize) -> Self {
        Self::ALL[(self.at() + places) % Self::ALL.len()]
    }
}

/// What somebody looks at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screen {
    tab: Tab,
    /// The row that is chosen, of each view.
    chosen: [usize; Tab::ALL.len()],
    filter: String,
    /// Keys go into the filter.
    types: bool,
    helps: bool,
}

/// What a key asks of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    Look,
    Quit,
}

impl Screen {
    /// The run whose steps are to be shown: the one that is chosen among the runs, and elsewhere the one that goes on.
    pub(crate) fn run(&self, cluster: &Cluster) -> Option<String> {
        match self.tab {
            Tab::Runs => {
                let shown = self.sheet(cluster, 0).rows;
                let chosen = shown.get(self.row(shown.len()))?;
                chosen.cells.first().cloned()
            }
            _ => cluster.summary.running.clone(),
        }
    }

    /// Takes in a key.
    pub(crate) fn press(&mut self, key: KeyEvent, model: &Model) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Wish::Quit } else { Wish::Nothing };
        }
        if self.types {
            self.write(key.code);
            return Wish::Nothing;
        }
        let rows = self.sheet(&model.cluster, model.now).rows.len();
        let last = rows.saturating_sub(1);
        let row = self.row(rows);
        let chosen = &mut self.chosen[self.tab.at()];
        match key.code {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Char('r') => return Wish::Look,
            KeyCode::Char('?') => self.helps = !self.helps,
            KeyCode::Char('/') => (self.types, self.helps) = (true, false),
            KeyCode::Esc if self.helps => self.helps = false,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => self.tab = self.tab.on(1),
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => self.tab = self.tab.on(Tab::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='8') => self.tab = Tab::ALL[digit as usize - '1' as usize],
            KeyCode::Down | KeyCode::Char('j') => *chosen = (row + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => *chosen = row.saturating_sub(1),
            KeyCode::PageDown => *chosen = (row + 10).min(last),
            KeyCode::PageUp => *chosen = row.saturating_sub(10),
            KeyCode::Home | KeyCode::Char('g') => *chosen = 0,
            KeyCode::End | KeyCode::Char('G') => *chosen = last,
            _ => {}
        }
        Wish::Nothing
    }

    fn write(&mut self, key: KeyCode) {
        match key {
            KeyCode::Char(letter) => self.filter.push(letter),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Esc => (self.types, self.filter) = (false, String::new()),
            KeyCode::Enter | KeyCode::Tab => self.types = false,
            _ => {}
        }
        // What was chosen may not be there any more.
        self.chosen = Default::default();
    }

    /// The rows of this view that hold what is looked for.
    fn sheet(&self, cluster: &Cluster, now: u64) -> Sheet {
        let mut sheet = Sheet::of(self.tab, cluster, now);
        let wanted = self.filter.to_lowercase();
        sheet.rows.retain(|row| row.cells.iter().any(|cell| cell.to_lowercase().contains(&wanted)));
        sheet
    }

    /// The row that is chosen, of so many.
    fn row(&self, rows: usize) -> usize {
        self.chosen[self.tab.at()].min(rows.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests;
