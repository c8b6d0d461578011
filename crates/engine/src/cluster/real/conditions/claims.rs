//! Claims: bound to a volume, or what their StorageClass and its provisioner say.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use kubewright_model::ids::Namespace;

use super::super::failure::failed;
use super::super::look::all;
use super::Failing;
use super::events::{all_about, lines};
use crate::cluster::ClusterError;

/// The class that claims get that name none.
/// <https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass>
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

/// What keeps a claim from being bound; none where it is.
pub(super) async fn unbound(
    client: &Client,
    namespace: &Namespace,
    claim: &PersistentVolumeClaim,
) -> Result<Option<Failing>, ClusterError> {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
    let name = claim.name_any();
    if phase == "Bound" {
        return Ok(None);
    }
    if phase == "Lost" {
        let saw = format!("{name} has lost its volume: nobody knows it any more");
        let hint = "what was on it is gone, unless its PersistentVolume comes back".to_string();
        return Ok(Some(Failing { saw, log: Vec::new(), hint: Some(hint), ..Failing::default() }));
    }
    let events = all_about(client, namespace, "PersistentVolumeClaim", &name).await;
    let classes = all(&Api::<StorageClass>::all(client.clone()), &ListParams::default()).await;
    let classes = classes.map_err(|error| failed("list of StorageClasses", &error))?;
    let names = || classes.iter().map(|class| class.name_any()).collect::<Vec<_>>().join(", ");
    let is_default = |class: &&StorageClass| class.annotations().get(DEFAULT).is_some_and(|value| value == "true");
    let wanted = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    let class = match wanted {
        Some(wanted) => classes.iter().find(|class| class.name_any() == wanted),
        None => classes.iter().find(is_default),
    };
    let last = events.last().and_then(|event| event.message.clone());
    let waits = class.and_then(|class| class.volume_binding_mode.as_deref()) == Some("WaitForFirstConsumer");
    let (why, hint) = match (class, wanted) {
        // Who names the empty class wants a volume that is there already.
        (None, Some("")) => {
            (last.unwrap_or_else(|| "it waits for a volume".into()), "make the volume that it names".into())
        }
        (None, Some(wanted)) => {
            (format!("there is no StorageClass {wanted}"), format!("those that are there: {}", names()))
        }
        (None, None) => {
            ("it names no StorageClass, and none is the default".into(), "name one, or make one the default".into())
        }
        (Some(class), _) => {
            let hint = match waits && events.iter().any(|it| it.reason.as_deref() == Some("WaitForFirstConsumer")) {
                true => "its StorageClass makes the volume for the first pod that uses it".into(),
                false => format!("look at the provisioner {} of its StorageClass", class.provisioner),
            };
            (last.unwrap_or_else(|| format!("StorageClass {} has not made its volume yet", class.name_any())), hint)
        }
    };
    Ok(Some(Failing {
        saw: format!("{name} is {phase}: {why}"),
        log: lines(&events),
        hint: Some(hint),
        ..Failing::default()
    }))
}
