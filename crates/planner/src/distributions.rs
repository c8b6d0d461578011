//! Distributions compile: from nodes to files, units and recipes. They do nothing themselves.

pub mod k3s;
