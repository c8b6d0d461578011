//! What those get who are told: HTTP that is judged byte by byte, and a mail server that nobody here wrote.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use kubewright_model::desired::DesiredEmail;
use kubewright_model::spec::notifications::MailTls;
use serde_json::Value;
use std::sync::{Arc, Mutex};

use super::*;

fn message(text: &str) -> Message {
    let lines = text.lines().skip(1).map(str::to_string).collect();
    let (event, cluster) = (Occasion::Drift, ClusterName::new("lab"));
    Message { event, text: text.into(), cluster, at: 100, over: false, lines, run: None }
}

/// A request as it came.
type Heard = (Method, Uri, HeaderMap, Bytes);

/// Somebody who hears requests, and answers each with the next of these; with the last one from then on.
async fn listens(answers: &[(u16, &[(&'static str, &str)])]) -> (String, Arc<Mutex<Vec<Heard>>>) {
    type Answer = (StatusCode, HeaderMap);
    let of = |(status, headers): &(u16, &[(&'static str, &str)])| {
        let headers = headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()));
        (StatusCode::from_u16(*status).unwrap(), HeaderMap::from_iter(headers)) as Answer
    };
    let answers: Vec<Answer> = answers.iter().map(of).collect();
    let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
    let state = (Arc::clone(&heard), Arc::new(answers));
    type Shared = (Arc<Mutex<Vec<Heard>>>, Arc<Vec<Answer>>);
    let hears =
        async |State((heard, answers)): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let mut heard = heard.lock().unwrap();
            heard.push((method, uri, headers, body));
            answers[(heard.len() - 1).min(answers.len() - 1)].clone()
        };
    let app = axum::Router::new().fallback(hears).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (at, heard)
}

fn json_of(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[tokio::test]
async fn a_webhook_gets_what_is_so_and_no_error_repeats_its_address() {
    let (at, heard) = listens(&[(204, &[]), (204, &[]), (403, &[])]).await;
    let address = Secret::new(format!("{at}/secret-part"));
    let message = message("lab: 1 thing differs from the spec\n- cordon n0: differs");
    post::json(&address, None, &message).await.unwrap();
    let key = Secret::new("key".to_string());
    post::json(&address, Some(&key), &message).await.unwrap();
    let why = post::json(&address, None, &message).await.unwrap_err();
    assert_eq!(why, "it answers 403 Forbidden");
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 3, "who refuses is not asked again");
    let (method, uri, headers, body) = &heard[0];
    assert_eq!(
        (method, uri.path(), &headers["content-type"]),
        (&Method::POST, "/secret-part", &"application/json".parse().unwrap())
    );
    assert!(!headers.contains_key("x-kubewright-signature"));
    let told = json_of(body);
    assert_eq!((&told["cluster"], &told["event"], &told["over"]), (&"lab".into(), &"drift".into(), &false.into()));
    assert_eq!(told["lines"], serde_json::json!(["- cordon n0: differs"]));
    // `printf %s "$body" | openssl dgst -sha256 -hmac key` says the same.
    let (_, _, headers, body) = &heard[1];
    assert_eq!(headers["x-kubewright-signature"], post::signed(&key, body).as_str());
    assert_eq!(
        post::signed(&key, b"The quick brown fox jumps over the lazy dog"),
        "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    );
}

#[tokio::test]
async fn nobody_who_is_away_is_named_by_a_secret() {
    let nowhere = Secret::new("http://127.0.0.1:1/secret-part".to_string());
    let message = message("lab: a test");
    let why = post::slack(&nowhere, &message).await.unwrap_err();
    assert!(!why.contains("secret-part") && why.contains("refused"), "{why}");
    let why = post::json(&Secret::new("secret-part".into()), None, &message).await.unwrap_err();
    assert!(!why.contains("secret-part") && why.contains("its address is none"), "{why}");
}

#[tokio::test]
async fn slack_gets_plain_text_and_an_escaped_first_line() {
    let (at, heard) = listens(&[(200, &[])]).await;
    let long = format!("lab: <a> & b\n{}", "x".repeat(5000));
    post::slack(&Secret::new(format!("{at}/services/T0/B0/x")), &message(&long)).await.unwrap();
    let told = json_of(&heard.lock().unwrap()[0].3);
    assert_eq!(told["text"], "lab: &lt;a&gt; &amp; b");
    let block = &told["blocks"][0];
    assert_eq!((&block["type"], &block["text"]["type"]), (&"section".into(), &"plain_text".into()));
    let text = block["text"]["text"].as_str().unwrap();
    assert!(text.starts_with("lab: <a> & b\nxxx") && text.chars().count() == 3000);
}

#[tokio::test]
async fn matrix_is_asked_again_under_the_same_number_when_it_is_busy() {
    let (at, heard) = listens(&[(429, &[("retry-after", "0")]), (502, &[]), (200, &[])]).await;
    let (token, message) = (Secret::new("token\n".to_string()), message("lab: a test"));
    post::matrix(&at, "!a/b:example.org", &token, &message).await.unwrap();
    let heard = heard.lock().unwrap();
    let paths: Vec<&str> = heard.iter().map(|(_, uri, ..)| uri.path()).collect();
    assert!(paths.len() == 3 && paths.iter().all(|path| *path == paths[0]), "{paths:?}");
    let (room, number) = paths[0].split_once("/send/m.room.message/").unwrap();
    assert_eq!(room, "/_matrix/client/v3/rooms/!a%2Fb:example.org");
    assert!(number.len() == 64 && number.chars().all(|c| c.is_ascii_hexdigit()), "{number}");
    let (method, _, headers, body) = &heard[2];
    assert_eq!((method, &headers["authorization"]), (&Method::PUT, &"Bearer token".parse().unwrap()));
    assert_eq!(json_of(body), serde_json::json!({ "msgtype": "m.text", "body": "lab: a test" }));
}

#[tokio::test]
async fn who_stays_busy_is_told_of() {
    let (at, heard) = listens(&[(503, &[("retry-after", "0")])]).await;
    let why = post::slack(&Secret::new(at), &message("lab: a test")).await.unwrap_err();
    assert_eq!((why.as_str(), heard.lock().unwrap().len()), ("it answers 503 Service Unavailable", 3));
}

#[test]
fn who_hears_of_every_run_hears_of_those_that_failed() {
    let of = |event| Message { event, ..message("x") };
    assert!(of(Occasion::RunFailed).is_heard(&[Occasion::RunEnd]));
    assert!(!of(Occasion::RunEnd).is_heard(&[Occasion::RunFailed]));
    assert!(!of(Occasion::Expiry).is_heard(&[Occasion::RunEnd, Occasion::Drift]));
}

#[tokio::test]
async fn an_email_comes_to_a_server_that_nobody_here_wrote() {
    let python = std::env::var("KUBEWRIGHT_AIOSMTPD").unwrap_or_else(|_| "python3".into());
    let there = std::process::Command::new(&python).args(["-c", "import aiosmtpd"]).output();
    if !there.is_ok_and(|ended| ended.status.success()) {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "test an_email_comes was SKIPPED: {python} has no aiosmtpd");
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut server = tokio::process::Command::new(&python)
        .args([
            "-u",
            "-m",
            "aiosmtpd",
            "-n",
            "-l",
            &format!("127.0.0.1:{port}"),
            "-c",
            "aiosmtpd.handlers.Debugging",
            "stdout",
        ])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let email = DesiredEmail {
        server: kubewright_model::net::HostPort::new("127.0.0.1", port),
        tls: MailTls::None,
        user: None,
        password: None,
        from: "kubewright@example.org".into(),
        to: vec!["ops@example.org".into(), "lead@example.org".into()],
    };
    let message = message("lab: 1 thing differs from the spec\n- cordon n0: differs");
    let mut sent = Err(String::new());
    for _ in 0..50 {
        sent = mail::send(&email, None, &message).await;
        if sent.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    sent.unwrap();
    server.start_kill().unwrap();
    let said = server.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("Subject: lab: 1 thing differs from the spec"), "{said}");
    assert!(said.contains("To: ops@example.org, lead@example.org") && said.contains("- cordon n0"), "{said}");
    // It has no TLS, and none is what was asked for: nothing is said in clear text.
    let encrypted = DesiredEmail { tls: MailTls::Starttls, ..email };
    assert!(mail::send(&encrypted, None, &message).await.is_err());
}
