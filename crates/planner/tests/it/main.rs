//! The planner judged from outside.

#[cfg(test)]
mod rules;
