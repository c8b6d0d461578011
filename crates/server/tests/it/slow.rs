//! Who takes nothing of his answer, and who takes all connections: neither holds anything for ever, nor keeps others out.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::house::{House, VIEWER, example, talk};

/// So many answers are more than the system keeps for somebody who does not read: some ten megabytes.
const ANSWERS: usize = 4000;
/// Connections that an address may have.
const OF_ONE: usize = 512;

/// Asks for much, reads nothing for a while, and then all that there is; how many answers came.
async fn reads_late(house: &House, late: Duration) -> usize {
    let stream = TcpStream::connect(house.at).await.unwrap();
    let (mut reads, mut writes) = stream.into_split();
    let asks = tokio::spawn(async move {
        let asks = "GET /assets/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(ANSWERS - 1);
        let last = "GET /assets/style.css HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let _ = writes.write_all(format!("{asks}{last}").as_bytes()).await;
        // Who closes his side is not answered any more.
        writes
    });
    tokio::time::sleep(late).await;
    let mut all = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(60), reads.read_to_end(&mut all)).await.expect("it goes on");
    asks.abort();
    String::from_utf8_lossy(&all).matches("HTTP/1.1 200 OK").count()
}

#[test]
fn who_takes_nothing_of_an_answer_is_hung_up_on_and_who_waits_for_events_is_not() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        house.until("/api/v1/clusters", "the first look", |all| all["clusters"][0]["lookedAt"].is_u64()).await;
        let hears = async {
            let mut stream = house.asks(Method::GET, "/api/v1/events", VIEWER).send().await.unwrap();
            assert!(stream.chunk().await.unwrap().is_some());
            // For longer than an answer waits for its reader.
            tokio::time::sleep(Duration::from_secs(40)).await;
            // A second that has passed since tells this look from the first.
            let before = house.get("/api/v1/clusters/devboard").await["summary"]["lookedAt"].clone();
            house.asks(Method::POST, "/api/v1/clusters/devboard/look", VIEWER).send().await.unwrap();
            let mut heard = String::new();
            let is_new = |line: &str| {
                let told: Option<serde_json::Value> =
                    line.strip_prefix("data: ").and_then(|data| serde_json::from_str(data).ok());
                told.is_some_and(|told| told["lookedAt"].is_u64() && told["lookedAt"] != before)
            };
            while !heard.lines().any(is_new) {
                heard.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().expect("it ended")).unwrap());
            }
        };
        let soon = reads_late(&house, Duration::from_secs(5));
        let late = reads_late(&house, Duration::from_secs(45));
        let (soon, late, ()) = tokio::join!(soon, late, hears);
        assert_eq!(soon, ANSWERS, "who is only slow has all");
        assert!(late < ANSWERS, "an answer waited for {late} answers' reader, who did not read");
    });
}

/// A connection on which one request was answered; none where it was closed at once.
async fn enters(house: &House, from: [u8; 4]) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let mut stream = socket.connect(house.at).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.ok()?;
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.ok()?;
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    Some(stream)
}

#[test]
fn one_address_does_not_take_all_connections() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        let mut all = Vec::new();
        for _ in 0..OF_ONE {
            all.push(enters(&house, [127, 0, 0, 9]).await.expect("there is room"));
        }
        assert!(enters(&house, [127, 0, 0, 9]).await.is_none(), "it has its share");
        assert!(enters(&house, [127, 0, 0, 8]).await.is_some(), "others have theirs");
        let healthy = house.client.get(house.url("/healthz")).send().await.unwrap();
        assert_eq!(healthy.status(), StatusCode::OK);
        all.truncate(OF_ONE - 10);
        for _ in 0..50 {
            if enters(&house, [127, 0, 0, 9]).await.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("what was given back is not given again");
    });
}
