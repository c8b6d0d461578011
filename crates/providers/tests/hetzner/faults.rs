//! What tests have the API do wrong.

use std::time::Duration;

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It is refused with this code, in the API's own form. Nothing is done.
    Code(&'static str),
    /// What stands before the API answers a page of HTML with this status. Nothing is done.
    Page(u16),
    /// The connection breaks. Nothing is done.
    Cut,
    /// It is done, and the connection breaks before the answer.
    ActsAndCuts,
    /// It is done, and the answer comes so late.
    ActsAndIsLate(Duration),
    /// The first action of the request ends in an error with this code.
    ActionFails(&'static str),
    /// The first action of the request never ends.
    ActionNeverEnds,
}

/// A fault that waits for its requests.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) method: String,
    /// A path in which `*` stands for one word, and `**` at its end for any rest.
    pub(crate) path: String,
    pub(crate) left: u32,
    pub(crate) fault: Fault,
}

impl Planned {
    fn fits(&self, method: &str, path: &str) -> bool {
        let mut wanted = self.path.split('/');
        let mut given = path.split('/');
        self.left > 0
            && (self.method == method || self.method == "*")
            && loop {
                match (wanted.next(), given.next()) {
                    (None, None) | (Some("**"), Some(_)) => break true,
                    (Some(wanted), Some(given)) if wanted == "*" || wanted == given => {}
                    _ => break false,
                }
            }
    }
}

/// The first fault that waits for such a request, which it uses up.
pub(crate) fn take(planned: &mut Vec<Planned>, method: &str, path: &str) -> Option<Fault> {
    let found = planned.iter_mut().find(|planned| planned.fits(method, path))?;
    found.left -= 1;
    let fault = found.fault.clone();
    planned.retain(|planned| planned.left > 0);
    Some(fault)
}
