//! From the spec to what it means in full.
