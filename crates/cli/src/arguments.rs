//! The command line.

pub(crate) mod airgap;
pub(crate) mod backup;
mod begin;
mod change;
pub(crate) mod doctor;
mod documents;
pub(crate) mod drift;
pub(crate) mod enter;
pub(crate) mod fleet;
pub(crate) mod restore;
pub(crate) mod rotate;
pub(crate) mod secrets;
pub(crate) mod serve;
pub(crate) mod top;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::begin::{Import, ImportForm, Imports, Init};
pub(crate) use self::change::{Apply, Change, Destroy, Plan, Rebuild, Replace};
pub(crate) use self::documents::{Docs, Format, Language, Rehearse};
pub(crate) use self::drift::{DriftTimer, Look};
pub(crate) use self::enter::{Exec, Images, Kubeconfig, Logs, Reboot, Ssh, Talosconfig};
use crate::complete;

/// Kubernetes on your own machines, from one file: planned, built, proven, upgraded and taken down.
#[derive(Debug, Parser)]
#[command(name = "kubewright", version, propagate_version = true, disable_help_subcommand = false)]
#[command(after_help = "Examples:
  kubewright init devboard            # begin with an example
  kubewright validate                 # everything that is wrong with cluster.yaml, at once
  kubewright rehearse                 # the cluster's whole life in a pretend data centre
  kubewright plan && kubewright apply # what would change, then make it so

Exit codes:
  0  done, or nothing to do            5  blocked, nothing was changed
  1  a run did not finish              6  another run holds the lock
  2  wrong usage                       7  looked, not healthy
  3  the spec is invalid              70  a bug of kubewright
  4  changes pending (--exit-code)   130  interrupted")]
pub(crate) struct Arguments {
    /// Work in a pretend data centre that is kept in this folder.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) simulated: Option<PathBuf>,
    /// The environment: what its file, `environments/NAME.yaml` beside the spec, says goes on top of the spec.
    #[arg(long, global = true, value_name = "NAME", env = "KUBEWRIGHT_ENVIRONMENT", add = complete::environments())]
    pub(crate) environment: Option<String>,
    /// Say everything in words, a fact a line, without colour and drawings: for screen readers.
    #[arg(long, global = true, env = crate::plain::ASKS, value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) plain: bool,
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Colour,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// How fast a pretend run is to go, where the command has one and somebody said so.
    pub(crate) fn pace(&self) -> Option<f64> {
        match &self.command {
            Command::Apply(apply) => apply.pace.pace,
            Command::Destroy(destroy) => destroy.change.pace.pace,
            Command::Rebuild(rebuild) => rebuild.change.pace.pace,
            Command::Restore(restore) => restore.change.pace.pace,
            Command::Rotate(rotate) => rotate.change.pace.pace,
            Command::Replace(replace) => replace.pace.pace,
            Command::Reboot(reboot) => reboot.pace.pace,
            Command::UpdateOs(update) => update.pace.pace,
            Command::Backup(backup) => backup.make.pace.pace,
            Command::Rehearse(rehearse) => rehearse.pace.pace,
            Command::Serve(serve) => serve.pace,
            _ => None,
        }
    }

