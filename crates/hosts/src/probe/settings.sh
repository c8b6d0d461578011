# Single settings of a host.
kw_hostname() {
	kw_answer "hostname $1 now" proc/sys/kernel/hostname
	kw_answer "hostname $1 boot" etc/hostname
	kw_done "$1"
}

kw_timezone() {
	if [ -L etc/localtime ]; then
		kw_link_for="$kw_link_for $1" kw_link_of="$kw_link_of$kw_nl./etc/localtime"
	elif [ ! -e etc/localtime ]; then
		printf 'zone %s UTC\n' "$1"
	fi
	# Debian had it twice until 12.
	kw_answer "zone $1" etc/timezone
	# $2: the zone itself. A host that knows none is given them all.
	if [ -e usr/share/zoneinfo/UTC ] && [ ! -e "$2" ]; then printf 'lacks %s zone\n' "$1"; fi
	kw_done "$1"
}

kw_locale() {
	kw_up=etc/locale.conf
	# Debian's old place counts where there is no new one.
	[ -e "$kw_up" ] || kw_up=etc/default/locale
	while IFS= read -r kw_value || [ -n "$kw_value" ]; do
		case $kw_value in LANG=*) printf 'locale %s %s\n' "$1" "$kw_value" ;; esac
	done 2>/dev/null <"$kw_up"
	kw_done "$1"
}

# Swap in use, swap of /etc/fstab, and compressed memory that its generator sets up at every start.
kw_swap() {
	while read -r kw_value kw_kind kw_up; do
		case $kw_kind in Type | '') ;; *) printf 'swap %s now\n' "$1" ;; esac
	done 2>/dev/null <proc/swaps
	while read -r kw_value kw_up kw_kind kw_flags kw_x || [ -n "$kw_value" ]; do
		case $kw_value,$kw_kind,",$kw_flags," in
			'#'* | *,noauto,*) ;;
			*,swap,*) printf 'swap %s boot\n' "$1" ;;
		esac
		kw_value=
	done 2>/dev/null <etc/fstab
	if [ -e usr/lib/systemd/system-generators/zram-generator ]; then
		kw_up=etc/systemd/zram-generator.conf
		[ -e "$kw_up" ] || kw_up=usr/lib/systemd/zram-generator.conf
		if [ -s "$kw_up" ]; then printf 'swap %s boot\n' "$1"; fi
	fi
	kw_done "$1"
}

# The settings in force for everyone, as the daemon itself reads them.
kw_ssh() {
	kw_value=$(sshd -T 2>/dev/null)
	if [ -z "$kw_value" ]; then printf 'denied %s\n' "$1" && return 0; fi
	kw_at=$1
	# Who comes in as root must not be locked out.
	case ${SUDO_USER:-root} in root) printf 'sshd %s wayin root\n' "$1" ;; esac
	IFS=$kw_nl
	set -f
	for kw_value in $kw_value; do
		case $kw_value in
			'port '* | 'passwordauthentication '* | 'permitrootlogin '* | 'kbdinteractiveauthentication '*)
				printf 'sshd %s %s\n' "$kw_at" "$kw_value" ;;
		esac
	done
	set +f
	IFS=$kw_blank
	kw_done "$kw_at"
}
