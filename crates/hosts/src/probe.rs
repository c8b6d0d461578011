//! A look at a host: one script that answers everything at once, and the reading of what it answered.
//!
//! A look is asked for at every plan, on every host, and mostly finds nothing to do. So it is one round trip, and on the
//! host as few processes as can be: the shell reads small files itself, and each program (`stat`, `sha256sum`,
//! `systemctl`, the package manager) runs once for all resources. Reading is pure: what a host may answer is tested
//! without a host, and a host that lies or floods is an error and nothing else.
//!
//! What nobody may look at is an error that names it, never "it is not there".

mod answers;
mod host;
pub(crate) mod papers;
mod script;
mod seen;
mod settings;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use kubewright_model::host::HostResource;
use kubewright_model::observed::HostSeen;

pub(crate) use script::{script, sysctl_path};

/// Why an answer could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    /// More than any honest host answers.
    #[error("the host answered {bytes} bytes, which is too much")]
    TooMuch {
        /// How much it was.
        bytes: usize,
    },
    /// A line that answers nothing.
    #[error("line {number} of the host's answer is none that was asked for: {line:?}")]
    Line {
        /// Which.
        number: usize,
        /// Its beginning.
        line: String,
    },
    /// A fact that every host tells is missing.
    #[error("the host did not tell {what}")]
    Missing {
        /// Which.
        what: &'static str,
    },
    /// Nothing was said about a resource.
    #[error("the host did not answer for {resource}")]
    Unanswered {
        /// Which.
        resource: String,
    },
    /// The user that we are may not look at a resource.
    #[error("{resource} cannot be looked at: permission denied")]
    Denied {
        /// Which.
        resource: String,
    },
}

impl ParseError {
    /// A line that answers nothing; a long one is cut.
    fn line(number: usize, line: &str) -> Self {
        Self::Line { number, line: line.chars().take(120).collect() }
    }
}

/// Reads what [`script`] printed for the same resources. `meanwhile` is our own clock, in seconds since
/// 1970, when it was asked and when it had answered.
///
/// # Errors
///
/// A line that answers nothing, or something that was asked and not answered.
pub(crate) fn parse(
    resources: &[HostResource],
    printed: &str,
    meanwhile: RangeInclusive<u64>,
) -> Result<HostSeen, ParseError> {
    let answers = answers::read(printed)?;
    let mut seen = host::seen(&answers, &meanwhile)?;
    let mut facts = host::facts(&answers)?;
    facts.lacks = seen::lacks(resources, &answers);
    seen::resources(resources, &answers, &facts, &mut seen)?;
    // Last, because what was downloaded tells the version.
    seen.kubernetes = host::kubernetes(resources, &answers, &seen)?;
    seen.facts = Some(facts);
    Ok(seen)
}