    /// Whether the command works in a pretend world.
    pub(crate) fn pretends(&self) -> bool {
        let rehearses = match &self.command {
            Command::Rehearse(_) => true,
            Command::Rebuild(rebuild) => rebuild.rehearse,
            _ => false,
        };
        rehearses || self.simulated.is_some()
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal that has it, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// In which form the answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a first spec: from an example, or by a few questions.
    #[command(after_help = "Examples:
  kubewright init                     # a few questions
  kubewright init --list              # the examples
  kubewright init devboard            # K3s in three Proxmox containers
  kubewright init keybuzz -o ha.yaml  # K3s in high availability at Hetzner")]
    Init(Init),
    /// Write a spec for servers that exist already, from what others wrote down of them.
    ///
    /// It reads tables of servers (TSV and CSV), Ansible's inventories (INI and YAML, with group_vars and host_vars beside
    /// them), and what `terraform show -json` prints.
    #[command(disable_version_flag = true)]
    #[command(after_help = "Examples:
  kubewright import servers.tsv --name keybuzz
  kubewright import inventory/hosts.ini -o lab.yaml
  kubewright import hosts.yml --group brain=server --group muscle=agent
  terraform show -json > state.json && kubewright import state.json hosts.ini")]
    Import(Import),
    /// Find everything that is wrong with a spec, at once.
    #[command(after_help = "Examples:
  kubewright validate
  kubewright validate clusters/*.yaml
  kubewright validate --output json cluster.yaml")]
    Validate(Validate),
    /// Show every difference between the spec and the world; touch nothing.
    #[command(after_help = "Examples:
  kubewright plan
  kubewright plan --assume-empty      # from nothing, without looking at anything
  kubewright plan --only control-plane --only k3s-agent-1
  kubewright plan --out plan.json && kubewright apply plan.json
  kubewright plan --exit-code         # ends with 4 when something is to be done")]
    Plan(Plan),
    /// Make the world as the spec says, then plan once more to prove it.
    #[command(after_help = "Examples:
  kubewright apply
  kubewright apply --yes              # without being asked
  kubewright apply plan.json          # exactly this plan, or nothing
  kubewright apply --only monitoring
  kubewright apply --bundle lab.bundle.tar   # without the network")]
    Apply(Apply),
    /// Take away everything that is ours.
    #[command(after_help = "Examples:
  kubewright destroy
  kubewright destroy --yes cluster.yaml
  kubewright destroy --leftovers      # with load balancers and volumes that the cluster made")]
    Destroy(Destroy),
    /// Save, destroy, build anew and prove it, in one plan; one that was cut goes on where it was.
    #[command(after_help = "Examples:
  kubewright rebuild --rehearse       # in a pretend data centre first, then ask
  kubewright rebuild --yes
  kubewright rebuild --from-scratch   # not where the last one was cut

Ends with 7 when a check of the spec does not hold afterwards.")]
    Rebuild(Rebuild),
    /// Put back what was saved of the datastore, on the machines that are there; one that was cut goes on where it was.
    #[command(after_help = "Examples:
  kubewright restore latest           # says what will be lost, and asks for the cluster's name
  kubewright restore etcd-red-1795246212.db cluster.yaml
  kubewright restore latest-bundle    # the newest bundle, with the keys that are lost here
  kubewright restore ./devboard-20261122T175300Z.tar.gz.age
  kubewright restore latest --yes --cluster devboard

Ends with 7 when a check of the spec does not hold afterwards.")]
    Restore(restore::Restore),
    /// Make certificates or SSH keys anew while the cluster lives, also where certificates have expired; one that was cut goes on.
    #[command(after_help = "Examples:
  kubewright rotate certificates
  kubewright rotate certificates --yes cluster.yaml
  kubewright rotate ssh-keys

`kubewright status` tells until when certificates are good.")]
    Rotate(rotate::Rotate),
    /// Make single nodes anew.
    #[command(after_help = "Examples:
  kubewright replace k3s-agent-1
  kubewright replace k3s-agent-1 k3s-agent-2 --file cluster.yaml
  kubewright replace --outdated       # those made from another template than the spec's")]
    Replace(Replace),
    /// Save everything that the cluster is made anew from, in one encrypted file; list, verify and fetch such files.
    #[command(disable_version_flag = true)]
    #[command(after_help = "Examples:
  kubewright backup
  kubewright backup --to /mnt/usb     # a copy elsewhere
  kubewright backup list
  kubewright backup verify latest")]
    Backup(backup::Backup),
    /// Collect what the spec needs from outside into one file, for a site that has no way out.
    #[command(after_help = "Examples:
  kubewright bundle --list            # files, images and charts, and fetches nothing
  kubewright bundle --output lab.bundle.tar
  kubewright bundle --arch amd64 --arch arm64
  kubewright apply --bundle lab.bundle.tar")]
    Bundle(airgap::Bundle),
    /// Show machines, hosts and nodes as they are.
    #[command(after_help = "Examples:
  kubewright status
  kubewright status --output json | jq .cluster
  kubewright status --drift           # what differs from the spec; ends with 4 when something does
  kubewright status --drift --notify  # and those are told whom `notifications` names")]
    Status(Look),
    /// Print units of systemd that look for drift again and again, and tell of it.
    #[command(after_help = "Examples:
  kubewright drift-timer
  kubewright drift-timer --install")]
    DriftTimer(DriftTimer),
    /// List who is told of what, and try whether they are.
    #[command(after_help = "Examples:
  kubewright notify
  kubewright notify --test            # each gets a message that says that it is one

Ends with 1 when somebody could not be told.")]
    Notify(drift::Notify),
    /// Show clusters in a browser: what is there, plans, runs as they move, their history.
    ///
    /// On loopback, behind a token. It looks at each cluster again and again, and carries out a plan that an operator approves.
    #[command(after_help = "Examples:
  kubewright serve
  kubewright serve clusters/*.yaml --look-every 10m
  kubewright serve --simulated /tmp/dc --pace 30       # a pretend data centre, to try it out
  kubewright serve --listen 0.0.0.0:8420 --host kw.example.org --tls-certificate kw.pem --tls-key kw.key")]
    Serve(serve::Serve),
    /// Watch a cluster on the terminal: what is there, what differs, and its runs as they move.
    #[command(after_help = "Examples:
  kubewright top
  kubewright top --every 10s cluster.yaml

Keys are shown below the picture; `?` shows all of them.")]
    Top(top::Top),
    /// Prove that the cluster works: run every check of the spec.
    #[command(after_help = "Examples:
  kubewright verify
  kubewright verify --output json
  kubewright verify --report validation.md --report validation.html --language fr
  kubewright verify --report junit.xml # for CI

Ends with 7 when a check does not hold.")]
    Verify(Verify),
    /// Find what is wrong at every layer, and name the causes with their evidence and their repair.
    #[command(after_help = "Examples:
  kubewright doctor
  kubewright doctor --node k3s-agent-1
  kubewright doctor --fix             # plans the repair, shows it and asks
  kubewright explain disk-full        # what a check looks at

Ends with 7 when something does not work.")]
    Doctor(doctor::Doctor),
    /// Pack everything that tells what is wrong into an archive, without secrets.
    #[command(after_help = "Examples:
  kubewright support-bundle
  kubewright support-bundle --output devboard.tar.gz")]
    SupportBundle(doctor::SupportBundle),
    /// Write the kubeconfig of a cluster, for kubectl and others.
    #[command(after_help = "Examples:
  kubewright kubeconfig               # a file of its own, that only you read
  kubewright kubeconfig --merge       # among those that kubectl has already
  kubewright kubeconfig --merge --use-context
  kubewright kubeconfig --output ~/devboard.yaml
  kubewright kubeconfig --user ada --group developers --ttl 8h --output ada.yaml
  kubewright kubeconfig --service-account ci/deployer --output -")]
    Kubeconfig(Kubeconfig),
    /// Write the way into the API of Talos, for `talosctl`.
    #[command(after_help = "Examples:
  kubewright talosconfig
  kubewright talosconfig --output talosconfig-dev
  kubewright talosconfig --secrets --output secrets.yaml   # as `talosctl gen secrets` writes them")]
    Talosconfig(Talosconfig),
    /// Log in at a node, with the keys and the known hosts that kubewright itself goes by.
    #[command(after_help = "Examples:
  kubewright ssh k3s-server-1
  kubewright ssh k3s-server-1 -- journalctl -f")]
    Ssh(Ssh),
    /// Run a program on many nodes at once.
    #[command(after_help = "Examples:
  kubewright exec --on all -- uptime
  kubewright exec --on agent --sudo -- 'crictl images | wc -l'
  kubewright exec --on web --sudo --stdin -- tee /etc/motd < motd

Ends with 1 when it does not end well on each of them.")]
    Exec(Exec),
    /// Show what a node or a pod logs.
    #[command(after_help = "Examples:
  kubewright logs k3s-server-1        # of Kubernetes, and of what else is ours there
  kubewright logs k3s-agent-1 containerd -f
  kubewright logs k3s-agent-1 kernel --since 1h
  kubewright logs pod/argocd-server-0 -n argocd -f")]
    Logs(Logs),
    /// Start nodes again, one after the other: drained before, Ready after.
    #[command(after_help = "Examples:
  kubewright reboot k3s-agent-1
  kubewright reboot --all --if-needed # those whose packages want it
  kubewright reboot --pool web --yes")]
    Reboot(Reboot),
    /// Upgrade the operating system's packages of nodes, one after the other: drained before, started again where they want
    /// that, Ready after.
    #[command(after_help = "Examples:
  kubewright update-os --all
  kubewright update-os k3s-agent-1
  kubewright update-os --pool web --yes")]
    UpdateOs(fleet::UpdateOs),
    /// List what is behind: versions, charts, packages, starts that hosts wait for, certificates near their end.
    #[command(after_help = "Examples:
  kubewright outdated
  kubewright outdated --refresh       # with new lists of packages on every host
  kubewright outdated --exit-code     # ends with 4 when something is behind
  kubewright outdated --output json | jq '.behind[].what'")]
    Outdated(fleet::Outdated),
    /// List images on nodes, or bring one there without a registry.
    #[command(disable_version_flag = true)]
    #[command(after_help = "Examples:
  kubewright images list
  kubewright images load web.tar      # from `docker save -o web.tar example/web:1.0`")]
    Images {
        #[command(subcommand)]
        wish: Images,
    },
    /// Keep secrets encrypted beside the spec, in a SOPS file.
    #[command(disable_version_flag = true)]
    #[command(after_help = "Examples:
  kubewright secrets init             # a key, a file, and the lines for the spec
  kubewright secrets set gandi.apiToken
  kubewright secrets check            # is every secret there? ends with 7 when not")]
    Secrets {
        #[command(subcommand)]
        wish: secrets::Secrets,
    },
    /// List the runs of a cluster, or show one.
    #[command(after_help = "Examples:
  kubewright history
  kubewright history --run last
  kubewright history --run last --report run.html
  kubewright history --run 20261121-073012-418 --output json")]
    History(History),
    /// Explain an error code, or list them all.
    #[command(after_help = "Examples:
  kubewright explain KW0009
  kubewright explain")]
    Explain {
        /// The code: `KW0009`, or `9`.
        code: Option<String>,
    },
    /// Print the JSON Schema of the spec, for editors.
    #[command(after_help = "Examples:
  kubewright schema > cluster.schema.json
  # in the first line of a spec, for the YAML language server:
  # yaml-language-server: $schema=cluster.schema.json")]
    Schema,
    /// Write the cluster's documentation.
    #[command(after_help = "Examples:
  kubewright docs > CLUSTER.md
  kubewright docs --language fr --out cluster.html")]
    Docs(Docs),
    /// Rehearse the cluster's whole life in a pretend data centre.
    #[command(after_help = "Examples:
  kubewright rehearse
  kubewright rehearse --docs cluster.html
  kubewright rehearse --fault power-cut --fault api-500
  kubewright rehearse --fault disk-full=k3s-agent-1 --seed 7

Faults: unreachable[=HOST] api-500 api-429 api-timeout lock-held disk-full[=HOST] power-cut slow-link etcd-stuck[=HOST]
never-back[=HOST] (Talos) namespace-missing repo-server-eof application-stuck (Argo CD)")]
    Rehearse(Rehearse),
    /// Print a script that completes commands in your shell.
    #[command(after_help = "Examples:
  kubewright completions bash > /etc/bash_completion.d/kubewright
  kubewright completions fish > ~/.config/fish/completions/kubewright.fish")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write man pages.
    #[command(after_help = "Examples:
  kubewright man --out /usr/local/share/man/man1")]
    Man {
        /// The folder for the pages; without it the main page is printed.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The specs; `-` for standard input.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) files: Vec<PathBuf>,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Write down what was found, as the file's name says: .md, .html, .json, or .xml (JUnit); may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Vec<PathBuf>,
    /// Tell those whom `notifications` names for `verification` when a check does not hold, once, and once when all hold again.
    #[arg(long)]
    pub(crate) notify: bool,
    /// The language of reports in Markdown and HTML.
    #[arg(long, default_value = "en")]
    pub(crate) language: Language,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Show this run: its name, or `last`.
    #[arg(long, value_name = "RUN", add = complete::runs())]
    pub(crate) run: Option<String>,
    /// Write the run that is shown down as a page: Markdown, or HTML when the file's name ends so.
    #[arg(long, value_name = "FILE", requires = "run")]
    pub(crate) report: Option<PathBuf>,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}
