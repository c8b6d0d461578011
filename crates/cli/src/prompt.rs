//! Asking a person for what nobody may see.

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

use kubewright_model::secret::Secret;

/// Asks and reads a line from the terminal without an echo. A shell does it, for it puts the echo back however it ends;
/// whoever presses Ctrl-C ends both of us. It asks when nothing is shown any more: who types fast is not seen either.
const ASK: &str = "trap 'stty echo; exit 130' INT TERM HUP; stty -echo || exit; printf '%s: ' \"$1\" >&2; \
                   IFS= read -r line; ended=$?; stty echo; echo >&2; [ $ended = 0 ] && printf '%s' \"$line\"";

/// Asks on the terminal. Where there is none, nobody is asked, so that a pipeline does not hang.
pub(crate) fn secret(what: &str) -> Result<Secret, String> {
    if !std::io::stdin().is_terminal() {
        return Err("nobody can be asked for its password without a terminal".into());
    }
    let mut asks = Command::new("sh");
    asks.args(["-c", ASK, "kubewright", what]).stdin(Stdio::inherit()).stderr(Stdio::inherit());
    let read = asks.output().map_err(|error| error.to_string())?;
    match String::from_utf8(read.stdout) {
        Ok(line) if read.status.success() => Ok(Secret::new(line)),
        _ => Err("nobody answered".into()),
    }
}
