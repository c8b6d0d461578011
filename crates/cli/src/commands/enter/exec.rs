//! `kubewright exec`: a program on many hosts at once.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, StreamExt as _};
use kubewright_engine::{HostError, Hosts, Piece, Program};
use kubewright_model::desired::DesiredHost;
use serde_json::json;

use super::chosen;
use crate::arguments::{Arguments, Exec, Output};
use crate::commands::print_json;
use crate::problem::{Done, Problem};
use crate::screen::{BAD, DIM, GOOD, hand, paint, remark, written};
use crate::source::{self, Reading};
use crate::view::table::{lines, table};
use crate::world::Site;

/// Hosts that are at it together; every one is a connection.
const TOGETHER: usize = 64;

/// What became of it on a host.
struct Ended<'h> {
    host: &'h DesiredHost,
    status: Result<Option<u32>, HostError>,
    out: String,
    err: String,
}

impl Ended<'_> {
    fn is_well(&self) -> bool {
        matches!(self.status, Ok(Some(0)))
    }

    fn words(&self) -> String {
        match &self.status {
            Ok(Some(status)) => status.to_string(),
            Ok(None) => "the connection ended first".into(),
            Err(error) => error.to_string(),
        }
    }
}

pub(crate) fn run(arguments: &Arguments, wish: &Exec) -> Result<Done, Problem> {
    let desired = source::read(&wish.file, Reading::of(arguments, wish.output))?.desired;
    let hosts = chosen(&desired, &wish.on)?;
    let mut input = Vec::new();
    if wish.stdin {
        let read = std::io::stdin().lock().read_to_end(&mut input);
        read.map_err(|error| Problem::new(Done::Usage, "cannot read standard input").because(error.to_string()))?;
    }
    let deadline = Some(wish.timeout.duration());
    let program = Program { words: wish.command.clone(), sudo: wish.sudo, input: Arc::from(input), deadline };
    let ended = Site::look(arguments, &wish.file, &desired, async |site| {
        let hands = site.engine.hosts(&desired).await.map_err(|why| Problem::new(Done::Unfinished, why))?;
        Ok(everywhere(&*hands, &hosts, &program, wish.output).await)
    })?;
    match wish.output {
        Output::Text => told(&ended),
        Output::Json => {
            let one = |ended: &Ended<'_>| {
                let error = ended.status.as_ref().err().map(ToString::to_string);
                let status = ended.status.as_ref().ok().copied().flatten();
                json!({ "node": ended.host.name, "status": status, "error": error, "stdout": ended.out, "stderr": ended.err })
            };
            print_json(&ended.iter().map(one).collect::<Vec<_>>())?;
        }
    }
    Ok(if ended.iter().all(Ended::is_well) { Done::Well } else { Done::Unfinished })
}

/// Runs it on each, and says what each says line by line.
async fn everywhere<'h>(
    hands: &dyn Hosts,
    hosts: &[&'h DesiredHost],
    program: &Program,
    output: Output,
) -> Vec<Ended<'h>> {
    let width = hosts.iter().map(|host| host.name.as_str().len()).max().unwrap_or_default();
    let runs = hosts.iter().map(|host| async move {
        let heard = Mutex::new(Heard::new(output == Output::Json));
        let hears = |piece: Piece<'_>| {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.take(piece, |line, error| {
                if output == Output::Text {
                    print(&format!("{:<width$}", host.name.as_str()), line, error);
                }
            });
        };
        let status = hands.exec(&host.name, &host.way, program, &hears).await;
        let mut heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
        if output == Output::Text {
            heard.rest(|line, error| print(&format!("{:<width$}", host.name.as_str()), line, error));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { host, status, out: text(&heard.out.all), err: text(&heard.err.all) }
    });
    stream::iter(runs).buffered(TOGETHER).collect().await
}

