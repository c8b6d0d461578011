# Makes the tree that every booted host is a copy of, unless it is there, and prints its folder. One tree serves all
# tests, of all checkouts; another list of packages or another step of this script is another tree.
set -eu
suite=trixie
packages=systemd,systemd-sysv,dbus,kmod,cloud-init,openssh-server,sudo,iproute2,iptables,nftables,conntrack,curl
packages=$packages,ca-certificates,procps,bash
# What hosts install themselves, from a mirror of their own: no test needs the network for that.
installed=figlet,haproxy,keepalived

trees=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/kubewright/trees
key=$(sha256sum <"$0" | cut -c 1-16)
tree=$trees/$suite-$key
mkdir -p "$trees"
exec 9>"$trees/lock"
flock 9
if [ ! -e "$tree" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # The mirror and the proxy of this computer are those that it reaches.
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    sed 's/#.*//' | grep -oE '(https?|file)://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ') || :
  apt-config dump --no-empty --format '%f "%v";%n' Acquire >"$work/acquire"
  # Its network is systemd's, its SSH daemon has another port than others', and its hosts make keys and numbers of
  # their own. Nothing of this computer's devices is a host's to look after.
  cat >"$work/finish" <<'END'
set -eu
tree=$1
ln -s /usr/lib/systemd/system/systemd-networkd.service "$tree/etc/systemd/system/multi-user.target.wants/"
for unit in systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service; do
  ln -sf /dev/null "$tree/etc/systemd/system/$unit"
done
echo 'Port 2222' >>"$tree/etc/ssh/sshd_config"
echo 'datasource_list: [NoCloud]' >"$tree/etc/cloud/cloud.cfg.d/90-lab.cfg"
rm -f "$tree"/etc/ssh/ssh_host_* "$tree/etc/machine-id" "$tree/var/lib/dbus/machine-id"
echo uninitialized >"$tree/etc/machine-id"
mkdir -p "$tree/srv/mirror"
chroot "$tree" sh -euc 'cd /srv/mirror
  apt-get -q -y --no-install-recommends --download-only -o Dir::Cache::archives=/srv/mirror install "$@"
  rm -rf partial lock
  for file in *.deb; do
    dpkg-deb -f "$file"
    printf "Filename: ./%s\nSize: %s\nSHA256: %s\n\n" "$file" "$(stat -c %s "$file")" "$(sha256sum <"$file" | cut -c 1-64)"
  done >Packages' sh $(echo "$2" | tr , ' ')
rm -rf "$tree"/var/lib/apt/lists/* "$tree"/etc/apt/sources.list "$tree"/etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/mirror ./' >"$tree/etc/apt/sources.list"
END
  make() {
    rm -rf "$tree.new"
    mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt="$work/acquire" \
      --customize-hook="sh '$work/finish' \"\$1\" $installed" "$suite" "$tree.new" "$@" >&2
  }
  # What looks like Debian's mirror may be somebody else's; then it is the one that everybody knows.
  if [ -z "$mirror" ] || ! make "$mirror"; then make; fi
  mv "$tree.new" "$tree"
  # Trees of other days, which nobody has used for a week.
  find "$trees" -maxdepth 1 -name '*.used' -mtime +7 | while read -r used; do rm -rf "${used%.used}" "$used"; done
fi
touch "$tree.used"
printf '%s\n' "$tree"
