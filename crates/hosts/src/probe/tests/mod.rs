//! The script in real shells, and the reading of what hosts answer.

mod host;
mod kinds;
mod recorded;
mod robust;
mod updates;
