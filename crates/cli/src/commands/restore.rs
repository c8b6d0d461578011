//! What a cluster goes back to: what was saved last, a snapshot's file, or a bundle, of which what a restore needs is taken
//! back first.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kubewright_engine::backup::{Unfit, Unpacked};
use kubewright_engine::sops::{Identities, Sources};
use kubewright_engine::{Loadout, engine};
use kubewright_model::bundle::BundleName;
use kubewright_model::desired::{Desired, Saved};
use kubewright_model::ids::ClusterName;
use kubewright_model::plan::Ask;

use super::backup;
use crate::arguments::Arguments;
use crate::arguments::backup::From;
use crate::problem::{Done, Problem};
use crate::screen::remark;
use crate::world::Site;

/// How every file of age begins.
const AGE: &[u8] = b"age-encryption.org/v1\n";
/// How a bundle's file ends.
const ENDING: &str = ".tar.gz.age";
/// The newest bundle of the place where they are.
const LATEST: &str = "latest-bundle";

/// What somebody has named.
pub(super) enum Named {
    /// What was saved last, or a snapshot's file.
    Snapshot(Saved),
    /// A bundle, which is at hand.
    Bundle(File),
}

impl Named {
    /// What a plan says before the bundle was opened.
    pub(super) fn saved(&self) -> Saved {
        match self {
            Self::Snapshot(saved) => saved.clone(),
            Self::Bundle(_) => Saved::Latest,
        }
    }
}

/// What a word names. A file is found from where we are, whenever it is read.
pub(super) fn named(
    arguments: &Arguments,
    word: &Path,
    loadout: &Loadout,
    spec: &Path,
    from: Option<&Path>,
) -> Result<Named, Problem> {
    if word == Path::new("latest") {
        return Ok(Named::Snapshot(Saved::Latest));
    }
    if let Some(bundle) = bundle(word, &loadout.desired.cluster) {
        let from = From { file: spec.to_path_buf(), from: from.map(Path::to_path_buf) };
        return backup::at_hand(arguments, &bundle, &from, loadout).map(Named::Bundle);
    }
    if arguments.simulated.is_some() {
        return Ok(Named::Snapshot(Saved::File(word.display().to_string())));
    }
    let failed = |error| Problem::new(Done::Usage, format!("cannot read {}: {error}", word.display()));
    let path = std::fs::canonicalize(word).map_err(failed)?;
    Ok(Named::Snapshot(Saved::File(path.display().to_string())))
}

/// How a bundle is called where bundles are, or its path; none where the word names no bundle.
fn bundle(word: &Path, cluster: &ClusterName) -> Option<String> {
    let text = word.display().to_string();
    if text == LATEST {
        return Some("latest".into());
    }
    let file = format!("{}{ENDING}", text.trim_end_matches(ENDING));
    let is_bundle = text.ends_with(ENDING) || BundleName::parse(cluster, &file).is_some() || is_of_age(word);
    is_bundle.then_some(text)
}

fn is_of_age(path: &Path) -> bool {
    let mut begins = Vec::new();
    let read = File::open(path).and_then(|file| file.take(AGE.len() as u64).read_to_end(&mut begins));
    read.is_ok() && begins == AGE
}

/// A copy of what a bundle held. It goes when nothing needs it any more: every Secret of the cluster is in it.
pub(super) struct Copy {
    folder: PathBuf,
    goes: bool,
}

impl Copy {
    /// A run has begun with it: until that came to its end, the next one needs it too.
    pub(super) fn stays(&mut self) {
        self.goes = false;
    }
}

/// A run has come to its end with what a bundle held, which it may have been given by one before it that was cut.
pub(super) fn is_over(kept: &Path, cluster: &ClusterName, begun_with: Option<&Saved>) {
    if let Some(canary) = begun_with.and_then(Saved::canary) {
        // One that stays is as safe as the snapshots beside it.
        let _ = std::fs::remove_dir_all(engine::snapshots(kept, cluster).join(canary));
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if self.goes {
            // One that stays is as safe as the snapshots beside it.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Takes back what a restore needs of a bundle.
pub(super) fn unpacked(
    site: &Site<'_>,
    kept: &Path,
    desired: Desired,
    bundle: &File,
    elsewhere: bool,
    ask: &Ask,
) -> Result<(Desired, Copy), Problem> {
    let keys = Identities::look(&Sources::of_user());
    let folder = engine::snapshots(kept, &desired.cluster);
    let unpacked = site.engine.unpack(&desired, bundle, &keys, &folder, elsewhere, ask);
    let Unpacked { manifest, saved, folder, made, secrets } = unpacked.map_err(|unfit| match unfit {
        Unfit::Damaged(damage) => backup::damaged("the bundle", &damage, &keys),
        Unfit::Not(unsaved) => backup::unsaved(unsaved),
    })?;
    remark!("{}: whole; its snapshot is taken back into {}", manifest.about.canary.bundle, folder.display());
    if !secrets.is_empty() {
        remark!("taken back too, for they were not here any more: {}", secrets.join(", "));
    }
    Ok((Desired { restores: Some(saved), ..desired }, Copy { folder, goes: made }))
}

/// Whether it may go back without being asked: a cluster that lives is named by whoever means it.
pub(super) fn by_name(cluster: &ClusterName, lives: bool, named: Option<&str>) -> Result<(), Problem> {
    match named {
        Some(name) if name != cluster.as_str() => Err(Problem::new(
            Done::Blocked,
            format!("this is the cluster {cluster}, and not {name}; nothing was touched"),
        )),
        None if lives => Err(Problem::new(Done::Blocked, "nobody named the cluster, which lives; nothing was touched")
            .hint(format!("`--yes --cluster {cluster}` goes back although it lives; without `--yes` it is asked for"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_of_a_bundle_goes_with_the_run_that_ends_it() {
        let kept = tempfile::tempdir().unwrap();
        let cluster = ClusterName::from("lab");
        let folder = engine::snapshots(kept.path(), &cluster).join("lab-20261122T184433Z");
        std::fs::create_dir_all(&folder).unwrap();
        let (file, canary) = (folder.join("etcd.db").display().to_string(), "lab-20261122T184433Z".to_string());
        // Whoever names it again has made no copy, and whoever says `latest` has named none.
        let mut copy = Copy { folder: folder.clone(), goes: true };
        copy.stays();
        drop(copy);
        is_over(kept.path(), &cluster, Some(&Saved::File(file.clone())));
        is_over(kept.path(), &cluster, None);
        assert!(folder.exists(), "a run that was cut needs it");
        is_over(kept.path(), &cluster, Some(&Saved::Bundle { file, canary }));
        assert!(!folder.exists());
    }
}
