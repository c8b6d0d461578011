//! The picture: a title, the views, what this one shows, what is known of the row that is chosen, and the keys.

use anstyle::{AnsiColor, Color, Effects};
use kubewright_server::shapes::State;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color as Shade, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};

use super::sheet::{Row, Sheet, away, word};
use super::{Model, Screen, Tab};
use crate::screen::{cut, padded, wide};
use crate::view::progress::tree::{Moment, Room, Tree};

/// Columns and rows below which nothing is told apart.
pub(crate) const LEAST: (u16, u16) = (60, 20);

/// No column but the last is wider.
const WIDEST: usize = 28;

/// Every key, and what it does.
const KEYS: [(&str, &str); 10] = [
    ("tab, right, l", "the next view"),
    ("shift-tab, left, h", "the view before"),
    ("1 to 8", "this view"),
    ("down, j; up, k", "the next row; the row before"),
    ("page down; page up", "ten rows at once"),
    ("g, home; G, end", "the first row; the last row"),
    ("/", "only rows with these letters; enter keeps them, esc forgets"),
    ("r", "look again now"),
    ("?", "these keys"),
    ("q, ctrl-c", "end"),
];

/// A column that is cut to fewer characters than this tells nothing.
const SLIVER: usize = 6;

/// Draws what is known as somebody looks at it.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model, screen: &Screen) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let words = format!(
            "this terminal has {}×{} characters, and top needs {}×{}; q ends",
            area.width, area.height, LEAST.0, LEAST.1
        );
        frame.render_widget(Paragraph::new(words).wrap(Wrap { trim: true }), area);
        return;
    }
    let [title, tabs, body, keys] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)])
            .areas(area);
    let columns = usize::from(area.width);
    frame.render_widget(Paragraph::new(headline(model, columns)), title);
    frame.render_widget(Paragraph::new(views(screen)), tabs);
    if screen.helps {
        help(frame, body);
    } else {
        show(frame, body, model, screen);
    }
    frame.render_widget(Paragraph::new(foot(screen, columns)), keys);
}

/// The cluster, and when it was looked at.
fn headline(model: &Model, columns: usize) -> Line<'static> {
    let summary = &model.cluster.summary;
    let looked = match (summary.looking, summary.looked_at) {
        (true, _) => "looks…".to_string(),
        (false, Some(at)) => format!("looked {}", away(at, model.now)),
        (false, None) => String::new(),
    };
    let name = if summary.simulated { format!("{} (simulated)", summary.name) } else { summary.name.clone() };
    // The version is Kubernetes' own, and Talos has another.
    let runs = if summary.distribution == "talos" { "talos, Kubernetes" } else { summary.distribution.as_str() };
    let facts = format!(" · {} of {} Ready · {runs} {}", summary.nodes_ready, summary.nodes, summary.version);
    let room = columns.saturating_sub(wide(&looked) + 1);
    let name = cut(&name, room);
    let facts = cut(&facts, room.saturating_sub(wide(&name)));
    let gap = (columns).saturating_sub(wide(&name) + wide(&facts) + wide(&looked));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    Line::from(vec![Span::styled(name, bold), Span::raw(facts), Span::raw(" ".repeat(gap)), Span::raw(looked)])
}

