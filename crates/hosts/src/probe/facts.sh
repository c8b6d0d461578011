# What a look asks of every host. Every path is relative: the script works in the root folder, or in KW_ROOT.
# Lines of files are printed behind a word of ours, so nothing on a host can pass for an answer that it is not.
cd "${KW_ROOT-}/" || return 1
kw_nl='
'
kw_blank=' 	'
IFS=$kw_blank

# The first line of a file, in kw_value.
kw_line() {
	kw_value=
	[ -f "$1" ] || return 1
	IFS= read -r kw_value <"$1" || [ -n "$kw_value" ]
} 2>/dev/null

# The first line of a file, as an answer.
kw_answer() {
	if kw_line "$2" && [ -n "$kw_value" ]; then printf '%s %s\n' "$1" "$kw_value"; fi
}

# 0: it is there; 1: it is not; 2: nobody can say, because a folder above may not be searched.
kw_there() {
	[ -e "$1" ] && return 0
	kw_up=$1
	while :; do
		case $kw_up in */*) kw_up=${kw_up%/*} ;; *) kw_up=. ;; esac
		[ -e "$kw_up" ] || continue
		if [ -d "$kw_up" ] && [ ! -x "$kw_up" ]; then return 2; fi
		return 1
	done
}

kw_release() {
	while IFS= read -r kw_value || [ -n "$kw_value" ]; do
		case $kw_value in ID=* | NAME=* | VERSION_ID=*) printf 'release %s\n' "$kw_value" ;; esac
	done <"$1"
} 2>/dev/null

# A container says so; the processor of a virtual machine says so on x86; elsewhere systemd knows.
kw_virtual() {
	if kw_line run/systemd/container && [ -n "$kw_value" ]; then
		printf 'container %s\n' "$kw_value"
		return
	fi
	kw_flags=
	while IFS= read -r kw_value; do
		case $kw_value in flags*) kw_flags="$kw_value " && break ;; '') break ;; esac
	done <proc/cpuinfo
	case $kw_flags in
		*' hypervisor '*) echo 'virtual vm' ;;
		?*) echo 'virtual none' ;;
		*) kw_value=$(systemd-detect-virt) || [ -n "$kw_value" ] && printf 'virtual %s\n' "$kw_value" ;;
	esac
} 2>/dev/null

# Opening a setting for writing changes nothing, and is the only test that a read-only mount cannot fool.
kw_writable() {
	if true >>proc/sys/vm/overcommit_memory; then echo 'proc-sys yes'; else echo 'proc-sys no'; fi
} 2>/dev/null

# The interface of the default route. Of the sixth version, every host has one that leads nowhere.
kw_route() {
	[ -r proc/net/route ] || return 0
	while read -r kw_value kw_up kw_x; do
		case $kw_up in 00000000) printf 'route %s\n' "$kw_value" && return 0 ;; esac
	done <proc/net/route
	while read -r kw_value kw_up kw_x; do
		case "$kw_value $kw_up ${kw_x##* }" in
			'00000000000000000000000000000000 00 lo') ;;
			'00000000000000000000000000000000 00 '*) printf 'route %s\n' "${kw_x##* }" && return 0 ;;
		esac
	done <proc/net/ipv6_route
	echo 'route none'
} 2>/dev/null

kw_kubernetes() {
	for kw_value in usr/local/bin/k3s usr/bin/k3s usr/local/bin/rke2 opt/rke2/bin/rke2 usr/bin/rke2 \
		usr/bin/kubelet usr/local/bin/kubelet usr/local/bin/k0s usr/bin/k0s snap/bin/microk8s \
		usr/bin/containerd usr/bin/dockerd usr/bin/crio usr/local/bin/crio; do
		if [ -e "$kw_value" ]; then printf 'program %s\n' "$kw_value"; fi
	done
	kw_joined=no
	for kw_value in k3s/server/db/etcd/member/wal k3s/server/db/state.db k3s/agent/kubelet.kubeconfig \
		rke2/server/db/etcd/member/wal rke2/agent/kubelet.kubeconfig; do
		kw_there "./var/lib/rancher/$kw_value"
		case $? in 0) kw_joined=yes && break ;; 2) kw_joined=unknown ;; esac
	done
	# What was saved lies there until a server has begun with it: what it has made so far is nothing yet.
	for kw_up in k3s rke2; do
		[ ! -e "var/lib/rancher/$kw_up/server/db/kubewright-restore.db" ] ||
			[ -e "var/lib/kubewright/units/$kw_up.service.reads" ] ||
			[ -e "var/lib/kubewright/units/$kw_up-server.service.reads" ] || kw_joined=restores
	done
	# kubeadm's own files are there before it is done, so it is said while it is under way.
	if [ "$kw_joined" = no ]; then
		kw_there ./etc/kubernetes/kubelet.conf
		case $? in 0) kw_joined=yes ;; 2) kw_joined=unknown ;; esac
		kw_there ./etc/kubernetes/kubewright/under-way
		case $? in
		0)
			kw_joined=no kw_value=
			read -r kw_value <etc/kubernetes/kubewright/under-way
			printf 'under-way %s\n' "${kw_value:-unknown}"
			;;
		2) kw_joined=unknown ;;
		esac
	fi
	[ "$kw_joined" != restores ] || kw_joined=no
	printf 'joined %s\n' "$kw_joined"
	# What is said when a server has begun or joined its cluster.
	for kw_up in k3s rke2; do
		[ "$kw_joined" = yes ] && [ -e "var/lib/rancher/$kw_up/server/db/etcd/member/wal" ] || continue
		kw_joined=begins
		while IFS= read -r kw_value || [ -n "$kw_value" ]; do
			case $kw_value in server:*) kw_joined= && break ;; esac
		done <"etc/rancher/$kw_up/config.yaml.d/50-kubewright-membership.yaml"
		[ -z "$kw_joined" ] || echo 'begins yes'
		break
	done
} 2>/dev/null

# What guards the host: firewalld has a group of processes while it runs; a policy for Kubernetes is a file of its package.
kw_guards() {
	for kw_up in sys/fs/cgroup/system.slice sys/fs/cgroup/systemd/system.slice; do
		if [ -d "$kw_up/firewalld.service" ]; then echo 'firewalld yes' && break; fi
	done
	kw_line sys/fs/selinux/enforce && [ "$kw_value" = 1 ] || return 0
	kw_value=
	for kw_up in k3s rke2; do
		if [ -e "usr/share/selinux/packages/$kw_up.pp" ]; then kw_value="$kw_value $kw_up"; fi
	done
	printf 'selinux%s\n' "${kw_value:- none}"
}

# How far cloud-init is, where it is on: its result is there when it has ended, with what went wrong. It may come as long as
# the host still boots. <https://docs.cloud-init.io/en/latest/explanation/return_codes.html>
kw_cloud_init() {
	[ -e run/cloud-init/enabled ] || return 0
	if [ ! -e run/cloud-init/result.json ]; then
		kw_value=$(systemctl is-system-running)
		case $kw_value in initializing | starting) echo 'cloud-init works' ;; *) echo 'cloud-init lost' ;; esac
		return 0
	fi
	while IFS= read -r kw_value || [ -n "$kw_value" ]; do
		case $kw_value in *'"errors": []'*) return 0 ;; esac
	done <run/cloud-init/result.json
	printf 'cloud-init %s\n' "$(head -c 8000 run/cloud-init/result.json | base64 -w 0)"
} 2>/dev/null

# Whose the host is, what of it we have touched, and whether that was there before, as it was written down then.
kw_ours() {
	kw_up=var/lib/kubewright
	if [ -d "$kw_up" ] && [ ! -x "$kw_up" ]; then echo 'ours denied' && return; fi
	kw_answer owner "$kw_up/owner"
	for kw_value in "$kw_up"/before/absent/* "$kw_up"/before/there/*; do
		if [ -e "$kw_value" ]; then printf 'ours %s\n' "${kw_value#"$kw_up"/before/}"; fi
	done
}

# How the host was started: the kernel's id, and when its first process began, for containers share a kernel.
# Debian and Ubuntu say by a file that it has to be started again, and for which packages; openSUSE by another; Rocky and
# Fedora when they are asked (`needs-restarting`, of dnf-utils, ends with 1 then).
kw_boot() {
	if kw_line proc/sys/kernel/random/boot_id && [ -n "$kw_value" ]; then
		kw_x=$kw_value
		kw_line proc/1/stat
		# The program's name, in parentheses, may hold blanks; the time is the 20th field after it.
		set -- ${kw_value##*')'}
		printf 'boot %s.%s\n' "$kw_x" "${20-}"
	fi
	kw_x=
	if [ -e run/reboot-required ] || [ -e var/run/reboot-required ]; then
		while IFS= read -r kw_value || [ -n "$kw_value" ]; do
			case " $kw_x " in *" $kw_value "*) ;; *) kw_x="$kw_x $kw_value" ;; esac
		done <run/reboot-required.pkgs
		printf 'reboot%s\n' "${kw_x:- packages}"
	elif [ -e run/reboot-needed ]; then
		echo 'reboot packages'
	elif [ -x usr/bin/needs-restarting ]; then
		timeout 20 usr/bin/needs-restarting -r >/dev/null </dev/null
		[ $? != 1 ] || echo 'reboot packages'
	fi
} 2>/dev/null

# The certificates of Kubernetes: the first of each file, and what administrators and the control plane show of theirs in
# their kubeconfigs. Keys, which some of the files hold too, are not read.
kw_certificates() {
	for kw_up in var/lib/rancher/*/server/tls/*.crt var/lib/rancher/*/server/tls/etcd/*.crt \
		var/lib/rancher/*/agent/*.crt etc/kubernetes/pki/*.crt etc/kubernetes/pki/etcd/*.crt \
		var/lib/kubelet/pki/kubelet-client-current.pem var/lib/kubelet/pki/kubelet-server-current.pem \
		var/lib/kubelet/pki/kubelet.crt; do
		[ -f "$kw_up" ] || continue
		# What a kubelet has signed itself is shown by nobody once the cluster has given it one.
		case $kw_up in
			*/kubelet.crt) [ ! -f "${kw_up%kubelet.crt}kubelet-server-current.pem" ] || continue ;;
		esac
		kw_x=
		while IFS= read -r kw_value; do
			case $kw_value in
				'-----BEGIN CERTIFICATE-----') kw_x=: ;;
				'-----END CERTIFICATE-----') break ;;
				*) [ -z "$kw_x" ] || kw_x="$kw_x$kw_value" ;;
			esac
		done <"$kw_up"
		printf 'certificate %s %s\n' "$kw_up" "${kw_x#:}"
	done
	for kw_up in etc/kubernetes/*.conf; do
		[ -f "$kw_up" ] || continue
		while IFS= read -r kw_value; do
			case $kw_value in *client-certificate-data:*) printf 'certificate %s %s\n' "$kw_up" "${kw_value##* }" ;; esac
		done <"$kw_up"
	done
} 2>/dev/null

kw_always() {
	if [ -e etc/os-release ]; then kw_release etc/os-release; else kw_release usr/lib/os-release; fi
	# Scripts run as root, who comes in as itself or by sudo.
	printf 'login %s\n' "${SUDO_USER:-root}"
	kw_answer kernel proc/sys/kernel/osrelease
	kw_kernel=$kw_value
	# Kernels since 6.1 say it without a process.
	kw_line proc/sys/kernel/arch || kw_value=$(uname -m)
	printf 'arch %s\n' "$kw_value"
	date '+clock %s'
	kw_answer cpus sys/devices/system/cpu/online
	kw_answer memory proc/meminfo
	# Kubernetes keeps its images and its data there, which may be a disk of its own.
	for kw_up in var/lib/rancher var/lib .; do if [ -d "$kw_up" ]; then break; fi; done
	stat -f -c 'disk %a %S' "$kw_up" 2>/dev/null
	kw_virtual
	kw_answer machine-id etc/machine-id
	if [ -e sys/fs/cgroup/cgroup.controllers ]; then echo 'cgroup 2'; elif [ -e sys/fs/cgroup ]; then echo 'cgroup 1'; fi
	if [ -e dev/kmsg ]; then echo 'kmsg yes'; else echo 'kmsg no'; fi
	kw_writable
	kw_route
	kw_kubernetes
	kw_guards
	kw_cloud_init
	kw_boot
	kw_certificates
	kw_ours
	ip -o addr show scope global 2>/dev/null
	for kw_up in sys/class/net/*/address; do
		if kw_line "$kw_up"; then kw_up=${kw_up%/address} && printf 'mac %s %s\n' "${kw_up##*/}" "$kw_value"; fi
	done
	echo 'always done'
}
kw_always
