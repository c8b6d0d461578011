//! `kubewright bundle`, and what `--bundle` does to the commands that go by one.

use std::path::{Path, PathBuf};

use kubewright_engine::airgap::{self, Listed, Wish};
use kubewright_engine::{Engine, Loadout};
use kubewright_model::desired::Desired;
use kubewright_model::digest::Digest;
use kubewright_model::units::Size;

use crate::arguments::airgap::Bundle;
use crate::arguments::{Arguments, Output};
use crate::problem::{Done, Problem};
use crate::screen::{BAD, CARE, DIM, counted, paint, remark, say};
use crate::source::{self, Reading, Texts};
use crate::view::table::{lines, table_keeping};
use crate::world::Site;

pub(super) fn run(arguments: &Arguments, bundle: &Bundle) -> Result<Done, Problem> {
    // No host is asked.
    let reading = Reading { asks_hosts: false, ..Reading::for_a_plan(arguments, Output::Text) };
    let loadout = closed(&source::read(&bundle.file, reading)?)?;
    let spec = Digest::of(Texts::open(&bundle.file, arguments.environment.as_deref())?.whole());
    let mut machines: Vec<String> = bundle.arch.iter().map(|arch| arch.word().to_string()).collect();
    machines.sort();
    machines.dedup();
    let wish = Wish {
        file: &loadout.file,
        desired: &loadout.desired,
        way: way(arguments, bundle, &loadout.desired)?,
        spec,
        machines,
        images: bundle.image.clone(),
        helm: !bundle.without_helm,
        cache: cache(arguments)?.join("collected"),
    };
    if bundle.list {
        list(&airgap::listed(&wish));
        return Ok(Done::Well);
    }
    if arguments.simulated.is_some() {
        let problem = Problem::new(Done::Usage, "a bundle is collected from the real world");
        return Err(problem.hint("leave `--simulated` out; `--list` shows what would be collected"));
    }
    let kubernetes = &loadout.desired.kubernetes;
    let name = || PathBuf::from(format!("{}-{}.bundle.tar", loadout.desired.cluster, kubernetes.version));
    let to = bundle.output.clone().unwrap_or_else(name);
    let collected = Site::look(arguments, &bundle.file, &loadout.desired, async |site| {
        let tell = |what: String| remark!("{} {what}", paint(DIM, "↓"));
        Ok(site.engine.collect(&wish, &to, &tell).await)
    })?;
    let collected = collected.map_err(|failed| {
        failed.iter().for_each(|why| remark!("{} {why}", paint(BAD, "✗")));
        let missing = counted(failed.len(), "thing");
        Problem::new(Done::Unfinished, format!("{missing} could not be collected, so no bundle was written"))
            .hint("what was fetched is kept: the same command goes on from there")
    })?;
    let things = counted(collected.manifest.contents.len(), "thing");
    let size = Size::from_bytes(collected.size);
    remark!("wrote {}: {things}, {size}; `kubewright apply --bundle {}` goes by it", to.display(), to.display());
    Ok(Done::Well)
}

/// What the spec means with each version on the way of the upgrade that is asked for.
fn way(arguments: &Arguments, bundle: &Bundle, desired: &Desired) -> Result<Vec<Desired>, Problem> {
    let wanted = &desired.kubernetes.version;
    let from = match &bundle.from {
        Some(from) => Some(from.clone()),
        None if bundle.from_cluster => {
            let observed =
                Site::look(arguments, &bundle.file, desired, async |site| Ok(site.engine.status(desired).await))?;
            if observed.cluster.as_ref().is_none_or(|cluster| cluster.present().is_none()) {
                let problem = Problem::new(
                    Done::Unfinished,
                    "nobody knows which version the cluster runs: it cannot be looked at",
                );
                return Err(problem.hint("`--from VERSION` says it"));
            }
            airgap::runs(desired, &observed)
        }
        None => None,
    };
    let Some(from) = from else { return Ok(Vec::new()) };
    if from > *wanted {
        return Err(Problem::new(Done::Usage, format!("{from} is newer than {wanted}, which the spec has")));
    }
    let way = airgap::on_the_way(desired, &from).map_err(|(major, minor)| {
        Problem::new(
            Done::Blocked,
            format!("the way goes through v{major}.{minor}, of which this program knows no version"),
        )
        .hint("name one in `kubernetes.through`")
    })?;
    if !way.is_empty() {
        let versions: Vec<String> = way.iter().map(|leg| leg.kubernetes.version.to_string()).collect();
        remark!("{}", paint(DIM, format!("with what {} needs", versions.join(" and "))));
    }
    Ok(way)
}

/// What there is to collect, a row for each.
fn list(listed: &Listed) {
    let mut all = table_keeping(&["KIND", "NAME", "SIZE", "FROM", "FOR"], &["FROM"]);
    for (need, size) in &listed.needs {
        let size = size.map_or_else(|| "?".into(), |size| Size::from_bytes(size).to_string());
        let from = match &need.repository {
            Some(repository) => format!("{repository} {}", need.source),
            None => need.source.clone(),
        };
        all.add_row([need.kind.to_string(), need.name.clone(), size, from, need.wanted_by.join(", ")]);
    }
    say!("{}", lines(&all));
    if !listed.unrendered.is_empty() {
        remark!("→ images come with them that are known when they are fetched: {}", listed.unrendered.join(", "));
    }
    for (what, why) in &listed.refused {
        remark!("{} {what} cannot go without the network: {why}", paint(BAD, "✗"));
    }
    remark!("→ packages of hosts are in no bundle: hosts bring theirs, or the site has a mirror of them");
}

/// Where bundles are collected and unpacked. A pretend world has a place of its own.
fn cache(arguments: &Arguments) -> Result<PathBuf, Problem> {
    let pretend = arguments.simulated.as_ref().map(|folder| folder.join("airgap"));
    let cache = pretend.or_else(airgap::cache);
    cache.ok_or_else(|| {
        Problem::new(Done::Usage, "there is no folder to keep bundles in").hint("set XDG_CACHE_HOME or HOME")
    })
}

fn closed(loadout: &Loadout) -> Result<Loadout, Problem> {
    Engine::closed(loadout).map_err(|found| told(&found))
}

fn told(found: &[kubewright_model::diagnostic::Diagnostic]) -> Problem {
    let why: Vec<&str> = found.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    Problem::new(Done::Invalid, "the spec makes no sense without a network").because(why.join("; "))
}

/// A spec as it is read with `--bundle`: proven first, and then everything from outside comes from there.
pub(super) fn by(
    arguments: &Arguments,
    file: &Path,
    bundle: Option<&Path>,
    loadout: Loadout,
) -> Result<Loadout, Problem> {
    let Some(bundle) = bundle else { return Ok(loadout) };
    let gap = airgap::open(bundle, &cache(arguments)?).map_err(|refused| {
        let problem = Problem::new(Done::Blocked, refused.to_string());
        let problem = refused.why.iter().fold(problem, |problem, why| problem.because(why.clone()));
        problem.hint("nothing was touched; copy it anew, or collect it anew with `kubewright bundle`")
    })?;
    let spec = Digest::of(Texts::open(file, arguments.environment.as_deref())?.whole());
    if gap.manifest.spec != spec {
        remark!(
            "{} the spec is another one than the bundle was collected for; what it lacks is told",
            paint(CARE, "!")
        );
    }
    let things = counted(gap.manifest.contents.len(), "thing");
    remark!("{}", paint(DIM, format!("{} is whole: {things}, and nothing is fetched beside them", bundle.display())));
    Engine::sealed(&loadout, &gap).map_err(|found| told(&found))
}
