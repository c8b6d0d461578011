//! Tables: a heading, a thin line, rows.

use comfy_table::{ContentArrangement, Table, presets};

use crate::screen::{HEAD, paint};

/// A table with these headings.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().map(|heading| paint(HEAD, heading)));
    table
}

/// The table's lines, without the blanks at their ends.
pub(crate) fn lines(table: &Table) -> String {
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
