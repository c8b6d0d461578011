# The processes: one of each kind for everything that was asked.
kw_run_stat() {
	[ -n "$kw_stat_for" ] || return 0
	IFS=$kw_nl
	set -f
	set -- $kw_stat_of
	kw_up=$#
	set -- $(stat -L -c '%a %U:%G %u:%g %s %Y' -- "$@" 2>/dev/null)
	IFS=$kw_blank
	# A file that went away meanwhile would shift all answers.
	if [ $# -ne "$kw_up" ]; then set +f && return 0; fi
	for kw_at in $kw_stat_for; do
		eval "kw_at_$kw_at=\$1"
		printf 'stat %s %s\n' "$kw_at" "$1"
		shift
	done
	set +f
}

# The kernel gives a number of its settings to the first read of a file alone, and a shell reads sign by sign.
kw_run_settings() {
	[ -n "$kw_set_for" ] || return 0
	IFS=$kw_nl
	set -f
	set -- $kw_set_of
	IFS=$kw_blank
	set +f
	kw_value=$kw_nl$(grep -Hs '' -- "$@" /dev/null)
	for kw_at in $kw_set_for; do
		kw_record=
		case $kw_value in *"$kw_nl$1:"*) kw_record=${kw_value#*"$kw_nl$1:"} ;; esac
		printf 'value %s %s\n' "$kw_at" "${kw_record%%"$kw_nl"*}"
		shift
	done
}

# $1: the bytes of the longest text that is shown.
kw_run_sum() {
	[ -n "$kw_sum_for" ] || return 0
	kw_most=$1
	IFS=$kw_nl
	set -f
	set -- $kw_sum_of
	kw_value=$(sha256sum -- "$@" 2>/dev/null)
	printf 'sums%s\n' "$kw_sum_for"
	if [ -n "$kw_value" ]; then printf '%s\n' "$kw_value"; fi
	echo 'sums done'
	kw_up=$#
	set -- $kw_value
	IFS=$kw_blank
	set +f
	if [ $# -ne "$kw_up" ]; then return 0; fi
	for kw_at in $kw_sum_for; do
		case $kw_at in *[!0-9]*) ;; *) kw_text "$kw_at" "${1#\\}" ;; esac
		shift
	done
}

# What is in a file that is not as it should be, when everybody may read it anyway. $1: its index, $2: its digest.
kw_text() {
	eval "kw_record=\${kw_wanted_$1-} kw_path=\${kw_path_$1-} kw_stat=\${kw_at_$1-}"
	if [ "${2%% *}" = "${kw_record:=${2%% *}}" ]; then return 0; fi
	case ${kw_stat%% *} in *[4567]) ;; *) return 0 ;; esac
	kw_stat=${kw_stat% *}
	if [ "${kw_stat##* }" -gt "$kw_most" ]; then return 0; fi
	kw_record=$(base64 -w 0 <"$kw_path") && printf 'content %s %s\n' "$1" "$kw_record"
} 2>/dev/null

kw_run_links() {
	[ -n "$kw_link_for" ] || return 0
	IFS=$kw_nl
	set -f
	set -- $kw_link_of
	kw_up=$#
	kw_value=$(readlink -- "$@" 2>/dev/null)
	set -- $kw_value
	if [ $# -ne "$kw_up" ]; then
		# A readlink that takes one path only, or a target of many lines.
		set -- $kw_link_of
		kw_value=
	fi
	IFS=$kw_blank
	for kw_at in $kw_link_for; do
		kw_record=$1
		[ -n "$kw_value" ] || kw_record=$(readlink -- "$1")
		case $kw_record in *"$kw_nl"*) kw_record="${kw_record%%"$kw_nl"*}..." ;; esac
		printf 'link %s %s\n' "$kw_at" "$kw_record"
		shift
	done
	set +f
}

