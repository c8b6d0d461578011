# A world of one test: its own mounts, processes and network, with a bridge that hosts hang on, and a control group that
# holds them. What follows is run in it; nothing of it is left afterwards. Runs as the first process of its namespaces.
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mount -t proc proc /proc
lab=kubewright-lab-$(cut -c 1-8 /proc/sys/kernel/random/uuid)
if [ -n "${KUBEWRIGHT_LAB_LIMITS-}" ] && ! grep -qw memory "$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/cgroup.controllers"; then
  # Who limits its programs needs controllers. Where the unified hierarchy has none, the old ones have them, and a world has
  # a group of its own in each of them.
  while IFS=: read -r _ controllers path; do
    case $controllers in
    '') group=/sys/fs/cgroup/unified${path%/}/$lab KUBEWRIGHT_LAB=$group ;;
    *) group=/sys/fs/cgroup/${controllers#name=}${path%/}/$lab ;;
    esac
    mkdir "$group"
    [ "$controllers" != cpuset ] || {
      cat "${group%/*}/cpuset.cpus" >"$group/cpuset.cpus"
      cat "${group%/*}/cpuset.mems" >"$group/cpuset.mems"
      echo 1 >"$group/cgroup.clone_children"
    }
    groups="${groups-} $group"
  done </proc/self/cgroup
  export KUBEWRIGHT_LAB KUBEWRIGHT_LAB_GROUPS="$groups"
else
  # systemd wants the unified hierarchy, which older computers have beside the old ones or not at all.
  ! mountpoint -q /sys/fs/cgroup || umount -R /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  export KUBEWRIGHT_LAB="/sys/fs/cgroup/$lab"
  groups=$KUBEWRIGHT_LAB
  mkdir "$KUBEWRIGHT_LAB"
  for group in /sys/fs/cgroup "$KUBEWRIGHT_LAB"; do
    for controller in $(cat "$group/cgroup.controllers"); do
      echo "+$controller" >"$group/cgroup.subtree_control" || :
    done
  done 2>/dev/null
fi
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
  ! find $groups -depth -type d -exec rmdir {} + 2>/dev/null || break
  sleep 0.1
done
exit $code
