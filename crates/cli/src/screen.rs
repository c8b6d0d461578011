//! Colours that mean something, and the words that every screen shares.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::arguments::Colour;
use crate::plain;

/// Good, done, new.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Changed, retried, worth a look.
pub(crate) const CARE: Style = AnsiColor::Yellow.on_default();
/// Wrong, gone, failed.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Headings.
pub(crate) const HEAD: Style = Style::new().bold();
/// What is there for those who look twice.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Pretend worlds.
pub(crate) const PRETEND: Style = AnsiColor::Magenta.on_default();

/// Follows the user's choice; `NO_COLOR` and the terminal decide otherwise.
pub(crate) fn choose_colour(colour: Colour) {
    let choice = match colour {
        Colour::Auto => anstream::ColorChoice::Auto,
        Colour::Always => anstream::ColorChoice::Always,
        Colour::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Text in a style.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Milliseconds as people say them: `850 ms`, `14.2 s`, `3 min 07 s`.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", milliseconds / 60_000, milliseconds % 60_000 / 1_000),
        _ => format!("{} h {:02} min", milliseconds / 3_600_000, milliseconds % 3_600_000 / 60_000),
    }
}

/// A number with its word: `1 step`, `3 steps`.
pub(crate) fn counted(number: usize, word: &str) -> String {
    let plural = match word.strip_suffix('y') {
        Some(stem) if !word.ends_with("ay") => format!("{stem}ies"),
        _ => format!("{word}s"),
    };
    if number == 1 { format!("1 {word}") } else { format!("{number} {plural}") }
}

/// How wide prose is: as the screen, but no narrower than people can read, and no wider than they like to.
pub(crate) fn width(columns: Option<usize>, otherwise: usize) -> usize {
    columns.map_or(otherwise, |columns| columns.clamp(LEAST.min(otherwise), otherwise))
}

/// Columns from which on nothing is torn apart.
const LEAST: usize = 60;
/// A terminal that does not tell its size.
const SCREEN: (usize, usize) = (80, 24);

/// How many columns standard output has, where a terminal or `COLUMNS` tells.
pub(crate) fn columns() -> Option<usize> {
    columns_of(std::io::stdout())
}

/// The same of standard error.
pub(crate) fn error_columns() -> Option<usize> {
    columns_of(std::io::stderr())
}

/// A terminal knows its size, also when it has just been made another; whoever reads elsewhere says in `COLUMNS` how much
/// room there is, as for `ls` and for our own help. Nobody says: then nothing is folded.
fn columns_of(stream: impl std::os::fd::AsFd) -> Option<usize> {
    // Who hears lines is at home in long ones.
    if plain::on() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
    size.filter(|columns| *columns > 0).or_else(said_columns)
}

fn said_columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.trim().parse().ok().filter(|columns| *columns > 0)
}

/// Text as it is printed: in words where that is asked for, and else in lines that a screen of so many columns has room for.
pub(crate) fn laid_out(text: String, columns: Option<usize>) -> String {
    match columns {
        _ if plain::on() => plain::shown(text),
        None => text,
        Some(columns) => {
            let lines = text.lines().map(|line| {
                let blanks = line.len() - line.trim_start().len();
                hung(line, &" ".repeat(blanks + 2), columns)
            });
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

/// How many columns a line takes.
pub(crate) fn wide(line: &str) -> usize {
    anstream::adapter::strip_str(line).to_string().width()
}

/// As much of a text, from its beginning, as so many columns have room for.
pub(crate) fn beginning(text: &str, columns: usize) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| text[..*end].width() <= columns).last().unwrap_or_default();
    &text[..end]
}

/// A text of at most so many columns; where something was cut off, `…` says so.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    match text.width() <= columns {
        true => text.to_string(),
        false if columns == 0 => String::new(),
        false => format!("{}…", beginning(text, columns - 1)),
    }
}

