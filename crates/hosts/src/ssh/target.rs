//! Where a connection goes and as whom: what the spec says, then what the user's `~/.ssh/config` says.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use kubewright_model::desired::Way;
use kubewright_model::ids::HoleName;
use kubewright_model::secret::Secret;
use ssh2_config::{ParseRule, SshConfig};

use super::trust::{KnownHosts, Pin, Tell};

/// Longer chains of jump hosts are a circle.
const JUMPS: usize = 5;

/// Where a connection goes and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// A name or an address, to look up and to know the host by.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
    /// The user.
    pub(crate) user: String,
    /// The private key itself, where its text is known; no other is tried then.
    pub(crate) given: Option<Secret>,
    /// Private keys, in the order in which they are tried.
    pub(crate) keys: Vec<PathBuf>,
    /// The first of them is what the spec says.
    pub(crate) says_key: bool,
    /// Only those keys, and none that only the agent has.
    pub(crate) only_keys: bool,
    /// The host to go through.
    pub(crate) jump: Option<Box<Target>>,
    /// The SSH agent's socket.
    pub(crate) agent: Option<PathBuf>,
    /// The key that the host must show, where it was known before the first contact.
    pub(crate) pin: Option<Pin>,
    /// The secret that is the user's password, as long as the host has no key of ours.
    pub(crate) first: Option<HoleName>,
}

/// The user's own settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Home {
    folder: PathBuf,
    config: SshConfig,
    agent: Option<PathBuf>,
    /// Where relative paths of the spec begin.
    pub(crate) spec: PathBuf,
}

impl Home {
    /// The settings in a home folder, and the socket of the user's SSH agent. A configuration that cannot be read says so.
    pub(crate) fn read(folder: &Path, agent: Option<PathBuf>) -> Result<Self, String> {
        let path = folder.join(".ssh/config");
        let config = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => SshConfig::default(),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
            Ok(file) => SshConfig::default()
                .home_dir(folder)
                .parse(&mut BufReader::new(file), ParseRule::ALLOW_UNKNOWN_FIELDS | ParseRule::ALLOW_UNSUPPORTED_FIELDS)
                .map_err(|error| format!("{}: {error}", path.display()))?,
        };
        Ok(Self { folder: folder.to_path_buf(), config, agent, spec: PathBuf::new() })
    }

    /// The user's own files of known hosts, and ours.
    pub(crate) fn known_hosts(&self, ours: &Path, tell: Tell) -> KnownHosts {
        let users = vec![self.folder.join(".ssh/known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")];
        KnownHosts { users, ours: ours.to_path_buf(), learns: true, tell }
    }

    /// Where a way leads. What the spec says goes before what the configuration says.
    pub(crate) fn target(&self, way: &Way) -> Result<Target, String> {
        // Whom the configuration knows by name is where it says.
        let aliased = way.name.clone().filter(|name| self.config.query(name).host_name.is_some());
        let named = aliased.or_else(|| way.address.map(|address| address.to_string())).or_else(|| way.name.clone());
        let named = named.ok_or("neither an address nor a name is known")?;
        let mut target = self.of(&named, 0)?;
        // 22 and root are what the spec says when it says nothing.
        if &*way.user != "root" || !self.names_user(&named) {
            target.user = way.user.to_string();
        }
        target.first.clone_from(&way.first);
        target.pin = way.host_key.as_deref().map(Pin::parse).transpose()?;
        // A daemon that moves to 22 from elsewhere is where the spec says.
        if way.port != 22 || way.port_before.is_some_and(|before| before != 22) {
            target.port = way.port;
        }
        if let Some(jump) = &way.jump {
            target.jump = Some(Box::new(self.jump(jump, 0)?));
        }
        if let Some(key) = way.key_file.as_deref().map(|key| self.expand(key)) {
            // A bastion that the spec names is entered with the spec's key too.
            if let Some(jump) = target.jump.as_mut().filter(|_| way.jump.is_some()) {
                jump.keys.retain(|other| *other != key);
                jump.keys.insert(0, key.clone());
            }
            target.keys.retain(|other| *other != key);
            target.keys.insert(0, key);
            target.says_key = true;
        }
        Ok(target)
    }

    fn names_user(&self, named: &str) -> bool {
        self.config.query(named).user.is_some()
    }

    fn of(&self, named: &str, depth: usize) -> Result<Target, String> {
        let params = self.config.query(named);
        let given = params.identity_file.unwrap_or_default();
        let only_keys = ["identitiesonly", "IdentitiesOnly"].iter().any(|field| {
            let values = params.unsupported_fields.get(*field).or_else(|| params.ignored_fields.get(*field));
            values.is_some_and(|values| values.iter().any(|value| value.eq_ignore_ascii_case("yes")))
        });
        let usual = ["id_ed25519", "id_ecdsa", "id_rsa"].map(|name| self.folder.join(".ssh").join(name));
        let keys = if given.is_empty() { usual.into_iter().filter(|key| key.exists()).collect() } else { given };
        let mut jump: Option<Box<Target>> = None;
        for hop in params.proxy_jump.unwrap_or_default().iter().filter(|hop| !hop.eq_ignore_ascii_case("none")) {
            let next = self.jump(hop, depth)?;
            // The last of several is the nearest to the host; those before it lead to it.
            jump = Some(Box::new(Target { jump: jump.or(next.jump), ..next }));
        }
        Ok(Target {
            host: params.host_name.unwrap_or_else(|| named.to_string()),
            port: params.port.unwrap_or(22),
            user: params.user.unwrap_or_else(|| "root".into()),
            given: None,
            keys,
            says_key: false,
            only_keys,
            jump,
            agent: self.agent.clone(),
            pin: None,
            first: None,
        })
    }

    /// A jump host: `[user@]host[:port]`.
    fn jump(&self, text: &str, depth: usize) -> Result<Target, String> {
        if depth >= JUMPS {
            return Err(format!(
                "more than {JUMPS} jump hosts one after the other; is `{text}` reached through itself?"
            ));
        }
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host.trim_matches(['[', ']']), Some(port.parse().map_err(|_| format!("`{port}` is no port"))?))
            }
            _ => (rest.trim_matches(['[', ']']), None),
        };
        let mut target = self.of(host, depth + 1)?;
        target.user = user.map_or(target.user, str::to_string);
        target.port = port.unwrap_or(target.port);
        Ok(target)
    }

    /// Where a file is that the spec names.
    pub(crate) fn expand(&self, path: &str) -> PathBuf {
        spec_file(&self.folder, &self.spec, path)
    }
}

