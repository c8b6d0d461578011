//! What differs between the wish and the world, field by field; a module for each layer.
//!
//! A difference says nothing of order, of consent or of what it would break: that is [`crate::plan`]'s, which asks for
//! the differences of one thing at a time and makes a step of them. What could not be seen has no differences; the plan
//! leaves a note for it.

pub(crate) mod balancers;
pub(crate) mod cloud;
pub(crate) mod cluster;
pub mod host;
pub mod hypervisors;
pub(crate) mod machine;
pub mod rendered;
pub mod settings;
pub mod talos;

use kubewright_model::change::FieldChange;

/// One field's difference, when there is one.
pub(crate) fn field<T: PartialEq + ToString>(name: &str, from: Option<&T>, to: Option<&T>) -> Option<FieldChange> {
    (from != to).then(|| FieldChange {
        field: name.to_string(),
        from: from.map(T::to_string),
        to: to.map(T::to_string),
    })
}
