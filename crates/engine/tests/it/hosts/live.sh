# Makes a disk one on which K3s itself runs: what it wants and a host of ours has not. Runs in the disk's root folder.
# Layers of containers are overlays, whose upper folder cannot be on another overlay; and they stay over a reboot.
mkdir -p ../rancher var/lib/rancher
mount --bind ../rancher var/lib/rancher
# It does not start without a way out.
sed -i 's|\(host0: { addresses: \[\(.*\)\.[0-9]*/24\]\) }|\1, routes: [{ to: 0.0.0.0/0, via: \2.1 }] }|' \
  var/lib/cloud/seed/nocloud/network-config
# The kubelet sets these of the whole kernel, unless they are so already; here they are this computer's, and only look so.
# <https://github.com/kubernetes/kubernetes/blob/v1.33.5/pkg/kubelet/cm/container_manager_linux.go>
mkdir -p etc/lab/vm etc/lab/kernel/keys
echo 1 >etc/lab/vm/overcommit_memory
echo 0 >etc/lab/vm/panic_on_oom
echo 10 >etc/lab/kernel/panic
echo 1 >etc/lab/kernel/panic_on_oops
echo 1000000 >etc/lab/kernel/keys/root_maxkeys
echo 25000000 >etc/lab/kernel/keys/root_maxbytes
cat >etc/systemd/system/lab-kernel.service <<'END'
[Unit]
Before=k3s.service k3s-agent.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -euc 'cd /etc/lab; for file in */* kernel/keys/*; do [ -d $file ] || mount --bind $file /proc/sys/$file; done'

[Install]
WantedBy=multi-user.target
END
ln -s ../lab-kernel.service etc/systemd/system/multi-user.target.wants/lab-kernel.service
