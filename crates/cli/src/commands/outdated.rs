//! `kubewright outdated`: what is behind.

use kubewright_model::behind::{Behind, Outdated};
use kubewright_model::desired::{Desired, OsUpdates};
use kubewright_model::plan::Weight;

use super::print_json_of;
use crate::arguments::{Arguments, Output, fleet};
use crate::problem::{Done, Problem};
use crate::screen::{CARE, DIM, GOOD, counted, paint, remark, say};
use crate::source::{self, Reading};
use crate::view::table;
use crate::world::{Site, now};

pub(super) fn run(arguments: &Arguments, asked: &fleet::Outdated) -> Result<Done, Problem> {
    let loadout = source::read(&asked.file, Reading::of(arguments, asked.output))?;
    let desired = Desired { os_updates: OsUpdates::Look, ..loadout.desired.clone() };
    let found = Site::look(arguments, &asked.file, &desired, async |site| {
        if asked.refresh {
            let names: Vec<_> = desired.hosts.iter().filter_map(|host| host.machine.clone()).collect();
            refreshed(site, &desired, &names).await;
        }
        let mut found = site.engine.outdated(&desired, now()).await;
        if let Some(newest) = super::backup::newest(arguments, &loadout, site).await {
            found.behind.extend(newest.behind());
            found.unseen.extend(newest.unseen());
        }
        Ok(found)
    })?;
    match asked.output {
        Output::Text => show(&found),
        Output::Json => print_json_of(arguments.simulated.is_some(), &found)?,
    }
    Ok(if asked.exit_code && !found.behind.is_empty() { Done::Pending } else { Done::Well })
}

/// Has hosts fetch new lists of packages, and tells of those that could not.
pub(super) async fn refreshed(site: &Site<'_>, desired: &Desired, names: &[kubewright_model::ids::NodeName]) {
    remark!("{}", paint(DIM, format!("fetching new lists of packages on {}", counted(names.len(), "host"))));
    for (host, why) in site.engine.refresh(desired, names).await {
        remark!("{} {host} goes by the lists that it has: {why}", paint(CARE, "!"));
    }
}

/// So many nodes are named in a row; more stand below the table.
const NAMED: usize = 2;

fn show(found: &Outdated) {
    if found.behind.is_empty() {
        say!("{}", paint(GOOD, "✓ nothing is behind"));
    } else {
        let mut named = Vec::new();
        let mut table = table::table_keeping(&["WHAT", "WHERE", "RUNS", "NEWEST", "HOW"], &["WHERE", "HOW"]);
        for rows in found.behind.chunk_by(alike) {
            let Some(row) = rows.first() else { continue };
            let mark = if row.weight == Weight::Warns { paint(CARE, &row.what) } else { row.what.clone() };
            let places: Vec<&str> = rows.iter().map(|row| row.place.as_str()).collect();
            let mut place = places.join(", ");
            if rows.len() > NAMED {
                let many = counted(rows.len(), "node");
                named.push(format!("{many} with {} {}: {place}", row.what, row.runs));
                place = many;
            }
            table.add_row([&mark, &place, &row.runs, &row.newest, &row.how]);
        }
        say!("{}", table::lines(&table));
        named.iter().for_each(|nodes| say!("{}", paint(DIM, nodes)));
    }
    for unseen in &found.unseen {
        say!("{} {unseen}", paint(CARE, "?"));
    }
    say!("{}", paint(DIM, format!("versions as this program knows them: {}", found.known)));
}

/// Whether two rows say the same of two places.
fn alike(one: &Behind, other: &Behind) -> bool {
    let told = |row: &Behind| Behind { place: String::new(), ..row.clone() };
    told(one) == told(other)
}
