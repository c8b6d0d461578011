//! What people look at: plans as trees, runs as they move, tables.

pub(crate) mod addresses;
pub(crate) mod certificates;
pub(crate) mod checks;
pub(crate) mod doctor;
pub(crate) mod history;
mod line;
pub(crate) mod phases;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod rehearsal;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod top;
pub(crate) mod turns;
