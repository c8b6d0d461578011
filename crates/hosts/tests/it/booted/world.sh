# A world of one test: its own mounts, processes and network, with a bridge that hosts hang on, and a control group that
# holds them. What follows is run in it; nothing of it is left afterwards. Runs as the first process of its namespaces.
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mount -t proc proc /proc
# systemd wants the unified hierarchy, which older computers have beside the old ones or not at all.
! mountpoint -q /sys/fs/cgroup || umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
KUBEWRIGHT_LAB=/sys/fs/cgroup/kubewright-lab-$(cut -c 1-8 /proc/sys/kernel/random/uuid)
export KUBEWRIGHT_LAB
mkdir "$KUBEWRIGHT_LAB"
for group in /sys/fs/cgroup "$KUBEWRIGHT_LAB"; do
  for controller in $(cat "$group/cgroup.controllers"); do
    echo "+$controller" >"$group/cgroup.subtree_control" || :
  done
done 2>/dev/null
ip link set lo up
ip link add lab type bridge
ip address add 10.77.0.1/24 dev lab
ip link set lab up
# Whoever goes out by here is told at once that it leads nowhere.
ip route add unreachable default
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
code=0
"$@" || code=$?
echo 1 >"$KUBEWRIGHT_LAB/cgroup.kill"
# The kernel takes its time to bury them.
for _ in $(seq 50); do
  ! find "$KUBEWRIGHT_LAB" -depth -type d -exec rmdir {} + 2>/dev/null || break
  sleep 0.1
done
exit $code
