//! Commands by which a cluster goes back to what was saved of it: `restore`, `rebuild --restore`, and a rehearsal on machines that
//! are thrown away.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::Path;

use kubewright_engine::RunReport;
use kubewright_model::desired::{Desired, Saved};
use kubewright_model::event::RunEnd;
use kubewright_model::plan::Ask;

use super::{Wish, carry_out, whole};
use crate::arguments::fleet::Hours;
use crate::arguments::restore::Restore;
use crate::arguments::{Arguments, Output, Rebuild};
use crate::commands::airgap;
use crate::commands::restore::{self as back, Copy, Named};
use crate::problem::{Done, Problem};
use crate::source::{self, Reading};
use crate::view::plan::Detail;
use crate::world::Site;

/// What is said of going back to what was saved.
#[derive(Default)]
pub(super) struct GoesBack {
    /// The bundle that is gone back to.
    pub(super) bundle: Option<File>,
    /// The cluster, as whoever means it has named it.
    pub(super) cluster: Option<String>,
    /// The bundle is of another cluster, and this one is thrown away.
    pub(super) elsewhere: bool,
}

pub(in crate::commands) fn rebuild(arguments: &Arguments, rebuild: &Rebuild) -> Result<Done, Problem> {
    let change = &rebuild.change;
    let loadout = source::read(&change.file, Reading::of(arguments, change.output))?;
    let (without_backup, from_scratch) = (rebuild.without_backup, rebuild.from_scratch);
    let named = rebuild.restore.as_deref().map(|word| back::named(arguments, word, &loadout, &change.file, None));
    let named = named.transpose()?;
    let restores = named.as_ref().map(Named::saved);
    let desired = airgap::by(arguments, &change.file, rebuild.bundle.as_deref(), loadout)?.desired;
    let desired = Desired { without_backup, from_scratch, restores, ..desired };
    if rebuild.rehearse {
        let played = crate::commands::rebuild::rehearsed(&desired, rebuild.change.pace.pace)?;
        if played != Done::Well || !(change.yes || std::io::stdin().is_terminal()) {
            return Ok(played);
        }
    }
    carry_out(arguments, Wish { goes_back: goes_back(named, None), ..whole(change, desired, Ask::Rebuild, "rebuild") })
}

pub(in crate::commands) fn restore(arguments: &Arguments, restore: &Restore) -> Result<Done, Problem> {
    let change = &restore.change;
    let loadout = source::read(&change.file, Reading::of(arguments, change.output))?;
    let named = back::named(arguments, &restore.saved, &loadout, &change.file, restore.from.as_deref())?;
    let (without_backup, from_scratch) = (restore.without_backup, restore.from_scratch);
    let (restores, without) = (Some(named.saved()), restore.without.clone());
    let desired = Desired { without_backup, from_scratch, restores, without, ..loadout.desired };
    let goes_back = goes_back(Some(named), restore.cluster.clone());
    carry_out(arguments, Wish { goes_back, ..whole(change, desired, Ask::Restore, "restore") })
}

/// A cluster that a bundle is restored into, and that is thrown away.
pub(in crate::commands) struct Throwaway<'a> {
    pub(in crate::commands) file: &'a Path,
    pub(in crate::commands) desired: Desired,
    pub(in crate::commands) bundle: Option<File>,
    pub(in crate::commands) yes: bool,
    pub(in crate::commands) output: Output,
}

/// Makes the machines, begins the cluster with the bundle, and proves it.
pub(in crate::commands) fn rehearsed_into(arguments: &Arguments, throwaway: Throwaway<'_>) -> Result<Done, Problem> {
    let Throwaway { file, desired, bundle, yes, output } = throwaway;
    let desired = Desired { restores: Some(Saved::Latest), without_backup: true, from_scratch: true, ..desired };
    let goes_back = GoesBack { bundle, cluster: None, elsewhere: true };
    let (only, approved, detail, what) = (Vec::new(), None, Detail::Agreed, "backup rehearse");
    let ask = Ask::Rebuild;
    carry_out(
        arguments,
        Wish { file, desired, ask, only, approved, yes, detail, output, what, hours: Hours::default(), goes_back },
    )
}

/// Everything of it goes: whoever agreed to the first has agreed to this.
pub(in crate::commands) fn thrown_away(arguments: &Arguments, throwaway: Throwaway<'_>) -> Result<Done, Problem> {
    let Throwaway { file, desired, output, .. } = throwaway;
    let (only, approved, detail, what, goes_back) = (Vec::new(), None, Detail::Agreed, "destroy", GoesBack::default());
    let ask = Ask::Destroy;
    carry_out(
        arguments,
        Wish {
            file,
            desired,
            ask,
            only,
            approved,
            yes: true,
            detail,
            output,
            what,
            hours: Hours::default(),
            goes_back,
        },
    )
}

fn goes_back(named: Option<Named>, cluster: Option<String>) -> GoesBack {
    let bundle = named.and_then(|named| match named {
        Named::Bundle(file) => Some(file),
        Named::Snapshot(_) => None,
    });
    GoesBack { bundle, cluster, elsewhere: false }
}

/// Takes back what a restore needs of the bundle that was named.
pub(super) fn unpacked(arguments: &Arguments, site: &Site<'_>, wish: &mut Wish<'_>) -> Result<Option<Copy>, Problem> {
    let Some(bundle) = &wish.goes_back.bundle else { return Ok(None) };
    let kept = Site::kept(arguments, wish.file);
    let elsewhere = wish.goes_back.elsewhere;
    let (desired, copy) = back::unpacked(site, &kept, wish.desired.clone(), bundle, elsewhere, &wish.ask)?;
    wish.desired = desired;
    Ok(Some(copy))
}

/// What a bundle held is needed no more when a run has come to its end with it.
pub(super) fn over(arguments: &Arguments, wish: &Wish<'_>, report: &RunReport) {
    if report.end == RunEnd::Complete {
        back::is_over(&Site::kept(arguments, wish.file), &wish.desired.cluster, report.begun_with.as_ref());
    }
}

/// Where nobody is asked, what a restore of a cluster that lives is meant of is said beforehand.
pub(super) fn meant(wish: &Wish<'_>, lives: bool) -> Result<(), Problem> {
    match wish.ask {
        Ask::Restore => back::by_name(&wish.desired.cluster, lives, wish.goes_back.cluster.as_deref()),
        _ => Ok(()),
    }
}
