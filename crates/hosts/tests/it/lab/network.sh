# Makes a network that nobody else is in, with a bridge that hosts hang on: the address of who looks at them from there.
# It is there as long as somebody is in it, which the caller is by the time that our standard input ends.
set -eu
ip link set lo up
# Its own card number, or it would change with each host that comes.
ip link add lab address 02:00:00:00:01:00 type bridge
ip address add "$1/24" dev lab
ip link set lab up
# A host that is off is told as that at once, not after three seconds.
echo 20 >/proc/sys/net/ipv4/neigh/lab/retrans_time_ms
echo ready
read -r _ || :
