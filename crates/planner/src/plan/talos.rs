//! What a machine of Talos must be before it is given its configuration.

use kubewright_model::change::Subject;
use kubewright_model::host::HostResource;
use kubewright_model::plan::Weight;
use kubewright_model::talos::TalosSeen;

use super::draft::Draft;
use super::standing::Standings;

/// Judges machines that wait: on one that has its configuration, Talos itself has judged that.
pub(super) fn plan(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    for node in &standings.nodes {
        let Some(seen) = node.answers().and_then(|host| host.talos.as_ref()).filter(|talos| talos.maintenance) else {
            continue;
        };
        let subject = || Subject::Host(node.name().clone());
        for resource in &node.host.resources {
            match resource {
                HostResource::MachineConfig(config) => {
                    let Some(disk) = config.install_disk().filter(|disk| is_missing(seen, disk)) else { continue };
                    let there: Vec<String> = seen.disks.iter().map(|(disk, size)| format!("{disk} ({size})")).collect();
                    let there = if there.is_empty() { "none".into() } else { there.join(", ") };
                    let message = format!("it has no disk {disk} to install Talos on; there is {there}");
                    let help =
                        "write `installDisk`: for all in `kubernetes.talos`, or for one in `talos.nodes` of its pool";
                    draft.note(Weight::Blocks, subject(), message, help);
                }
                // What reads a configuration first is what the machine was started from.
                HostResource::TalosImage(image) if seen.version.minor() < image.version.minor() => {
                    let message = format!(
                        "it was started from Talos {}, which may not understand the configuration of {}",
                        seen.version, image.version
                    );
                    let help = "start it from an image of the wished version, if it refuses";
                    draft.note(Weight::Warns, subject(), message, help);
                }
                _ => {}
            }
        }
    }
}

/// Names below `/dev/disk` lead to disks that are told by other names.
fn is_missing(seen: &TalosSeen, disk: &str) -> bool {
    !disk.starts_with("/dev/disk/") && !seen.disks.contains_key(disk)
}
