# Makes a host of the lab one on which etcd runs as kubeadm has it: `PROGRAMS` is the folder of the real etcd, etcdctl and
# etcdutl. What stands in for kubeadm starts that etcd with what the real one writes into its manifest, and what stands in
# for containers runs its programs. No kubelet and no API server are here.
put() { cat >"/usr/local/bin/$1"; chmod 755 "/usr/local/bin/$1"; }

put crictl <<'SCRIPT'
#!/bin/sh
case $1 in
ps) ! kill -0 "$(cat /run/etcd.pid 2>/dev/null)" 2>/dev/null || echo etcd ;;
exec) shift 2; program=$1; shift; exec PROGRAMS/"$program" "$@" ;;
inspecti) ;;
*) echo "stand-in crictl: $*" >&2; exit 64 ;;
esac
SCRIPT

put ctr <<'SCRIPT'
#!/bin/sh
case "$*" in
'-n k8s.io images mount registry.k8s.io/etcd:'*) mkdir -p "$6/usr/local/bin"; cp PROGRAMS/etcdutl PROGRAMS/etcdctl "$6/usr/local/bin" ;;
'-n k8s.io images unmount --rm '*) rm -rf "$6"/* ;;
*) echo "stand-in ctr: $*" >&2; exit 64 ;;
esac
SCRIPT

put kubectl <<'SCRIPT'
#!/bin/sh
case "$*" in *'get nodes -o name'*) echo "node/$(hostname)" ;; *readyz*) echo ok ;; esac
SCRIPT

# Asks etcd: of this host, or of the one whose address is first.
put ask <<'SCRIPT'
#!/bin/sh
pki=/etc/kubernetes/pki/etcd at=127.0.0.1
case $1 in [0-9]*) at=$1; shift ;; esac
exec PROGRAMS/etcdctl --endpoints "https://$at:2379" --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt \
  --key $pki/healthcheck-client.key "$@"
SCRIPT

put kubeadm <<'SCRIPT'
#!/bin/sh
set -eu
name=$(hostname) address=$(ip -4 -o address show eth0 | awk '{ sub("/.*", "", $4); print $4 }')
k=/etc/kubernetes pki=/etc/kubernetes/pki/etcd
key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "$@" 2>/dev/null; }

authorities() {
  mkdir -p $pki
  [ -e $pki/ca.key ] || key -x509 -days 2 -subj /CN=etcd-ca -keyout $pki/ca.key -out $pki/ca.crt
  for file in ca.crt ca.key front-proxy-ca.crt front-proxy-ca.key sa.key sa.pub; do
    [ -e $k/pki/$file ] || head -c 16 /dev/urandom | base64 >$k/pki/$file
  done
}

certificates() {
  for file in server peer healthcheck-client; do
    key -subj "/CN=$name" -keyout $pki/$file.key -out /tmp/$file.csr
    printf 'subjectAltName=IP:%s,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' "$address" >/tmp/$file.ext
    openssl x509 -req -in /tmp/$file.csr -CA $pki/ca.crt -CAkey $pki/ca.key -days 2 -extfile /tmp/$file.ext -out $pki/$file.crt 2>/dev/null
  done
}

manifest() {
  mkdir -p $k/manifests
  cat >$k/manifests/etcd.yaml <<END_OF_MANIFEST
metadata:
  annotations:
    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://$address:2379
spec:
  containers:
  - command:
    - etcd
    - --initial-advertise-peer-urls=https://$address:2380
    - --name=$name
    image: registry.k8s.io/etcd:3.5.1-0
END_OF_MANIFEST
}

# Who is in the cluster, and whether that is there already.
starts() {
  manifest
  setsid PROGRAMS/etcd --name "$name" --data-dir /var/lib/etcd --initial-cluster "$1" --initial-cluster-state "$2" \
    --listen-client-urls "https://127.0.0.1:2379,https://$address:2379" --advertise-client-urls "https://$address:2379" \
    --listen-peer-urls "https://$address:2380" --initial-advertise-peer-urls "https://$address:2380" \
    --client-cert-auth --trusted-ca-file $pki/ca.crt --cert-file $pki/server.crt --key-file $pki/server.key \
    --peer-client-cert-auth --peer-trusted-ca-file $pki/ca.crt --peer-cert-file $pki/peer.crt --peer-key-file $pki/peer.key \
    >>/var/log/etcd.log 2>&1 9>&- </dev/null &
  echo $! >/run/etcd.pid
  tries=0
  until ask endpoint health >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { tail -n 5 /var/log/etcd.log >&2; exit 1; }
    sleep 0.2
  done
  : >$k/kubelet.conf
  echo config >$k/admin.conf
}

case "$*" in
'init phase etcd local '*) manifest ;;
'init --config '*)
  # As its checks find it: `DirAvailable--var-lib-etcd`.
  case "$*" in
  *--ignore-preflight-errors=DirAvailable--var-lib-etcd*) ;;
  *) [ ! -e /var/lib/etcd/member ] || { echo '[ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty' >&2; exit 1; } ;;
  esac
  authorities
  certificates
  starts "$name=https://$address:2380" new
  ;;
'join --config '*)
  certificates
  other=$(sed -n 's|.*server: *"*https://\([0-9.]*\):.*|\1|p' $k/kubewright/discovery.conf)
  # It asks again for a while, as long as the others have only just found each other.
  tries=0
  until ask "$other" member add "$name" --peer-urls "https://$address:2380" >/tmp/added; do
    tries=$((tries + 1))
    [ $tries -lt 20 ] || exit 1
    sleep 1
  done
  eval "$(grep ^ETCD_INITIAL_CLUSTER= /tmp/added)"
  starts "$ETCD_INITIAL_CLUSTER" existing
  ;;
*) echo "stand-in kubeadm: $*" >&2; exit 64 ;;
esac
SCRIPT

mkdir -p /etc/kubernetes/kubewright
printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/kubelet.service
