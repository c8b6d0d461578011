//! Tables: a heading, a thin line, rows. Where the terminal is too narrow for that, each row is a block of its own.

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, presets};

use crate::plain;
use crate::screen::{HEAD, columns, hung, paint, wide};

/// A row that is broken into more lines than this is read more easily as a block.
const BROKEN: usize = 2;

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
    if plain::on() { blocks(table, usize::MAX) } else { folded(table, columns()) }
}

/// The table on a screen of so many columns; none for as wide as it is.
fn folded(table: &Table, columns: Option<usize>) -> String {
    let Some(columns) = columns else { return trimmed(table) };
    let mut narrow = table.clone();
    narrow.set_width(u16::try_from(columns).unwrap_or(u16::MAX));
    let drawn = trimmed(&narrow);
    let rows = table.row_iter().count() + 1;
    let high = table.row_iter().flat_map(Row::cell_iter).map(|cell| cell.content().lines().count()).max().unwrap_or(1);
    let fits = drawn.lines().all(|line| wide(line) <= columns);
    if fits && drawn.lines().count() <= rows * BROKEN.max(high) && whole_words(table, &drawn) {
        return drawn;
    }
    blocks(table, columns)
}

fn trimmed(table: &Table) -> String {
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Whether no word of the table was broken in two.
fn whole_words(table: &Table, drawn: &str) -> bool {
    let drawn = anstream::adapter::strip_str(drawn).to_string();
    let cells = table.header().into_iter().chain(table.row_iter()).flat_map(Row::cell_iter);
    let texts: Vec<String> = cells.map(|cell| anstream::adapter::strip_str(&cell.content()).to_string()).collect();
    texts.iter().flat_map(|text| text.split_whitespace()).all(|word| drawn.contains(word))
}

/// Each row as a block: its first word, and below it what the other columns say of it.
fn blocks(table: &Table, columns: usize) -> String {
    let texts = |row: &Row| row.cell_iter().map(|cell| cell.content()).collect::<Vec<String>>();
    let heads: Vec<String> = table.header().map(texts).unwrap_or_default();
    let widest = heads.iter().skip(1).map(|head| wide(head)).max().unwrap_or_default();
    let mut blocks = Vec::new();
    for row in table.row_iter() {
        let cells = texts(row);
        // A first column without a heading is a sign of how the row is, and belongs to what comes after it.
        let lead = if heads.first().is_some_and(|head| wide(head) == 0) { 2 } else { 1 };
        let name = cells.iter().take(lead).map(|cell| cell.trim()).collect::<Vec<_>>().join(" ");
        let mut block = if plain::on() && lead == 1 {
            vec![format!("{}: {name}", heads.first().map(String::as_str).unwrap_or_default())]
        } else {
            vec![name]
        };
        for (head, cell) in heads.iter().zip(&cells).skip(lead).filter(|(_, cell)| wide(cell.trim()) > 0) {
            let cell = cell.trim().lines().collect::<Vec<_>>().join(", ");
            let blanks = " ".repeat(widest.saturating_sub(wide(head)));
            block.push(match plain::on() {
                true => format!("  {head}: {cell}"),
                false => hung(&format!("  {head}{blanks}  {cell}"), &" ".repeat(widest + 4), columns),
            });
        }
        blocks.push(block.join("\n"));
    }
    blocks.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Table {
        let heads = ["NODE", "ROLE", "ADDRESS", "MACHINE", "HOST", "NODE STATE", "VERSION"];
        let mut nodes = table_keeping(&heads, &["NODE", "ADDRESS", "VERSION"]);
        let host = "Ubuntu 24.04.3 LTS";
        nodes.add_row(["k3s-server", "server", "192.168.1.40", "running", host, "Ready", "v1.33.5+k3s1"]);
        nodes.add_row(["k3s-agent-1", "agent", "192.168.1.41", "running", host, "Ready", "v1.33.5+k3s1"]);
        nodes
    }

    fn shown(columns: usize) -> String {
        anstream::adapter::strip_str(&folded(&nodes(), Some(columns))).to_string()
    }

    #[test]
    fn a_table_is_one_where_there_is_room_and_blocks_where_there_is_none() {
        assert_eq!(shown(140).lines().count(), 3);
        assert!(shown(140).lines().all(|line| line.contains("v1.33") || line.contains("NODE STATE")));
        insta::assert_snapshot!(shown(60), @r"
        k3s-server
          ROLE        server
          ADDRESS     192.168.1.40
          MACHINE     running
          HOST        Ubuntu 24.04.3 LTS
          NODE STATE  Ready
          VERSION     v1.33.5+k3s1
        k3s-agent-1
          ROLE        agent
          ADDRESS     192.168.1.41
          MACHINE     running
          HOST        Ubuntu 24.04.3 LTS
          NODE STATE  Ready
          VERSION     v1.33.5+k3s1
        ");
        for columns in [40, 60, 80, 100, 140] {
            let text = shown(columns);
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
            assert!(text.matches("192.168.1.4").count() == 2 && text.matches("v1.33.5+k3s1").count() == 2, "{text}");
        }
    }
}
