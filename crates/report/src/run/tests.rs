//! The page about a run, read back.
