//! A dashboard that is to end: what runs comes to its end, and nothing new begins.

use reqwest::StatusCode;

use crate::house::{House, example, talk};

#[test]
fn while_the_last_run_is_waited_for_no_other_begins() {
    let house = House::of(&example("devboard"), Some(60.0));
    talk(async {
        let first = house.plans("devboard", "apply").await;
        let (status, begun) = house.approves("devboard", &first, None).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
        house.fleet.close();
        assert_eq!(house.fleet.running(), ["devboard"], "what runs goes on");
        let (status, refused) = house.approves("devboard", &first, None).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{refused:#}");
        assert_eq!(refused["error"]["code"], "ending");
        assert_eq!(refused["error"]["message"], "the dashboard ends: no new run is begun");
        let path = format!("/api/v1/clusters/devboard/runs/{}", begun["run"].as_str().unwrap());
        let run = house.until(&path, "the end of the run", |run| !run["summary"]["end"].is_null()).await;
        assert_eq!(run["summary"]["end"], "complete", "looking goes on, and so does what was begun");
        let (status, _) = house.approves("devboard", &first, None).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "nor afterwards");
    });
}
