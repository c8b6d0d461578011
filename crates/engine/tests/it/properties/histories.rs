//! Histories: much is asked of one cluster, much happens to it in between, and where a run was cut, another deed may come.

use std::collections::BTreeSet;
use std::time::Duration;

use kubewright_model::desired::Saved;
use kubewright_model::ids::{NodeName, Vmid};
use kubewright_model::plan::{Ask, Weight};
use proptest::prelude::*;
use proptest::sample::Index;

use super::chance::{Bounds, Damage, Kind, Make, Shape, Wish, any_shape, damage, happen, wishes};
use super::{RUNS, always, converges_in, fine, in_a_yard};
use crate::yard::{Yard, desired, words};

/// A node whose machine is gone is told of as Ready for less than a minute.
const NOTICED: Duration = Duration::from_secs(120);

/// Runs after which everything must be as wished. All machines may be off, one lost, and several minors wished: machines start,
/// the lost one is set up while etcd finds its leader, the first minor lets it join, and the rest of the way follows.
const ROUNDS: usize = RUNS + 1;

/// What somebody asks for.
#[derive(Clone, Debug)]
enum Deed {
    Wish(Vec<Wish>),
    Upgrade(usize),
    Replace(Index),
    Reboot(Vec<Index>),
    Repair,
    Backup,
    Restore,
    Rebuild,
}

/// What happens, what is asked for then, and how long its run may last.
#[derive(Clone, Debug)]
struct Chapter {
    damages: Vec<Damage>,
    deed: Deed,
    cut: u64,
    /// Whether whoever asked asks once more, or somebody else comes with another deed.
    goes_on: bool,
}

fn chapter() -> impl Strategy<Value = Chapter> {
    let deed = prop_oneof![
        3 => wishes().prop_map(Deed::Wish),
        3 => (1..4_usize).prop_map(Deed::Upgrade),
        3 => any::<Index>().prop_map(Deed::Replace),
        3 => proptest::collection::vec(any::<Index>(), 0..3).prop_map(Deed::Reboot),
        2 => Just(Deed::Repair),
        2 => Just(Deed::Backup),
        2 => Just(Deed::Restore),
        1 => Just(Deed::Rebuild),
    ];
    (damage(), deed, 0..400_000_u64, any::<bool>()).prop_map(|(damages, deed, cut, goes_on)| Chapter {
        damages,
        deed,
        cut,
        goes_on,
    })
}

impl Deed {
    /// The question that it comes to, once the wish is as it says.
    async fn ask(&self, yard: &mut Yard, shape: &mut Shape) -> Ask {
        yard.desired.restores = None;
        let name = |yard: &Yard, at: &Index| yard.desired.members[at.index(yard.desired.members.len())].name.clone();
        match self {
            Self::Wish(wishes) => {
                *shape = shape.after(wishes);
                yard.wish(desired(&shape.spec()));
                Ask::Apply
            }
            Self::Upgrade(minors) => {
                *shape = shape.after(&vec![Wish::Upgrade; *minors]);
                yard.wish(desired(&shape.spec()));
                Ask::Apply
            }
            Self::Replace(at) => Ask::Replace(vec![name(yard, at)]),
            Self::Reboot(at) => {
                Ask::Reboot(at.iter().map(|at| name(yard, at)).collect::<BTreeSet<_>>().into_iter().collect())
            }
            Self::Repair => {
                let engine = yard.engine();
                let evidence = engine.examine(&yard.desired, &BTreeSet::new()).await;
                Ask::Repair(Box::new(engine.diagnose(&evidence, &yard.desired).repairs()))
            }
            Self::Backup => Ask::Backup,
            Self::Restore => {
                yard.desired.restores = Some(Saved::Latest);
                Ask::Restore
            }
            Self::Rebuild => Ask::Rebuild,
        }
    }

    /// Whether the cluster of before is meant to end by it.
    fn ends_it(&self) -> bool {
        matches!(self, Self::Restore | Self::Rebuild)
    }
}

/// Plays one chapter. What may not be done is refused, which is no fault of it.
async fn play(
    yard: &mut Yard,
    shape: &mut Shape,
    chapter: &Chapter,
    sick: &mut BTreeSet<NodeName>,
) -> Result<(), String> {
    for damage in &chapter.damages {
        // Hosts that exist already come back by nobody's hands but their owner's.
        let beyond = shape.make == Make::Existing && matches!(damage, Damage::Lost(_) | Damage::Stopped(_));
        // Nobody gets into a Talos node to change or stop anything there.
        let shut = shape.kind == Kind::Talos && !matches!(damage, Damage::Cordoned(_) | Damage::Strikes(_));
        if !beyond && !shut {
            happen(&yard.centre, &yard.desired, damage, sick, Bounds::Off);
        }
    }
    let ask = chapter.deed.ask(yard, shape).await;
    let ends = chapter.deed.ends_it();
    if ends {
        // What is refused before it has begun ends nothing.
        let (_, plan) = yard.plan(&ask, &[]).await;
        if plan.notes.iter().any(|note| note.weight == Weight::Blocks) {
            yard.desired.restores = None;
            return Ok(());
        }
        yard.centre.announce_end();
    }
    let ended = tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(chapter.cut)) => None,
        (ended, _) = yard.run(&ask, &[]) => Some(words(&ended)),
    };
    // What puts a cluster in the place of another one is finished by nobody else.
    if ended.as_deref() != Some("complete") && (chapter.goes_on || ends) {
        yard.centre.mend();
        let told = yard.run_to_the_end(&ask, &[], 4).await;
        let well = told.last().map(String::as_str) == Some("complete");
        if ends && !well {
            return Err(format!("{:?}: {}", chapter.deed, told.join(" | ")));
        }
        if well && ask == Ask::Apply {
            sick.clear();
        }
    }
    yard.centre.announce_life();
    yard.desired.restores = None;
    let breaches = yard.centre.breaches().into_iter().map(|breach| format!("{:?}: {}", chapter.deed, breach.what));
    fine(breaches.collect())
}

/// Quorum is never lost by a deed of ours, nothing that is not ours goes, and in the end everything is as wished: whatever was
/// asked for, wherever it was cut, and whatever happened in between.
#[test]
fn histories_end_well() {
    let histories = (any_shape(), proptest::collection::vec(chapter(), 1..5));
    always(300, histories, |(shape, chapters)| {
        in_a_yard(&shape.clone(), async |mut yard| {
            let mut shape = shape.clone();
            let stranger = NodeName::from("somebody-vm");
            if shape.make != Make::Existing {
                yard.centre.put_foreign(&"proxmox".into(), &"pve".into(), &stranger, Vmid(9_999));
            }
            let told = yard.run_to_the_end(&Ask::Apply, &[], 1).await;
            if told != ["complete"] {
                return Err(format!("the build: {}", told.join(" | ")));
            }
            // There is something to go back to.
            if shape.can_be_saved() {
                let told = yard.run_to_the_end(&Ask::Backup, &[], 1).await;
                if told != ["complete"] {
                    return Err(format!("the first backup: {}", told.join(" | ")));
                }
            }
            let mut sick = BTreeSet::new();
            for chapter in &chapters {
                play(&mut yard, &mut shape, chapter, &mut sick).await?;
            }
            yard.centre.mend();
            // Nodes that went with their machines are known to be gone by now.
            tokio::time::sleep(NOTICED).await;
            converges_in(ROUNDS, &yard, &Ask::Apply).await?;
            let there = shape.make == Make::Existing || yard.centre.snapshot().machine(&stranger).is_some();
            if there { Ok(()) } else { Err("somebody else's machine is gone".into()) }
        })
    });
}
