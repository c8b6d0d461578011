//! `kubewright completions` and `kubewright man`.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::arguments::Arguments;
use crate::problem::{Done, Problem};
use crate::screen::remark;

pub(super) fn completions(shell: Shell) -> Result<Done, Problem> {
    print(&crate::complete::script(shell).map_err(|error| failed(&error))?)
}

pub(super) fn man(out: Option<&Path>) -> Result<Done, Problem> {
    let command = Arguments::command();
    let Some(folder) = out else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page).map_err(|error| failed(&error))?;
        return print(&page);
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(&error).because(folder.display().to_string()))?;
    clap_mangen::generate_to(command, folder).map_err(|error| failed(&error))?;
    remark!("wrote man pages to {}", folder.display());
    Ok(Done::Well)
}

fn failed(error: &std::io::Error) -> Problem {
    Problem::new(Done::Usage, "cannot write the pages").because(error.to_string())
}

/// Prints bytes as they are; whoever reads them may have gone away.
fn print(bytes: &[u8]) -> Result<Done, Problem> {
    use std::io::Write as _;
    crate::screen::written(std::io::stdout().write_all(bytes));
    Ok(Done::Well)
}
