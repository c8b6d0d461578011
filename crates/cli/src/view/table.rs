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
    if let Some(drawn) = drawn(table, columns) {
        return drawn;
    }
    let fewer = without_alike(table).and_then(|(fewer, alike)| Some((drawn(&fewer, columns)?, alike)));
    match fewer {
        Some((drawn, alike)) => format!("{drawn}\n{}", hung(&format!(" all: {alike}"), "   ", columns)),
        None => blocks(table, columns),
    }
}

/// The table, if it is still one on a screen of so many columns.
fn drawn(table: &Table, columns: usize) -> Option<String> {
    let mut narrow = table.clone();
    narrow.set_width(u16::try_from(columns).unwrap_or(u16::MAX));
    let drawn = trimmed(&narrow);
    let rows = table.row_iter().count() + 1;
    let high = table.row_iter().flat_map(Row::cell_iter).map(|cell| cell.content().lines().count()).max().unwrap_or(1);
    let fits = drawn.lines().all(|line| wide(line) <= columns);
    let is_one = fits && drawn.lines().count() <= rows * BROKEN.max(high) && whole_words(table, &drawn);
    is_one.then_some(drawn)
}

/// The table without the columns in which all rows say the same, and what they say; none where there is no such column.
fn without_alike(table: &Table) -> Option<(Table, String)> {
    let texts = |row: &Row| row.cell_iter().map(|cell| cell.content()).collect::<Vec<String>>();
    let heads = texts(table.header()?);
    let rows: Vec<Vec<String>> = table.row_iter().map(texts).collect();
    let lead = lead(&heads);
    let is_alike =
        |at: &usize| *at >= lead && rows.len() > 1 && rows.iter().all(|row| row.get(*at) == rows[0].get(*at));
    let (alike, kept): (Vec<usize>, Vec<usize>) = (0..heads.len()).partition(is_alike);
    let one_line = alike.iter().all(|at| rows[0].get(*at).is_some_and(|cell| !cell.contains('\n')));
    if alike.is_empty() || !one_line {
        return None;
    }
    let mut fewer = Table::new();
    fewer.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    fewer.set_header(kept.iter().map(|at| &heads[*at]));
    fewer.add_rows(rows.iter().map(|row| kept.iter().map(|at| row.get(*at).cloned().unwrap_or_default())));
    for (column, at) in fewer.column_iter_mut().zip(&kept) {
        if let Some(constraint) = table.column(*at).and_then(|column| column.constraint()) {
            column.set_constraint(*constraint);
        }
    }
    let said = alike.iter().filter(|at| wide(&rows[0][**at]) > 0);
    let said = said.map(|at| format!("{} {}", heads[*at], rows[0][*at]));
    Some((fewer, said.collect::<Vec<_>>().join(" · ")))
}

/// How many columns name a row. A first one without a heading is a sign of how the row is, and belongs to what comes after it.
fn lead(heads: &[String]) -> usize {
    if heads.first().is_some_and(|head| wide(head) == 0) { 2 } else { 1 }
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
        let lead = lead(&heads);
        let name = cells.iter().take(lead).map(|cell| cell.trim()).collect::<Vec<_>>().join(" ");
        let mut block = if plain::on() && lead == 1 {
            vec![format!("{}: {name}", heads.first().map(String::as_str).unwrap_or_default())]
        } else {
            vec![name]
        };
        // A row without a sign heads those below it, and what it says needs no heading of its own.
        let told: Vec<&str> = cells.iter().skip(lead).map(|cell| cell.trim()).filter(|cell| wide(cell) > 0).collect();
        if let (2, [only], Some("")) = (lead, told.as_slice(), cells.first().map(|sign| sign.trim())) {
            blocks.push(format!("{}  {only}", block[0].trim()));
            continue;
        }
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
        nodes_on("Ubuntu 24.04.3 LTS", "Debian 13")
    }

    fn nodes_on(host: &str, other: &str) -> Table {
        let heads = ["NODE", "ROLE", "ADDRESS", "MACHINE", "HOST", "NODE STATE", "VERSION"];
        let mut nodes = table_keeping(&heads, &["NODE", "ADDRESS", "VERSION"]);
        nodes.add_row(["k3s-server", "server", "192.168.1.40", "running", host, "Ready", "v1.33.5+k3s1"]);
        nodes.add_row(["k3s-agent-1", "agent", "192.168.1.41", "stopped", other, "NotReady", "v1.33.4+k3s1"]);
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
          MACHINE     stopped
          HOST        Debian 13
          NODE STATE  NotReady
          VERSION     v1.33.4+k3s1
        ");
        for columns in [40, 60, 80, 100, 140] {
            let text = shown(columns);
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
            assert!(text.matches("192.168.1.4").count() == 2 && text.matches("v1.33.").count() == 2, "{text}");
        }
    }
    #[test]
    fn what_all_rows_say_is_said_once_where_there_is_no_room() {
        let mut nodes =
            table_keeping(&["NODE", "ADDRESS", "HOST", "NODE STATE", "NOTE", "VERSION"], &["NODE", "ADDRESS"]);
        for (name, address) in [("k3s-server", "192.168.1.40"), ("k3s-agent-1", "192.168.1.41")] {
            nodes.add_row([name, address, "Ubuntu 24.04.3 LTS", "Ready", "", "v1.33.5+k3s1"]);
        }
        let shown = |columns| anstream::adapter::strip_str(&folded(&nodes, Some(columns))).to_string();
        assert_eq!(shown(100).lines().count(), 3);
        insta::assert_snapshot!(shown(40), @r"
        NODE         ADDRESS
        k3s-server   192.168.1.40
        k3s-agent-1  192.168.1.41
        all: HOST Ubuntu 24.04.3 LTS · NODE
          STATE Ready · VERSION v1.33.5+k3s1
        ");
    }

    #[test]
    fn a_row_that_heads_others_is_one_line() {
        let mut checks = table(&["", "CHECK", "SEEN", "TOOK"]);
        checks.add_row(["", "Add-ons", "1/1", ""]);
        checks.add_row(["✓", "release loki", "the pods of loki run in monitoring", "30 ms"]);
        let shown = anstream::adapter::strip_str(&folded(&checks, Some(20))).to_string();
        assert_eq!(shown.lines().take(2).collect::<Vec<_>>(), ["Add-ons  1/1", "✓ release loki"], "{shown}");
    }

    #[test]
    fn wide_characters_keep_their_columns_apart() {
        let mut names = table(&["名前", "WHAT IT IS FOR"]);
        names.add_row(["数据库 🚀", "全角文字 で 書かれた 説明文 です"]);
        names.add_row(["web", "short"]);
        for columns in [36, 44, 60] {
            let shown = folded(&names, Some(columns));
            assert!(shown.lines().all(|line| wide(line) <= columns), "{columns}:\n{shown}");
        }
        insta::assert_snapshot!(anstream::adapter::strip_str(&folded(&names, Some(36))).to_string(), @r"
        名前       WHAT IT IS FOR
        数据库 🚀  全角文字 で 書かれた
                   説明文 です
        web        short
        ");
    }
}
