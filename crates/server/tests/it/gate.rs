//! Who gets in, and who does not.

use std::time::Duration;

use reqwest::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{House, OPERATOR, VIEWER, example, talk};

/// Requests that need a login, each with the role that they are for.
const CLOSED: &[(&str, &str, &str)] = &[
    ("GET", "/api/v1/session", "viewer"),
    ("DELETE", "/api/v1/session", "viewer"),
    ("GET", "/api/v1/clusters", "viewer"),
    ("GET", "/api/v1/events", "viewer"),
    ("GET", "/api/v1/clusters/devboard", "viewer"),
    ("GET", "/api/v1/clusters/devboard/events", "viewer"),
    ("POST", "/api/v1/clusters/devboard/look", "viewer"),
    ("POST", "/api/v1/clusters/devboard/plans", "viewer"),
    ("GET", "/api/v1/clusters/devboard/plans/p1", "viewer"),
    ("POST", "/api/v1/clusters/devboard/runs", "operator"),
    ("GET", "/api/v1/clusters/devboard/runs", "viewer"),
    ("GET", "/api/v1/clusters/devboard/runs/x", "viewer"),
    ("POST", "/api/v1/clusters/devboard/runs/x/cancel", "operator"),
    ("GET", "/api/v1/clusters/devboard/runs/x/events", "viewer"),
    ("GET", "/api/v1/clusters/devboard/checks", "viewer"),
    ("POST", "/api/v1/clusters/devboard/checks", "viewer"),
    ("GET", "/api/v1/clusters/devboard/documents/en", "viewer"),
    ("GET", "/api/v1/openapi.json", "viewer"),
    ("GET", "/metrics", "viewer"),
];

fn method(word: &str) -> Method {
    word.parse().unwrap()
}

#[test]
fn nothing_is_answered_without_a_login_but_health_and_the_page_that_asks_for_one() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        for (word, path, _) in CLOSED {
            // A wrong token waits for its answer, so one path stands for all: the guard is the same.
            let wrong = [None, Some("nobody's token"), Some("")];
            for token in if *path == "/metrics" { &wrong[..] } else { &wrong[..1] } {
                let request = house.client.request(method(word), house.url(path));
                let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
                let answer = request.json(&json!({})).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{word} {path} with {token:?}");
                let body: Value = answer.json().await.unwrap();
                assert_eq!(body["error"]["code"], "unauthorized");
            }
        }
        // The table above is all that there is.
        let described = house.get("/api/v1/openapi.json").await;
        let paths = described["paths"].as_object().unwrap();
        let many: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(many, CLOSED.len() + 2, "the two that are open: POST session and /healthz");
        for open in ["/healthz", "/", "/clusters/devboard", "/assets/app.js", "/assets/style.css"] {
            let answer = house.client.get(house.url(open)).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{open}");
            let policy = answer.headers()["content-security-policy"].to_str().unwrap();
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"),
                "{policy}"
            );
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
            assert_eq!(answer.headers()["x-frame-options"], "DENY");
        }
    });
}

#[test]
fn a_viewer_looks_and_changes_nothing() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        for (word, path, role) in CLOSED.iter().filter(|(_, path, _)| !path.ends_with("events")) {
            let answer = house.asks(method(word), path, VIEWER).json(&json!({})).send().await.unwrap();
            let forbidden = answer.status() == StatusCode::FORBIDDEN;
            assert_eq!(forbidden, *role == "operator", "{word} {path}: {}", answer.status());
        }
        let plan = house.plans("devboard", "apply").await;
        let wish = json!({ "plan": plan["id"], "fingerprint": plan["fingerprint"] });
        let runs = "/api/v1/clusters/devboard/runs";
        let refused = house.asks(Method::POST, runs, VIEWER).json(&wish).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(house.get(runs).await["runs"], json!([]), "nothing ran");
    });
}

