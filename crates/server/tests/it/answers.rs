//! What is answered: every request as its description says, and a cluster's life over it.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{House, OPERATOR, example, talk};

/// Holds an answer against the description of the API.
fn as_described(described: &Value, path: &str, method: &str, status: &str, answer: &Value) {
    let answers = &described["paths"][path][method]["responses"];
    let schema = &answers[status]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} describes no {status}: {answers}");
    // The description's own definitions go along.
    let whole = json!({ "allOf": [schema], "components": described["components"] });
    let judge = jsonschema::validator_for(&whole).unwrap();
    let wrong: Vec<String> =
        judge.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{method} {path}: {wrong:#?}");
}

#[test]
fn a_cluster_is_planned_approved_built_looked_at_and_destroyed() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        let described = house.get("/api/v1/openapi.json").await;
        let clusters = "/api/v1/clusters";
        let summary = |all: &Value| all["clusters"][0].clone();
        let all = house.until(clusters, "the first look", |all| summary(all)["lookedAt"].is_u64()).await;
        as_described(&described, clusters, "get", "200", &all);
        assert_eq!(summary(&all)["nodesReady"], 0);
        assert_eq!(summary(&all)["simulated"], true);

        let plan = house.plans("devboard", "apply").await;
        as_described(&described, "/api/v1/clusters/{cluster}/plans", "post", "201", &plan);
        assert_eq!((plan["blocked"].clone(), plan["takes"].clone()), (json!(false), json!(null)));
        let kept = house.get(&format!("/api/v1/clusters/devboard/plans/{}", plan["id"].as_str().unwrap())).await;
        assert_eq!(kept, plan);
        let mut another = plan.clone();
        another["fingerprint"] = json!("0".repeat(64));
        let (status, refused) = house.approves("devboard", &another, None).await;
        assert_eq!((status, &refused["error"]["code"]), (StatusCode::CONFLICT, &json!("forgotten")));
        as_described(&described, "/api/v1/clusters/{cluster}/runs", "post", "default", &refused);
        let (status, begun) = house.approves("devboard", &plan, None).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        as_described(&described, "/api/v1/clusters/{cluster}/runs", "post", "202", &begun);

        let path = format!("/api/v1/clusters/devboard/runs/{}", begun["run"].as_str().unwrap());
        let run = house.until(&path, "its end", |run| !run["summary"]["end"].is_null()).await;
        as_described(&described, "/api/v1/clusters/{cluster}/runs/{run}", "get", "200", &run);
        assert_eq!(run["summary"]["end"], "complete", "{:#}", run["summary"]);
        let steps = run["steps"].as_array().unwrap();
        assert_eq!(steps.len(), plan["steps"].as_array().unwrap().len());
        assert!(steps.iter().all(|step| matches!(step["state"].as_str(), Some("done" | "already"))));
        let ids: BTreeSet<&str> = steps.iter().filter_map(|step| step["id"].as_str()).collect();
        let critical: Vec<&str> = run["critical"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(critical.len() > 2 && critical.iter().all(|id| ids.contains(id)), "{critical:?}");

        let page = "/api/v1/clusters/devboard";
        let built = house.until(page, "a look at it", |page| page["summary"]["nodesReady"] == 3).await;
        as_described(&described, "/api/v1/clusters/{cluster}", "get", "200", &built);
        assert_eq!(built["drift"], json!([]), "nothing is left to do");
        let layers = built["summary"]["layers"].as_array().unwrap();
        assert!(layers.iter().all(|layer| layer["state"] == "good"), "{layers:#?}");
        let machines = &built["topology"]["providers"][0]["places"][0]["machines"];
        assert_eq!(machines.as_array().unwrap().len(), 3, "{machines:#}");
        assert!(!built["certificates"].as_array().unwrap().is_empty());

        let (status, _) = house.post("/api/v1/clusters/devboard/checks", &json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        let checks = "/api/v1/clusters/devboard/checks";
        let held =
            house.until(checks, "checks", |all| all["checks"].as_array().is_some_and(|all| !all.is_empty())).await;
        as_described(&described, "/api/v1/clusters/{cluster}/checks", "get", "200", &held);
        assert!(held["checks"].as_array().unwrap().iter().all(|check| check["results"][0]["held"] == true));

        let plan = house.plans("devboard", "destroy").await;
        assert_eq!(plan["takes"], "devboard");
        assert!(plan["deletes"].as_array().unwrap().iter().any(|it| it == "delete machine k3s-server"), "{plan:#}");
        for name in [None, Some("devboards"), Some("DEVBOARD")] {
            let (status, refused) = house.approves("devboard", &plan, name).await;
            assert_eq!((status, &refused["error"]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("unnamed")));
        }
        let run = house.carries_out("devboard", "destroy").await;
        assert_eq!(run["summary"]["end"], "complete");
        let runs = house.get("/api/v1/clusters/devboard/runs").await;
        as_described(&described, "/api/v1/clusters/{cluster}/runs", "get", "200", &runs);
        let asked: Vec<&Value> = runs["runs"].as_array().unwrap().iter().map(|run| &run["ask"]).collect();
        assert_eq!(asked, ["destroy", "apply"], "newest first");
    });
}

