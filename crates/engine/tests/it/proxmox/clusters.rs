//! Two Proxmox clusters in one spec, each with machines, numbers and secrets of its own.

use kubewright_engine::sim;
use kubewright_model::plan::Ask;
use serde_json::json;

use super::both::Both;
use crate::fake::Fake;
use crate::taught::{GROWS, KEEPS_JOBS};

const NUMBERS: &str = "sorted(vm.vmid for vm in pve.vms)";

/// A server at one cluster, and agents at another one, with the same number as the server among theirs.
fn spec(other: &Fake) -> String {
    format!(
        "
apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ distribution: k3s, version: v1.33.5+k3s1, datastore: sqlite, endpoint: {{ host: 10.0.0.10 }} }}
  providers:
    proxmox:
      endpoint: https://pve1:8006
      tokenId: kubewright@pve!main
      tokenSecret: {{ file: token }}
      node: pve1
    proxmoxClusters:
      garage:
        endpoint: {}
        fingerprint: {}
        tokenId: kubewright@pve!main
        tokenSecret: {{ file: other }}
        node: pve2
        vmids: 400-499
  network: {{ cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }}
  hosts: {{ ssh: {{ keyFile: key }} }}
  pools:
    server: {{ role: both, name: server, addresses: [10.0.0.10], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: {{ vmids: [\"400\"], vm: {{ template: 90001 }} }} }}
    agent: {{ role: agent, name: \"agent-{{n}}\", addresses: [10.0.0.20-21], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: {{ cluster: garage, vm: {{ template: 90001 }} }} }}
  backup: {{ schedule: \"0 3 * * *\", datastore: false, objects: false, machines: {{ schedule: \"30 2 * * *\", storage: local }} }}
",
        other.url, other.fingerprint
    )
}

#[test]
fn machines_live_at_two_clusters_and_one_that_is_out_of_reach_hides_only_its_own() {
    let (mut fake, mut other) = (Fake::start(), Fake::start());
    for taught in [GROWS, KEEPS_JOBS] {
        fake.tell(taught);
        other.tell(taught);
    }
    other.tell("pve.apitokens['kubewright@pve!main'] = 'of-the-garage'");
    other.tell("pve.vm(90001).node = 'pve2'");
    let mut both = Both::new(fake, &spec(&other));
    both.put("other", "of-the-garage\n");
    sim::run(async {
        assert_eq!(both.becomes("made", &Ask::Apply).await.len(), 2 * 3 + 2);
        assert_eq!(both.told(NUMBERS), json!([121, 400, 90001]));
        assert_eq!(other.tell(NUMBERS), json!([121, 400, 401, 90001]), "each cluster counts by itself");
        assert_eq!(both.told("pve.jobs['kubewright-lab']['vmid']"), json!("400"));
        assert_eq!(other.tell("pve.jobs['kubewright-lab']['vmid']"), json!("400,401"));

        both.wish(&[(
            "cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vmids",
            "cores: 2, memory: 4Gi, disk: 30Gi, proxmox: { vmids",
        )]);
        other.tell("pve.apitokens.clear()");
        let plan = both.plan("out of reach", &Ask::Apply).await;
        let steps: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(steps, ["update/server"]);
        assert!(plan.notes.iter().any(|note| note.message.contains("provider garage")), "{:?}", plan.notes);

        other.tell("pve.apitokens['kubewright@pve!main'] = 'of-the-garage'");
        assert_eq!(both.becomes("in reach again", &Ask::Apply).await, ["update/server"]);
        both.becomes("destroyed", &Ask::Destroy).await;
        assert_eq!(both.told(NUMBERS), json!([121, 90001]));
        assert_eq!(other.tell(NUMBERS), json!([121, 90001]));
        assert_eq!(both.yard.centre.leftovers(), [""; 0]);
    })
    .unwrap();
}
