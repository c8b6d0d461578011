//! What stands between us and a host: ports that swallow, long ways, names that nobody looks up.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

#[tokio::test]
async fn a_port_that_swallows_everything_is_told_within_seconds() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let way = way(&host, "root");
    // Whoever knocks hears nothing, as where a firewall drops what comes.
    host.sh(&format!("ip rule add ipproto tcp sport {PORT} blackhole"));
    let begin = Instant::now();
    let error = make(&hands(home.path()), &host, &way, &[file("/etc/one", "1")]).await.expect_err("it is filtered");
    assert!(error.may_pass(), "{error}");
    assert!(error.to_string().contains("(TCP)") && error.to_string().contains("no answer within 10 s"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
    // A host that is looked for at its old port as well says both.
    let both = Way { port_before: Some(1), ..way.clone() };
    let error = make(&hands(home.path()), &host, &both, &[file("/etc/one", "1")]).await.expect_err("it is filtered");
    assert!(error.to_string().contains("nor is it at port 1") && error.to_string().contains("refused"), "{error}");
    host.sh(&format!("ip rule delete ipproto tcp sport {PORT} blackhole"));
    assert!(make(&hands(home.path()), &host, &way, &[file("/etc/one", "1")]).await.is_ok());
}

/// How far the words of both sides go back to each other: a word is one deeper than the deepest that whoever says it has heard.
/// However slow this computer is, nobody answers what has not come yet.
#[derive(Default)]
struct Trips {
    /// The deepest word that has come back to us.
    heard: AtomicU64,
    /// The deepest word that has come to the host.
    told: AtomicU64,
}

/// A word under way: when it arrives, how deep it is, and what it says.
type Word = (tokio::time::Instant, u64, Vec<u8>);

/// Somebody between us and a host who is late with all but the first handshake, and counts round trips.
async fn long_way(host: &LabHost, one_way: Duration) -> (Way, Arc<Trips>) {
    let listener = TcpListener::bind((HERE, 0)).await.expect("it is free");
    let at = listener.local_addr().expect("it has one");
    let to = SocketAddr::from((host.address, PORT));
    let trips = Arc::new(Trips::default());
    let counted = trips.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let host = TcpStream::connect(to).await.expect("it listens");
            let (from_client, to_client) = client.into_split();
            let (from_host, to_host) = host.into_split();
            tokio::spawn(late(from_client, to_host, one_way, counted.clone(), true));
            tokio::spawn(late(from_host, to_client, one_way, counted.clone(), false));
        }
    });
    (Way { address: Some(at.ip()), port: at.port(), ..way(host, "admin") }, trips)
}

async fn late(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    by: Duration,
    trips: Arc<Trips>,
    ours: bool,
) -> std::io::Result<()> {
    let (send, mut receive) = mpsc::unbounded_channel::<Word>();
    let arriving = trips.clone();
    tokio::spawn(async move {
        while let Some((when, depth, bytes)) = receive.recv().await {
            tokio::time::sleep_until(when).await;
            let at = if ours { &arriving.told } else { &arriving.heard };
            at.fetch_max(depth, Ordering::SeqCst);
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 65536];
    loop {
        let read = from.read(&mut buffer).await?;
        let depth = match ours {
            true => trips.heard.load(Ordering::SeqCst) + 1,
            false => trips.told.load(Ordering::SeqCst),
        };
        if read == 0 || send.send((tokio::time::Instant::now() + by, depth, buffer[..read].to_vec())).is_err() {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn a_long_way_costs_few_round_trips() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    let (way, trips) = long_way(&host, Duration::from_millis(100)).await;
    let resources: Vec<HostResource> = (0..50).map(|number| file(&format!("/etc/many/{number}"), "text\n")).collect();
    let (mut cost, mut before) = (Vec::new(), 0);
    let mut lap = || {
        let now = trips.heard.load(Ordering::SeqCst);
        cost.push(now - std::mem::replace(&mut before, now));
    };
    assert!(look(&hands, &host, &way, &resources).await.present().is_some());
    lap();
    assert!(make(&hands, &host, &way, &resources).await.expect("it is done").changed);
    lap();
    let seen = look(&hands, &host, &way, &resources).await;
    lap();
    assert_eq!(seen.present().expect("it answers").files.len(), 50);
    // SSH itself needs about nine to let somebody in; a command on a connection that is there needs one for its channel
    // and one for itself.
    let most = [14, 7, 7];
    let few = cost.iter().zip(most).all(|(cost, most)| (1..=most).contains(cost));
    assert!(few, "{cost:?} round trips, and not up to {most:?}");
}

#[tokio::test]
async fn a_host_that_looks_its_clients_up_in_vain_is_waited_for() {
    let Some(lab) = Lab::open() else { return };
    // A server of names that never answers, as long as this test runs.
    let _names = UdpSocket::bind((HERE, 53)).expect("it is free");
    let host = lab.prepared(
        "one",
        &format!(
            "echo 'UseDNS yes' >>/etc/ssh/sshd_config; rm -f /etc/resolv.conf; echo 'nameserver {HERE}' >/etc/resolv.conf
            echo 'hosts: dns' >/etc/nsswitch.conf"
        ),
    );
    let home = tempfile::tempdir().expect("a folder");
    let begin = Instant::now();
    let seen = look(&hands(home.path()), &host, &way(&host, "root"), &[]).await;
    assert!(seen.present().is_some(), "{seen:?}");
    assert!(begin.elapsed() > Duration::from_secs(5), "it did look them up: {:?}", begin.elapsed());
}

/// Somebody who listens where a host should be, and does this with everybody who comes.
async fn instead_of_a_host<W: Future<Output = ()> + Send + 'static>(
    does: impl Fn(TcpStream) -> W + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((HERE, 0)).await.expect("it is free");
    let at = listener.local_addr().expect("it has one");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(does(stream));
        }
    });
    at
}

