//! Hands on real hosts: scripts over connections that are kept.
//!
//! Each look, each change and each part of a recipe is one script and one round trip. What a script does and what its
//! answer means stand in rooms of their own, without a connection; here is only how the one gets there and the other
//! back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use kubewright_model::desired::Way;
use kubewright_model::doctor::Papers;
use kubewright_model::host::HostResource;
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::net::HostPort;
use kubewright_model::observed::{HostSeen, Seen};
use kubewright_model::plan::HostChange;
use kubewright_model::recipe::{Recipe, SNAPSHOT};
use kubewright_model::rotation::{KeyPart, KeySeen};
use kubewright_model::secret::Secret;
use tokio::time::Instant;

use crate::change::upgrade::Deed;
use crate::connections::{Connections, Door, unreachable};
use crate::enter::{Hears, Logs, Program, WayIn};
use crate::passwords::{Ask, Passwords};
use crate::recipe::{Part, Until};
use crate::ssh::target::Home;
use crate::ssh::trust::Tell;
use crate::transport::{Input, Job, Refusal, Unmet, run};
use crate::upload::{self, Upload};
use crate::{Archive, DialError, Dialed, Holes, HostError, Hosts, Layer, Probe, Report, Sftp, change, probe, recipe};

/// A look is a second of work; a host whose disk is dying takes its time.
const LOOK: Duration = Duration::from_secs(60);
/// Programs of a sick host take their time, and each of them is given up after ten seconds.
const EXAMINE: Duration = Duration::from_secs(180);
/// A change may install packages and download hundreds of megabytes over a slow line; a recipe restores an etcd.
pub(crate) const CHANGE: Duration = Duration::from_secs(30 * 60);
/// A host that nobody has upgraded for a year has hundreds of packages to fetch and to set up.
const UPGRADE: Duration = Duration::from_secs(60 * 60);
/// A daemon that reads its configuration again listens a moment later.
const LISTENS_AGAIN: Duration = Duration::from_secs(5);
/// Starts a host again, and answers first: `systemctl(1)` waits for nothing with `--no-block`.
const REBOOT: &str =
    r#"if kw_value=$(systemctl --no-block reboot 2>&1); then echo goes; else printf 'stays %s\n' "$kw_value"; fi"#;
/// Between two looks at something that a recipe waits for: soon enough that nobody notices, and no load for a host.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Who goes into hosts, and with what.
#[derive(Clone)]
pub struct User {
    /// The home folder: keys, SSH configuration and known hosts are in its `.ssh`.
    pub home: PathBuf,
    /// The socket of the SSH agent.
    pub agent: Option<PathBuf>,
    /// Where keys of hosts are kept that nobody knew.
    pub known_hosts: PathBuf,
    /// Who knows the passwords.
    pub ask: Ask,
}

/// Hands on real hosts, over SSH or on this computer.
pub struct RealHosts {
    pub(crate) connections: Connections,
    pub(crate) passwords: Arc<Passwords>,
    /// Where relative addresses of files of ours begin.
    folder: PathBuf,
    /// Where what was saved of datastores is kept on this computer.
    pub(crate) saved: PathBuf,
    /// How long a look may take.
    patience: Duration,
}

impl RealHosts {
    /// Hands of a user.
    ///
    /// # Errors
    ///
    /// The user's SSH configuration cannot be read.
    pub fn new(user: User) -> Result<Self, String> {
        let passwords = Arc::new(Passwords::new(user.ask));
        let home = Home::read(&user.home, user.agent)?;
        let connections = Connections::new(home, user.known_hosts, Arc::clone(&passwords));
        Ok(Self { connections, passwords, folder: PathBuf::new(), saved: PathBuf::new(), patience: LOOK })
    }

    /// The same hands, which find files and keys with relative paths in a folder.
    #[must_use]
    pub fn with_files_of(mut self, folder: &Path) -> Self {
        self.folder = folder.to_path_buf();
        self.connections.home.spec = folder.to_path_buf();
        self
    }

