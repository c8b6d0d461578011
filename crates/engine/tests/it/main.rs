//! The engine in its pretend world, from the outside.

#![cfg(test)]

mod conformance;
mod executor;
mod journals;
mod properties;
mod rehearsals;
mod scenarios;
mod secrets;
mod yard;
