//! Who logs into a new machine, and which key its host shows.

use kubewright_model::secret::Secret;

/// The SSH key of a host, in OpenSSH's formats.
#[derive(Clone, Debug)]
pub struct HostKey {
    /// The private half.
    pub private: Secret,
    /// The public half.
    pub public: String,
}

/// Who logs into a new machine.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user; containers know only root.
    pub user: String,
    /// Public keys in OpenSSH's format, or why there are none. That is told when a machine is to be made: what is there
    /// has its keys.
    pub keys: Result<Vec<String>, String>,
    /// The key with which the host shows who it is, for machines that are told so by an image of ours.
    pub host_key: Option<HostKey>,
    /// The hash of the user's password for the console, where there is to be one, or why there is none.
    pub password_hash: Result<Option<Secret>, String>,
}

/// Who logs in, and with which keys.
#[derive(Clone, Copy)]
pub(crate) struct User<'a> {
    pub(crate) name: &'a str,
    pub(crate) keys: &'a [String],
    /// The hash of a password, for the console.
    pub(crate) password_hash: Option<&'a Secret>,
    /// The key that the machine's host is to show.
    pub(crate) host_key: Option<&'a HostKey>,
}

impl User<'_> {
    /// The keys, one a line; nothing where there are none.
    pub(crate) fn lines(&self) -> Option<String> {
        (!self.keys.is_empty()).then(|| self.keys.join("\n"))
    }
}