/// A line of a host, behind its name. Signs that move a cursor would write over those of others.
fn print(name: &str, line: &str, error: bool) {
    let line: String = line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
    match error {
        false => hand!("{} {line}", paint(DIM, format!("{name} |"))),
        true => {
            let mut err = anstream::stderr().lock();
            written(writeln!(err, "{} {line}", paint(DIM, format!("{name} !"))));
        }
    }
}

/// Shows how it ended on each, where that is not well everywhere.
fn told(ended: &[Ended<'_>]) {
    let bad = ended.iter().filter(|ended| !ended.is_well()).count();
    if bad == 0 {
        return;
    }
    let mut all = table(&["NODE", "EXIT"]);
    for ended in ended {
        let style = if ended.is_well() { GOOD } else { BAD };
        all.add_row(vec![ended.host.name.to_string(), paint(style, ended.words())]);
    }
    remark!("{}", lines(&all));
    for ended in ended {
        if let Some(help) = ended.status.as_ref().err().and_then(HostError::help) {
            remark!("→ {}: {help}", ended.host.name);
        }
    }
}

/// What a host has said so far.
#[derive(Default)]
struct Heard {
    out: Lines,
    err: Lines,
}

#[derive(Default)]
struct Lines {
    all: Vec<u8>,
    /// How much of it has been shown.
    shown: usize,
    /// How much of it has been searched for the end of a line.
    searched: usize,
    /// What was shown is asked for again at the end.
    keeps: bool,
}

impl Heard {
    /// One that keeps what it hears, or lets go of what it has shown: who talks for hours must not fill the memory.
    fn new(keeps: bool) -> Self {
        let lines = || Lines { keeps, ..Lines::default() };
        Self { out: lines(), err: lines() }
    }

    fn take(&mut self, piece: Piece<'_>, mut show: impl FnMut(&str, bool)) {
        match piece {
            Piece::Out(bytes) => self.out.take(bytes, |line| show(line, false)),
            Piece::Err(bytes) => self.err.take(bytes, |line| show(line, true)),
        }
    }

    fn rest(&mut self, mut show: impl FnMut(&str, bool)) {
        self.out.rest(|line| show(line, false));
        self.err.rest(|line| show(line, true));
    }
}

impl Lines {
    /// Shows the lines that are whole.
    fn take(&mut self, bytes: &[u8], mut show: impl FnMut(&str)) {
        self.all.extend_from_slice(bytes);
        while let Some(end) = self.all.iter().skip(self.searched).position(|byte| *byte == b'\n') {
            let end = self.searched + end;
            let line = String::from_utf8_lossy(&self.all[self.shown..end]).trim_end_matches('\r').to_string();
            self.shown = end + 1;
            self.searched = self.shown;
            show(&line);
        }
        if !self.keeps {
            self.all.drain(..self.shown);
            self.shown = 0;
        }
        self.searched = self.all.len();
    }

    /// Shows a last line without an end.
    fn rest(&mut self, mut show: impl FnMut(&str)) {
        if let Some(rest) = self.all.get(self.shown..).filter(|rest| !rest.is_empty()) {
            show(&String::from_utf8_lossy(rest));
            self.shown = self.all.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_whole() {
        let (mut heard, mut shown) = (Heard::default(), Vec::new());
        for piece in [Piece::Out(b"one\ntw"), Piece::Err(b"oh\r\n"), Piece::Out(b"o\n\nend")] {
            heard.take(piece, |line, error| shown.push((line.to_string(), error)));
        }
        heard.rest(|line, error| shown.push((line.to_string(), error)));
        let words: Vec<(&str, bool)> = shown.iter().map(|(line, error)| (line.as_str(), *error)).collect();
        assert_eq!((heard.out.all.len(), heard.err.all.len()), (3, 0), "what was shown is let go");
        assert_eq!(words, [("one", false), ("oh", true), ("two", false), ("", false), ("end", false)]);
    }

    #[test]
    fn what_is_asked_for_as_a_whole_is_kept() {
        let mut heard = Heard::new(true);
        heard.take(Piece::Out(b"one\ntwo"), |_, _| {});
        assert_eq!(heard.out.all, b"one\ntwo");
    }
}
