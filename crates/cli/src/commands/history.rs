//! `kubewright history`.

use kubewright_report::{Language, run_report};

use super::documents::{form, render};
use super::{print_json, write};
use crate::arguments::{Arguments, History, Output};
use crate::problem::{Done, Problem};
use crate::screen::say;
use crate::source::{self, Reading};
use crate::view::history::{Past, row, unreadable};
use crate::view::progress::Progress;
use crate::view::table::{lines, table_keeping};
use crate::world::Site;

pub(super) fn run(arguments: &Arguments, history: &History) -> Result<Done, Problem> {
    let page = history.report.as_deref().map(|path| form(path).map(|form| (path, form))).transpose()?;
    let desired =
        source::read(&history.file, Reading { asks_hosts: false, ..Reading::of(arguments, history.output) })?.desired;
    let cluster = &desired.cluster;
    Site::look(arguments, &history.file, &desired, async |site| {
        let runs = site.engine.history(cluster)?;
        let Some(wanted) = &history.run else {
            let running = site.engine.running(cluster)?;
            let (mut rows, mut past) = (Vec::new(), Vec::new());
            for run in &runs {
                let records = site.engine.records(cluster, run);
                let running = running && runs.last() == Some(run);
                past.push(Past::of(run.as_str(), records.as_deref().ok(), running));
                // One that cannot be read hides no other.
                rows.push(match records {
                    Ok(records) => row(run.as_str(), &records, running),
                    Err(error) => unreadable(run.as_str(), &error.to_string()),
                });
            }
            return list(history, &past, rows);
        };
        let run = match wanted.as_str() {
            "last" => runs.last(),
            name => runs.iter().find(|run| run.as_str() == name),
        };
        let Some(run) = run else {
            let problem = Problem::new(Done::Usage, format!("there is no run `{wanted}` of {cluster}"));
            return Err(problem.hint("`kubewright history` lists the runs"));
        };
        let records = site.engine.records(cluster, run)?;
        if let Some((path, form)) = page {
            write(path, render(&run_report(&records, None, Language::En), form)?)?;
            return Ok(Done::Well);
        }
        match history.output {
            Output::Json => print_json(&records)?,
            Output::Text => {
                let mut progress = Progress::told();
                records.iter().for_each(|record| progress.hear(record));
                let rebuilds = super::rebuild::of(site, cluster)?;
                if let Some(at) = rebuilds.iter().position(|rebuilt| rebuilt.run == *run) {
                    super::rebuild::show(&rebuilds[..=at]);
                }
            }
        }
        Ok(Done::Well)
    })
}

fn list(history: &History, runs: &[Past], rows: Vec<[String; 5]>) -> Result<Done, Problem> {
    if history.output == Output::Json {
        print_json(&runs)?;
        return Ok(Done::Well);
    }
    if rows.is_empty() {
        say!("no runs yet");
        return Ok(Done::Well);
    }
    let mut list = table_keeping(&["RUN", "BEGAN", "ASKED", "ENDED", "TOOK"], &["RUN"]);
    list.add_rows(rows);
    say!("{}", lines(&list));
    Ok(Done::Well)
}
