//! The timer of this computer that makes bundles: everything that a bundle is made of is here, and no key that opens one has
//! to lie on a host.

use std::path::Path;

use kubewright_engine::backup::{self, Asked, hours};

use super::{now, place, unsaved};
use crate::arguments::backup::Timer as Wish;
use crate::arguments::{Arguments, Output};
use crate::commands::timer::Timer;
use crate::problem::{Done, Problem};
use crate::source::{self, Reading};

pub(super) fn run(arguments: &Arguments, wish: &Wish) -> Result<Done, Problem> {
    Timer::has_a_file(&wish.file)?;
    let reading = Reading { asks_hosts: false, ..Reading::of(arguments, Output::Text) };
    let loadout = source::read(&wish.file, reading)?;
    let Some(backup) = &loadout.file.spec.backup else {
        return Err(
            Problem::new(Done::Blocked, "the spec does not say when").hint("write `backup.schedule` in the spec")
        );
    };
    // Nobody is there to read it when a bundle has no place, or is for nobody.
    let asked = Asked {
        now: now(),
        environment: arguments.environment.clone().filter(|name| !name.is_empty()),
        folder: place(arguments, &wish.file, None)?,
        files: Vec::new(),
    };
    let folder = wish.file.parent().unwrap_or(Path::new(""));
    backup::bundle(&loadout, folder, &asked).map_err(unsaved)?;
    let cluster = &loadout.desired.cluster;
    let calendar: Vec<String> = hours(backup).iter().map(|event| format!("OnCalendar={event}\n")).collect();
    let timer = Timer {
        name: format!("kubewright-backup-{cluster}"),
        does: [format!("A bundle of the cluster {cluster}"), format!("Makes bundles of the cluster {cluster}")],
        file: &wish.file,
        command: "backup --yes",
        unit: "StartLimitIntervalSec=50min\nStartLimitBurst=4\n",
        // 6 is what it ends with while another run holds the lock, and 1, 5 and 7 where nobody answers, as before a network is
        // there: each is tried again three times, and never beyond the next hour. What 2, 3, 4, 70 and 130 tell of stays so.
        service: "Restart=on-failure\nRestartPreventExitStatus=2 3 4 70 130\nRestartSec=10min\n",
        // A computer that was off at that hour makes it up when it is on again.
        timer: format!("{}Persistent=true\nRandomizedDelaySec=2min\n", calendar.concat()),
    };
    timer.show(arguments, wish.install)
}
