//! The way to a cluster: the kept kubeconfig, and any server that answers.
//!
//! A dead first server is no reason to stop, so every address that is known is asked at once and the first that says that
//! it is ready is taken. What is not kept, or is of an older cluster, is read from a server's host.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{join_all, select_ok};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use kubewright_hosts::{Holes, Hosts, Probe};
use kubewright_model::desired::{Desired, DesiredMember};
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::observed::{HostSeen, Seen};
use kubewright_model::recipe::{Effect, Recipe};
use kubewright_model::secret::Secret;
use tokio::time::{Instant, timeout};

use super::failure::told;
use crate::cluster::ClusterError;
use crate::store::Store;
use crate::world::doors::Doors;

/// The hole that recipes fill with the kubeconfig, and its name in the store.
const HOLE: &str = "cluster/kubeconfig";
/// See [`HOLE`].
pub(crate) const KEPT: &str = "kubeconfig";
/// A server that is there opens a connection within a second, also over a bad line.
const CONNECT: Duration = Duration::from_secs(5);
/// The API gives its own calls to etcd no longer than this.
const ANSWER: Duration = Duration::from_secs(60);
/// Whether it is ready an API server knows at once; one that needs longer is of no use.
const READY: Duration = Duration::from_secs(10);

/// Checks that are made together believe what the first of them found; the next wait looks again.
const BELIEVED: Duration = Duration::from_secs(2);

/// A server that answers.
#[derive(Clone)]
pub(super) struct Session {
    /// Its client.
    pub(super) client: Client,
    config: Config,
    /// Where the world finds the API, where that is not at its endpoint.
    front: Option<HostPort>,
}

/// Why there is no session.
#[derive(Clone, Debug)]
pub(super) enum Away {
    /// Every server's host was reached, and none serves.
    Nobody,
    /// Nobody knows.
    Unknown(String),
}

impl From<Away> for ClusterError {
    fn from(away: Away) -> Self {
        Self::Unreachable(match away {
            Away::Nobody => "no server of it serves".into(),
            Away::Unknown(why) => why,
        })
    }
}

/// What stands at an address, by how much speaks for an API server there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    /// Nobody listens.
    Nobody,
    /// Nothing came back: it is off, or there is no way to it from here.
    Silent,
    /// Somebody listens who is not known to be one of this cluster: a load balancer with nobody behind it, another
    /// certificate.
    Stranger,
    /// It speaks as an API server does.
    Answers,
}

/// Why there is no session by a kubeconfig.
#[derive(Clone, Debug)]
struct Shut {
    why: String,
    sign: Sign,
}

/// What a server that was asked for itself has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is ready.
    Ready,
    /// It answers, and is not ready: why.
    NotReady(String),
    /// There is no way to it from here: why.
    Silent(String),
}

/// The way to a cluster.
pub(super) struct Reach {
    store: Arc<dyn Store>,
    hosts: Arc<dyn Hosts>,
    doors: Arc<Doors>,
    session: Mutex<Option<Session>>,
    /// Addresses of servers that the cluster itself has told.
    learnt: Mutex<Vec<HostPort>>,
    /// When many looked for a server at once, and what the first of them found.
    in_vain: tokio::sync::Mutex<Option<(Instant, Away)>>,
}

impl Reach {
    pub(super) fn new(store: Arc<dyn Store>, hosts: Arc<dyn Hosts>) -> Self {
        let doors = Arc::default();
        Self { store, hosts, doors, session: Mutex::default(), learnt: Mutex::default(), in_vain: Default::default() }
    }

    /// The same way, also from outside.
    pub(super) fn through(self, doors: Arc<Doors>) -> Self {
        Self { doors, ..self }
    }