kw_run_units() {
	if [ -e usr/local/bin/k3s ]; then kw_unit_for="$kw_unit_for k3s" kw_unit_of="$kw_unit_of${kw_nl}k3s.service"; fi
	if [ -e usr/local/bin/rke2 ]; then kw_unit_for="$kw_unit_for rke2" kw_unit_of="$kw_unit_of${kw_nl}rke2-server.service"; fi
	if [ -e usr/local/bin/kubelet ]; then kw_unit_for="$kw_unit_for kubelet" kw_unit_of="$kw_unit_of${kw_nl}kubelet.service"; fi
	[ -n "$kw_unit_for" ] || return 0
	printf 'units%s\n' "$kw_unit_for"
	IFS=$kw_nl
	set -f
	set -- $kw_unit_of
	IFS=$kw_blank
	set +f
	systemctl show --no-pager --property=Names,LoadState,ActiveState,SubState,UnitFileState -- "$@" 2>/dev/null
	printf '\nunits done\n'
}

# The files that set something at every start, the ones with the last word last. $1: sysctl.d, modules-load.d.
kw_conf() {
	for kw_up in usr/lib run etc; do
		for kw_value in "$kw_up/$1"/*.conf; do
			[ -r "$kw_value" ] || continue
			kw_record=${kw_value##*/}
			# A file of the same name hides this one.
			case $kw_up in usr/lib) if [ -e "run/$1/$kw_record" ]; then continue; fi ;; esac
			case $kw_up in usr/lib | run) if [ -e "etc/$1/$kw_record" ]; then continue; fi ;; esac
			kw_conf_of="$kw_conf_of$kw_nl$kw_value"
		done
	done
}

# Listening ports, and lines that set what was asked at every start. $1: patterns, a line each.
kw_run_search() {
	echo search
	kw_patterns=" 0A $kw_nl$1"
	IFS=$kw_nl
	set -f
	set -- proc/net/tcp proc/net/tcp6 $kw_conf_of
	IFS=$kw_blank
	set +f
	grep -HsF -e "${kw_patterns%"$kw_nl"}" -- "$@"
	echo 'search done'
}

# What of these packages is installed, and what of the others is provided by another package.
kw_packages() {
	if command -v dpkg-query >/dev/null; then kw_manager=dpkg; elif command -v rpm >/dev/null; then kw_manager=rpm; else
		echo 'packages none' && return 0
	fi
	printf 'packages %s\n' "$kw_manager"
	if [ -x usr/bin/pveversion ]; then set -- pve-manager "$@"; fi
	[ $# -gt 0 ] || return 0
	case $kw_manager in
		dpkg)
			kw_value=$(dpkg-query -W -f 'package ${db:Status-Status} ${Package} ${Architecture} ${Version} ${db:Status-Want}\n' -- "$@" 2>/dev/null)
			if [ $? -gt 1 ]; then echo 'packages failed' && return 0; fi ;;
		rpm) kw_value=$(rpm -q --qf 'package installed %{NAME} %{ARCH} %{VERSION}\n' -- "$@" 2>/dev/null) ;;
	esac
	kw_record=
	for kw_at; do
		case "$kw_value$kw_nl" in
			*"package installed $kw_at "*) ;;
			*) kw_record="$kw_record$kw_nl$kw_at" ;;
		esac
	done
	IFS=$kw_nl
	set -f
	for kw_value in $kw_value; do
		case $kw_value in package\ *\ *\ *\ ?*) case $kw_value in *'is not installed') ;; *) printf '%s\n' "$kw_value" ;; esac ;; esac
	done
	set -- $kw_record
	IFS=$kw_blank
	set +f
	[ $# -gt 0 ] || return 0
	case $kw_manager in
		dpkg) dpkg-query -W -f 'provides ${db:Status-Status} ${Provides}\n' 2>/dev/null | grep -F -e "${kw_record#"$kw_nl"}" ;;
		rpm)
			kw_kind=
			for kw_at; do kw_kind="$kw_kind${kw_nl}provides installed $kw_at"; done
			rpm -q --whatprovides --qf '[provides installed %{PROVIDENAME}\n]' -- "$@" 2>/dev/null |
				grep -Fx -e "${kw_kind#"$kw_nl"}" ;;
	esac
	return 0
}

# What dnf and zypper hold; dpkg says it with its packages.
kw_locks() {
	for kw_up in etc/zypp/locks etc/dnf/versionlock.toml etc/dnf/plugins/versionlock.list; do
		[ -r "$kw_up" ] || continue
		while IFS= read -r kw_value || [ -n "$kw_value" ]; do
			case $kw_value in '#'* | '') ;; *) printf 'lock %s\n' "$kw_value" ;; esac
		done <"$kw_up"
	done
}
