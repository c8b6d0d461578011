//! Where clients reach the API.

use kubewright_model::net::HostPort;
use kubewright_model::spec::ClusterFile;

use super::nodes::NodePlan;

/// The endpoint: as written, else the virtual IP, else the load balancer's
/// floating address, its address in the private network or its first host, else the server's own address. With
/// several servers and none of the others a rule asks for one; the first server's address stands in until then.
pub(crate) fn endpoint(file: &ClusterFile, nodes: &[NodePlan<'_>]) -> HostPort {
    let endpoint = &file.spec.kubernetes.endpoint;
    let written = endpoint.host.clone();
    let virtual_ip = || endpoint.virtual_ip.as_ref().map(|virtual_ip| virtual_ip.address.first().to_string());
    let balancer = || {
        let balancer = file.spec.load_balancers.get(endpoint.load_balancer.as_deref()?)?;
        let known = balancer.floating.as_ref().map(|floating| floating.address).or(balancer.private_address);
        if let Some(address) = known {
            return Some(address.to_string());
        }
        let pool = balancer.pool.as_ref()?;
        nodes.iter().find(|node| node.pool_name == pool)?.address.map(|address| address.to_string())
    };
    let server = || {
        let server = nodes.iter().find(|node| node.is_server())?;
        Some(server.address.map_or_else(|| server.name.to_string(), |address| address.to_string()))
    };
    let host = written.or_else(virtual_ip).or_else(balancer).or_else(server).unwrap_or_else(|| "localhost".into());
    HostPort::new(host, endpoint.port)
}

/// Every name and address that the API's certificate must hold beside a server's own.
pub(crate) fn certificate_names(file: &ClusterFile, endpoint: &HostPort) -> Vec<String> {
    let mut names = vec![endpoint.host.clone()];
    let ours = &file.spec.kubernetes.endpoint;
    let virtual_ip = ours.virtual_ip.iter().map(|virtual_ip| virtual_ip.address.first().to_string());
    for name in ours.alternative_names.iter().cloned().chain(virtual_ip) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
