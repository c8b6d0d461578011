//! `kubewright doctor`: what is wrong, why, and the repair; and `kubewright support-bundle`.

use std::collections::BTreeSet;
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use kubewright_engine::bundle::Packed;
use kubewright_model::desired::Desired;
use kubewright_model::diagnostic::nearest;
use kubewright_model::doctor::Diagnosis;
use kubewright_model::ids::NodeName;
use kubewright_model::plan::Ask;

use super::{change, print_json_of};
use crate::arguments::doctor::{Doctor, SupportBundle};
use crate::arguments::{Arguments, Output};
use crate::problem::{Done, Problem, listed};
use crate::screen::{counted, remark};
use crate::source::{self, Reading};
use crate::view;
use crate::world::Site;

pub(super) fn run(arguments: &Arguments, doctor: &Doctor) -> Result<Done, Problem> {
    let desired = source::read(&doctor.file, Reading::of(arguments, doctor.output))?.desired;
    let only = named(&desired, &doctor.nodes)?;
    let diagnosis = examined(arguments, doctor, &desired, &only)?;
    let repairs = diagnosis.repairs();
    // A program that repairs hears of the run, and not of the diagnosis before it.
    if !(doctor.fix && doctor.output == Output::Json && !repairs.is_empty()) {
        show(arguments, doctor, &desired, &diagnosis)?;
    }
    if !doctor.fix || diagnosis.causes.is_empty() {
        return Ok(verdict(&diagnosis));
    }
    if repairs.is_empty() {
        remark!("nothing of it can be repaired by a program: each cause says what to do by hand");
        return Ok(verdict(&diagnosis));
    }
    let done = change::repair(arguments, doctor, desired.clone(), Ask::Repair(Box::new(repairs)))?;
    if done != Done::Well {
        return Ok(done);
    }
    let after = examined(arguments, doctor, &desired, &only)?;
    if doctor.output == Output::Text {
        view::doctor::show(&desired, &after);
    }
    Ok(verdict(&after))
}

fn verdict(diagnosis: &Diagnosis) -> Done {
    if diagnosis.is_sick() { Done::Unhealthy } else { Done::Well }
}

fn examined(
    arguments: &Arguments,
    doctor: &Doctor,
    desired: &Desired,
    only: &BTreeSet<NodeName>,
) -> Result<Diagnosis, Problem> {
    Site::look(arguments, &doctor.file, desired, async |site| {
        let evidence = site.engine.examine(desired, only).await;
        Ok(site.engine.diagnose(&evidence, desired))
    })
}

fn show(arguments: &Arguments, doctor: &Doctor, desired: &Desired, diagnosis: &Diagnosis) -> Result<(), Problem> {
    match doctor.output {
        Output::Text => view::doctor::show(desired, diagnosis),
        Output::Json => print_json_of(arguments.simulated.is_some(), diagnosis)?,
    }
    Ok(())
}

/// The hosts that were named, if there are such.
fn named(desired: &Desired, nodes: &[String]) -> Result<BTreeSet<NodeName>, Problem> {
    let known: Vec<&str> = desired.hosts.iter().map(|host| host.name.as_str()).collect();
    if let Some(unknown) = nodes.iter().find(|node| !known.contains(&node.as_str())) {
        let problem = Problem::new(Done::Usage, format!("{} has no node `{unknown}`", desired.cluster));
        return Err(match nearest(unknown, known.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("its nodes are {}", listed(&known))),
        });
    }
    Ok(nodes.iter().map(|node| NodeName::new(node.as_str())).collect())
}

/// Writes a file that nobody else on this computer reads, also where it was there before.
fn kept_to_oneself(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)
}

pub(super) fn bundle(arguments: &Arguments, bundle: &SupportBundle) -> Result<Done, Problem> {
    let desired = source::read(&bundle.file, Reading::of(arguments, Output::Text))?.desired;
    let spec = std::fs::read_to_string(&bundle.file).unwrap_or_default();
    let path = bundle.output.clone().unwrap_or_else(|| PathBuf::from(format!("support-{}.tar.gz", desired.cluster)));
    let packed = Site::look(arguments, &bundle.file, &desired, async |site| {
        Ok(site.engine.support_bundle(&desired, &spec, env!("CARGO_PKG_VERSION")).await)
    })?;
    let Packed { bytes, files } =
        packed.map_err(|why| Problem::new(Done::Unfinished, "the archive cannot be made").because(why))?;
    kept_to_oneself(&path, &bytes).map_err(|error| {
        Problem::new(Done::Usage, format!("cannot write {}", path.display())).because(error.to_string())
    })?;
    remark!(
        "wrote {}: {}; secrets were taken out, and `manifest.json` in it lists what is there",
        path.display(),
        counted(files, "file")
    );
    Ok(Done::Well)
}
