//! The command line of `kubewright secrets`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Begin: a private key where none is, the encrypted file, and `.sops.yaml` beside it.
    #[command(after_help = "Examples:
  kubewright secrets init
  kubewright secrets init clusters/prod.yaml
  kubewright secrets init --recipient age1… --recipient age1…")]
    Init(Init),
    /// Open the file in your editor, and encrypt it again.
    ///
    /// The editor is $SOPS_EDITOR, $EDITOR, or vi. The text is in memory where there is a place for it, and gone afterwards.
    #[command(after_help = "Examples:
  kubewright secrets edit
  EDITOR='code --wait' kubewright secrets edit")]
    Edit(Spec),
    /// Put one value into the file: asked for without an echo, from standard input, or from a file.
    #[command(after_help = "Examples:
  kubewright secrets set gandi.apiToken
  pass show gandi | kubewright secrets set gandi.apiToken
  kubewright secrets set synology.clientInfo --file client-info.yml
  kubewright secrets set 'registries[\"ghcr.io\"].password'")]
    Set(Set),
    /// Take one value out of the file.
    #[command(after_help = "Examples:
  kubewright secrets remove synolgy.passwrd")]
    Remove(Remove),
    /// Encrypt everything with a new key, for the recipients of the spec.
    #[command(after_help = "Examples:
  kubewright secrets rotate           # after a recipient was taken out of the spec")]
    Rotate(Spec),
    /// Let somebody else open the file too.
    #[command(after_help = "Examples:
  kubewright secrets add-recipient age1…")]
    AddRecipient(AddRecipient),
    /// Look whether every secret of the spec is there and can be opened; no value is shown.
    #[command(after_help = "Examples:
  kubewright secrets check
  kubewright secrets check --output json

Ends with 7 when a secret is missing, the file does not open, or a secret lies in Git in clear text.")]
    Check(Check),
}

#[derive(Debug, Args)]
pub(crate) struct Spec {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) spec: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) spec: PathBuf,
    /// A public key of age that may open the file; without one, those of the spec, or yours. May be given several times.
    #[arg(long = "recipient", value_name = "KEY")]
    pub(crate) recipients: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Where in the file: `gandi.apiToken`, `users[0].password`, `registries["ghcr.io"]`.
    pub(crate) key: String,
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) spec: PathBuf,
    /// Take what is in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Replace the secrets of a Talos cluster that are there; no other value needs it.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Where in the file.
    pub(crate) key: String,
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) spec: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AddRecipient {
    /// The public key of age: `age1…`.
    pub(crate) recipient: String,
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) spec: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) spec: PathBuf,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}
