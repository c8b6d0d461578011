//! A restore in a pretend data centre: the cluster of a bundle's spec stands there with the bundle's canary, is saved, lives
//! on, and goes back, once on its machines and once on new ones. What etcd holds is not simulated.

use kubewright_hosts::Holes;
use kubewright_model::bundle::Canary;
use kubewright_model::desired::{Desired, Saved};
use kubewright_model::event::Record;
use kubewright_model::plan::Ask;

use super::{Played, Script, Stage};
use crate::engine::EngineError;
use crate::execute::{Sink, Stop};
use crate::holes::KEPT_SNAPSHOT;

/// What chance follows.
const SEED: u64 = 1;

/// Plays a restore of what `canary` marks, or, where `anew`, a rebuild that begins with it; `sink` hears of it. Milliseconds
/// by the pretend clock come with what it came to.
///
/// # Errors
///
/// The cluster cannot be built as its spec says, or the restore is blocked.
pub async fn restore(
    desired: &Desired,
    canary: &Canary,
    anew: bool,
    sink: Sink<'_>,
) -> Result<(Played, u64), EngineError> {
    let mut stage = Stage::new(&Script { desired, before: None, seed: SEED, faults: &[] });
    for ask in [Ask::Apply, Ask::Backup] {
        let request = stage.request(desired, ask.clone());
        stage.engine.apply(&request, &Stop::default(), &mut |_| {}).await?;
        if let (Ask::Apply, Some(cluster)) = (ask, &stage.engine.world().cluster) {
            // What it says is looked at when it is back: where it cannot be written, that is found then.
            let _ = cluster.apply(&[canary.object(&desired.owner)], &desired.owner, &Holes::new()).await;
        }
    }
    let saved = stage.engine.store().secret(&desired.cluster, KEPT_SNAPSHOT)?;
    let restores = saved
        .map_or(Saved::Latest, |path| Saved::Bundle { file: path.expose().clone(), canary: canary.bundle.clone() });
    let desired = Desired { restores: Some(restores), protected: false, ..desired.clone() };
    stage.centre.announce_end();
    let (began, mut records) = (stage.centre.now(), Vec::new());
    // What is saved first in a rebuild is not what it goes back to.
    let ask = if anew { Ask::Rebuild } else { Ask::Restore };
    let request = stage.request(&desired, ask);
    let mut hears = |record: &Record| {
        records.push(record.clone());
        sink(record);
    };
    let report = stage.engine.apply(&request, &Stop::default(), &mut hears).await?;
    let breaches = stage.centre.breaches().into_iter().map(|breach| breach.what).collect();
    Ok((Played { report, records, breaches }, stage.centre.now() - began))
}