    /// The server that answered last; the next call looks for one anew.
    pub(super) fn lose(&self) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Addresses of servers, as their nodes tell them.
    pub(super) fn learn(&self, addresses: Vec<HostPort>) {
        *self.learnt.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// A server that answers.
    pub(super) async fn session(&self, desired: &Desired) -> Result<Session, Away> {
        let last = self.session.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(session) = last {
            return Ok(session);
        }
        let kept = self.store.secret(&desired.cluster, KEPT).map_err(|error| Away::Unknown(error.told()))?;
        let shut = match &kept {
            // Nothing speaks for a cluster that nobody here has been let into.
            None => Shut { why: "no kubeconfig of it is kept here".into(), sign: Sign::Nobody },
            Some(kept) => match self.open(kept, desired).await {
                Ok(session) => return Ok(session),
                Err(shut) => shut,
            },
        };
        self.by_hosts(desired, kept.as_ref(), shut).await
    }

    /// A server that answers, for one of many who ask at the same time: one of them looks for it.
    pub(super) async fn shared_session(&self, desired: &Desired) -> Result<Session, Away> {
        let mut in_vain = self.in_vain.lock().await;
        if let Some((_, away)) = in_vain.as_ref().filter(|(when, _)| when.elapsed() < BELIEVED) {
            return Err(away.clone());
        }
        let session = self.session(desired).await;
        *in_vain = session.as_ref().err().map(|away| (Instant::now(), away.clone()));
        session
    }

    /// Opens a session with this kubeconfig, at the first address that is ready.
    async fn open(&self, text: &Secret, desired: &Desired) -> Result<Session, Shut> {
        // With what is of no use nobody was asked.
        let config = config(text).await.map_err(|why| Shut { why, sign: Sign::Silent })?;
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let outside = self.doors.api(desired);
        let inside = addresses(&config, desired, learnt).into_iter().filter(|at| !outside.contains(at));
        let inside: Vec<(HostPort, Config)> = inside.map(|at| (at, config.clone())).collect();
        let mut addresses = inside;
        addresses.extend(outside.into_iter().map(|at| (at, from_outside(config.clone()))));
        let tries = addresses.iter().map(|(at, config)| Box::pin(at_address(config, at)));
        let mut session = match select_ok(tries).await {
            Ok((session, _)) => session,
            Err(_) => return Err(self.nobody(&addresses).await),
        };
        session.front = self.doors.front(desired);
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        Ok(session)
    }

    /// What each address says, told once. They are asked again: who was first to fail does not tell most.
    async fn nobody(&self, addresses: &[(HostPort, Config)]) -> Shut {
        let only_now = || Shut { why: "answers only now".into(), sign: Sign::Answers };
        let tries = join_all(addresses.iter().map(|(at, config)| async move {
            let Shut { why, sign } = at_address(config, at).await.err().unwrap_or_else(only_now);
            (format!("{at}: {why}"), sign)
        }));
        let (whys, signs): (Vec<String>, Vec<Sign>) = tries.await.into_iter().unzip();
        Shut { why: whys.join("; "), sign: signs.into_iter().max().unwrap_or(Sign::Nobody) }
    }

    /// Asks the servers' hosts: what they hold of a kubeconfig, and whether they serve at all.
    ///
    /// That none of them serves does not say that nobody does: the cluster may live on hosts that the spec does not name
    /// any more, and where all that it names are clean, a second one would be begun. So what the kept kubeconfig met
    /// must say the same. Where a host holds the cluster's data, or no server runs, silence is what is to be expected.
    async fn by_hosts(&self, desired: &Desired, kept: Option<&Secret>, shut: Shut) -> Result<Session, Away> {
        let mut unsure = None;
        let asked = self.ask_hosts(desired).await;
        let sleeps = asked.is_empty() || asked.iter().any(|(_, seen)| seen.present().is_some_and(HostSeen::is_member));
        for (member, seen) in asked {
            match seen {
                Seen::Present(seen) if !seen.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.serving) => {}
                Seen::Present(_) => {
                    match self.read(desired, member).await {
                        Ok(found) if kept != Some(&found) => match self.open(&found, desired).await {
                            Ok(session) => {
                                let keep = self.store.keep_secret(&desired.cluster, KEPT, &found);
                                keep.map_err(|error| Away::Unknown(error.told()))?;
                                return Ok(session);
                            }
                            Err(shut) => unsure = Some(shut.why),
                        },
                        Ok(_) => unsure = Some(format!("{} runs it and does not serve yet", member.name)),
                        Err(why) => unsure = Some(why),
                    };
                }
                Seen::Absent => unsure = Some(format!("{} cannot be asked", member.name)),
                Seen::Unknown(why) => unsure = Some(why.to_string()),
            }
        }
        let nobody = shut.sign == Sign::Nobody || (sleeps && shut.sign < Sign::Answers);
        match unsure {
            None if nobody => Err(Away::Nobody),
            None => Err(Away::Unknown(shut.why)),
            Some(more) => Err(Away::Unknown(format!("{}; {more}", shut.why))),
        }
    }

