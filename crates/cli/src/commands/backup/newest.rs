//! How old the newest bundle is: a timer that fails at night tells nobody.

use std::path::Path;

use kubewright_engine::backup::{self, catalog};
use kubewright_engine::{Loadout, hours};
use kubewright_model::behind::Behind;
use kubewright_model::plan::Weight;
use kubewright_model::units::Moment;

use super::list::age;
use super::{now, place};
use crate::arguments::Arguments;
use crate::world::Site;

/// What is known of the newest bundle where the spec's own are kept.
pub(in crate::commands) struct Newest {
    /// Where that is.
    shelf: String,
    /// How old it is; none where there is none; why nobody knows.
    age: Result<Option<String>, String>,
    /// Two of its hours have passed since it was made, or since ever.
    late: bool,
    schedule: String,
}

/// Looks for it, where the spec says that bundles have a place.
pub(in crate::commands) async fn newest(arguments: &Arguments, loadout: &Loadout, site: &Site<'_>) -> Option<Newest> {
    let backup = loadout.file.spec.backup.as_ref().filter(|backup| backup.to.is_some())?;
    let folder = place(arguments, Path::new(""), None).ok()?;
    let shelf = backup::shelf_of(loadout, folder.as_deref()).ok()?;
    let schedule = backup.bundle_schedule.as_ref().unwrap_or(&backup.schedule).clone();
    let listed = match site.engine.bundles(&shelf) {
        Ok(bundles) => catalog::list(&*bundles, &loadout.desired.cluster).await.map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    let made = listed.map(|listed| listed.first().map(|bundle| bundle.made));
    Some(Newest::of(made, &shelf.to_string(), &schedule, now()))
}

impl Newest {
    fn of(made: Result<Option<Moment>, String>, shelf: &str, schedule: &str, now: Moment) -> Self {
        let late = match made {
            Ok(Some(made)) => hours::passed(schedule, made.0, now.0) >= 2,
            Ok(None) => true,
            Err(_) => false,
        };
        let age = made.map(|made| made.map(|made| age(made, now)));
        Self { shelf: shelf.into(), age, late, schedule: schedule.into() }
    }

    /// For `status`: what is said of it, and whether it is nothing to care about.
    pub(in crate::commands) fn told(&self) -> (String, bool) {
        let words = match &self.age {
            Ok(Some(age)) => format!("the newest is {age} old, in {}", self.shelf),
            Ok(None) => format!("none in {}", self.shelf),
            Err(why) => format!("nobody knows how old, in {}: {why}", self.shelf),
        };
        (words, self.age.is_ok() && !self.late)
    }

    /// For those who are told: what of it is too old. Its age is not told, for that would be another one each day.
    pub(in crate::commands) fn late(&self) -> Option<String> {
        self.age.as_ref().ok().filter(|_| self.late)?;
        Some(format!(
            "bundles: two of the hours of `{}` have passed without a new one in {}",
            self.schedule, self.shelf
        ))
    }

    /// For `outdated`: the row of one that is late.
    pub(in crate::commands) fn behind(&self) -> Option<Behind> {
        let age = self.age.as_ref().ok().filter(|_| self.late)?;
        Some(Behind {
            what: "bundle".into(),
            place: self.shelf.clone(),
            runs: age.as_ref().map_or_else(|| "none".into(), |age| format!("{age} old")),
            newest: format!("one at each {}", self.schedule),
            how: "kubewright backup; backup timer makes them by itself".into(),
            weight: Weight::Warns,
        })
    }

    /// For `outdated`: why it could not be looked at.
    pub(in crate::commands) fn unseen(&self) -> Option<String> {
        self.age.as_ref().err().map(|why| format!("bundles in {}: {why}", self.shelf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    /// 2026-11-22 12:00 UTC.
    const NOON: Moment = Moment(1_795_348_800);

    fn of(made: Result<Option<u64>, &str>) -> Newest {
        Newest::of(made.map(|made| made.map(Moment)).map_err(String::from), "/srv/backups", "0 3 * * *", NOON)
    }

    #[test]
    fn a_bundle_is_late_when_two_of_its_hours_have_passed() {
        let fresh = of(Ok(Some(NOON.0 - DAY)));
        assert_eq!(fresh.told(), ("the newest is 24h old, in /srv/backups".into(), true));
        assert!(fresh.behind().is_none() && fresh.unseen().is_none());
        let late = of(Ok(Some(NOON.0 - 3 * DAY)));
        assert_eq!(late.told(), ("the newest is 3d old, in /srv/backups".into(), false));
        assert_eq!(late.behind().map(|row| row.runs).as_deref(), Some("3d old"));
    }

    #[test]
    fn a_place_without_bundles_or_without_an_answer_is_told_of() {
        let none = of(Ok(None));
        assert_eq!(none.told(), ("none in /srv/backups".into(), false));
        assert_eq!(none.behind().map(|row| row.runs).as_deref(), Some("none"));
        let silent = of(Err("it does not answer"));
        assert!(silent.behind().is_none() && !silent.told().1);
        assert_eq!(silent.unseen().as_deref(), Some("bundles in /srv/backups: it does not answer"));
    }
}
