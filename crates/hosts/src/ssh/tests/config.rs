//! The user's own `~/.ssh/config`, with real servers at its ends.

use super::super::target::Home;
use super::*;

/// A user's home with this configuration.
fn home(config: &str, agent: Option<PathBuf>) -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join(".ssh")).expect("a folder");
    std::fs::write(folder.path().join(".ssh/config"), config).expect("a file");
    let home = Home::read(folder.path(), agent).expect("it is right");
    (folder, home)
}

/// A way of which the spec says no more than a name.
fn named(name: &str) -> Way {
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

impl Server {
    /// The block of a configuration that leads to this server with its own key.
    fn block(&self, name: &str, more: &str) -> String {
        let (address, port, key) = (self.address, self.port, self.folder.path().join("user"));
        format!("Host {name}\n  HostName {address}\n  Port {port}\n  IdentityFile {}\n{more}", key.display())
    }

    fn accepted(&self) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("log")).expect("a log");
        log.matches("Accepted publickey for").count()
    }
}

#[tokio::test]
async fn two_jump_hosts_lead_to_a_host_each_with_its_own_key() {
    let (one, two, inner) = (Server::start(""), Server::start(""), Server::start(""));
    // In a chain of blocks, and in one list.
    for (second, last) in [("  ProxyJump one\n", "  ProxyJump two\n"), ("", "  ProxyJump one,two\n")] {
        let config = [one.block("one", ""), two.block("two", second), inner.block("inner", last)].concat();
        let (_folder, home) = home(&config, None);
        let before = [one.accepted(), two.accepted(), inner.accepted()];
        let target = home.target(&named("inner")).expect("it leads somewhere");
        let session = Session::open(&target, &inner.known(), &nobody()).await.expect("it is reached");
        let answer = run(&session, Job { body: "echo \"$SSH_CONNECTION\"", deadline: SHORT }, None, None).await;
        let printed = answer.expect("it answers").printed;
        assert!(printed.trim().ends_with(&format!("{} {}", inner.address, inner.port)), "{printed}");
        assert_eq!([one.accepted(), two.accepted(), inner.accepted()], before.map(|count| count + 1));
    }
    // The error says which of the hosts it was.
    let config = [one.block("one", "  User nobody-here\n"), inner.block("inner", "  ProxyJump one\n")].concat();
    let (_folder, home) = home(&config, None);
    let target = home.target(&named("inner")).expect("it leads somewhere");
    let why = refused(Session::open(&target, &inner.known(), &nobody()).await).why;
    assert!(why.starts_with(&format!("jump host {}: nobody-here is not let in", one.address)), "{why}");
}

#[tokio::test]
async fn the_user_of_the_configuration_counts_where_the_spec_names_none() {
    let server = Server::start("");
    let (_folder, home) = home(&server.block("web", "  User nobody-here\n"), None);
    let target = home.target(&named("web")).expect("it leads somewhere");
    let why = refused(Session::open(&target, &server.known(), &nobody()).await).why;
    assert!(why.starts_with("nobody-here is not let in"), "{why}");
    let spec = Way { user: server.target("user").user.as_str().into(), ..named("web") };
    let spec = home.target(&if &*spec.user == "root" { Way { user: "daemon".into(), ..spec } } else { spec });
    assert_ne!(spec.expect("it leads somewhere").user, "nobody-here", "the spec goes first");
}

#[tokio::test]
async fn identities_only_keeps_an_agents_other_keys_back() {
    let server = Server::start("");
    let folder = server.folder.path();
    let agent = Agent::start(folder);
    // More than a server lets anybody try.
    for number in 0..7 {
        let key = folder.join(format!("other-{number}"));
        keygen(&key, "");
        agent.add(&key, "");
    }
    agent.add(&folder.join("user"), "");
    // The private half is nowhere but in the agent.
    std::fs::rename(folder.join("user"), folder.join("gone")).expect("it was there");
    let way = named("web");
    for (more, file, reached) in [
        ("  IdentitiesOnly yes\n", "user", true),
        ("  IdentitiesOnly yes\n", "user.pub", true),
        ("", "user.pub", true),
        ("", "stranger", false),
        ("  IdentitiesOnly yes\n", "stranger", false),
    ] {
        let config = server.block("web", more).replace("/user\n", &format!("/{file}\n"));
        let (_folder, home) = home(&config, Some(agent.socket.clone()));
        let target = home.target(&way).expect("it leads somewhere");
        let opened = Session::open(&target, &server.known(), &nobody()).await;
        assert_eq!(opened.is_ok(), reached, "{more}{file}: {:?}", opened.err());
    }
}
