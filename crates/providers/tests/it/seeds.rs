//! The image that tells cloud-init who a machine is.

use std::path::Path;
use std::process::Command;

use kubewright_model::desired::{Body, DesiredMachine, VmBody};
use kubewright_model::secret::Secret;
use kubewright_providers::proxmox::Proxmox;
use kubewright_providers::{HostKey, Login};
use kubewright_providers::{Provider as _, ProviderError};
use serde_json::{Value, json};

use crate::fake::Fake;
use crate::life::doomed;
use crate::wishes::{owner, virtual_machine};

/// What a program of others reads in an image; none where there is no such program.
fn read(image: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("isoinfo").args(arguments).arg("-i").arg(image).output();
    let output = match output {
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn a_machine_is_told_by_an_image_of_ours_who_it_is() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    // The pretend cluster has no cloud-init drive to take away.
    fake.tell("pve.vm(90001).config['ide0'] = pve.vm(90001).config.pop('ide2')");
    let mut settings = fake.settings();
    let login = Login {
        user: "odin".into(),
        keys: Ok(vec!["ssh-ed25519 AAAA lab".into()]),
        password_hash: Ok(Some(Secret::new("$6$salt$1234".into()))),
        host_key: Some(HostKey { private: Secret::new("the private half".into()), public: "ssh-ed25519 BBBB".into() }),
    };
    settings.logins.insert("master-1".into(), login);
    let hands = Proxmox::new(settings)?;
    let (owner, wish) = (owner(), virtual_machine("master-1", 1001, "pve1"));
    let Body::Vm(body) = &*wish.body else { panic!("a virtual machine has a virtual machine's body") };
    let body = VmBody { iso: Some("local".into()), ..body.clone() };
    let wish = DesiredMachine { body: Body::Vm(body).into(), ..wish };
    assert_eq!(hands.host_key(&wish.name).as_deref(), Some("ssh-ed25519 BBBB"));
    let made = hands.create(&wish, &owner).await?;
    assert_eq!(made.address, wish.address);
    let config = fake.tell("pve.vm(1001).config");
    assert_eq!(config["ide2"], "local:iso/kubewright-lab-master-1.iso,media=cdrom");
    assert!(config["ide0"].is_null() && config["ciuser"].is_null() && config["sshkeys"].is_null(), "{config}");
    assert_eq!(fake.tell("pve.storages['local']['files'] & {'kubewright-lab-master-1.iso'} and 1"), json!(1));

    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("seed.iso");
    let bytes = fake.tell("pve.uploaded['data'].hex()");
    std::fs::write(&image, hex::decode(bytes.as_str().unwrap()).unwrap()).unwrap();
    hands.delete(doomed(&wish.name, &made)).await?;
    assert!(fake.tell("'kubewright-lab-master-1.iso' in str(pve.storages['local']['volumes'])") == json!(false));

    let Some(about) = read(&image, &["-d"]) else {
        println!("skipped: no isoinfo (Debian's genisoimage), so nobody else has read the image");
        return Ok(());
    };
    assert!(about.contains("Volume id: cidata"), "{about}");
    let file = |name: &str| read(&image, &["-R", "-x", name]).unwrap();
    let user = file("/user-data");
    let user: Value = serde_json::from_str(user.strip_prefix("#cloud-config\n").unwrap()).unwrap();
    assert_eq!(
        user["ssh_keys"],
        json!({ "ed25519_private": "the private half", "ed25519_public": "ssh-ed25519 BBBB" })
    );
    assert_eq!(
        (&user["users"][0]["name"], &user["users"][0]["hashed_passwd"]),
        (&json!("odin"), &json!("$6$salt$1234"))
    );
    assert_eq!(user["users"][0]["ssh_authorized_keys"], json!(["ssh-ed25519 AAAA lab"]));
    let meta: Value = serde_json::from_str(&file("/meta-data")).unwrap();
    assert_eq!(meta, json!({ "instance-id": "kubewright-lab-master-1", "local-hostname": "master-1" }));
    let network: Value = serde_json::from_str(&file("/network-config")).unwrap();
    let card = &network["ethernets"]["eth0"];
    assert_eq!((&card["addresses"], &card["routes"][0]["via"]), (&json!(["10.0.4.1/24"]), &json!("10.0.0.1")));
    // The card is found by the address that it has been given.
    let mac = card["match"]["macaddress"].as_str().unwrap().to_uppercase();
    assert!(config["net0"].as_str().unwrap().contains(&mac), "{config} has no {mac}");
    Ok(())
}