    /// What each server's host says of itself.
    async fn ask_hosts<'d>(&self, desired: &'d Desired) -> Vec<(&'d DesiredMember, Seen<HostSeen>)> {
        let asked = desired.servers().map(|member| async move {
            let Some(host) = desired.hosts.iter().find(|host| host.name == member.name) else {
                return (member, Seen::unknown(format!("nobody knows the way to {}", member.name)));
            };
            let probe = Probe { host: &host.name, way: &host.way, resources: &[], holds_data: false, updates: false };
            (member, self.hosts.observe(probe).await)
        });
        join_all(asked).await
    }

    /// Reads the kubeconfig that a server's distribution has written, as its first start would give it to us.
    async fn read(&self, desired: &Desired, member: &DesiredMember) -> Result<Secret, String> {
        let way = desired.hosts.iter().find(|host| host.name == member.name).map(|host| &host.way);
        let first = member.recipes.init.as_ref().unwrap_or(&member.recipes.join);
        let gives: Vec<_> = first.gives.iter().filter(|output| output.hole.as_str() == HOLE).cloned().collect();
        let (Some(way), false) = (way, gives.is_empty()) else {
            return Err(format!("no kubeconfig is kept here, and nobody knows where {} has it", member.name));
        };
        let recipe = Recipe {
            title: "read the kubeconfig".into(),
            effect: Effect::Look,
            version: None,
            steps: Vec::new(),
            gives,
        };
        let report = self.hosts.run(&member.name, way, &recipe, &Holes::new(), &|_| {}).await;
        let mut gave = report.map_err(|error| error.to_string())?.gave;
        gave.remove(HOLE).ok_or_else(|| format!("{} gave no kubeconfig", member.name))
    }
}

