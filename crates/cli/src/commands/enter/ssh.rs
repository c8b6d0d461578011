//! `kubewright ssh`: a shell on a host, by the `ssh` of this computer.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use kubewright_model::desired::DesiredHost;

use super::host;
use crate::arguments::{Arguments, Output, Ssh};
use crate::problem::{Done, Problem};
use crate::screen::{CARE, paint, remark};
use crate::source::{self, Reading};
use crate::world::Site;

pub(crate) fn run(arguments: &Arguments, wish: &Ssh) -> Result<Done, Problem> {
    let desired = source::read(&wish.file, Reading::of(arguments, Output::Text))?.desired;
    let host = host(&desired, &wish.node)?;
    if host.way.talos.is_some() {
        return Err(of_talos(host));
    }
    let way_in = Site::look(arguments, &wish.file, &desired, async |site| {
        let hands = site.engine.hosts(&desired).await.map_err(|why| Problem::new(Done::Unfinished, why))?;
        hands.way_in(&host.name, &host.way).await.map_err(|error| {
            let help = error.help();
            let problem = Problem::new(Done::Unhealthy, error.to_string());
            help.into_iter().fold(problem, Problem::hint)
        })
    })?;
    way_in.told.iter().for_each(|told| remark!("{} {told}", paint(CARE, "→")));
    let Some((program, words)) = way_in.words.split_first() else {
        return Err(Problem::new(Done::Bug, "there is no program to log in with"));
    };
    let mut command = Command::new(program);
    command.args(words);
    let local = program != "ssh" && !wish.command.is_empty();
    // As ssh itself takes them: a line for the shell there.
    command.args(local.then_some("-c"));
    match wish.command.as_slice() {
        [] => {}
        [line] => drop(command.arg(line)),
        words => drop(command.arg(joined(words))),
    }
    let error = command.exec();
    let problem = Problem::new(Done::Unfinished, format!("cannot start {program}")).because(error.to_string());
    Err(problem.hint("install OpenSSH's client; `kubewright exec` needs none"))
}

/// Words as a line of the shell.
fn joined(words: &[String]) -> String {
    let quoted = words.iter().map(|word| shlex::try_quote(word).unwrap_or_default());
    quoted.collect::<Vec<_>>().join(" ")
}

/// Talos has an API in the place of a shell.
fn of_talos(host: &DesiredHost) -> Problem {
    let at = host.way.address.map(|it| it.to_string()).or_else(|| host.way.name.clone()).unwrap_or_default();
    Problem::new(Done::Usage, format!("{} runs Talos, which has no shell and no SSH", host.name))
        .hint(format!("`kubewright logs {}` shows what it logs", host.name))
        .hint(format!("`kubewright talosconfig` is the way in for `talosctl -n {at} dashboard`"))
}
