//! The bundles of a cluster at a place, each with what stands beside it: a label that tells what it is without a key, and
//! what came of its last rehearsal.

use std::fs::File;

use kubewright_model::bundle::{BundleName, Label, Rehearsed};
use kubewright_model::ids::ClusterName;
use kubewright_model::spec::backup::Keep;
use kubewright_model::units::Moment;
use kubewright_planner::retention;
use serde::de::DeserializeOwned;

use super::shelf::{Bundles, ShelfError};

/// A bundle that is somewhere.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: BundleName,
    /// When it was made, as its name tells.
    pub made: Moment,
    /// Its bytes.
    pub size: u64,
    /// What it is; none where nothing beside it tells.
    pub label: Option<Label>,
    /// What came of its last rehearsal; none where it had none.
    pub rehearsed: Option<Rehearsed>,
}

/// The bundles of a cluster, newest first. Whatever else is there is left out.
///
/// # Errors
///
/// The place cannot be listed, or not read.
pub async fn list(bundles: &dyn Bundles, cluster: &ClusterName) -> Result<Vec<Listed>, ShelfError> {
    let there = bundles.list().await?;
    let mut all = Vec::new();
    for (file, size) in there.iter().rev() {
        let Some((name, made)) = BundleName::parse(cluster, file) else { continue };
        let label = match there.contains_key(&name.label()) {
            true => told(bundles, &name.label()).await?,
            false => None,
        };
        let rehearsed = match there.contains_key(&name.rehearsed()) {
            true => told(bundles, &name.rehearsed()).await?,
            false => None,
        };
        all.push(Listed { name, made, size: *size, label, rehearsed });
    }
    Ok(all)
}

/// What stands beside a bundle. What cannot be understood tells nothing.
async fn told<T: DeserializeOwned>(bundles: &dyn Bundles, name: &str) -> Result<Option<T>, ShelfError> {
    let failed = |error: std::io::Error| ShelfError::Refused(format!("{name}: {error}"));
    let mut file = tempfile::tempfile().map_err(failed)?;
    match bundles.get(name, &file).await {
        Err(ShelfError::Absent(_)) => return Ok(None),
        got => got?,
    }
    std::io::Seek::rewind(&mut file).map_err(failed)?;
    Ok(serde_json::from_reader(std::io::BufReader::new(file)).ok())
}

/// Puts a bundle there with its label. The bundle comes first: a label alone is no bundle, and is not listed.
///
/// # Errors
///
/// There is one of that name, or the place refuses it.
pub async fn put(bundles: &dyn Bundles, name: &BundleName, file: &File, label: &Label) -> Result<(), ShelfError> {
    bundles.put(name.file(), file).await?;
    note_label(bundles, name, label).await
}

/// Puts the label beside a bundle that is there.
pub(crate) async fn note_label(bundles: &dyn Bundles, name: &BundleName, label: &Label) -> Result<(), ShelfError> {
    note(bundles, &name.label(), label).await
}

/// Writes down what came of a rehearsal.
///
/// # Errors
///
/// The place refuses it.
pub async fn rehearsed(bundles: &dyn Bundles, name: &BundleName, outcome: &Rehearsed) -> Result<(), ShelfError> {
    note(bundles, &name.rehearsed(), outcome).await
}

async fn note(bundles: &dyn Bundles, name: &str, value: &impl serde::Serialize) -> Result<(), ShelfError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| ShelfError::Refused(error.to_string()))?;
    bundles.note(name, &text).await
}

/// Brings a bundle into a file, and holds it against its label: what came is what was sent.
///
/// # Errors
///
/// There is none of that name, or what came is another one.
pub async fn get(bundles: &dyn Bundles, listed: &Listed, into: &File) -> Result<(), ShelfError> {
    bundles.get(listed.name.file(), into).await?;
    let Some(label) = &listed.label else { return Ok(()) };
    let failed = |error: std::io::Error| ShelfError::Refused(error.to_string());
    let mut came = into.try_clone().map_err(failed)?;
    std::io::Seek::rewind(&mut came).map_err(failed)?;
    let (size, sha256) = super::pack::measured(&mut came).map_err(failed)?;
    if (size, &sha256) == (label.size, &label.sha256) {
        return Ok(());
    }
    let (is, was) = (sha256.short(), label.sha256.short());
    Err(ShelfError::Refused(format!(
        "{} is not what was put there: it has {size} bytes and SHA-256 {is}, and had {} bytes and {was}",
        listed.name, label.size
    )))
}

/// Those of these bundles that are more than are kept, oldest first.
pub fn surplus<'l>(listed: &'l [Listed], keep: &Keep) -> Vec<&'l Listed> {
    let kept = retention::kept(listed.iter().map(|bundle| bundle.made), keep);
    let goes = |bundle: &&Listed| kept.get(&bundle.made).is_some_and(Vec::is_empty);
    listed.iter().rev().filter(goes).collect()
}

/// Deletes a bundle and what stands beside it. A run that is cut off in between leaves what is not listed any more.
///
/// # Errors
///
/// The place refuses it.
pub async fn delete(bundles: &dyn Bundles, name: &BundleName) -> Result<(), ShelfError> {
    bundles.delete(name.file()).await?;
    bundles.delete(&name.label()).await?;
    bundles.delete(&name.rehearsed()).await
}