#[test]
fn a_session_has_a_cookie_that_no_script_reads_and_ends_when_it_is_left() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        let wrong =
            house.client.post(house.url("/api/v1/session")).json(&json!({ "token": "wrong" })).send().await.unwrap();
        assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
        assert!(wrong.headers().get(SET_COOKIE).is_none());
        let login =
            house.client.post(house.url("/api/v1/session")).json(&json!({ "token": OPERATOR })).send().await.unwrap();
        let cookie = login.headers()[SET_COOKIE].to_str().unwrap().to_string();
        for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        assert!(!cookie.contains(OPERATOR), "a cookie is no token");
        let session: Value = login.json().await.unwrap();
        assert_eq!(session["role"], "operator");
        let csrf = session["csrf"].as_str().unwrap();
        let cookie = cookie.split(';').next().unwrap();
        let asks = |method: Method, path: &str| house.client.request(method, house.url(path)).header(COOKIE, cookie);
        assert_eq!(asks(Method::GET, "/api/v1/clusters").send().await.unwrap().status(), StatusCode::OK);
        let look = "/api/v1/clusters/devboard/look";
        let own = format!("http://{}", house.at);
        let cases: [(&str, Option<&str>, Option<&str>, StatusCode); 6] = [
            ("without the token of the page", None, None, StatusCode::FORBIDDEN),
            ("with another one", Some("another"), None, StatusCode::FORBIDDEN),
            ("from another page", Some(csrf), Some("https://evil.test"), StatusCode::FORBIDDEN),
            ("from another port", Some(csrf), Some("http://127.0.0.1:1"), StatusCode::FORBIDDEN),
            ("from nowhere", Some(csrf), Some("null"), StatusCode::FORBIDDEN),
            ("from our own page", Some(csrf), Some(&own), StatusCode::ACCEPTED),
        ];
        for (what, token, origin, status) in cases {
            let request = asks(Method::POST, look);
            let request = token.iter().fold(request, |request, token| request.header("x-kubewright-csrf", *token));
            let request = origin.iter().fold(request, |request, origin| request.header(ORIGIN, *origin));
            assert_eq!(request.send().await.unwrap().status(), status, "{what}");
        }
        let cross = asks(Method::POST, look).header("x-kubewright-csrf", csrf).header("sec-fetch-site", "cross-site");
        assert_eq!(cross.send().await.unwrap().status(), StatusCode::FORBIDDEN);
        let login = house.client.post(house.url("/api/v1/session")).header(ORIGIN, "https://evil.test");
        let login = login.json(&json!({ "token": OPERATOR })).send().await.unwrap();
        assert_eq!(login.status(), StatusCode::FORBIDDEN, "nobody is logged in by another page");
        // A stream that is open ends with its session.
        let stream = asks(Method::GET, "/api/v1/events").send().await.unwrap();
        assert_eq!(stream.status(), StatusCode::OK);
        let left = asks(Method::DELETE, "/api/v1/session").header("x-kubewright-csrf", csrf).send().await.unwrap();
        assert_eq!(left.status(), StatusCode::NO_CONTENT);
        let ended = tokio::time::timeout(Duration::from_secs(60), stream.text()).await;
        assert!(ended.expect("the stream goes on").is_ok());
        assert_eq!(asks(Method::GET, "/api/v1/clusters").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    });
}

#[test]
fn two_dashboards_of_one_host_do_not_throw_each_other_out() {
    let (one, other) = (House::of(&example("devboard"), None), House::of(&example("devboard"), None));
    talk(async {
        let login = async |house: &House, host: &str| {
            let asks = house.client.post(house.url("/api/v1/session")).header(HOST, host);
            let answer = asks.json(&json!({ "token": OPERATOR })).send().await.unwrap();
            let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_string();
            let session: Value = answer.json().await.unwrap();
            (cookie, session["csrf"].as_str().unwrap().to_string())
        };
        let names = |cookie: &str| cookie.split_once('=').unwrap().0.to_string();
        let ((first, csrf), (second, _)) =
            (login(&one, &one.at.to_string()).await, login(&other, &other.at.to_string()).await);
        assert_eq!(names(&first), format!("kubewright-{}", one.at.port()));
        assert_eq!(names(&second), format!("kubewright-{}", other.at.port()));
        // As a browser does: what one sets stands in the place of what has its name, and all go to every port.
        let jar: std::collections::BTreeMap<String, &str> =
            [&first, &second].map(|cookie| (names(cookie), cookie.as_str())).into();
        let all = jar.into_values().collect::<Vec<_>>().join("; ");
        for house in [&one, &other] {
            let who = house.client.get(house.url("/api/v1/session")).header(COOKIE, &all).send().await.unwrap();
            assert_eq!(who.status(), StatusCode::OK, "{}", house.at);
        }
        // Brought to other ports by `ssh -L`, two of one port on two hosts are told apart as well.
        assert_eq!(names(&login(&one, "localhost:9001").await.0), "kubewright-9001");
        assert_eq!(names(&login(&one, "[::1]:9002").await.0), "kubewright-9002");
        assert_eq!(names(&login(&one, "localhost").await.0), "kubewright");
        let leaves = one.client.delete(one.url("/api/v1/session")).header(COOKIE, &all);
        let left = leaves.header("x-kubewright-csrf", csrf).send().await.unwrap();
        let gone = left.headers()[SET_COOKIE].to_str().unwrap();
        assert!(gone.starts_with(&format!("kubewright-{}=;", one.at.port())) && gone.contains("Max-Age=0"), "{gone}");
        let stays = other.client.get(other.url("/api/v1/session")).header(COOKIE, &all).send().await.unwrap();
        assert_eq!(stays.status(), StatusCode::OK, "leaving one is not leaving the other");
    });
}

