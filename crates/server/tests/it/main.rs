//! The dashboard over its HTTP API, in pretend worlds: who gets in, what is answered, streams that lose nothing, and a real browser.

#![cfg(test)]

mod answers;
mod browser;
mod ending;
mod examples;
mod gate;
mod house;
mod slow;
mod streams;
