//! What is taken for a greeting, and what is not, byte by byte.

use kubewright_model::net::HostPort;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::wire::Wire;
use super::*;

/// A server that answers each piece it hears with the next of these, and hangs up.
fn server(says: Vec<Vec<u8>>) -> Wire {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        for words in says {
            let _ = theirs.read(&mut [0; 1024]).await;
            let _ = theirs.write_all(&words).await;
        }
    });
    Wire::new(Box::new(ours))
}

fn words(greeted: Result<Greeted, Failed>) -> String {
    match greeted {
        Ok(greeted) => greeted.words(),
        Err(Failed::Strange) => "strange".into(),
        Err(Failed::Cut(cut)) => format!("{cut:?}"),
        Err(Failed::Unmet(Unmet::Refuses { saw, .. })) => format!("refuses: {saw}"),
        Err(Failed::Unmet(other)) => format!("{other:?}"),
    }
}

#[tokio::test]
async fn redis_is_known_by_resp() {
    let info: &[u8] = b"$42\r\n# Server\r\nredis_version:7.0.15\r\nos:Linux\r\n\r\n";
    let valkey: &[u8] = b"$64\r\n# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n\r\n";
    let cases: [(&[&[u8]], &str); 9] = [
        (&[b"+PONG\r\n", info], "Redis 7.0.15"),
        (&[b"+PONG\r\n", valkey], "Valkey 8.0.1"),
        (&[b"+PONG\r\n", b"-NOPERM\r\n"], "Redis"),
        (&[b"-NOAUTH Authentication required.\r\n"], "Redis (it wants a password)"),
        (&[b"-ERR unknown command\r\n"], "Redis (it answers `-ERR unknown command`)"),
        (&[b"-LOADING Redis is loading the dataset in memory\r\n"], "refuses: Redis still loads its data"),
        (&[b"+PO"], "End"),
        (&[b"AMQP\0\0\x09\x01"], "strange"),
        (&[b"HTTP/1.1 400 Bad Request\r\n\r\n"], "strange"),
    ];
    for (says, told) in cases {
        let mut wire = server(says.iter().map(|words| words.to_vec()).collect());
        assert_eq!(words(redis::greet(&mut wire).await), told);
    }
}

/// Connection.Start with these properties and this end.
fn start(properties: &[(&str, &str)], end: u8) -> Vec<u8> {
    let mut table = Vec::new();
    for (name, value) in properties {
        table.push(name.len() as u8);
        table.extend(name.as_bytes());
        table.push(b'S');
        table.extend((value.len() as u32).to_be_bytes());
        table.extend(value.as_bytes());
    }
    let mut method = vec![0, 10, 0, 10, 0, 9];
    method.extend((table.len() as u32).to_be_bytes());
    method.extend(table);
    method.extend(b"\0\0\0\x05PLAIN\0\0\0\x05en_US");
    [&[1, 0, 0][..], &(method.len() as u32).to_be_bytes(), &method, &[end]].concat()
}

#[tokio::test]
async fn amqp_is_known_by_a_whole_frame() {
    let rabbit = [("cluster_name", "rabbit@one"), ("product", "RabbitMQ"), ("version", "3.13.7")];
    let cases = [
        (start(&rabbit, 0xCE), "RabbitMQ 3.13.7 (rabbit@one)"),
        (start(&[], 0xCE), "AMQP 0-9-1"),
        (start(&rabbit, 0), "strange"),
        (b"AMQP\0\x01\0\0".to_vec(), "refuses: it speaks another version of AMQP: [0, 1, 0, 0]"),
        (vec![1, 0, 0, 255, 255, 255, 255], "strange"),
        (vec![1, 0, 0, 0, 0, 1, 200, 0, 10], "End"),
        (b"S".to_vec(), "End"),
    ];
    for (says, told) in cases {
        assert_eq!(words(amqp::greet(&mut server(vec![says])).await), told);
    }
}

#[tokio::test]
async fn s3_is_known_by_its_own_errors_or_lists() {
    let at = HostPort::new("10.0.0.134", 9000);
    let cases = [
        (
            "HTTP/1.1 403 Forbidden\r\nServer: MinIO\r\n\r\n<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
            "S3 AccessDenied (MinIO)",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n<ListAllMyBucketsResult/>", "S3 (open to everybody)"),
        (
            "HTTP/1.1 503 Service Unavailable\r\n\r\n<Error><Code>XMinioServerNotInitialized</Code></Error>",
            "refuses: S3 answers 503 XMinioServerNotInitialized",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "refuses: it speaks HTTP and no S3 (status 200)"),
        ("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", "strange"),
        ("-ERR wrong number of arguments\r\n", "strange"),
    ];
    for (says, told) in cases {
        let mut wire = server(vec![says.into()]);
        assert_eq!(words(http::greet_s3(&mut wire, &at).await), told);
    }
}
