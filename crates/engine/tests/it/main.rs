//! The engine in its pretend world, from the outside.

#![cfg(test)]

mod conformance;
mod executor;
mod journals;
#[path = "../../../hosts/tests/it/lab.rs"]
mod lab;
mod properties;
mod rehearsals;
mod scenarios;
mod secrets;
mod yard;
