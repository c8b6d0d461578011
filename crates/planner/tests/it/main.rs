//! The planner judged from outside.

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod brought;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod guides;
#[cfg(test)]
mod import;
#[cfg(test)]
mod inventories;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod talos;
#[cfg(test)]
mod templates;
