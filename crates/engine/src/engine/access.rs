//! The way into a cluster, for those who use it.

use kubewright_model::desired::{Desired, DesiredLoadBalancer};
use kubewright_model::ids::ClusterName;
use kubewright_model::observed::Seen;
use kubewright_model::secret::Secret;
use kubewright_model::spec::Distribution;
use kubewright_model::talos::TALOS_SECRETS;

use super::{Engine, EngineError};
use crate::cluster::{KUBECONFIG, SERVER_NAME};
use crate::kubeconfig;
use crate::world::talos;

/// The way into a cluster.
#[derive(Clone, Debug)]
pub struct WayIn {
    /// The kubeconfig, named after the cluster, at the address that its users go to.
    pub kubeconfig: Secret,
    /// Why nobody knows whether it still opens anything.
    pub untried: Option<String>,
}

impl Engine {
    /// The kubeconfig of a cluster; or why there is none. A look at the cluster tries the one that is kept, and brings
    /// another from a server's host where none is, or where it has grown too old.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub async fn kubeconfig(&self, desired: &Desired) -> Result<Result<WayIn, String>, EngineError> {
        let kept = || self.store.secret(&desired.cluster, KUBECONFIG);
        // Where a cloud has put the way in, only the cloud tells.
        let told = desired.hetzner.is_none();
        let seen = match (kept()?, &self.world.cluster) {
            (Some(_), Some(hands)) if told => Some(hands.observe(desired).await),
            _ => self.status(desired).await.cluster,
        };
        let untried = match seen {
            Some(Seen::Present(_)) => None,
            Some(Seen::Unknown(why)) => Some(why.to_string()),
            Some(Seen::Absent) | None => Some("no member of the control plane runs anywhere".into()),
        };
        let Some(given) = kept()? else {
            return Ok(Err(untried.unwrap_or_else(|| "the cluster lives, and its kubeconfig is not kept here".into())));
        };
        // Where the world finds the API, users do too, unless the spec says where they are to go.
        let endpoint = desired.kubernetes.endpoint.address();
        let inside = |it: &DesiredLoadBalancer| endpoint.is_some() && it.settings.private_address == endpoint;
        let front = self.world.doors.front(desired).filter(|_| desired.load_balancers.iter().any(inside));
        let named = match front {
            Some(front) => kubeconfig::named(&given, &desired.cluster, &front, Some(SERVER_NAME)),
            None => kubeconfig::named(&given, &desired.cluster, &desired.kubernetes.endpoint, None),
        };
        let named = named.map_err(|why| format!("what is kept is no kubeconfig: {why}"));
        Ok(named.map(|kubeconfig| WayIn { kubeconfig, untried }))
    }

    /// The way into the API of Talos for its administrators, new and good for a year; or why there is none.
    pub fn talosconfig(&self, desired: &Desired) -> Result<Secret, String> {
        let servers = desired.servers().filter_map(|member| {
            let way = &desired.hosts.iter().find(|host| host.name == member.name)?.way;
            Some(way.address?.to_string())
        });
        let endpoints: Vec<String> = servers.collect();
        let secrets = match self.world.pretend {
            // Nothing there asks for them: any are as good.
            Some(_) if desired.kubernetes.distribution == Distribution::Talos => talos::generated()?,
            _ => self.talos_secrets(desired)?,
        };
        talos::talosconfig(&secrets, desired.cluster.as_str(), &endpoints)
    }

    /// New secrets for a cluster of Talos, as a file that `talosctl gen secrets` would write.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers, or its clock cannot be right.
    pub fn new_talos_secrets() -> Result<Secret, String> {
        talos::generated()
    }

    /// Why a text is no file of `talosctl gen secrets`, without its values; none where it is one.
    pub fn talos_secrets_fault(text: &Secret) -> Option<String> {
        talos::fault(text)
    }

    /// The secrets that a cluster of Talos is made of, as a file that `talosctl` reads; or why there are none.
    pub fn talos_secrets(&self, desired: &Desired) -> Result<Secret, String> {
        if desired.kubernetes.distribution != Distribution::Talos {
            return Err(format!("its distribution is {}", desired.kubernetes.distribution.title()));
        }
        if self.world.pretend.is_some() {
            return Err("the secrets of a pretend cluster open nothing".into());
        }
        let kept = self.world.secrets(&*self.store).kept(desired, TALOS_SECRETS)?;
        kept.ok_or_else(|| "no secrets of the cluster are kept: they are made when it is built".into())
    }

    /// Whether the kubeconfig of a cluster is kept.
    pub fn keeps_kubeconfig(&self, cluster: &ClusterName) -> bool {
        matches!(self.store.secret(cluster, KUBECONFIG), Ok(Some(_)))
    }
}