#[tokio::test]
async fn who_never_answers_drips_or_floods_is_given_up_in_time() {
    let Some(lab) = Lab::open() else { return };
    let silent = instead_of_a_host(async |stream| {
        tokio::time::sleep(Duration::from_secs(600)).await;
        drop(stream);
    });
    let drips = instead_of_a_host(async |mut stream| {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let floods = instead_of_a_host(async |mut stream| while stream.write_all(&[b'x'; 65536]).await.is_ok() {});
    let lines =
        instead_of_a_host(async |mut stream| while stream.write_all(&b"hello\r\n".repeat(9000)).await.is_ok() {});
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    let begin = Instant::now();
    let ends = [silent.await, drips.await, floods.await, lines.await];
    let looks = ends.into_iter().enumerate().map(async |(index, at)| {
        let way = Way { address: Some(at.ip()), port: at.port(), ..way(&host, "root") };
        let name = format!("host-{index}").as_str().into();
        let seen =
            hands.observe(Probe { host: &name, way: &way, resources: &[], holds_data: false, updates: false }).await;
        seen.why_unknown().unwrap_or_else(|| panic!("{seen:?}")).to_string()
    });
    for why in futures::future::join_all(looks).await {
        assert!(why.contains("(SSH banner)"), "{why}");
    }
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_look_that_never_ends_is_given_up_and_the_next_one_is_whole() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.host("one");
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()).with_patience(Duration::from_secs(4)), way(&host, "admin"));
    host.sh("printf '#!/bin/sh\\nexec sleep 600\\n' >/usr/local/sbin/date && chmod 755 /usr/local/sbin/date");
    let begin = Instant::now();
    let seen = look(&hands, &host, &way, &[]).await;
    let why = seen.why_unknown().unwrap_or_else(|| panic!("{seen:?}")).to_string();
    assert!(why.contains("looking at it failed on one: no answer within 4 s"), "{why}");
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    host.sh("rm /usr/local/sbin/date");
    assert!(look(&hands, &host, &way, &[]).await.present().is_some());
}

#[test]
fn who_kills_a_test_leaves_no_host_behind() {
    let Some(_lab) = Lab::open() else { return };
    let folders = tempfile::tempdir().expect("a folder");
    let mut test = std::process::Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "network::a_host_that_looks_its_clients_up_in_vain_is_waited_for"])
        .env("TMPDIR", folders.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let begin = Instant::now();
    let left = || std::fs::read_dir(folders.path()).expect("it is there").flatten().map(|it| it.path());
    let host = loop {
        if let Some(first) = left().find_map(|folder| lab::only_child(&folder.join("pid"))) {
            break PathBuf::from("/proc").join(first);
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "no host was started");
        std::thread::sleep(Duration::from_millis(5));
    };
    test.kill().expect("it runs");
    test.wait().expect("it ends");
    while host.exists() || left().any(|folder| folder.join("pid").exists()) {
        assert!(begin.elapsed() < Duration::from_secs(40), "it is still there: {:?}", left().collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(20));
    }
}