/// A text with blanks behind it, up to so many columns.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// A line in lines of at most so many columns. All but the first begin with `hang`. A word that is longer stays whole, and so
/// does a command between backticks: they are copied.
pub(crate) fn hung(line: &str, hang: &str, columns: usize) -> String {
    if wide(line) <= columns {
        return line.to_string();
    }
    let body = anstream::adapter::strip_str(line).to_string();
    let sign = body.find(char::is_alphanumeric).map_or(body.as_str(), |at| &body[..at]);
    let begins = sign.width().max(wide(hang));
    let (mut text, mut at) = (String::new(), 0);
    for word in words(line) {
        let seen = wide(word.trim_end());
        if at > begins && at + seen > columns {
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
            // A word that has no room so far to the right begins further to the left, but not on top of branches.
            let least = (wide(hang.trim_end()) + 1).min(wide(hang));
            let hang = beginning(hang, columns.saturating_sub(seen).clamp(least, wide(hang)));
            text.push_str(hang);
            at = wide(hang);
        }
        text.push_str(&word);
        at += wide(&word);
    }
    text
}

/// The words of a line, each with the blank after it.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for piece in line.split_inclusive(' ') {
        match words.last_mut().filter(|word| word.matches('`').count() % 2 == 1) {
            Some(command) => command.push_str(piece),
            None => words.push(piece.to_string()),
        }
    }
    words
}

/// How many columns and rows the terminal has.
pub(crate) fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    match size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row))) {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (columns, rows),
        _ => (said_columns().unwrap_or(SCREEN.0), SCREEN.1),
    }
}

/// Whether standard error is a screen on which things may be drawn again and again.
pub(crate) fn moves() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !plain::on() && !dumb && std::io::IsTerminal::is_terminal(&std::io::stderr())
}

/// Prose in lines of at most so many characters.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join("\n")
}

/// A path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+:@".contains(c));
    if plain && !path.is_empty() { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// A line of the answer could not be written, for another reason than that its reader has gone away.
static LOST: AtomicBool = AtomicBool::new(false);

/// Notes how writing a part of the answer went. A reader that has gone away is no failure of ours; a full disk is.
pub(crate) fn written(result: std::io::Result<()>) {
    if result.is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Whether a part of the answer was lost.
pub(crate) fn lost() -> bool {
    written(std::io::Write::flush(&mut std::io::stdout()));
    LOST.load(Ordering::Relaxed)
}

/// Prints a line of the answer, for people.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let text = $crate::screen::laid_out(format!($($words)*), $crate::screen::columns());
        $crate::screen::written(writeln!(anstream::stdout(), "{text}"));
    }};
}

/// Prints a line of the answer as it is: what programs read.
macro_rules! hand {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        $crate::screen::written(writeln!(anstream::stdout(), $($words)*));
    }};
}

/// Prints a line beside the answer.
macro_rules! remark {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let text = $crate::screen::laid_out(format!($($words)*), $crate::screen::error_columns());
        let _ = writeln!(anstream::stderr(), "{text}");
    }};
}

pub(crate) use {hand, remark, say};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_hangs_below_its_beginning() {
        assert_eq!(
            hung("├── + install loki into monitoring", "│     ", 20),
            "├── + install loki\n│     into\n│     monitoring"
        );
        let told = "→ `kubewright history --run last` shows it";
        assert_eq!(hung(told, "  ", 20), "→ `kubewright history --run last`\n  shows it");
        assert_eq!(hung("│   ├── file /a/long/path:", "│   │     ", 20), "│   ├── file\n│   │  /a/long/path:");
        assert_eq!(hung("short", "  ", 20), "short");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!((wide("数据库"), wide("🚀 go"), wide("é")), (6, 5, 1));
        assert_eq!(
            (cut("数据库", 6), cut("数据库", 5), cut("数据库", 4), cut("数", 0)),
            ("数据库".into(), "数据…".into(), "数…".into(), String::new())
        );
        assert_eq!(padded("数据", 6), "数据  ");
        assert_eq!(hung("+ 数据库 的 主机", "  ", 10), "+ 数据库\n  的 主机");
        assert_eq!(wrapped("数据库 的 主机", 9), "数据库 的\n主机");
    }

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted(Path::new("/a/b-c.yaml")), "/a/b-c.yaml");
        assert_eq!(quoted(Path::new("my dir/it's")), "'my dir/it'\\''s'");
    }
}