    /// The same hands, which keep what was saved of datastores in a folder.
    #[must_use]
    pub fn saving_to(self, folder: &Path) -> Self {
        Self { saved: folder.to_path_buf(), ..self }
    }

    /// The same hands, which wait so long for the answer to a look.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The same hands, telling somebody of each key of a host that is learnt.
    #[must_use]
    pub fn telling(mut self, tell: Tell) -> Self {
        self.connections.tell = tell;
        self
    }

    /// Runs a script's body on a host and returns what it printed. `what` is being done, for people.
    pub(crate) async fn script(
        &self,
        host: &NodeName,
        way: &Way,
        what: &str,
        job: Job<'_>,
    ) -> Result<String, HostError> {
        self.script_with(host, way, what, job, None).await
    }

    /// The same, with more for the script to read.
    async fn script_with(
        &self,
        host: &NodeName,
        way: &Way,
        what: &str,
        job: Job<'_>,
        more: Option<Input<'_>>,
    ) -> Result<String, HostError> {
        let transport = self.connections.to(host, way).await?;
        let sudo = match &way.sudo {
            Some(hole) if !transport.is_root() => {
                let refused = |why| unreachable(host, Refusal::new(Layer::Sudo, why));
                Some(self.passwords.sudo(hole).await.map_err(refused)?)
            }
            _ => None,
        };
        let refusal = match run(&*transport, job, sudo.as_ref(), more).await {
            Ok(answer) => return Ok(answer.printed),
            Err(refusal) => refusal,
        };
        // What became of the script is not known; the next one must not wait behind it.
        self.connections.drop(host).await;
        Err(match refusal.layer {
            Layer::Command => {
                HostError::Failed { host: host.clone(), what: what.into(), why: refusal.why, log: Vec::new() }
            }
            _ => unreachable(host, refusal),
        })
    }

    /// Sends a file from here, or the rest of it, unless the host has it; says whether it was sent.
    pub(crate) async fn upload(&self, host: &NodeName, way: &Way, upload: &Upload<'_>) -> Result<bool, HostError> {
        let what = upload.in_words();
        let printed = self.script(host, way, &what, Job { body: &upload.ask()?, deadline: self.patience }).await?;
        let Some(wanted) = upload.wanted(&printed)? else { return Ok(false) };
        let mut source = upload.open(&wanted).await?;
        let body = upload.take_in(&source);
        let job = Job { body: &body, deadline: CHANGE };
        let printed = self.script_with(host, way, &what, job, Some(&mut source.rest)).await?;
        upload.outcome(&printed).map(|()| true)
    }

    /// Shows that the way in is still open, on a connection of its own, while the old one is still there to put the SSH
    /// daemon back. Then the new one is kept.
    async fn prove_way_in(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        let what = "setting up the SSH daemon";
        let Err(closed) = self.comes_in_again(host, way, Door::New).await else {
            let body = change::ssh_daemon_proven();
            return self.script(host, way, what, Job { body: &body, deadline: self.patience }).await.map(drop);
        };
        let body = change::ssh_daemon_back();
        let back = match self.script(host, way, what, Job { body: &body, deadline: self.patience }).await {
            Ok(_) => match self.comes_in_again(host, way, Door::Before).await {
                Ok(()) => "what was there before is back".to_string(),
                Err(still) => format!("what was there before is back, and nobody gets in by that either ({still})"),
            },
            Err(error) => format!("and it could not be put back: {error}"),
        };
        let why = format!("nobody gets in any more ({closed}); {back}");
        Err(HostError::Failed { host: host.clone(), what: what.into(), why, log: Vec::new() })
    }

