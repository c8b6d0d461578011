//! What holds for every cluster, every damage and every crash: by chance, always the same chance.
//!
//! `PROPERTIES=20` tries twenty times as many cases, and others.

mod chance;
mod histories;

use std::collections::BTreeSet;
use std::time::Duration;

use kubewright_engine::{EngineError, sim};
use kubewright_model::ids::{NodeName, Vmid};
use kubewright_model::plan::Ask;
use kubewright_planner::check::check;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::yard::{Cut, Yard, desired};
use chance::{Bounds, Damage, Make, Shape, damage, happen, shape, wishes};

/// Runs after which everything must be as wished, whatever happened before.
const RUNS: usize = 3;

/// Tries many cases of something.
fn always<S: Strategy>(cases: u32, strategy: S, holds: impl Fn(S::Value) -> Result<(), String>) {
    let factor: u32 = std::env::var("PROPERTIES").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let config = Config {
        cases: cases * factor,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(u64::from(factor)),
        max_shrink_iters: 400,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let tried = runner.run(&strategy, |value| holds(value).map_err(TestCaseError::fail));
    if let Err(error) = tried {
        panic!("{error}");
    }
}

/// Plays something in a yard of this shape.
fn in_a_yard(shape: &Shape, play: impl AsyncFnOnce(Yard) -> Result<(), String>) -> Result<(), String> {
    let yard = Yard::new(desired(&shape.spec()), 3);
    sim::run(async { tokio::time::timeout(Duration::from_secs(7 * 86_400), play(yard)).await })
        .map_err(|error| error.to_string())?
        .map_err(|_| "it never ends".to_string())?
}

fn fine(told: Vec<String>) -> Result<(), String> {
    if told.is_empty() { Ok(()) } else { Err(told.join("\n")) }
}

async fn converges(yard: &Yard, ask: &Ask) -> Result<(), String> {
    converges_in(RUNS, yard, ask).await
}

async fn converges_in(runs: usize, yard: &Yard, ask: &Ask) -> Result<(), String> {
    let told = yard.run_to_the_end(ask, &[], runs).await;
    if told.last().map(String::as_str) != Some("complete") {
        return Err(told.join(" | "));
    }
    fine(yard.complaints(ask, &[]).await)
}

#[test]
fn a_build_that_is_cut_off_is_finished_by_the_next_run() {
    always(250, (shape(), 0..240_000_u64, 0..120_000_u64), |(shape, first, second)| {
        in_a_yard(&shape, async |yard| {
            yard.run_until(Cut::At(first), &Ask::Apply, &[]).await;
            yard.run_until(Cut::At(second), &Ask::Apply, &[]).await;
            converges(&yard, &Ask::Apply).await
        })
    });
}

#[test]
fn hypervisors_that_restart_in_the_middle_of_a_build_leave_nothing_half_made() {
    always(100, (shape(), 0..240_000_u64), |(shape, cut)| {
        in_a_yard(&shape, async |yard| {
            yard.run_until(Cut::At(cut), &Ask::Apply, &[]).await;
            yard.centre.reboot();
            converges(&yard, &Ask::Apply).await
        })
    });
}

/// Builds, then damages.
async fn damaged(yard: &Yard, shape: &Shape, damages: &[Damage], bounds: Bounds) -> Result<(), String> {
    let told = yard.run_to_the_end(&Ask::Apply, &[], 1).await;
    if told != ["complete"] {
        return Err(format!("the build: {}", told.join(" | ")));
    }
    let mut sick = BTreeSet::new();
    for damage in damages {
        // Hosts that exist already come back by nobody's hands but their owner's.
        let beyond = shape.make == Make::Existing && matches!(damage, Damage::Lost(_) | Damage::Stopped(_));
        if !beyond {
            happen(&yard.centre, &yard.desired, damage, &mut sick, bounds);
        }
    }
    Ok(())
}

#[test]
fn what_a_cluster_can_survive_it_recovers_from() {
    always(400, (shape(), damage(), 0..200_000_u64), |(shape, damages, cut)| {
        in_a_yard(&shape, async |yard| {
            damaged(&yard, &shape, &damages, Bounds::Lost).await?;
            yard.run_until(Cut::At(cut), &Ask::Apply, &[]).await;
            converges(&yard, &Ask::Apply).await
        })
    });
}

#[test]
fn what_is_wished_later_comes_true_in_a_damaged_cluster_too() {
    always(400, (shape(), wishes(), damage(), 0..200_000_u64), |(shape, wishes, damages, cut)| {
        in_a_yard(&shape, async |mut yard| {
            let after = shape.after(&wishes);
            let bounds = if after.servers < shape.servers { Bounds::Off } else { Bounds::Lost };
            damaged(&yard, &shape, &damages, bounds).await?;
            yard.wish(desired(&after.spec()));
            yard.run_until(Cut::At(cut), &Ask::Apply, &[]).await;
            converges(&yard, &Ask::Apply).await
        })
    });
}

#[test]
fn a_destruction_leaves_nothing_of_ours_and_all_of_others() {
    always(250, (shape(), 0..240_000_u64, damage(), 0..60_000_u64), |(shape, built, damages, cut)| {
        in_a_yard(&shape, async |yard| {
            let stranger = NodeName::from("somebody-vm");
            if shape.make != Make::Existing {
                yard.centre.put_foreign(&"proxmox".into(), &"pve".into(), &stranger, Vmid(900));
            }
            yard.run_until(Cut::At(built), &Ask::Apply, &[]).await;
            let beyond = |damage: &&Damage| shape.make != Make::Existing || !matches!(damage, Damage::Stopped(_));
            for damage in damages.iter().filter(beyond).filter(|it| !matches!(it, Damage::Lost(_))) {
                happen(&yard.centre, &yard.desired, damage, &mut BTreeSet::new(), Bounds::None);
            }
            yard.centre.announce_end();
            yard.run_until(Cut::At(cut), &Ask::Destroy, &[]).await;
            converges(&yard, &Ask::Destroy).await?;
            let there = shape.make == Make::Existing || yard.centre.snapshot().machine(&stranger).is_some();
            if there { Ok(()) } else { Err("somebody else's machine is gone".into()) }
        })
    });
}

#[test]
fn every_plan_is_proven_and_a_blocked_one_touches_nothing() {
    let asks = prop_oneof![
        4 => Just(Ask::Apply),
        1 => Just(Ask::Rebuild),
        1 => Just(Ask::Destroy),
        1 => Just(Ask::Backup),
        3 => proptest::collection::vec(any::<Index>(), 1..3).prop_map(|at| {
            Ask::Replace(at.iter().map(|at| NodeName::from(format!("server-{}", 1 + at.index(3)))).collect())
        }),
    ];
    let strategy = (shape(), wishes(), proptest::collection::vec(damage(), 1..4), asks, 0..200_000_u64);
    always(500, strategy, |(shape, wishes, damages, ask, built)| {
        in_a_yard(&shape, async |mut yard| {
            yard.run_until(Cut::At(built), &Ask::Apply, &[]).await;
            for damage in damages.iter().flatten() {
                happen(&yard.centre, &yard.desired, damage, &mut BTreeSet::new(), Bounds::None);
            }
            yard.wish(desired(&shape.after(&wishes).spec()));
            let observed = yard.engine().status(&yard.desired).await;
            let plan = kubewright_planner::plan::plan(&yard.desired, &observed, &ask);
            let broken = check(&plan, &yard.desired, &observed);
            fine(broken.iter().map(|violation| format!("{violation:?}")).collect())?;
            let again = kubewright_planner::plan::plan(&yard.desired, &observed, &ask);
            if serde_json::to_string(&plan).ok() != serde_json::to_string(&again).ok() {
                return Err("planning twice gives two plans".into());
            }
            let before = touches(&yard);
            match yard.run(&ask, &[]).await.0 {
                Err(EngineError::Blocked(_)) if touches(&yard) != before => Err("blocked, and yet touched".into()),
                _ => Ok(()),
            }
        })
    });
}

/// How often anything was done that is more than a look.
fn touches(yard: &Yard) -> u64 {
    let looks = ["provider list", "provider preflight", "host look", "kubernetes list", "kubernetes check"];
    let calls = yard.centre.calls();
    calls.iter().filter(|(call, _)| !looks.contains(&call.as_str())).map(|(_, times)| times).sum()
}

#[test]
fn the_same_seed_gives_the_same_run() {
    always(60, (shape(), damage()), |(shape, damages)| {
        let tell = || -> Result<String, String> {
            let mut told = String::new();
            in_a_yard(&shape, async |yard| {
                let (_, built) = yard.run(&Ask::Apply, &[]).await;
                for damage in &damages {
                    happen(&yard.centre, &yard.desired, damage, &mut BTreeSet::new(), Bounds::None);
                }
                let (_, mended) = yard.run(&Ask::Apply, &[]).await;
                told = serde_json::to_string(&(built, mended)).map_err(|error| error.to_string())?;
                Ok(())
            })?;
            Ok(told)
        };
        if tell()? == tell()? { Ok(()) } else { Err("two runs of one seed differ".into()) }
    });
}
