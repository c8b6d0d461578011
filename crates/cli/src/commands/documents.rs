//! `kubewright schema` and `kubewright docs`.

use kubewright_model::spec::schema::json_schema;

use super::print_json;
use crate::problem::{Done, Problem};

pub(super) fn schema() -> Result<Done, Problem> {
    print_json(json_schema())?;
    Ok(Done::Well)
}