#[test]
fn what_is_wrong_is_told_whole_and_nothing_is_touched() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        let replace = json!({ "ask": "replace", "nodes": ["k3s-server", "nobody", "noone"] });
        let (status, refused) = house.post("/api/v1/clusters/devboard/plans", &replace).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused["error"]["details"], json!(["there is no node nobody", "there is no node noone"]));
        let part = json!({ "ask": "apply", "only": ["monitorin"] });
        let (status, refused) = house.post("/api/v1/clusters/devboard/plans", &part).await;
        assert!(
            !status.is_success() && refused["error"]["message"].as_str().unwrap().contains("monitorin"),
            "{refused}"
        );
        // A spec that somebody breaks while it is shown.
        let file = house.folder.path().join("cluster.yaml");
        let spec = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, spec.replace("distribution: k3s", "distribution: k4s")).unwrap();
        let (status, refused) = house.post("/api/v1/clusters/devboard/plans", &json!({ "ask": "apply" })).await;
        assert_eq!((status, &refused["error"]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("spec")));
        assert!(refused["error"]["details"][0].as_str().unwrap().starts_with("line "), "{refused:#}");
        let (status, _) = house.post("/api/v1/clusters/devboard/look", &json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        let shown =
            house.until("/api/v1/clusters/devboard", "the fault", |it| it["summary"]["fault"].is_string()).await;
        assert!(shown["summary"]["fault"].as_str().unwrap().contains("line "), "{shown:#}");
        for path in
            ["/api/v1/clusters/nothing", "/api/v1/clusters/devboard/runs/nothing", "/api/v1/clusters/devboard/plans/p0"]
        {
            let answer = house.asks(Method::GET, path, OPERATOR).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(house.get("/api/v1/clusters/devboard/runs").await["runs"], json!([]));
    });
}

#[test]
fn a_run_is_asked_to_stop_and_another_one_finishes_the_job() {
    let house = House::of(&example("devboard"), Some(20.0));
    talk(async {
        let plan = house.plans("devboard", "apply").await;
        let (_, begun) = house.approves("devboard", &plan, None).await;
        let path = format!("/api/v1/clusters/devboard/runs/{}", begun["run"].as_str().unwrap());
        let (status, refused) = house.approves("devboard", &plan, None).await;
        assert_eq!((status, &refused["error"]["code"]), (StatusCode::CONFLICT, &json!("busy")), "one at a time");
        let (status, stopped) = house.post(&format!("{path}/cancel"), &json!({})).await;
        assert_eq!((status, &stopped["times"]), (StatusCode::OK, &json!(1)));
        let run = house.until(&path, "its end", |run| !run["summary"]["end"].is_null()).await;
        assert_eq!(run["summary"]["end"], "interrupted");
        assert!(run["steps"].as_array().unwrap().iter().any(|step| step["state"] == "cancelled"), "{run:#}");
        let (status, _) = house.post(&format!("{path}/cancel"), &json!({})).await;
        assert_eq!(status, StatusCode::CONFLICT, "it has ended");
        house.until("/api/v1/clusters/devboard", "its end", |page| page["summary"]["running"].is_null()).await;
        let plan = house.plans("devboard", "apply").await;
        let (status, begun) = house.approves("devboard", &plan, None).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{begun}");
        // Twice: what runs is given up as well.
        let path = format!("/api/v1/clusters/devboard/runs/{}", begun["run"].as_str().unwrap());
        for times in 1..=2 {
            let (_, stopped) = house.post(&format!("{path}/cancel"), &json!({})).await;
            assert_eq!(stopped["times"], times);
        }
        house.until(&path, "its end", |run| run["summary"]["end"] == "interrupted").await;
    });
}

#[test]
fn metrics_tell_of_runs_drift_and_certificates() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        house.carries_out("devboard", "apply").await;
        house.until("/api/v1/clusters/devboard", "a look", |page| page["summary"]["nodesReady"] == 3).await;
        let text = house.asks(Method::GET, "/metrics", OPERATOR).send().await.unwrap().text().await.unwrap();
        for line in [
            "kubewright_build_info{version=\"",
            "kubewright_nodes{cluster=\"devboard\"} 3",
            "kubewright_nodes_ready{cluster=\"devboard\"} 3",
            "kubewright_drift_steps{cluster=\"devboard\"} 0",
            "kubewright_runs{cluster=\"devboard\",ask=\"apply\",end=\"complete\"} 1",
            "kubewright_last_run_complete{cluster=\"devboard\"} 1",
            "kubewright_layer_good{cluster=\"devboard\",layer=\"members\"} 1",
            "kubewright_certificate_end_timestamp_seconds{cluster=\"devboard\"} ",
            "kubewright_last_run_duration_seconds{cluster=\"devboard\"} ",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.trim_end().ends_with("# EOF"));
    });
}

#[test]
fn the_document_has_a_policy_of_its_own_and_no_script() {
    let house = House::of(&example("devboard"), None);
    talk(async {
        for (language, word) in [("en", "Overview"), ("fr", "Vue d’ensemble")] {
            let path = format!("/api/v1/clusters/devboard/documents/{language}");
            let answer = house.asks(Method::GET, &path, OPERATOR).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_string();
            assert!(policy.contains("style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
            let html = answer.text().await.unwrap();
            assert!(!html.contains("<script") && html.contains("k3s-agent-2"), "{word}");
        }
        let other = house.asks(Method::GET, "/api/v1/clusters/devboard/documents/xx", OPERATOR).send().await.unwrap();
        assert_eq!(other.status(), StatusCode::NOT_FOUND);
    });
}
