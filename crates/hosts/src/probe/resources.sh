# What is asked of single resources. $1 is the resource's place in the list, and $2 its path or name.
# Each resource ends with exactly one of: done, absent, denied.
kw_stat_for= kw_stat_of= kw_sum_for= kw_sum_of= kw_link_for= kw_link_of= kw_unit_for= kw_unit_of=
kw_set_for= kw_set_of= kw_patterns= kw_conf_of=

# Goes on only when the path is there and may be read; says what is so otherwise.
kw_readable() {
	kw_there "$2"
	case $? in
		0) ;;
		1) printf 'absent %s\n' "$1" && return 1 ;;
		*) printf 'denied %s\n' "$1" && return 1 ;;
	esac
	if [ -d "$2" ]; then printf 'lacks %s folder\n' "$1"; fi
	if [ ! -f "$2" ]; then printf 'absent %s\n' "$1" && return 1; fi
	if [ ! -r "$2" ]; then printf 'denied %s\n' "$1" && return 1; fi
}

kw_stat() { kw_stat_for="$kw_stat_for $1" kw_stat_of="$kw_stat_of$kw_nl$2"; }
kw_sum() { kw_sum_for="$kw_sum_for $1" kw_sum_of="$kw_sum_of$kw_nl$2"; }
kw_done() { printf 'done %s\n' "$1"; }

# All words of a small file of ours, as an answer.
kw_words() {
	kw_record=
	while read -r kw_value || [ -n "$kw_value" ]; do kw_record="$kw_record $kw_value"; done <"$2"
	printf 'record %s%s\n' "$1" "$kw_record"
} 2>/dev/null

# A folder, or a link that leads to one.
kw_directory() {
	kw_there "$2"
	case $? in 2) printf 'denied %s\n' "$1" && return 0 ;; esac
	if [ ! -d "$2" ]; then
		if [ -e "$2" ]; then printf 'lacks %s file\n' "$1"; fi
		printf 'absent %s\n' "$1" && return 0
	fi
	kw_stat "$1" "$2"
	kw_done "$1"
}

# $3 is the digest that it should have, when what is in it may be shown.
kw_file() {
	kw_readable "$1" "$2" || return 0
	if [ -n "${3-}" ]; then eval "kw_wanted_$1=\$3 kw_path_$1=\$2"; fi
	kw_stat "$1" "$2"
	kw_sum "$1" "$2"
	kw_done "$1"
}

# $3 is where its record is. Whether its digest is needed is known after stat.
kw_download() {
	kw_readable "$1" "$2" || return 0
	kw_stat "$1" "$2"
	kw_there "$3"
	case $? in
		0) if [ -r "$3" ]; then kw_words "$1" "$3"; else printf 'denied %s\n' "$1" && return 0; fi ;;
		1) kw_record= ;;
		*) printf 'denied %s\n' "$1" && return 0 ;;
	esac
	eval "kw_record_$1=\$kw_record"
	kw_done "$1"
}

# A verified download that nobody touched since is known without reading it again. $3 is its mark.
kw_held() {
	eval "kw_at=\${kw_at_$1-} kw_record=\${kw_record_$1-}"
	case $kw_at in '') return 0 ;; esac
	case "$kw_record " in " $3 ${kw_at#* * * } "*) return 0 ;; esac
	kw_sum "$1" "$2"
}

kw_link() {
	if [ -L "$2" ]; then
		kw_link_for="$kw_link_for $1" kw_link_of="$kw_link_of$kw_nl$2"
		kw_done "$1"
		return
	fi
	if [ -d "$2" ]; then printf 'lacks %s folder\n' "$1"; fi
	kw_there "$2"
	case $? in 2) printf 'denied %s\n' "$1" ;; *) printf 'absent %s\n' "$1" ;; esac
}

kw_block() {
	kw_readable "$1" "$2" || return 0
	kw_inside=
	while IFS= read -r kw_value || [ -n "$kw_value" ]; do
		case $kw_value in '# BEGIN kubewright') kw_inside=1 ;; esac
		case $kw_inside in 1) printf 'text %s %s\n' "$1" "$kw_value" ;; esac
		case $kw_value in '# END kubewright') kw_inside= ;; esac
	done <"$2"
	kw_done "$1"
}

kw_lines() {
	kw_readable "$1" "$2" || return 0
	while IFS= read -r kw_value || [ -n "$kw_value" ]; do
		case $kw_value in '['*) break ;; esac
		printf 'text %s %s\n' "$1" "$kw_value"
	done <"$2"
	kw_done "$1"
}

kw_sysctl() {
	if [ ! -e "$2" ]; then printf 'lacks %s setting\n' "$1"; fi
	kw_readable "$1" "$2" || return 0
	kw_set_for="$kw_set_for $1" kw_set_of="$kw_set_of$kw_nl$2"
	kw_done "$1"
}

kw_module() {
	if [ -d "sys/module/$2" ]; then kw_done "$1"; else printf 'absent %s\n' "$1"; fi
}

kw_unit() {
	kw_unit_for="$kw_unit_for $1" kw_unit_of="$kw_unit_of$kw_nl$2"
	kw_value=./etc/systemd/system/$2
	if [ -f "$kw_value" ] && [ ! -L "$kw_value" ]; then
		if [ ! -r "$kw_value" ]; then printf 'denied %s\n' "$1" && return 0; fi
		kw_sum "$1" "$kw_value"
	fi
	kw_value=./var/lib/kubewright/units/$2.reads
	kw_there "$kw_value"
	case $? in
		0) kw_words "$1" "$kw_value" ;;
		2) printf 'denied %s\n' "$1" && return 0 ;;
	esac
	kw_done "$1"
}

