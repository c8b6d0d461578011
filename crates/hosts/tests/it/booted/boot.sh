# Boots a host in a world and boots it again whenever it asks for that, until its power is cut or it turns itself off:
# folder, host's name, its number in the world. Its first process is the only child of the process in `pid`.
set -eu
lab=$1 name=$2 number=$3
groups= old=
for group in ${KUBEWRIGHT_LAB_GROUPS-$KUBEWRIGHT_LAB}; do groups="$groups $group/$name"; done
# Debian 13's systemd takes the old hierarchies when it is told twice.
[ -z "${KUBEWRIGHT_LAB_GROUPS-}" ] || old=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
unified=$([ -n "$old" ] && echo 0 || echo 1)
boots=0
while :; do
  boots=$((boots + 1))
  # With each start its groups and its network are other ones, as the kernel is; its card stays the same.
  for group in $groups; do
    until [ ! -e "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.01; done
    mkdir "$group"
  done
  ip netns add "$name"
  ip link add "host$number-$boots" type veth \
    peer name host0 address "02:00:00:00:00:$(printf %02x "$number")" netns "$name"
  ip link set "host$number-$boots" master lab up
  echo "boot $boots"
  code=0
  sh -euc 'for group in $1; do echo 0 >"$group/cgroup.procs"; done; echo $$ >"$2/pid"; shift 2; exec "$@"' \
    sh "$groups" "$lab" \
    env SYSTEMD_NSPAWN_API_VFS_WRITABLE=network SYSTEMD_NSPAWN_USE_CGNS=1 "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=$unified" \
    systemd-nspawn --quiet --boot --directory="$lab/disk/root" --machine="$name" --register=no --keep-unit \
    --network-namespace-path="/run/netns/$name" --resolv-conf=off --timezone=off --link-journal=no --capability=all \
    --bind=/dev/kmsg --bind-ro=/sys/module --console=read-only --system-call-filter="@keyring bpf" \
    "systemd.unified_cgroup_hierarchy=$unified" $old </dev/null || code=$?
  rm -f "$lab/pid"
  ip netns delete "$name"
  ip link delete "host$number-$boots" 2>/dev/null || :
  echo "ended with $code"
  [ $code = 133 ] || exit $code
done
