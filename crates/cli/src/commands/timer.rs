//! Units of systemd that have this program run again and again, for this user on this computer.

use std::path::{Path, PathBuf};

use super::write;
use crate::arguments::Arguments;
use crate::problem::{Done, Problem};
use crate::screen::{hand, remark};
use crate::source::STANDARD_INPUT;

/// What waits a minute at most for a network after a start of the computer: systemd of a user has no `network-online.target` that
/// anything could be ordered after (<https://github.com/systemd/systemd/issues/3312>), but sees that of the system.
///
/// `Type=simple`, because systemd before 244 has no `Restart=on-failure` for `Type=oneshot` and does not load such a unit
/// (<https://github.com/systemd/systemd/pull/13754>): RHEL 8 has 239. `simple` has a limit for what comes before, which is 90 s.
const ONLINE: &str = "ExecStartPre=-/bin/sh -c \"timeout 60 sh -c 'until systemctl is-active --quiet network-online.target; do sleep 1; done'\"\n";

/// What runs again and again.
pub(super) struct Timer<'a> {
    /// What both units are called.
    pub(super) name: String,
    /// What the service does, and what the timer does, for people.
    pub(super) does: [String; 2],
    /// The spec.
    pub(super) file: &'a Path,
    /// The words between the program's name and the spec.
    pub(super) command: &'a str,
    /// More lines of `[Unit]`.
    pub(super) unit: &'a str,
    /// More lines of `[Service]`.
    pub(super) service: &'a str,
    /// The lines of `[Timer]`.
    pub(super) timer: String,
}

impl Timer<'_> {
    /// A spec that lies somewhere: what runs later cannot read standard input.
    pub(super) fn has_a_file(file: &Path) -> Result<(), Problem> {
        match file == Path::new(STANDARD_INPUT) {
            true => {
                Err(Problem::new(Done::Usage, "what runs again and again needs a file, and standard input is none"))
            }
            false => Ok(()),
        }
    }

    /// Prints the units, or puts them in place and says what starts them.
    ///
    /// Those of a pretend data centre are shown, and never put in place: nothing of this user is touched for one.
    pub(super) fn show(&self, arguments: &Arguments, install: bool) -> Result<Done, Problem> {
        if install && arguments.simulated.is_some() {
            let problem = Problem::new(Done::Usage, "a pretend data centre gets no timer on this computer");
            return Err(problem.hint("without `--install` the units are shown"));
        }
        let cannot =
            |error: std::io::Error| Problem::new(Done::Usage, "nobody knows where this is").because(error.to_string());
        let program = std::env::current_exe().map_err(cannot)?;
        let file = std::path::absolute(self.file).map_err(cannot)?;
        let folder = file.parent().unwrap_or(Path::new("/"));
        let environment: Vec<String> =
            arguments.environment.iter().map(|name| format!(" --environment {name}")).collect();
        let [service, timer] = &self.does;
        let service = format!(
            "[Unit]\nDescription={service}\n{}\n[Service]\nType=simple\nWorkingDirectory={}\n\
             {ONLINE}ExecStart={}{} {} {}\n{}",
            self.unit,
            specifiers(folder),
            word(&program),
            environment.concat(),
            self.command,
            word(&file),
            self.service,
        );
        let timer =
            format!("[Unit]\nDescription={timer}\n\n[Timer]\n{}\n[Install]\nWantedBy=timers.target\n", self.timer);
        let name = &self.name;
        if !install {
            hand!("# {name}.service\n{service}\n# {name}.timer\n{timer}");
            return Ok(Done::Well);
        }
        let units = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
        let units = units.unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".config"));
        let units = units.join("systemd/user");
        write(&units.join(format!("{name}.service")), &service)?;
        write(&units.join(format!("{name}.timer")), &timer)?;
        remark!("→ `systemctl --user daemon-reload && systemctl --user enable --now {name}.timer` starts it");
        remark!(
            "→ `loginctl enable-linger` lets it run while nobody is logged in; secrets from the environment are not there then"
        );
        Ok(Done::Well)
    }
}

/// A path in which systemd sees nothing to fill in. <https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html>
fn specifiers(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// A path as one word of a command of systemd's.
fn word(path: &Path) -> String {
    let path = specifiers(path).replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    format!("\"{path}\"")
}
