//! Asking a person for what nobody may see.

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

use kubewright_model::secret::Secret;

use crate::screen::remark;

/// Reads a line from the terminal without an echo. A shell does it, for it puts the echo back however it ends; whoever
/// presses Ctrl-C ends both of us.
const READ: &str = "trap 'stty echo; exit 130' INT TERM HUP; stty -echo || exit; IFS= read -r line; ended=$?; \
                    stty echo; [ $ended = 0 ] && printf '%s' \"$line\"";

/// Asks on the terminal. Where there is none, nobody is asked, so that a pipeline does not hang.
pub(crate) fn secret(what: &str) -> Result<Secret, String> {
    if !std::io::stdin().is_terminal() {
        return Err("nobody can be asked for its password without a terminal".into());
    }
    remark!("{what}:");
    let read = Command::new("sh").args(["-c", READ]).stdin(Stdio::inherit()).stderr(Stdio::inherit()).output();
    let read = read.map_err(|error| error.to_string())?;
    match String::from_utf8(read.stdout) {
        Ok(line) if read.status.success() => Ok(Secret::new(line)),
        _ => Err("nobody answered".into()),
    }
}
