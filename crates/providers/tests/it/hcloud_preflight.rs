//! What Hetzner has not is told before anything is begun, all of it at once.

use kubewright_model::desired::ServerBody;
use kubewright_providers::{Provider as _, ProviderError, Wanted};
use serde_json::json;

use crate::hcloud_hands::{around, body, hands, owner, quick, server, surround};

#[tokio::test]
async fn everything_that_is_not_to_be_had_is_told_at_once() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    let fits = server("lab-1", "10.0.0.5", body());
    let around = around();
    let around: Vec<_> = around.iter().collect();
    let told = hands.preflight(Wanted { machines: &[&fits], resources: &around, ..Wanted::default() }).await?;
    assert_eq!(told, [], "what is made with it is there then");
    surround(&hands).await?;
    assert_eq!(hands.preflight(Wanted { machines: &[&fits], ..Wanted::default() }).await?, []);

    fake.sold_out("cx33", "fsn1", true);
    let wishes = [
        server("a", "10.0.0.6", ServerBody { server_type: "cx99".into(), ..body() }),
        server("b", "10.0.0.7", ServerBody { server_type: "cx33".into(), ..body() }),
        server("c", "10.0.0.8", ServerBody { server_type: "cpx11".into(), ..body() }),
        server("d", "10.0.0.9", ServerBody { image: "plan9".into(), ..body() }),
        server("e", "10.9.0.1", body()),
        server("f", "10.0.0.10", ServerBody { network: Some("elsewhere".into()), ..body() }),
        server("g", "10.0.0.11", ServerBody { fallback_locations: vec!["ash".into()], ..body() }),
    ];
    let mut wishes = wishes.to_vec();
    wishes.push(kubewright_model::desired::DesiredMachine { place: "mars1".into(), ..wishes[0].clone() });
    let wishes: Vec<_> = wishes.iter().collect();
    let told = hands.preflight(Wanted { machines: &wishes, ..Wanted::default() }).await?;
    let told: Vec<&str> = told.iter().map(|refusal| refusal.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "there is no location mars1 at Hetzner",
            "ash is in another network zone than fsn1, and a network's subnet is in one",
            "there is no server type cx99 at Hetzner",
            "b cannot be had: Hetzner has no cx33 left at fsn1 at the moment",
            "c cannot be had: Hetzner has no cpx11 at fsn1, but at ash, hil, sin",
            "there is no server type cx99 at Hetzner",
            "there is no image plan9 for servers of x86 at Hetzner",
            "there is no network elsewhere in the project",
            "10.9.0.1 lie in no subnet of the network lab",
        ]
    );
    let spare = server(
        "b",
        "10.0.0.7",
        ServerBody { server_type: "cx33".into(), fallback_types: vec!["cx43".into()], ..body() },
    );
    assert_eq!(hands.preflight(Wanted { machines: &[&spare], ..Wanted::default() }).await?, [], "there is another");
    Ok(())
}

#[tokio::test]
async fn what_runs_already_is_not_judged_by_what_is_left_of_its_type() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let wish = server("lab-1", "10.0.0.5", body());
    hands.create(&wish, &owner()).await?;
    fake.sold_out("cx23", "fsn1", true);
    fake.sold_out("cx33", "fsn1", true);
    hands.observe(&owner()).await?;
    assert_eq!(hands.preflight(Wanted { machines: &[&wish], ..Wanted::default() }).await?, []);
    let larger = server("lab-1", "10.0.0.5", ServerBody { server_type: "cx33".into(), ..body() });
    let told = hands.preflight(Wanted { machines: &[&larger], ..Wanted::default() }).await?;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].message, "lab-1 cannot be had: Hetzner has no cx33 left at fsn1 at the moment");
    Ok(())
}

#[tokio::test]
async fn a_type_that_a_server_cannot_become_is_told_before_it_is_shut_down() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let typed = |name: &str| server("lab-1", "10.0.0.5", ServerBody { server_type: name.into(), ..body() });
    hands.create(&typed("cx33"), &owner()).await?;
    hands.observe(&owner()).await?;
    let told = async |name: &str| {
        let wish = typed(name);
        let told = hands.preflight(Wanted { machines: &[&wish], ..Wanted::default() }).await?;
        assert!(told.iter().all(|refusal| refusal.help.starts_with("write a `type` ")), "{told:?}");
        Ok::<Vec<String>, ProviderError>(told.into_iter().map(|refusal| refusal.message).collect())
    };
    assert_eq!(
        told("cx23").await?,
        ["lab-1 cannot become a cx23: its disk has 80 GB, and a cx23 has 40 GB; no disk shrinks"]
    );
    assert_eq!(told("cax21").await?, ["lab-1 cannot become a cax21: that is of arm, and cx33 is of x86"]);
    assert_eq!(told("ccx13").await?, Vec::<String>::new(), "its disk is no smaller");

    // It kept the disk that it was made with.
    hands.update(&typed("cx43"), &owner()).await?;
    hands.observe(&owner()).await?;
    assert_eq!(told("cx33").await?, Vec::<String>::new());
    assert_eq!(told("cx23").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_deprecated_type_is_to_be_had_until_its_time_is_over() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let wish = server("lab-1", "10.0.0.5", body());
    let ends = |at: &str| {
        let over = json!({ "announced": "2026-01-01T00:00:00Z", "unavailable_after": at });
        fake.with(|state| state.catalog.change("server_types", "cx23", |it| it["locations"][0]["deprecation"] = over));
    };
    ends("2099-01-01T00:00:00Z");
    assert_eq!(hands.preflight(Wanted { machines: &[&wish], ..Wanted::default() }).await?, []);
    ends("2026-02-01T00:00:00Z");
    let told = hands.preflight(Wanted { machines: &[&wish], ..Wanted::default() }).await?;
    assert_eq!(told.len(), 1, "{told:?}");
    let words = "lab-1 cannot be had: cx23 is deprecated at fsn1, and new ones ended at 2026-02-01T00:00:00Z";
    assert_eq!(told[0].message, words);
    ends("2099-01-01T00:00:00Z");
    hands.create(&wish, &owner()).await.map(drop)
}

#[tokio::test]
async fn a_network_with_another_gateway_than_servers_would_take_is_told() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let inside = |gateway: &str| ServerBody { public_ipv4: false, gateway: gateway.parse().ok(), ..body() };
    let fits = server("lab-1", "10.0.0.5", inside("10.0.0.1"));
    assert_eq!(hands.preflight(Wanted { machines: &[&fits], ..Wanted::default() }).await?, []);
    // The spec has 10.0.1.0/24, and what is there has 10.0.0.0/16.
    let wrong = server("lab-2", "10.0.0.6", inside("10.0.1.1"));
    let public = server("lab-3", "10.0.0.7", body());
    let told = hands.preflight(Wanted { machines: &[&fits, &wrong, &public], ..Wanted::default() }).await?;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        told[0].message,
        "lab-2 would reach the world by 10.0.1.1, and the gateway of the network lab, whose range is 10.0.0.0/16, is 10.0.0.1"
    );
    assert_eq!(told[0].help, "write `ipRange: 10.0.0.0/16` for the network");
    Ok(())
}
