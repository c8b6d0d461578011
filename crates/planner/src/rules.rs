//! What must hold between the values of a spec.

use kubewright_model::diagnostic::Diagnostic;
use kubewright_model::spec::ClusterFile;

/// Everything that is wrong with the values of a spec, at once. Places are not set yet.
pub fn rules(file: &ClusterFile) -> Vec<Diagnostic> {
    let _ = file;
    Vec::new()
}
