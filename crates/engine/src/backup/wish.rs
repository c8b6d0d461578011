//! What is to be saved, by what the spec says and what is asked: where it goes, and who can open it.

use std::path::{Path, PathBuf};

use kubewright_model::bundle::{BundleName, DesiredBundle, Shelf};
use kubewright_model::spec::Backup;
use kubewright_model::units::Moment;

use crate::Loadout;
use crate::backup::collect::named_files;
use crate::places::Places;
use crate::sops::{Identities, Sources, recipient};

/// What is asked of a backup beside the spec.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When it is made.
    pub now: Moment,
    /// The environment, where there is one.
    pub environment: Option<String>,
    /// The folder that it goes to in the place of the spec's destination.
    pub folder: Option<PathBuf>,
    /// The files of the spec: it, its environments and its lock file, as they are called in its folder.
    pub files: Vec<String>,
}

/// Why nothing can be saved, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsaved {
    /// Why.
    pub why: String,
    /// What to do.
    pub help: String,
}

/// Where bundles of a cluster are: what is asked, or what the spec says.
///
/// # Errors
///
/// Neither says it.
pub fn shelf(loadout: &Loadout, folder: Option<&Path>) -> Result<Shelf, Unsaved> {
    let to = loadout.file.spec.backup.as_ref().and_then(|backup| backup.to.as_ref());
    let said = folder.map(|folder| Shelf::Folder(folder.display().to_string())).or_else(|| {
        let to = to?;
        let s3 = || to.s3.clone().map(|s3| Shelf::S3(Box::new(s3)));
        let sftp = || to.sftp.clone().map(|sftp| Shelf::Sftp(Box::new(sftp)));
        to.folder.clone().map(Shelf::Folder).or_else(s3).or_else(sftp)
    });
    said.ok_or_else(|| Unsaved {
        why: "nothing says where bundles are kept".into(),
        help: "name a folder with `--to FOLDER`, or write `backup.to` in the spec".into(),
    })
}

/// When a timer makes bundles, as calendar events of systemd's.
pub fn hours(backup: &Backup) -> Vec<String> {
    kubewright_planner::lower::hours(backup.bundle_schedule.as_ref().unwrap_or(&backup.schedule))
}

/// The bundle that is asked for.
///
/// # Errors
///
/// Nothing says where it goes, or who could open it.
pub fn bundle(loadout: &Loadout, folder: &Path, asked: &Asked) -> Result<DesiredBundle, Unsaved> {
    let to = shelf(loadout, asked.folder.as_deref())?;
    let backup = loadout.file.spec.backup.as_ref();
    let spec = serde_json::to_value(&loadout.file).unwrap_or_default();
    let mut files: Vec<String> = asked.files.iter().cloned().chain(named_files(folder, &spec)).collect();
    files.sort();
    files.dedup();
    Ok(DesiredBundle {
        name: BundleName::new(&loadout.desired.cluster, asked.now),
        made: asked.now,
        environment: asked.environment.clone(),
        recipients: recipients(loadout, folder, &Sources::of_user())?,
        to,
        // Somebody who takes a copy elsewhere does not mean that others go from there.
        keep: backup.filter(|_| asked.folder.is_none()).map(|backup| backup.keep.clone()),
        objects: backup.is_none_or(|backup| backup.objects),
        files: files.into_iter().map(|file| (file.clone(), folder.join(file).display().to_string())).collect(),
    })
}

/// Who can open it: those that the spec names for backups; else those of its SOPS file; else whoever makes it.
fn recipients(loadout: &Loadout, folder: &Path, sources: &Sources) -> Result<Vec<String>, Unsaved> {
    let of_spec = loadout.file.spec.backup.as_ref().map(|backup| backup.recipients.clone()).unwrap_or_default();
    let places = Places::new(folder.to_path_buf(), &loadout.desired, sources.clone());
    let mut all = of_spec;
    if all.is_empty() {
        all = places.recipients().unwrap_or_default();
    }
    if all.is_empty() {
        all = Identities::look(sources).recipients();
    }
    all.sort();
    all.dedup();
    if all.is_empty() {
        return Err(Unsaved {
            why: "nobody could open the bundle: there is no age key that it could be encrypted for".into(),
            help: "make one with `age-keygen -o ~/.config/sops/age/keys.txt`, or `kubewright secrets init`, and write its \
                   public half in `backup.recipients`"
                .into(),
        });
    }
    match all.iter().find_map(|one| recipient(one).err()) {
        Some(why) => Err(Unsaved { why, help: "write public keys as `age-keygen` prints them, `age1…`".into() }),
        None => Ok(all),
    }
}
