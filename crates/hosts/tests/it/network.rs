//! What stands between us and a host: ports that swallow, long ways, names that nobody looks up.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

use super::*;

#[tokio::test]
async fn a_port_that_swallows_everything_is_told_within_seconds() {
    let host = LabHost::start("one");
    let home = tempfile::tempdir().expect("a folder");
    // A queue that is full drops who comes next without a word, as a firewall does.
    let full = TcpSocket::new_v4().expect("a socket");
    full.bind(SocketAddr::from((host.address, 0))).expect("it is free");
    let full = full.listen(0).expect("it listens");
    let at = full.local_addr().expect("it has one");
    let _first = TcpStream::connect(at).await.expect("there is room for one");
    let filtered = Way { port: at.port(), ..way(&host, "root") };
    let begin = Instant::now();
    let error =
        make(&hands(home.path()), &host, &filtered, &[file("/etc/one", "1")]).await.expect_err("it is filtered");
    assert!(error.may_pass(), "{error}");
    assert!(error.to_string().contains("(TCP)") && error.to_string().contains("no answer within 10 s"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
    // A host that is looked for at its old port as well says both.
    let both = Way { port: at.port(), port_before: Some(1), ..way(&host, "root") };
    let error = make(&hands(home.path()), &host, &both, &[file("/etc/one", "1")]).await.expect_err("it is filtered");
    assert!(error.to_string().contains("nor is it at port 1") && error.to_string().contains("refused"), "{error}");
    assert!(make(&hands(home.path()), &host, &way(&host, "root"), &[file("/etc/one", "1")]).await.is_ok());
}

/// A way to a host on which everything is late; returns its port.
async fn long_way(host: &LabHost, one_way: Duration) -> u16 {
    let listener = TcpListener::bind((host.address, 0)).await.expect("it is free");
    let at = listener.local_addr().expect("it has one");
    let to = SocketAddr::from((host.address, PORT));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let host = TcpStream::connect(to).await.expect("it listens");
            let (from_client, to_client) = client.into_split();
            let (from_host, to_host) = host.into_split();
            tokio::spawn(late(from_client, to_host, one_way));
            tokio::spawn(late(from_host, to_client, one_way));
        }
    });
    at.port()
}

async fn late(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    by: Duration,
) -> std::io::Result<()> {
    let (send, mut receive) = mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((when, bytes)) = receive.recv().await {
            tokio::time::sleep_until(when).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 65536];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 || send.send((tokio::time::Instant::now() + by, buffer[..read].to_vec())).is_err() {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn a_long_way_costs_few_round_trips() {
    const ROUND_TRIP: Duration = Duration::from_millis(300);
    let host = LabHost::start("one");
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    let way = Way { port: long_way(&host, ROUND_TRIP / 2).await, ..way(&host, "admin") };
    let resources: Vec<HostResource> = (0..50).map(|number| file(&format!("/etc/many/{number}"), "text\n")).collect();
    let mut took = Vec::new();
    let mut begin = Instant::now();
    let mut lap = || took.push(std::mem::replace(&mut begin, Instant::now()).elapsed());
    assert!(look(&hands, &host, &way, &resources).await.present().is_some());
    lap();
    assert!(make(&hands, &host, &way, &resources).await.expect("it is done").changed);
    lap();
    let seen = look(&hands, &host, &way, &resources).await;
    lap();
    assert_eq!(seen.present().expect("it answers").files.len(), 50);
    // SSH itself needs about nine to let somebody in; a command on a connection that is there needs one for its channel
    // and one for itself. The rest is work.
    let most = [14, 7, 7];
    for (took, most) in took.iter().zip(most) {
        assert!(*took < ROUND_TRIP * most, "{took:?} is more than {most} round trips");
    }
}

#[tokio::test]
async fn a_host_that_looks_its_clients_up_in_vain_is_waited_for() {
    // A server of names that never answers, as long as this test runs.
    let names = {
        let [a, b, c, d] = lab::address().octets();
        UdpSocket::bind(SocketAddr::from(([a, b, c, d], 53))).expect("it is free")
    };
    let at = names.local_addr().expect("it has one").ip();
    let host = LabHost::prepared(
        "one",
        &format!(
            "echo 'UseDNS yes' >>/etc/ssh/sshd_config; rm -f /etc/resolv.conf; echo 'nameserver {at}' >/etc/resolv.conf
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
    let listener = TcpListener::bind((lab::address(), 0)).await.expect("it is free");
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
    let host = LabHost::start("one");
    let home = tempfile::tempdir().expect("a folder");
    let hands = hands(home.path());
    let begin = Instant::now();
    let ends = [silent.await, drips.await, floods.await, lines.await];
    let looks = ends.into_iter().enumerate().map(async |(index, at)| {
        let way = Way { address: Some(at.ip()), port: at.port(), ..way(&host, "root") };
        let name = format!("host-{index}").as_str().into();
        let seen = hands.observe(Probe { host: &name, way: &way, resources: &[], holds_data: false }).await;
        seen.why_unknown().unwrap_or_else(|| panic!("{seen:?}")).to_string()
    });
    for why in futures::future::join_all(looks).await {
        assert!(why.contains("(SSH banner)"), "{why}");
    }
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_look_that_never_ends_is_given_up_and_the_next_one_is_whole() {
    let host = LabHost::start("one");
    let home = tempfile::tempdir().expect("a folder");
    let (hands, way) = (hands(home.path()), way(&host, "admin"));
    host.sh("printf '#!/bin/sh\\nexec sleep 600\\n' >/usr/local/sbin/date && chmod 755 /usr/local/sbin/date");
    let begin = Instant::now();
    let seen = look(&hands, &host, &way, &[]).await;
    let why = seen.why_unknown().unwrap_or_else(|| panic!("{seen:?}")).to_string();
    assert!(why.contains("looking at it failed on one: no answer within 60 s"), "{why}");
    assert!(begin.elapsed() < Duration::from_secs(75), "{:?}", begin.elapsed());
    host.sh("rm /usr/local/sbin/date");
    assert!(look(&hands, &host, &way, &[]).await.present().is_some());
}
