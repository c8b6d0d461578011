//! `kubewright talosconfig`: the way into the API of Talos, in a file that only its owner reads.

use super::kubeconfig::{in_a_folder, write};
use crate::arguments::{Arguments, Output, Talosconfig};
use crate::hints::runnable;
use crate::problem::{Done, Problem};
use crate::screen::{quoted, say};
use crate::source::{self, Reading};
use crate::world::Site;

/// The file among the cluster's secrets.
const AMONG_SECRETS: &str = "secrets/talosconfig";

pub(super) fn run(arguments: &Arguments, wish: &Talosconfig) -> Result<Done, Problem> {
    let desired = source::read(&wish.file, Reading::of(arguments, Output::Text))?.desired;
    wish.output.as_deref().map_or(Ok(()), in_a_folder)?;
    let cluster = desired.cluster.as_str();
    let text = Site::look(arguments, &wish.file, &desired, async |site| {
        let given = match wish.secrets {
            true => site.engine.talos_secrets(&desired),
            false => site.engine.talosconfig(&desired),
        };
        given.map_err(|why| {
            let what = if wish.secrets { "secrets of Talos" } else { "talosconfig" };
            Problem::new(Done::Unhealthy, format!("{cluster} has no {what} to give")).because(why)
        })
    })?;
    let file =
        wish.output.clone().unwrap_or_else(|| Site::kept(arguments, &wish.file).join(cluster).join(AMONG_SECRETS));
    write(&file, &text)?;
    say!("wrote {}", file.display());
    match wish.secrets {
        true => say!(
            "→ {}",
            runnable(&format!(
                "whoever has it has the cluster: encrypt it, as with `kubewright secrets set talos --file {}`",
                quoted(&file)
            ))
        ),
        false if arguments.simulated.is_some() => say!("→ it opens a pretend cluster, which only kubewright reaches"),
        false => say!("→ TALOSCONFIG={} talosctl --nodes NODE version", quoted(&file)),
    }
    Ok(Done::Well)
}
