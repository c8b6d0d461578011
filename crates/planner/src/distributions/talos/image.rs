//! The image that Talos is installed from.

use kubewright_model::spec::kubernetes::Talos;
use kubewright_model::talos::{Schematic, TalosImage};

use crate::context::Context;
use crate::context::nodes::NodePlan;

/// The installer that Sidero publishes, which has no extensions.
const INSTALLER: &str = "ghcr.io/siderolabs/installer";

/// The image; none where the file says nothing of Talos, which the rules have told.
///
/// Machines at Hetzner boot by the platform `hcloud`, and all others as `metal`: installers of the factory are made for one
/// of them from v1.10 on. <https://www.talos.dev/v1.11/talos-guides/install/boot-assets/#image-factory>
pub(super) fn image(context: &Context<'_>, node: &NodePlan<'_>) -> Option<TalosImage> {
    let talos = context.file.spec.kubernetes.talos.as_ref()?;
    let version = talos.version.clone();
    let extensions = sorted(&talos.extensions);
    let tag = format!("v{}", version.bare());
    let (schematic, factory) = match &talos.schematic {
        Some(id) => (Some(id.clone()), None),
        None if extensions.is_empty() => (None, None),
        // The form of their names lets in nothing else.
        None => (Schematic::new(&extensions, &[]).ok().map(|made| made.id.to_string()), Some(talos.factory.clone())),
    };
    let image = match &schematic {
        Some(id) => format!("{}/{}/{id}:{tag}", host(talos), installer(talos, node)),
        None => format!("{INSTALLER}:{tag}"),
    };
    Some(TalosImage { version, image, extensions, schematic, factory })
}

/// The factory's name as images have it, which begin with no `https://`.
fn host(talos: &Talos) -> &str {
    talos.factory.split_once("://").map_or(talos.factory.as_str(), |(_, host)| host).trim_end_matches('/')
}

fn installer(talos: &Talos, node: &NodePlan<'_>) -> &'static str {
    match node.pool.hetzner {
        _ if talos.version.minor() < (1, 10) => "installer",
        Some(_) => "hcloud-installer",
        None => "metal-installer",
    }
}

/// The order means nothing, so that another one makes no other image.
fn sorted(extensions: &[String]) -> Vec<String> {
    let mut sorted = extensions.to_vec();
    sorted.sort();
    sorted.dedup();
    sorted
}
