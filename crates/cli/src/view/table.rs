//! Tables: a heading, a thin line, rows.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

use crate::screen::{HEAD, paint};

/// A table with these headings.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().map(|heading| paint(HEAD, heading)));
    table
}

/// The same, with columns whose words are broken by no screen: names and addresses that are copied.
pub(crate) fn table_keeping(headings: &[&str], kept: &[&str]) -> Table {
    let mut table = table(headings);
    let columns = headings.iter().zip(table.column_iter_mut());
    for (_, column) in columns.filter(|(heading, _)| kept.contains(heading)) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// The table's lines, without the blanks at their ends.
pub(crate) fn lines(table: &Table) -> String {
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