#[test]
fn pages_are_looked_at_and_nothing_else() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        for (word, path, status) in [
            ("GET", "/", 200),
            ("HEAD", "/clusters/devboard", 200),
            ("POST", "/", 405),
            ("PUT", "/clusters/devboard", 405),
            ("DELETE", "/anything", 405),
            ("POST", "/assets/app.js", 405),
            ("POST", "/healthz", 405),
            ("GET", "/api/v1/nothing", 404),
            ("POST", "/api/v1/nothing", 404),
        ] {
            let answer = house.client.request(method(word), house.url(path)).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{word} {path}");
            if status == 405 {
                let allow = answer.headers()["allow"].to_str().unwrap();
                assert_eq!(allow.replace(' ', ""), "GET,HEAD", "{word} {path}");
            }
        }
    });
}

#[test]
fn names_paths_and_bodies_that_are_not_ours_are_refused() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        for (host, status) in [
            ("evil.test", 421),
            ("evil.test:8420", 421),
            ("127.0.0.1.evil.test", 421),
            ("localhost", 200),
            ("dash.test:1", 200),
            ("[::1]:8420", 200),
        ] {
            let answer = house.client.get(house.url("/healthz")).header(HOST, host).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{host}");
        }
        // As they are: no client takes the points out.
        for path in [
            "/assets/../Cargo.toml",
            "/assets/..%2fsrc%2flib.rs",
            "/assets/%2e%2e/%2e%2e/etc/passwd",
            "/assets//etc/passwd",
            "/../../../../etc/passwd",
            "/api/v1/clusters/..%2f..%2fetc/runs/passwd",
            "/api/v1/clusters/devboard/runs/..%2f..%2f..%2fcluster.yaml",
            "/api/v1/clusters/devboard/documents/..%2fen",
        ] {
            let words = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\nConnection: close\r\n\r\n"
            );
            let answer = raw(&house, words.as_bytes()).await;
            let is_page = answer.contains("<!doctype html>") || answer.contains("<!DOCTYPE html>");
            let refused = answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400");
            assert!(refused || is_page, "{path}: {answer}");
            assert!(
                !answer.contains("root:") && !answer.contains("[package]") && !answer.contains("apiVersion"),
                "{path}"
            );
        }
        let huge = json!({ "ask": "apply", "nodes": vec!["x".repeat(100); 2000] });
        let (status, refused) = house.post("/api/v1/clusters/devboard/plans", &huge).await;
        assert_eq!((status, &refused["error"]["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("tooLarge")));
        for body in [json!({}), json!({ "ask": "format the disks" }), json!({ "ask": "apply", "more": 1 }), json!([])] {
            let (status, refused) = house.post("/api/v1/clusters/devboard/plans", &body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {refused}");
        }
        let put = house.asks(Method::PUT, "/api/v1/clusters", OPERATOR).send().await.unwrap();
        assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
        let nothing = house.asks(Method::GET, "/api/v1/nothing", OPERATOR).send().await.unwrap();
        assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
    });
}

async fn raw(house: &House, words: &[u8]) -> String {
    let mut stream = TcpStream::connect(house.at).await.unwrap();
    stream.write_all(words).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("it hangs");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn who_is_slow_is_hung_up_on_and_holds_up_nobody() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        // Headers that never end, and a body that never comes.
        let headers = raw(&house, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
        let body = b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{";
        let body = raw(&house, body);
        let meanwhile = async {
            for _ in 0..20 {
                let healthy = house.client.get(house.url("/healthz")).send().await.unwrap();
                assert_eq!(healthy.status(), StatusCode::OK);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let (headers, body, ()) = tokio::join!(headers, body, meanwhile);
        assert!(headers.is_empty() || headers.starts_with("HTTP/1.1 408"), "{headers}");
        assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    });
}

#[test]
fn with_a_certificate_it_speaks_tls_and_its_cookie_goes_nowhere_else() {
    let mut authority = String::new();
    let house = House::with(&example("devboard"), None, |folder| {
        let (certificate, key) = (folder.join("kw.pem"), folder.join("kw.key"));
        let made = std::process::Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        authority = std::fs::read_to_string(&certificate).unwrap();
        Some((certificate, key))
    });
    talk(async {
        let trusted = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([trusted]).build().unwrap();
        let url = format!("https://localhost:{}/api/v1/session", house.at.port());
        let login = client.post(url).json(&json!({ "token": VIEWER })).send().await.unwrap();
        assert_eq!(login.status(), StatusCode::OK);
        let cookie = login.headers()[SET_COOKIE].to_str().unwrap();
        let name = format!("__Host-kubewright-{}=", house.at.port());
        assert!(cookie.starts_with(&name) && cookie.contains("; Secure") && cookie.contains("; Path=/"), "{cookie}");
        assert!(client.get(house.url("/healthz")).send().await.is_err(), "nobody talks in clear text");
    });
}
