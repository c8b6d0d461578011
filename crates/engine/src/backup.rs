//! Bundles: what a cluster is made anew from, packed into one encrypted file and read back.
//!
//! Start reading at [`Packing`], which makes one, and [`verify`], which reads one back and believes nothing; [`Shelf`] is
//! where they are kept. What goes into a bundle of a cluster is said in `collect`.
//!
//! # Invariants
//!
//! - What is not encrypted yet touches no disk: it waits under a key that nobody keeps.
//! - What is read from a bundle is believed when the whole of it has been read.
//! - Only what has a name of our form and of this cluster is ever deleted.

pub mod catalog;
pub(crate) mod collect;
mod objects;
mod outside;
mod pack;
mod read;
pub mod shelf;
pub(crate) mod unpack;
mod wish;

pub use objects::{Dumped, dump};
pub use outside::{Outside, outside};
pub use pack::{Packed, Packing};
pub use read::{Damage, extract, extract_of, manifest, verify};
pub use unpack::{Unfit, Unpacked};
pub use wish::{Asked, Unsaved, bundle, hours, shelf as shelf_of};
