//! What each protocol says first, and what is taken for a greeting.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::*;

/// A service that hears what a client says first, and answers.
async fn service(hears: &'static [u8], says: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; hears.len()];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, hears);
        stream.write_all(says).await.unwrap();
        // It waits until its client has gone.
        let _ = stream.read(&mut [0; 512]).await;
    });
    at
}

#[tokio::test]
async fn each_protocol_is_greeted_in_its_own_words() {
    use ServiceProtocol::{Amqp, Http, Mysql, Postgresql, Redis, S3, Tcp};
    let cases: [(ServiceProtocol, &[u8], &[u8], bool); 11] = [
        (Tcp, b"", b"", true),
        (Postgresql, &[0, 0, 0, 8, 4, 210, 22, 47], b"N", true),
        (Postgresql, &[0, 0, 0, 8], b"HTTP/1.1 400 Bad Request", false),
        (Mysql, b"", b"\x4a\0\0\0\x0a8.4.0\0", true),
        (Mysql, b"", b"\x45\0\0\0\xff\x6a\x04Host is not allowed", true),
        (Redis, b"PING\r\n", b"+PONG\r\n\r\n", true),
        (Redis, b"PING\r\n", b"-NOAUTH Authentication required.\r\n", true),
        (Amqp, b"AMQP\0\0\x09\x01", &[1, 0, 0, 0, 0, 1, 200, 0, 10], true),
        (Http, b"GET / HTTP/1.1\r\n", b"HTTP/1.1 503 Service Unavailable\r\n\r\n", true),
        (S3, b"GET /minio/health/live HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n\r\n", true),
        (S3, b"GET /", b"HTTP/1.1 404 Not Found\r\n\r\n", false),
    ];
    for (protocol, hears, says, holds) in cases {
        let at = service(hears, says).await;
        let answer = greets(&HostPort::new(at.ip().to_string(), at.port()), protocol).await;
        assert_eq!(answer.is_ok(), holds, "{protocol:?} {answer:?}");
    }
    let closed = greets(&HostPort::new("127.0.0.1", 1), Redis).await.unwrap_err();
    assert!(closed.saw.starts_with("127.0.0.1:1: ") && closed.saw.contains("refused"), "{closed:?}");
}

#[test]
fn a_service_of_the_cluster_is_known_by_its_name() {
    let of = |host: &str| inside(&HostPort::new(host, 80)).map(|(namespace, name)| format!("{namespace}/{name}"));
    assert_eq!(of("db.apps.svc.cluster.local").as_deref(), Some("apps/db"));
    assert_eq!(of("db.apps.svc").as_deref(), Some("apps/db"));
    assert_eq!(of("db.svclab.example.com"), None);
    assert_eq!(of("10.0.0.10"), None);
}