impl Session {
    /// The server's address.
    pub(super) fn url(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// Asks one server by its own address whether it is ready.
    pub(super) async fn ask(&self, at: &HostPort) -> Heard {
        match at_address(&self.config, at).await {
            Ok(_) => Heard::Ready,
            // Whoever refuses or answers is there; where nothing comes back there may be no way from here.
            Err(Shut { why, sign: Sign::Silent }) => Heard::Silent(why),
            Err(shut) => Heard::NotReady(shut.why),
        }
    }

    /// Asks whatever stands at an address, which need not be a server itself: a load balancer before them. One inside to
    /// which there is no way from here is asked at its address outside; which of them has answered is told.
    pub(super) async fn answers(&self, at: &HostPort) -> Result<HostPort, String> {
        let inside = at_address(&self.config, at).await.map(|_| at.clone());
        let front = self.front.as_ref().filter(|front| *front != at);
        match (inside, front) {
            (Err(Shut { why, sign: Sign::Silent }), Some(front)) => {
                let outside = at_address(&from_outside(self.config.clone()), front).await.map(|_| front.clone());
                outside.map_err(|shut| format!("{why}; at {front}: {}", shut.why))
            }
            (inside, _) => inside.map_err(|shut| shut.why),
        }
    }
}

/// A name that every API server's certificate has, whatever address it is reached at. Which addresses a cloud gives, no
/// certificate knows that was made before. <https://kubernetes.io/docs/setup/best-practices/certificates/>
pub(crate) const SERVER_NAME: &str = "kubernetes";

/// What a client goes by at an address outside.
fn from_outside(mut config: Config) -> Config {
    config.tls_server_name = Some(SERVER_NAME.into());
    config
}

/// A client for one address, if what stands there is ready.
async fn at_address(config: &Config, at: &HostPort) -> Result<Session, Shut> {
    let shut = |sign, why: String| Shut { why, sign };
    let mut config = config.clone();
    let url = format!("https://{at}").parse();
    config.cluster_url = url.map_err(|_| shut(Sign::Silent, "it is no address".into()))?;
    let client = Client::try_from(config.clone()).map_err(|error| shut(Sign::Silent, told(&error)))?;
    ready(&client).await.map(|()| Session { client, config, front: None })
}

/// Whether what a client talks to is ready.
async fn ready(client: &Client) -> Result<(), Shut> {
    let shut = |sign, why: String| Err(Shut { why, sign });
    let request = match kube::core::Request::new("").get("readyz", &Default::default()) {
        Ok(request) => request,
        Err(error) => return shut(Sign::Silent, error.to_string()),
    };
    match timeout(READY, client.request_text(request)).await {
        Err(_) => shut(Sign::Silent, format!("no answer within {} s", READY.as_secs())),
        Ok(Err(kube::Error::Api(status))) => {
            shut(Sign::Answers, format!("it is not ready: {} {}", status.code, status.message.trim()))
        }
        Ok(Err(error)) => {
            let why = told(&error);
            let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
            if says(&["deadline", "timed out", "unreachable", "No route"]) {
                return shut(Sign::Silent, format!("no answer: {why}"));
            }
            shut(if says(&["refused"]) { Sign::Nobody } else { Sign::Stranger }, why)
        }
        Ok(Ok(_)) => Ok(()),
    }
}

/// What a client goes by. A kubeconfig may come from a host, so it names no program to run here and no file to read here.
async fn config(text: &Secret) -> Result<Config, String> {
    let malformed = |why: String| format!("the kubeconfig is of no use: {why}");
    let kubeconfig = Kubeconfig::from_yaml(text.expose()).map_err(|error| malformed(error.to_string()))?;
    let files = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref()?.certificate_authority.as_ref());
    let named = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
    if files.count() + named.filter(|user| goes_elsewhere(user)).count() > 0 {
        return Err(malformed("it names a file or a program on this computer".into()));
    }
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| malformed(error.to_string()))?;
    if config.accept_invalid_certs {
        return Err(malformed("it trusts whoever answers".into()));
    }
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(ANSWER);
    config.reset_reader_on_write = true;
    // The engine alone tries again, and servers are reached as their hosts are: without the browser's proxy.
    config.default_retry = false;
    config.proxy_url = None;
    Ok(config)
}

fn goes_elsewhere(user: &AuthInfo) -> bool {
    user.exec.is_some()
        || user.auth_provider.is_some()
        || user.client_certificate.is_some()
        || user.client_key.is_some()
        || user.token_file.is_some()
}

/// Every address that the API may answer at: the kubeconfig's own, the endpoint, each server.
fn addresses(config: &Config, desired: &Desired, learnt: Vec<HostPort>) -> Vec<HostPort> {
    let url = &config.cluster_url;
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let own = HostPort::new(host, url.port_u16().unwrap_or(443));
    let endpoint = desired.kubernetes.endpoint.clone();
    let servers = desired.servers().filter_map(|member| at_host(desired, &member.name));
    let mut all: Vec<HostPort> = Vec::new();
    for at in [own, endpoint].into_iter().chain(servers).chain(learnt) {
        if !all.contains(&at) {
            all.push(at);
        }
    }
    all
}

/// The API's port on a machine, where its address is known.
fn at_host(desired: &Desired, name: &NodeName) -> Option<HostPort> {
    let machine = desired.machine(name).and_then(|machine| machine.address);
    let host = || desired.hosts.iter().find(|host| host.name == *name)?.way.address;
    let port = |address| desired.kubernetes.api_port(Some(address));
    machine.or_else(host).map(|address| HostPort::new(address.to_string(), port(address)))
}
