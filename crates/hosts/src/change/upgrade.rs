//! Packages of a host's operating system: new lists, and everything upgraded under them.

use kubewright_model::ids::NodeName;

use super::{Call, Calls, Library, Told, failed, refuse, told};
use crate::{Holes, HostError, Report};

/// What is done about packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The lists are fetched anew.
    Refresh,
    /// The same, and everything is upgraded.
    Upgrade,
}

impl Deed {
    /// The deed in a few words, for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Refresh => "fetching the lists of packages",
            Self::Upgrade => "upgrading the packages",
        }
    }

    /// The body of the script that does it.
    pub(crate) fn script(self) -> String {
        let function = match self {
            Self::Refresh => "kw_refresh",
            Self::Upgrade => "kw_upgrade",
        };
        let mut calls = Calls::default();
        calls.call(Library::Packages, &Call::tell(0, function, &[]));
        calls.script()
    }

    /// What it came to, by its script's answer.
    pub(crate) fn outcome(self, host: &NodeName, answer: &str) -> Result<Report, HostError> {
        match told(answer).next() {
            Some(Told::Same(_) | Told::Remark(..)) => Ok(Report::default()),
            Some(Told::Changed(_)) => Ok(Report { changed: true, ..Report::default() }),
            Some(Told::Failed(_, log)) => Err(failed(host, self.title().into(), &log, &Holes::new())),
            None => refuse(host, self.title(), "the host stopped to answer in the middle of it".into()),
        }
    }
}
