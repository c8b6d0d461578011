# What doctor reads of a host: outputs of programs and texts of files, each with its name, in one round trip.
# A line `=NAME STATUS` begins a paper, its lines stand behind `|`, and `=NAME -` says that there is no such thing.
cd "${KW_ROOT-}/" || return 1
kw_nl='
'
# A program that asks what never answers (a filesystem of a server that is gone) must not hold up the rest.
kw_soon=
if command -v timeout >/dev/null 2>&1; then kw_soon='timeout 10'; fi

# kw_show NAME STATUS LINES TEXT: the last lines of it, for those tell most.
kw_show() {
	printf '=%s %s\n' "$1" "$2"
	[ -z "$4" ] || printf '%s\n' "$4" | tail -n "$3" | cut -c1-65000 | sed 's/^/|/'
}

# kw_paper NAME LINES PROGRAM ARGUMENT…
kw_paper() {
	kw_name=$1 kw_lines=$2
	shift 2
	if ! command -v "$1" >/dev/null 2>&1; then
		printf '=%s -\n' "$kw_name"
		return 0
	fi
	kw_text=$($kw_soon "$@" 2>/dev/null)
	kw_ended "$?"
}

# kw_whole NAME LINES PROGRAM ARGUMENT…: the same, with what it complains of.
kw_whole() {
	kw_name=$1 kw_lines=$2
	shift 2
	if ! command -v "$1" >/dev/null 2>&1; then
		printf '=%s -\n' "$kw_name"
		return 0
	fi
	kw_text=$($kw_soon "$@" 2>&1)
	kw_ended "$?"
}

# timeout ends with 124, and what it has ended with 143: neither is an answer.
kw_ended() {
	case $1 in
	124 | 143) printf '=%s late\n' "$kw_name" ;;
	*) kw_show "$kw_name" "$1" "$kw_lines" "$kw_text" ;;
	esac
}

# kw_file NAME LINES PATH
kw_file() {
	if [ -r "$3" ]; then kw_show "$1" 0 "$2" "$(cat "$3" 2>/dev/null)"; else printf '=%s -\n' "$1"; fi
}

# kw_lines NAME PATTERN PATH: the lines of a file that are asked for, and none of the secrets that may stand beside them.
kw_lines() {
	if [ -r "$3" ]; then kw_show "$1" 0 100 "$(grep -E "$2" "$3" 2>/dev/null)"; else printf '=%s -\n' "$1"; fi
}

kw_settings() {
	kw_text=
	for kw_key in net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables net.netfilter.nf_conntrack_count \
		net.netfilter.nf_conntrack_max fs.inotify.max_user_instances fs.inotify.max_user_watches fs.file-nr \
		kernel.pid_max vm.overcommit_memory kernel.panic; do
		kw_path=$(printf '%s' "$kw_key" | tr . /)
		[ -r "proc/sys/$kw_path" ] && kw_text="$kw_text$kw_key = $(cat "proc/sys/$kw_path")$kw_nl"
	done
	kw_show sysctl 0 40 "${kw_text%"$kw_nl"}"
} 2>/dev/null

# Certificates are no secrets; the keys beside them are, and so only what is between these marks is shown.
kw_certificates() {
	kw_text=
	for kw_path in var/lib/rancher/*/server/tls/*.crt var/lib/rancher/*/server/tls/etcd/*.crt var/lib/rancher/*/agent/*.crt \
		etc/kubernetes/pki/*.crt etc/kubernetes/pki/etcd/*.crt var/lib/kubelet/pki/kubelet-client-current.pem \
		var/lib/kubelet/pki/kubelet-server-current.pem var/lib/kubelet/pki/kubelet.crt; do
		[ -r "$kw_path" ] || continue
		case $kw_path in
			*/kubelet.crt) [ ! -f "${kw_path%kubelet.crt}kubelet-server-current.pem" ] || continue ;;
		esac
		kw_pem=$(sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' "$kw_path" | sed '/-----END CERTIFICATE-----/q')
		[ -n "$kw_pem" ] && kw_text="$kw_text# /$kw_path$kw_nl$kw_pem$kw_nl"
	done
	# What kubeadm has given its own parts to come in with ends first.
	for kw_path in etc/kubernetes/*.conf; do
		[ -r "$kw_path" ] || continue
		kw_pem=$(sed -n 's/^ *client-certificate-data: *//p' "$kw_path" | head -n 1 | base64 -d | sed '/-----END CERTIFICATE-----/q')
		[ -n "$kw_pem" ] && kw_text="$kw_text# /$kw_path$kw_nl$kw_pem$kw_nl"
	done
	kw_show certificates 0 4000 "${kw_text%"$kw_nl"}"
} 2>/dev/null

# The kernel's own log and those of our units; of the latter what sounds like a fault, for they talk much.
kw_logs() {
	if ! command -v journalctl >/dev/null 2>&1; then
		printf '=log -\n'
		kw_paper kernel 200 dmesg
		return 0
	fi
	kw_text=$($kw_soon journalctl --quiet -k -b --since=-6h -p warning -o short-iso --no-pager -n 400 2>/dev/null)
	kw_show kernel 0 200 "$kw_text"
	kw_text=$($kw_soon journalctl --quiet -b --since=-30min -o short-iso --no-pager -n 3000 \
		-u k3s -u k3s-agent -u rke2-server -u rke2-agent -u kubelet -u containerd -u haproxy -u keepalived 2>/dev/null |
		grep -iE 'fatal|error|fail|denied|refused|expired|exceeded|in use|too many|no such|read-only|swap|slow|leader| down| is up|no server|alert|eof|unknown|not found')
	kw_show log 0 300 "$kw_text"
}

