# Makes this computer, as a copy that is thrown away, into a host and becomes its SSH daemon: folder, host's name,
# address, port. Runs in namespaces of its own for mounts, processes and the name.
set -eu
lab=$1 name=$2 address=$3 port=$4

mount -t tmpfs -o mode=755 tmpfs "$lab/disk"
mkdir "$lab/disk/new" "$lab/disk/work" "$lab/disk/root"
mount -t overlay -o "lowerdir=/,upperdir=$lab/disk/new,workdir=$lab/disk/work" overlay "$lab/disk/root"
cd "$lab/disk/root"
mount -t proc proc proc
# What the kernel shares with this computer is not for a test to change.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --rbind /dev dev
mount --rbind -o ro /sys sys
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
