//! From what the spec says of a Proxmox cluster to hands on it.

use std::path::Path;

use kubewright_model::desired::{
    Desired, ProxmoxCluster, ProxmoxIdentity, ProxmoxTrust, proxmox_password, proxmox_token,
};
use kubewright_model::ids::ProviderName;
use kubewright_model::observed::Why;
use kubewright_model::spec::secrets::SecretRef;
use kubewright_providers::Trust;
use kubewright_providers::proxmox::{Identity, Proxmox, Settings};

use super::logins;
use crate::holes::{self, Secrets};
use crate::places::Places;

/// Hands on the cluster, or why there are none: its credentials cannot be read, or its settings are none.
pub(super) fn hands(
    desired: &Desired,
    name: &ProviderName,
    cluster: &ProxmoxCluster,
    secrets: Secrets<'_>,
) -> Result<Proxmox, Why> {
    let folder = secrets.places.folder();
    let (identity, secret_at) = identity(desired, name, &cluster.identity, secrets.places)?;
    let settings = Settings {
        addresses: cluster.endpoints.clone(),
        identity,
        secret_at,
        trust: trust(&cluster.trust, folder).map_err(Why::lasting)?,
        pool: cluster.pool.clone(),
        logins: logins::of(desired, secrets).map_err(Why::lasting)?,
    };
    Proxmox::new(settings).map_err(Why::from)
}

fn identity(
    desired: &Desired,
    cluster: &ProviderName,
    identity: &ProxmoxIdentity,
    places: &Places,
) -> Result<(Identity, String), Why> {
    let read = |name: &str, what: &str| {
        let place = desired.secrets.get(name).ok_or_else(|| Why::lasting(format!("nothing says where {what} is")))?;
        let missing = |why| Why { help: holes::remedy(place), ..lasting(what, place, why) };
        Ok::<_, Why>((holes::read(place, places).map_err(missing)?, place))
    };
    Ok(match identity {
        ProxmoxIdentity::Token(id) => {
            let (secret, place) = read(&proxmox_token(cluster), "the API token")?;
            // What `pveum` and other programs take is the id with the secret behind it.
            if secret.expose().contains('!') {
                let why = lasting("the API token", place, "it is more than the token's secret".into());
                let help = format!("the secret alone, without `{id}=` before it");
                return Err(Why { help: Some(help), ..why });
            }
            (Identity::Token { id: id.clone(), secret }, place.place())
        }
        ProxmoxIdentity::User(user) => {
            let (password, place) = read(&proxmox_password(cluster), "the password")?;
            (Identity::Password { user: user.clone(), password }, place.place())
        }
    })
}

fn lasting(what: &str, place: &SecretRef, why: String) -> Why {
    Why::lasting(format!("{what} ({}): {why}", place.place()))
}

fn trust(trust: &ProxmoxTrust, folder: &Path) -> Result<Trust, String> {
    Ok(match trust {
        ProxmoxTrust::System => Trust::System,
        ProxmoxTrust::Fingerprints(fingerprints) => Trust::Fingerprints(fingerprints.clone()),
        ProxmoxTrust::Anything => Trust::Anything,
        ProxmoxTrust::Authority(file) => {
            let path = holes::path(file, folder);
            let read = std::fs::read_to_string(&path);
            Trust::Authority(read.map_err(|error| format!("the CA's certificate {}: {error}", path.display()))?)
        }
    })
}
