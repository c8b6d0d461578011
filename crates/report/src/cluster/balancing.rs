//! HAProxy on hosts of ours: how one sees how it is.

use super::access::ssh;
use super::facts::Facts;

/// Its state, its log, and its page of statistics where it has one.
pub(super) fn commands(facts: &Facts<'_>) -> Vec<String> {
    let Some((host, _)) = facts.haproxies().next() else { return Vec::new() };
    let Some(way) = ssh(&host.way) else { return Vec::new() };
    let root = if &*host.way.user == "root" { "" } else { "sudo " };
    let mut commands =
        vec![format!("{way} {root}systemctl status haproxy"), format!("{way} {root}journalctl -u haproxy -f")];
    let mut pages =
        facts.desired.proxies.iter().flat_map(|proxy| &proxy.balancers).filter_map(|one| one.spec.statistics.as_ref());
    if let (Some(page), Some(address)) = (pages.next(), host.way.address) {
        // curl asks for the password itself, so that it is in nobody's history.
        commands.push(format!("curl -u {} http://{address}:{}{}", page.user, page.port, page.path));
    }
    commands
}
