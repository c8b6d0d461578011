//! From what the spec says of a Hetzner project to hands on it.

use kubewright_model::cloud::{Certificate, CloudBody, DesiredResource};
use kubewright_model::desired::{Desired, HETZNER_TOKEN, HetznerProject, certificate_secrets};
use kubewright_model::observed::Why;
use kubewright_model::secret::Secret;
use kubewright_providers::hetzner::{ANSWER, Hetzner, Settings, Uploaded};

use super::logins;
use crate::holes::{self, Secrets};

/// Hands on the project, or why there are none: its token cannot be read, or nobody could log in.
pub(super) fn hands(desired: &Desired, project: &HetznerProject, secrets: Secrets<'_>) -> Result<Hetzner, Why> {
    let place =
        desired.secrets.get(HETZNER_TOKEN).ok_or_else(|| Why::lasting("nothing says where the API token is"))?;
    let token = holes::read(place, secrets.places).map_err(|why| Why {
        help: holes::remedy(place),
        ..Why::lasting(format!("the API token ({}): {why}", place.place()))
    })?;
    let keys = project.ssh_keys.iter().map(|(name, file)| (name.clone(), public_half(file, secrets)));
    let brought = desired.resources.iter().filter(|wish| is_brought(wish));
    let certificates = brought.map(|wish| (wish.name.clone(), uploaded(desired, &wish.name, secrets)));
    let settings = Settings {
        address: project.endpoint.clone(),
        token,
        token_at: place.place(),
        deadline: ANSWER,
        logins: logins::of(desired, secrets).map_err(Why::lasting)?,
        ssh_keys: keys.collect(),
        certificates: certificates.collect(),
    };
    Hetzner::new(settings).map_err(Why::from)
}

fn is_brought(wish: &DesiredResource) -> bool {
    matches!(wish.body, CloudBody::Certificate(Certificate::Uploaded))
}

/// The public half of a key's file: its first line is the key.
fn public_half(file: &str, secrets: Secrets<'_>) -> Result<String, String> {
    let lines = logins::public_half(file, secrets.places.folder())?;
    lines.into_iter().next().ok_or_else(|| format!("{file}.pub holds no key"))
}

/// A certificate that we bring, and its private key.
fn uploaded(desired: &Desired, name: &str, secrets: Secrets<'_>) -> Result<Uploaded, String> {
    let read = |secret: &String| -> Result<Secret, String> {
        let place = desired.secrets.get(secret).ok_or_else(|| format!("nothing says where {secret} is"))?;
        holes::read(place, secrets.places).map_err(|why| format!("{}: {why}", place.place()))
    };
    let [public, private] = certificate_secrets(name);
    Ok(Uploaded { certificate: read(&public)?.expose().clone(), private_key: read(&private)? })
}