# $2 is its name, $3 the record, $4 the sudoers file, $5 the groups that are asked for, and $6 the rest of its entry, from
# its own group on: empty when there is no such user.
kw_user() {
	if [ -z "$6" ]; then printf 'absent %s\n' "$1" && return 0; fi
	kw_there "$3"
	case $? in
		0) if [ -r "$3" ]; then kw_words "$1" "$3"; else printf 'denied %s\n' "$1" && return 0; fi ;;
		2) printf 'denied %s\n' "$1" && return 0 ;;
	esac
	kw_record=${6#*:*:}
	case $kw_record in *:*) ;; *) kw_record=$kw_record: ;; esac
	kw_home=${kw_record%%:*}
	printf 'user %s %s\n' "$1" "${kw_record#*:}"
	if [ -n "$5" ]; then kw_groups "$1" "$2" "$5" "${6%%:*}"; fi
	kw_keys "$1" ".$kw_home/.ssh" && kw_maybe "$1" sudo "$4" && kw_done "$1"
}

# Of the groups $3 those that the user $2 is in, whose own group has the number $4. Who is in one by none of the host's own
# files may be by a directory that others keep.
kw_groups() {
	kw_inside=,
	while IFS=: read -r kw_value kw_x kw_up kw_record; do
		case ",$3," in *",$kw_value,"*) ;; *) continue ;; esac
		case "$kw_up,$kw_record," in "$4,"* | *",$2,"*) kw_inside=$kw_inside$kw_value, ;; esac
	done <etc/group
	kw_up=
	IFS=,
	for kw_value in $3; do
		case $kw_inside in *",$kw_value,"*) ;; *) kw_up=lacks ;; esac
	done
	IFS=$kw_blank
	if [ -n "$kw_up" ]; then
		for kw_value in $(id -nG -- "$2"); do kw_inside=$kw_inside$kw_value,; done
	fi
	IFS=,
	for kw_value in $3; do
		case $kw_inside in *",$kw_value,"*) printf 'group %s %s\n' "$1" "$kw_value" ;; esac
	done
	IFS=$kw_blank
} 2>/dev/null

# The keys below the folder $2: those in our block, and lines of others, which are no longer than a key is. A link may
# lead anywhere, so nobody follows it.
kw_keys() {
	kw_there "$2/authorized_keys"
	case $? in 1) return 0 ;; 2) printf 'denied %s\n' "$1" && return 1 ;; esac
	if [ -L "$2" ] || [ -L "$2/authorized_keys" ] || [ ! -f "$2/authorized_keys" ]; then return 0; fi
	if [ ! -r "$2/authorized_keys" ]; then printf 'denied %s\n' "$1" && return 1; fi
	kw_inside=other kw_up=0
	while IFS= read -r kw_value || [ -n "$kw_value" ]; do
		case $kw_value in
			'# BEGIN kubewright') kw_inside=text ;;
			'# END kubewright') kw_inside=other ;;
			'' | '#'*) ;;
			*)
				kw_up=$((kw_up + 1))
				if [ "${#kw_value}" -lt 9000 ] && [ "$kw_up" -lt 1000 ]; then
					printf '%s %s %s\n' "$kw_inside" "$1" "$kw_value"
				fi
				;;
		esac
	done <"$2/authorized_keys"
}

# The shell of a user, $2, who may not be there yet.
kw_shell() {
	if [ ! -e "$2" ]; then printf 'lacks %s shell\n' "$1"; fi
}

# Whose something is to be: $2 is a user, $3 a group.
kw_owner() {
	kw_account passwd "$2" || printf 'lacks %s user\n' "$1"
	kw_account group "$3" || printf 'lacks %s group\n' "$1"
}

# Whether a host knows a name. Who is in none of its own files may be in a directory that others keep.
kw_account() {
	case $2 in *[!0-9]*) ;; *) return 0 ;; esac
	while IFS=: read -r kw_value kw_x; do
		if [ "$kw_value" = "$2" ]; then return 0; fi
	done <"etc/$1"
	if command -v getent >/dev/null; then getent "$1" "$2" >/dev/null; fi
} 2>/dev/null

# A file that need not be there.
kw_maybe() {
	kw_there "$3"
	case $? in 1) return 0 ;; 2) printf 'denied %s\n' "$1" && return 1 ;; esac
	if [ ! -r "$3" ]; then printf 'denied %s\n' "$1" && return 1; fi
	kw_sum "$1.$2" "$3"
}

# $2 is its name. What its package manager reads is where the change puts it.
kw_repository() {
	kw_readable "$1" "./var/lib/kubewright/repositories/$2" || return 0
	kw_words "$1" "./var/lib/kubewright/repositories/$2"
	kw_key=./etc/pki/rpm-gpg/kubewright-$2.asc
	if command -v apt-get >/dev/null; then
		kw_key=./etc/apt/keyrings/kubewright-$2.asc kw_list=./etc/apt/sources.list.d/kubewright-$2.sources
	elif command -v dnf >/dev/null; then
		kw_list=./etc/yum.repos.d/kubewright-$2.repo
	else
		kw_list=./etc/zypp/repos.d/kubewright-$2.repo
	fi
	kw_maybe "$1" key "$kw_key" && kw_maybe "$1" list "$kw_list" && kw_done "$1"
}
