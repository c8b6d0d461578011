//! Objects that are taken from others: `--take`.

use kubewright_model::desired::Desired;
use kubewright_model::diagnostic::nearest;
use kubewright_model::object::ObjectId;
use kubewright_model::plan::{Action, Plan};

use crate::problem::{Done, Problem};

/// The same wish, which takes the objects that these words name, as errors name them: `ConfigMap default/colours`.
pub(super) fn taking(desired: Desired, words: &[String]) -> Result<Desired, Problem> {
    let ids: Vec<ObjectId> =
        desired.objects.iter().flat_map(|group| &group.manifests).filter_map(|object| object.id().ok()).collect();
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut take = Vec::new();
    for word in words {
        let meant: Vec<&ObjectId> = ids.iter().filter(|id| id.to_string() == *word).collect();
        if meant.is_empty() {
            let problem = Problem::new(Done::Usage, format!("the spec has no object `{word}`"));
            return Err(match nearest(word, names.iter().map(String::as_str)) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("name it as the error does, for example `ConfigMap default/settings`"),
            });
        }
        take.extend(meant.into_iter().cloned());
    }
    Ok(Desired { take, ..desired })
}

/// What a saved plan takes was asked for when it was made.
pub(super) fn taken(plan: &Plan) -> Vec<String> {
    let objects = plan.steps.iter().flat_map(|step| match &step.action {
        Action::TakeObjects(objects) => objects.as_slice(),
        _ => &[],
    });
    objects.filter_map(|object| object.id().ok()).map(|id| id.to_string()).collect()
}