/// Where a file is that a spec names: `~` is the user's home folder, and what is relative is beside the spec.
pub fn spec_file(home: &Path, spec: &Path, path: &str) -> PathBuf {
    path.strip_prefix("~/").map_or_else(|| spec.join(path), |rest| home.join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(config: &str) -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(".ssh")).expect("a folder");
        std::fs::write(folder.path().join(".ssh/config"), config).expect("a file");
        let home = Home::read(folder.path(), None).expect("it is right");
        (folder, home)
    }

    fn way(name: &str) -> Way {
        Way {
            address: None,
            name: Some(name.into()),
            port: 22,
            port_before: None,
            user: "root".into(),
            key_file: None,
            jump: None,
            host_key: None,
            first: None,
            sudo: None,
            talos: None,
        }
    }

    #[test]
    fn the_users_configuration_is_followed() {
        let (_folder, home) = home(
            "Host node-*\n  Port 2222\n  ProxyJump admin@bastion:2200\n  IdentityFile /keys/one\n  IdentitiesOnly yes\n\
             Host node-1\n  HostName 10.0.0.1\nHost bastion\n  HostName 192.0.2.1\n",
        );
        let target = home.target(&way("node-1")).expect("it leads somewhere");
        assert_eq!((target.host.as_str(), target.port), ("10.0.0.1", 2222));
        assert_eq!(target.keys, [PathBuf::from("/keys/one")]);
        assert!(target.only_keys);
        let jump = target.jump.expect("through the bastion");
        assert_eq!((jump.host.as_str(), jump.port, jump.user.as_str()), ("192.0.2.1", 2200, "admin"));
    }

    #[test]
    fn who_has_an_address_and_a_name_may_be_known_by_the_name() {
        let (_folder, home) = home("Host asgard\n  HostName 192.0.2.7\nHost midgard\n  User odin\n");
        let leads = |name| {
            let way = Way { address: Some([10, 0, 0, 1].into()), ..way(name) };
            home.target(&way).expect("it leads somewhere").host
        };
        assert_eq!([leads("asgard"), leads("midgard"), leads("x")], ["192.0.2.7", "10.0.0.1", "10.0.0.1"]);
    }

    #[test]
    fn the_spec_goes_first() {
        let (folder, home) = home("Host *\n  Port 2222\n  User nobody\n");
        let way = Way { port: 2022, user: "deploy".into(), key_file: Some("~/.ssh/lab".into()), ..way("x") };
        let target = home.target(&way).expect("it leads somewhere");
        assert_eq!((target.port, target.user.as_str()), (2022, "deploy"));
        assert_eq!(target.keys[0], folder.path().join(".ssh/lab"));
        let back = Way { port_before: Some(2222), ..self::way("x") };
        assert_eq!(
            home.target(&back).expect("it leads somewhere").port,
            22,
            "a daemon that moves is where it moved to"
        );
    }

    #[test]
    fn a_relative_key_lies_beside_the_spec() {
        let (_folder, mut home) = home("");
        home.spec = "/clusters/lab".into();
        let way = Way { key_file: Some("keys/lab".into()), ..way("x") };
        let keys = home.target(&way).expect("it leads somewhere").keys;
        assert_eq!(keys, [PathBuf::from("/clusters/lab/keys/lab")]);
    }

    #[test]
    fn the_key_of_the_spec_opens_the_bastion_of_the_spec_too() {
        let (folder, home) = home("Host y\n  ProxyJump other\n");
        let way = |name, jump: Option<&str>| Way {
            key_file: Some("~/.ssh/lab".into()),
            jump: jump.map(Into::into),
            ..way(name)
        };
        let jump = |way| home.target(&way).expect("it leads somewhere").jump.expect("through a bastion");
        assert_eq!(jump(way("x", Some("ops@bastion:2200"))).keys, [folder.path().join(".ssh/lab")]);
        assert_eq!(jump(way("y", None)).keys, Vec::<PathBuf>::new(), "the user's own bastion has the user's keys");
    }

    #[test]
    fn a_circle_of_jump_hosts_ends() {
        let (_folder, home) = home("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n");
        assert!(home.target(&way("a")).expect_err("a circle").contains("through itself"));
    }
}
