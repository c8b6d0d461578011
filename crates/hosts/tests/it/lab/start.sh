# Makes this computer, as a copy that is thrown away, into a host and becomes its SSH daemon: folder, host's name,
# address, port, and the network that it hangs on unless it has one. Runs in namespaces of its own for mounts, processes,
# the name and the network.
set -eu
lab=$1 name=$2 address=$3 port=$4 network=${5-}

if [ -n "$network" ]; then
  # A host that starts again has the same card.
  number=${address##*.}
  ip link add eth0 address "02:00:00:00:00:$(printf %02x "$number")" type veth peer name "host$number" netns "$network"
  nsenter --net="$network" ip link set "host$number" master lab up
  ip link set lo up
  ip address add "$address/24" dev eth0
  ip link set eth0 up
  # Who is out there is looked for in vain, and not for long.
  ip route add default dev eth0
  echo 20 >/proc/sys/net/ipv4/neigh/eth0/retrans_time_ms
fi
mount -t tmpfs -o mode=755 tmpfs "$lab/disk"
mkdir "$lab/disk/new" "$lab/disk/work" "$lab/disk/root"
mount -t overlay -o "lowerdir=/,upperdir=$lab/disk/new,workdir=$lab/disk/work" overlay "$lab/disk/root"
cd "$lab/disk/root"
mount -t proc proc proc
# What the kernel shares with this computer is not for a test to change.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --rbind /dev dev
# Of its own network, with the control groups of this computer.
mount -t sysfs -o ro sysfs sys
[ ! -e /sys/fs/cgroup ] || mount --rbind -o ro /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir run/sshd run/units
echo active >run/units/ssh.service.active
hostname "$name"
printf '%s\n' "$name" >etc/hostname
tr -d - <proc/sys/kernel/random/uuid >etc/machine-id

# People: root, and two with sudo of their own kinds.
for who in admin:10001:NOPASSWD: guest:10002:PASSWD:; do
  login=${who%%:*} rest=${who#*:}
  id=${rest%%:*} how=${rest#*:}
  printf '%s:x:%s:%s::/home/%s:/bin/sh\n' "$login" "$id" "$id" "$login" >>etc/passwd
  printf '%s:*:19000:0:99999:7:::\n' "$login" >>etc/shadow
  printf '%s:x:%s:\n' "$login" "$id" >>etc/group
  mkdir -p "home/$login" && chown "$id:$id" "home/$login"
  printf '%s ALL=(ALL) %s ALL\n' "$login" "$how" >"etc/sudoers.d/$login"
  chmod 440 "etc/sudoers.d/$login"
done
# What would leave the host, or reach the kernel.
cp "$(dirname "$0")"/bin/* usr/local/sbin/
mkdir -p etc/ssh/sshd_config.d
rm -f etc/ssh/ssh_host_* etc/ssh/sshd_config.d/*
cp "$lab/host" etc/ssh/lab_host
cp "$lab/user.pub" etc/ssh/lab_keys
cat >etc/ssh/sshd_config <<END
Include /etc/ssh/sshd_config.d/*.conf
Port $port
ListenAddress $address
HostKey /etc/ssh/lab_host
AuthorizedKeysFile /etc/ssh/lab_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
MaxSessions 50
END
[ ! -e "$lab/prepare" ] || chroot . sh -eu <"$lab/prepare"
exec chroot . /usr/sbin/sshd -D -e
