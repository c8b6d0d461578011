//! etcd's own client, which is in etcd's image and nowhere else: so the container is told, as a host that serves sees it.
//! <https://etcd.io/docs/v3.6/op-guide/runtime-configuration/>

/// The beginning of a script: `etcdctl` is the client from here on. Others may call a container of theirs etcd as well. Where
/// it listens, kubeadm has written down: of the sixth version, not where one of the fourth would.
pub(super) const ETCDCTL: &str = "pki=/etc/kubernetes/pki/etcd\n\
    etcd=$(/usr/local/bin/crictl ps -q --state Running --label io.kubernetes.pod.namespace=kube-system \
    --label io.kubernetes.container.name=etcd | head -n 1)\n\
    [ -n \"$etcd\" ] || { echo 'etcd does not run on this host' >&2; exit 1; }\n\
    at=$(sed -n 's/^ *kubeadm.kubernetes.io\\/etcd.advertise-client-urls: *//p' /etc/kubernetes/manifests/etcd.yaml)\n\
    etcdctl() {\n  \
    /usr/local/bin/crictl exec \"$etcd\" etcdctl --endpoints \"$at\" --cacert $pki/ca.crt \
    --cert $pki/healthcheck-client.crt --key $pki/healthcheck-client.key \"$@\"\n}\n";

/// Takes the member out that a file names. One that has never started has no name yet, and is known by where it was to
/// listen; one of another name that listens there now is another one. It counts only when the list has it no more.
pub(super) fn remove(file: &str) -> String {
    format!(
        "set -eu\n\
         {ETCDCTL}\
         read -r name peer <{file} || [ -n \"$name\" ]\n\
         is_it() {{\n  \
         awk -F ', ' -v name=\"$name\" -v peer=\"$peer\" '$3 == name || $3 == \"\" && $4 == peer {{ print $1 }}'\n}}\n\
         all=$(etcdctl member list)\n\
         for member in $(printf '%s\\n' \"$all\" | is_it); do etcdctl member remove \"$member\"; done\n\
         all=$(etcdctl member list)\n\
         test -z \"$(printf '%s\\n' \"$all\" | is_it)\""
    )
}
