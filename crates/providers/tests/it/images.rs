//! What machines are made from.

use kubewright_model::desired::{Body, DesiredMachine, LxcBody};
use kubewright_model::spec::pools::TemplateDownload;
use kubewright_providers::{ErrorKind, Provider as _, ProviderError, Wanted};
use serde_json::json;

use crate::fake::Fake;
use crate::wishes::{container, owner};

/// The pretend cluster has no list of templates that can be got, and is taught one.
const OFFERS: &str = "
from aiohttp import web
answer_was = pve._answer
async def offers(request, *rest):
    if request.path.endswith('/aplinfo') and request.method == 'GET':
        return web.json_response({'data': [{'template': 'debian-12-standard_12.7-1_amd64.tar.zst'}]})
    said = await answer_was(request, *rest)
    if request.path.endswith('/aplinfo'):
        asked = await request.post()
        pve.store_file(asked['storage'], asked['template'], 1000, content='vztmpl')
    return said
pve._answer = offers
";

/// Every file of the pretend storage `local` is gone.
const EMPTY: &str = "pve.storages['local']['volumes'].clear()";

#[tokio::test]
async fn a_container_template_that_is_not_there_is_got_once() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let owner = owner();
    fake.tell(EMPTY);
    let nowhere = fake.hands().create(&container("agent-1", 400, "pve1"), &owner).await.unwrap_err();
    assert_eq!(nowhere.kind, ErrorKind::NotFound, "{nowhere}");
    assert!(nowhere.message.contains("Proxmox' own list has none of that name: `pveam update`"), "{nowhere}");
    fake.tell(OFFERS);
    fake.tell("pve.requests.clear()");
    let hands = fake.hands();
    let (first, second) = (container("agent-1", 400, "pve1"), container("agent-2", 401, "pve1"));
    let (made, too) = futures::join!(hands.create(&first, &owner), hands.create(&second, &owner));
    made.and(too)?;
    assert_eq!(fake.tell("sorted(ct.vmid for ct in pve.cts)"), json!([120, 400, 401]));
    let got = "[r[2].decode() for r in pve.requests if r[1].endswith('/aplinfo') and r[0] == 'POST']";
    assert_eq!(fake.tell(got), json!(["storage=local&template=debian-12-standard_12.7-1_amd64.tar.zst"]));
    Ok(())
}

#[tokio::test]
async fn getting_a_template_takes_a_privilege_and_only_when_it_is_not_there() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (hands, wish) = (fake.hands(), container("agent-1", 400, "pve1"));
    fake.tell("pve.grant('kubewright@pve', '/storage/local', 'Datastore.Audit')");
    let images =
        async || -> Result<bool, ProviderError> {
            Ok(hands.lacking(Wanted { machines: &[&wish], ..Wanted::default() }).await?.iter().any(|lacking| {
                lacking.path == "/storage/local" && lacking.privileges == ["Datastore.AllocateTemplate"]
            }))
        };
    assert!(!images().await?);
    fake.tell(EMPTY);
    assert!(images().await?);
    Ok(())
}

#[tokio::test]
async fn a_template_comes_from_where_the_spec_says_with_the_checksum_that_it_says() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, wish) = (owner(), container("agent-1", 400, "pve1"));
    fake.tell(EMPTY);
    let Body::Lxc(body) = &*wish.body else { panic!("a container has a container's body") };
    let download = TemplateDownload { url: "https://lab.test/own".into(), sha256: "2fd4".repeat(16) };
    let body = LxcBody { download: Some(download), ..body.clone() };
    let wish = DesiredMachine { body: Body::Lxc(body).into(), ..wish };
    fake.hands().create(&wish, &owner).await?;
    let asked = fake.tell("[r[2].decode() for r in pve.requests if r[1].endswith('/download-url')]");
    assert_eq!(asked.as_array().map(Vec::len), Some(1));
    let asked = asked[0].as_str().unwrap_or_default();
    for part in ["content=vztmpl", "checksum-algorithm=sha256", &format!("checksum={}", "2fd4".repeat(16))] {
        assert!(asked.contains(part), "{part} is not in {asked}");
    }
    fake.tell(EMPTY);
    fake.tell("pve.grant('kubewright@pve', '/storage/local', 'Datastore.Audit')");
    let lacking = fake.hands().lacking(Wanted { machines: &[&wish], ..Wanted::default() }).await?;
    let way_out = lacking.iter().find(|lacking| lacking.path == "/nodes/pve1");
    assert_eq!(way_out.map(|lacking| lacking.privileges.clone()), Some(vec!["Sys.AccessNetwork"]));
    Ok(())
}