kw_firewall() {
	kw_text=
	for kw_path in 'iptables -S INPUT' 'ufw status verbose' 'firewall-cmd --list-all'; do
		command -v "${kw_path%% *}" >/dev/null 2>&1 || continue
		kw_text="$kw_text$($kw_soon $kw_path 2>/dev/null)$kw_nl"
	done
	kw_show firewall 0 300 "${kw_text%"$kw_nl"}"
}

kw_links() {
	kw_text=
	for kw_path in sys/class/net/*/mtu; do
		[ -r "$kw_path" ] || continue
		kw_link=${kw_path#sys/class/net/}
		kw_text="$kw_text${kw_link%/mtu} $(cat "$kw_path")$kw_nl"
	done
	kw_show links 0 4000 "${kw_text%"$kw_nl"}"
} 2>/dev/null

# Debian's and Ubuntu's packages leave the file, openSUSE's another one, and Rocky's and Fedora's dnf-utils tell by their end.
kw_reboot() {
	if [ -e run/reboot-required ] || [ -e var/run/reboot-required ]; then
		kw_text=$(sort -u run/reboot-required.pkgs)
		kw_show reboot-required 0 20 "${kw_text:-/run/reboot-required is there}"
		return 0
	elif [ -e run/reboot-needed ]; then
		kw_show reboot-required 0 1 '/run/reboot-needed is there'
		return 0
	elif [ -x usr/bin/needs-restarting ]; then
		$kw_soon usr/bin/needs-restarting -r >/dev/null
		if [ $? = 1 ]; then
			kw_show reboot-required 0 1 'needs-restarting -r ends with 1'
			return 0
		fi
	fi
	printf '=reboot-required -\n'
} 2>/dev/null

# kw_web NAME PATTERN ADDRESS
kw_web() {
	kw_text=
	if command -v curl >/dev/null 2>&1; then
		kw_text=$(curl -s -m 5 "$3" 2>/dev/null | grep -E "$2")
	elif command -v wget >/dev/null 2>&1; then
		kw_text=$(wget -q -T 5 -O - "$3" 2>/dev/null | grep -E "$2")
	fi
	if [ -n "$kw_text" ]; then kw_show "$1" 0 200 "$kw_text"; else printf '=%s -\n' "$1"; fi
}

kw_paper hostname 1 hostname
kw_paper df 100 df -P -l
kw_paper df-inodes 100 df -P -i -l
kw_show mounts 0 200 "$(grep -vE ' /(var/lib/kubelet/pods|run/k3s|run/containerd|run/netns|run/user|var/lib/containers)' proc/mounts 2>/dev/null)"
kw_file swaps 20 proc/swaps
kw_file meminfo 60 proc/meminfo
kw_file loadavg 1 proc/loadavg
kw_file uptime 1 proc/uptime
kw_settings
kw_paper cgroup 1 stat -fc %T sys/fs/cgroup
kw_whole kmsg 2 ls -l /dev/kmsg
kw_file machine-id 1 etc/machine-id
kw_paper virtualization 1 systemd-detect-virt
kw_paper units 400 systemctl show --no-pager \
	-p Id,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,ExecMainStatus,ActiveEnterTimestampMonotonic \
	k3s.service k3s-agent.service rke2-server.service rke2-agent.service kubelet.service containerd.service \
	haproxy.service keepalived.service qemu-guest-agent.service iscsid.service
kw_paper timesync 20 timedatectl show
kw_paper chrony 30 chronyc -n tracking
kw_paper journal-size 1 journalctl --disk-usage
kw_reboot
# While somebody installs packages, some are half installed.
if pgrep -x 'dpkg|apt|apt-get' >/dev/null 2>&1; then printf '=dpkg-audit late\n'; else kw_paper dpkg-audit 30 dpkg --audit; fi
kw_paper iptables 1 iptables --version
kw_links
# One line for each, so that nodes with many pods are not cut off in the middle.
kw_paper addresses 400 ip -o addr show scope global
kw_paper routes 20 ip -o -4 route show default
kw_paper routes6 20 ip -o -6 route show default
kw_paper listening 300 ss -lntu
kw_firewall
kw_paper firewall-zones 60 firewall-cmd --get-active-zones
kw_file resolv 40 etc/resolv.conf
kw_file resolved 40 run/systemd/resolve/resolv.conf
kw_lines containerd-config 'SystemdCgroup|disabled_plugins|sandbox_image' etc/containerd/config.toml
kw_lines kubelet-config '^(cgroupDriver|resolvConf|failSwapOn|clusterDomain):' var/lib/kubelet/config.yaml
if [ -d etc/kubernetes/manifests ]; then kw_paper manifests 40 ls etc/kubernetes/manifests; else printf '=manifests -\n'; fi
if [ -e etc/haproxy/haproxy.cfg ]; then kw_whole haproxy-check 40 haproxy -c -f /etc/haproxy/haproxy.cfg; else printf '=haproxy-check -\n'; fi
kw_web etcd-metrics '^etcd_(disk_(wal_fsync|backend_commit)_duration_seconds|mvcc_db_total_size|server_(has_leader|leader_changes_seen_total|quota_backend_bytes))' \
	http://127.0.0.1:2381/metrics
kw_web etcd-health health http://127.0.0.1:2381/health
kw_certificates
kw_logs
# The last of all, for it is held against the clock of whoever hears it.
kw_paper clock 1 date +%s
