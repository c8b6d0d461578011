//! The planner judged from outside.

#[cfg(test)]
mod guides;
#[cfg(test)]
mod rules;