fn views(screen: &Screen) -> Line<'static> {
    let mut spans = Vec::new();
    for tab in Tab::ALL {
        let style = match tab == screen.tab {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new().add_modifier(Modifier::DIM),
        };
        spans.push(Span::styled(tab.name(), style));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

fn foot(screen: &Screen, columns: usize) -> String {
    let words = match (screen.types, screen.filter.as_str()) {
        (true, filter) => format!("/{filter}▏ enter keeps it, esc forgets it"),
        (false, "") => "tab view · ↑↓ row · / filter · r look · ? keys · q end".to_string(),
        (false, filter) => format!("only rows with “{filter}” · esc all · / another · q end"),
    };
    cut(&words, columns)
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let lines: Vec<Line<'_>> = KEYS.iter().map(|(keys, does)| Line::from(format!("{keys:<20} {does}"))).collect();
    frame.render_widget(Clear, area);
    let block = Block::new().borders(Borders::TOP).title("Keys");
    frame.render_widget(Paragraph::new(lines).block(block).wrap(Wrap { trim: false }), area);
}

/// The rows of a view, and below them what belongs to the one that is chosen: its words in full, or the run's tree.
fn show(frame: &mut Frame<'_>, area: Rect, model: &Model, screen: &Screen) {
    let sheet = screen.sheet(&model.cluster, model.now);
    let chosen = screen.row(sheet.rows.len());
    let runs = screen.tab == Tab::Runs;
    if sheet.rows.is_empty() {
        return table(frame, area, (&sheet, chosen), model, screen);
    }
    let below = if runs { area.height * 3 / 5 } else { (area.height / 3).clamp(5, 9) };
    let [top, bottom] = Layout::vertical([Constraint::Min(3), Constraint::Length(below)]).areas(area);
    table(frame, top, (&sheet, chosen), model, screen);
    let columns = usize::from(bottom.width);
    let (name, lines) = match (&model.run, sheet.rows.get(chosen)) {
        (Some(run), _) if runs => {
            let summary = &run.summary;
            (
                format!(" {} · {} of {} steps ", summary.run, summary.done + summary.already, summary.steps),
                tree(model, bottom),
            )
        }
        (_, Some(row)) => (format!(" {} ", row.cells[0]), facts(&sheet, row, model.colour)),
        (_, None) => (String::new(), Vec::new()),
    };
    let block = Block::new().borders(Borders::TOP).title(cut(&name, columns.saturating_sub(2)));
    let text = Paragraph::new(lines).block(block);
    frame.render_widget(if runs { text } else { text.wrap(Wrap { trim: false }) }, bottom);
}

fn table(frame: &mut Frame<'_>, area: Rect, (sheet, chosen): (&Sheet, usize), model: &Model, screen: &Screen) {
    let block = Block::new().borders(Borders::TOP).title(format!(" {} ", screen.tab.name()));
    let filtered = !screen.filter.is_empty();
    let fault = model.cluster.summary.fault.iter().map(|why| Line::from(format!("cannot be looked at: {why}")));
    let mut lines: Vec<Line<'_>> = fault.collect();
    if sheet.rows.is_empty() {
        lines.push(Line::from(match model.cluster.summary.looked_at {
            _ if filtered => "no row has these letters",
            None => "looks…",
            Some(_) => sheet.empty,
        }));
        frame.render_widget(Paragraph::new(lines).block(block).wrap(Wrap { trim: true }), area);
        return;
    }
    let columns = usize::from(area.width);
    let widths = widths(sheet);
    let head: Vec<String> = sheet.heads.iter().map(ToString::to_string).collect();
    lines.push(Line::from(Span::styled(
        cells(&head, 0, &widths, columns - 2),
        Style::new().add_modifier(Modifier::BOLD),
    )));
    // One row is the border's.
    let room = usize::from(area.height).saturating_sub(1 + lines.len()).max(1);
    let first = (chosen + 1).saturating_sub(room);
    for (at, row) in sheet.rows.iter().enumerate().skip(first).take(room) {
        let style = if at == chosen { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        let sign = Span::styled(sign(row.state), shade(row.state, model.colour));
        lines.push(Line::from(vec![sign, Span::styled(cells(&row.cells, row.depth, &widths, columns - 2), style)]));
    }
    if let Some(heading) = lines.get_mut(model.cluster.summary.fault.iter().count()) {
        heading.spans.insert(0, Span::raw("  "));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// How wide each column is.
fn widths(sheet: &Sheet) -> Vec<usize> {
    let of = |at: usize| {
        let cells = sheet.rows.iter().filter_map(|row| Some(wide(row.cells.get(at)?) + extra(row, at)));
        let widest = cells.chain([sheet.heads[at].len()]).max().unwrap_or_default();
        if at + 1 == sheet.heads.len() { widest } else { widest.min(WIDEST) }
    };
    (0..sheet.heads.len()).map(of).collect()
}

/// What stands in, stands in by its first column.
fn extra(row: &Row, column: usize) -> usize {
    if column == 0 { row.depth * 2 } else { 0 }
}

fn cells(cells: &[String], depth: usize, widths: &[usize], columns: usize) -> String {
    let mut line = "  ".repeat(depth);
    // Of a last column that has next to no room nothing can be read; all of it stands below the list.
    let before: usize = widths.iter().rev().skip(1).map(|wide| wide + 2).sum();
    let last = widths.last().copied().unwrap_or_default();
    let shown = if before + last.min(SLIVER) > columns { widths.len() - 1 } else { widths.len() };
    for (at, (cell, wide)) in cells.iter().zip(widths).take(shown).enumerate() {
        let wide = wide.saturating_sub(if at == 0 { depth * 2 } else { 0 });
        line += &padded(&cut(cell, wide), wide + 2);
    }
    cut(line.trim_end(), columns)
}

/// All that is known of a row.
fn facts(sheet: &Sheet, row: &Row, colour: bool) -> Vec<Line<'static>> {
    let mut lines =
        vec![Line::from(vec![Span::styled(sign(row.state), shade(row.state, colour)), Span::raw(word(row.state))])];
    let named = sheet.heads.iter().zip(&row.cells).skip(1).filter(|(head, cell)| !cell.is_empty() && **head != "STATE");
    lines.extend(named.map(|(head, cell)| Line::from(format!("{}: {cell}", head.to_lowercase()))));
    if let Some(at) = sheet.heads.iter().position(|head| *head == "STATE")
        && row.cells[at] != word(row.state)
    {
        lines[0].spans.push(Span::raw(format!(": {}", row.cells[at])));
    }
    lines.extend(row.more.iter().filter(|more| !more.is_empty()).map(|more| Line::from(more.clone())));
    lines
}

/// A run as its tree.
fn tree(model: &Model, area: Rect) -> Vec<Line<'static>> {
    let Some(run) = &model.run else { return Vec::new() };
    let summary = &run.summary;
    let since = model.now.saturating_sub(summary.wall).saturating_mul(1_000);
    // A pretend clock is not ours.
    let at = if summary.end.is_none() && !summary.simulated { since.max(summary.took) } else { summary.took };
    let room = Room { rows: usize::from(area.height).saturating_sub(1), columns: usize::from(area.width) };
    let lines = Tree::of_run(run).lines(room, Moment { at, frame: model.frame });
    let spans = lines.iter().map(|line| line.pieces(room.columns)).map(|pieces| {
        let spans = pieces.into_iter().map(|(style, text)| Span::styled(text, styled(style, model.colour)));
        Line::from(spans.collect::<Vec<_>>())
    });
    spans.collect()
}

/// A style of other screens on this one.
fn styled(style: anstyle::Style, colour: bool) -> Style {
    let mut styled = Style::new();
    if colour {
        styled = match style.get_fg_color() {
            Some(Color::Ansi(AnsiColor::Green)) => styled.fg(Shade::Green),
            Some(Color::Ansi(AnsiColor::Yellow)) => styled.fg(Shade::Yellow),
            Some(Color::Ansi(AnsiColor::Red)) => styled.fg(Shade::Red),
            Some(Color::Ansi(AnsiColor::Magenta)) => styled.fg(Shade::Magenta),
            _ => styled,
        };
    }
    if style.get_effects().contains(Effects::DIMMED) {
        styled = styled.add_modifier(Modifier::DIM);
    }
    if style.get_effects().contains(Effects::BOLD) { styled.add_modifier(Modifier::BOLD) } else { styled }
}

fn sign(state: State) -> &'static str {
    match state {
        State::Good => "✓ ",
        State::Care => "! ",
        State::Bad => "✗ ",
        State::Unknown => "? ",
    }
}

fn shade(state: State, colour: bool) -> Style {
    match state {
        _ if !colour => Style::new(),
        State::Good => Style::new().fg(Shade::Green),
        State::Care => Style::new().fg(Shade::Yellow),
        State::Bad => Style::new().fg(Shade::Red).add_modifier(Modifier::BOLD),
        State::Unknown => Style::new().fg(Shade::Magenta),
    }
}
