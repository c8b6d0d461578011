//! The real hands on hosts that boot systemd.

mod clouds;
mod daemon;
mod reboots;
mod units;

use std::future::Future;

use crate::booted::world;

use super::*;

/// Runs a test's deeds, one after the other.
fn block_on(deeds: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("threads are to be had").block_on(deeds);
}
