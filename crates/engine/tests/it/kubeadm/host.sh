# Makes a disk one on which a kubelet and containerd run. Runs in the disk's root folder; `IMAGES` is the folder of the images.
# Layers of containers are overlays, whose upper folder cannot be on another overlay; a kubelet measures the disk it is on.
for folder in containerd kubelet; do
  mkdir -p "../$folder" "var/lib/$folder"
  mount --bind "../$folder" "var/lib/$folder"
done
mkdir -p srv/images etc/lab/kernel etc/lab/vm
mount --bind 'IMAGES' srv/images
# Members look for a way out, and for a name server, before they begin.
sed -i 's|\(host0: { addresses: \[\(.*\)\.[0-9]*/24\]\) }|\1, routes: [{ to: 0.0.0.0/0, via: \2.1 }] }|' \
  var/lib/cloud/seed/nocloud/network-config
echo 'nameserver 10.77.0.1' >etc/resolv.conf
# Pods have addresses of a network that ends at their host; the plug-ins are those that come with containerd.
cat >etc/lab/lab.conflist <<'END'
{ "cniVersion": "1.0.0", "name": "lab", "plugins": [{ "type": "bridge", "bridge": "cni0", "isGateway": true,
  "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.244.0.0/24" }]], "routes": [{ "dst": "0.0.0.0/0" }] } }] }
END
# No registry is to be had: images are there as soon as containerd is.
mkdir -p etc/systemd/system/containerd.service.d
cat >etc/systemd/system/containerd.service.d/lab.conf <<'END'
[Service]
ExecStartPre=/bin/sh -c 'mkdir -p /etc/cni/net.d && cp /etc/lab/lab.conflist /etc/cni/net.d/10-lab.conflist'
ExecStartPost=/usr/local/bin/ctr --namespace k8s.io images import --local /srv/images/all.tar
TimeoutStartSec=600
END
# The kubelet sets these of the whole kernel, unless they are so already; here they are this computer's, and only look so.
# <https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/kubelet/cm/container_manager_linux.go>
echo 1 >etc/lab/vm/overcommit_memory
echo 0 >etc/lab/vm/panic_on_oom
echo 10 >etc/lab/kernel/panic
echo 1 >etc/lab/kernel/panic_on_oops
# The old hierarchies of control groups come as if they were only to be read. Whoever looks for the unified one finds what is
# looked for: for kubelets that are told to take the old ones, that is nothing to refuse a host for.
cat >etc/systemd/system/lab-kernel.service <<'END'
[Unit]
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -euc 'cd /etc/lab; for file in kernel/* vm/*; do mount --bind $file /proc/sys/$file; done'
ExecStart=/bin/sh -euc 'awk "\$3 == \\"cgroup\\" { print \$2 }" /proc/mounts | while read -r group; do mount -o remount,bind,rw $group; done'
ExecStart=/bin/sh -euc '[ -e /sys/fs/cgroup/cgroup.controllers ] || { mount -o remount,rw /sys/fs/cgroup && touch /sys/fs/cgroup/cgroup.controllers; }'

[Install]
WantedBy=sysinit.target
END
mkdir -p etc/systemd/system/sysinit.target.wants
ln -s ../lab-kernel.service etc/systemd/system/sysinit.target.wants/lab-kernel.service
