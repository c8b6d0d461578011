# Lays the disk of a host: a copy of the tree that is thrown away, in memory. Folder, tree, host's name, address.
set -eu
lab=$1 tree=$2 name=$3 address=$4
mount -t tmpfs -o mode=755 tmpfs "$lab/disk"
cd "$lab/disk"
mkdir new work root
mount -t overlay -o "lowerdir=$tree,upperdir=$lab/disk/new,workdir=$lab/disk/work" overlay root
# Who comes in, and where: what a cloud tells its hosts.
seed=root/var/lib/cloud/seed/nocloud
mkdir -p "$seed"
printf 'instance-id: %s\nlocal-hostname: %s\n' "$name" "$name" >"$seed/meta-data"
cat >"$seed/user-data" <<END
#cloud-config
users:
- name: admin
  shell: /bin/bash
  sudo: "ALL=(ALL) NOPASSWD: ALL"
  ssh_authorized_keys: ["$(cat "$lab/user.pub")"]
ssh_genkeytypes: [ed25519]
END
cat >"$seed/network-config" <<END
version: 2
ethernets:
  host0: { addresses: [$address/24] }
END
[ ! -e "$lab/prepare" ] || (cd root && sh -eu "$lab/prepare")