    /// Comes in by a connection of its own, as soon as the daemon has read its configuration again.
    async fn comes_in_again(&self, host: &NodeName, way: &Way, door: Door) -> Result<(), HostError> {
        let deadline = Instant::now() + LISTENS_AGAIN;
        loop {
            match self.connections.renew(host, way, door).await {
                Err(closed) if closed.may_pass() && Instant::now() <= deadline => {
                    tokio::time::sleep(LISTENS_AGAIN / 20).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Does something about the packages of a host.
    async fn packages(&self, host: &NodeName, way: &Way, deed: Deed) -> Result<Report, HostError> {
        self.connections.settle(host, way).await?;
        let body = deed.script();
        let printed = self.script(host, way, deed.title(), Job { body: &body, deadline: UPGRADE }).await?;
        deed.outcome(host, &printed)
    }

    /// Looks until it holds; returns the answer that said so.
    async fn wait(
        &self,
        host: &NodeName,
        way: &Way,
        until: &Until,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<String, HostError> {
        let deadline = Instant::now() + until.timeout.duration();
        let what = format!("waiting until {}", until.what);
        let mut told = String::new();
        loop {
            let last = Instant::now() + LOOK_AGAIN > deadline;
            let body = if last { &until.last_look } else { &until.look };
            let printed = self.script(host, way, &what, Job { body, deadline: self.patience }).await?;
            let look = recipe::looked(&printed, holes);
            if look.done {
                return Ok(printed);
            }
            if last || look.is_lost() {
                return Err(recipe::waited(until, host, &look));
            }
            let why = look.why();
            if why != told {
                tell(format!("{what} on {host}: {why}"));
                told = why;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Our own clock, in seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[async_trait]
impl Hosts for RealHosts {
    async fn is_new(&self, host: &NodeName, way: &Way, key: Option<&str>) -> Result<(), HostError> {
        self.connections.is_new(host, way, key).await
    }

    async fn key(&self, file: &str) -> Seen<KeySeen> {
        match self.pair(file).seen() {
            Ok(seen) => seen.map_or(Seen::Absent, Seen::Present),
            Err(why) => Seen::unknown(why),
        }
    }

    async fn rotate_key(&self, file: &str, part: &KeyPart) -> Result<Report, HostError> {
        self.rekey(file, part).await
    }

    async fn folder(&self, way: &Way, key: Option<&Secret>, folder: &str) -> Result<Sftp, HostError> {
        let address = || way.address.map(|address| address.to_string());
        let server = NodeName::new(way.name.clone().or_else(address).unwrap_or_default());
        self.connections.folder(way, key, folder).await.map_err(|refusal| unreachable(&server, refusal))
    }

    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        let body = probe::script(probe.resources, probe.holds_data, probe.updates);
        let job = Job { body: &body, deadline: self.patience };
        let kept = self.connections.keeps(probe.host).await;
        let mut asked = now();
        let mut answer = self.script(probe.host, probe.way, "looking at it", job).await;
        // A connection that was kept may have died unnoticed: the host was started again meanwhile.
        if kept && matches!(answer, Err(HostError::Unreachable { layer: Layer::Tcp, .. })) {
            asked = now();
            answer = self.script(probe.host, probe.way, "looking at it", job).await;
        }
        match answer {
            Err(error) => Seen::Unknown(error.into()),
            Ok(printed) => match probe::parse(probe.resources, &printed, asked..=now()) {
                Ok(mut seen) => {
                    let missing = upload::missing(&probe, &seen, &self.folder).await;
                    if let Some(facts) = &mut seen.facts {
                        facts.sources.extend(missing.into_iter().map(|(place, why)| (place, Some(why))));
                    }
                    Seen::Present(seen)
                }
                Err(error) => Seen::unknown(format!("{} cannot be understood: {error}", probe.host)),
            },
        }
    }

    async fn examine(&self, host: &NodeName, way: &Way) -> Seen<Papers> {
        let body = probe::papers::script();
        let job = Job { body: &body, deadline: EXAMINE };
        match self.script(host, way, "examining it", job).await {
            Err(error) => Seen::Unknown(error.into()),
            Ok(printed) => Seen::Present(probe::papers::parse(&printed, now())),
        }
    }

    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError> {
        let body = change::script(change, holes)?;
        self.connections.settle(&change.host, &change.way).await?;
        let mut uploaded = false;
        for upload in upload::uploads(&change.host, &change.make, &self.folder) {
            uploaded |= self.upload(&change.host, &change.way, &upload).await?;
        }
        let job = Job { body: &body, deadline: CHANGE };
        let printed = self.script(&change.host, &change.way, "changing it", job).await?;
        let report = change::outcome(change, holes, &printed)?;
        let report = Report { changed: report.changed || uploaded, ..report };
        if report.changed && change.make.iter().any(|resource| matches!(resource, HostResource::SshDaemon(_))) {
            self.prove_way_in(&change.host, &change.way).await?;
        }
        Ok(report)
    }

    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        self.connections.settle(host, way).await?;
        let mut report = Report::default();
        let mut last = String::new();
        for part in recipe::steps(recipe, holes, host)? {
            last = match part {
                Part::Once { body, steps } => {
                    let job = Job { body: &body, deadline: CHANGE };
                    let printed = self.script(host, way, &recipe.title, job).await?;
                    report.changed |= recipe::ran(recipe, &steps, holes, host, &printed)?;
                    printed
                }
                Part::Until(until) => self.wait(host, way, &until, holes, tell).await?,
                Part::Bring(newest, with) => {
                    let (path, told) = self.bring(host, way, &newest, with.as_deref()).await?;
                    report.gave.insert(HoleName::new(SNAPSHOT), Secret::new(path.display().to_string()));
                    report.told.push(told);
                    String::new()
                }
                Part::Send(to, with) => {
                    self.send(host, way, &to, with.as_deref(), holes).await?;
                    report.changed = true;
                    String::new()
                }
            };
        }
        report.gave.extend(recipe::gave(recipe, holes, host, &last)?);
        Ok(report)
    }

    async fn reboot(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        let job = Job { body: REBOOT, deadline: self.patience };
        let printed = self.script(host, way, "starting it again", job).await;
        // What is open ends with the host.
        self.connections.drop(host).await;
        match printed?.trim() {
            "goes" => Ok(()),
            why => {
                let (what, why) = ("starting it again".to_string(), why.trim_start_matches("stays ").to_string());
                Err(HostError::Failed { host: host.clone(), what, why, log: Vec::new() })
            }
        }
    }

    async fn refresh(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        self.packages(host, way, Deed::Refresh).await.map(drop)
    }

    async fn upgrade(&self, host: &NodeName, way: &Way) -> Result<Report, HostError> {
        self.packages(host, way, Deed::Upgrade).await
    }

    async fn exec(
        &self,
        host: &NodeName,
        way: &Way,
        program: &Program,
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        self.program(host, way, program, hears).await
    }

    async fn logs(&self, host: &NodeName, way: &Way, logs: &Logs, hears: Hears<'_>) -> Result<(), HostError> {
        self.journal(host, way, logs, hears).await
    }

    async fn take_in(
        &self,
        host: &NodeName,
        way: &Way,
        archive: &Archive,
        import: &[String],
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        self.import(host, way, archive, import, hears).await
    }

    async fn way_in(&self, host: &NodeName, way: &Way) -> Result<WayIn, HostError> {
        self.by_ssh(host, way).await
    }

    async fn dial(&self, host: &NodeName, way: &Way, at: &HostPort) -> Result<Dialed, DialError> {
        let kept = self.connections.keeps(host).await;
        let first = self.connections.to(host, way).await?.dial(at).await;
        let again = kept && matches!(first, Err(Unmet::Gone(_)));
        // As a look: a connection that was kept may have died unnoticed.
        let dialed = if again {
            self.connections.drop(host).await;
            self.connections.to(host, way).await?.dial(at).await
        } else {
            first
        };
        dialed.map_err(|unmet| match unmet {
            Unmet::Forbidden => DialError::Forbidden(host.clone()),
            Unmet::Gone(refusal) => unreachable(host, refusal).into(),
            Unmet::Tried(error) => error,
        })
    }
}
