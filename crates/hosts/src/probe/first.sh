# What only a host without Kubernetes is asked: it takes time.
kw_sources=

# How long a write of etcd's size takes until it is on the disk, in microseconds.
kw_flush() {
	if [ "$kw_joined" = yes ]; then return 0; fi
	kw_at=var/lib/.kubewright-flush
	set -- "$(date +%s%N)"
	dd if=/dev/zero of="$kw_at" bs=2300 count=50 oflag=dsync && set -- "$1" "$(date +%s%N)"
	rm -f -- "$kw_at"
	case ${2-no}$1 in *[!0-9]*) return 0 ;; esac
	printf 'flush %s\n' $((($2 - $1) / 50000))
} 2>/dev/null

# Whether anything can be fetched from a source. $1: its address; $2: where what comes from there will be. Any answer
# will do: what is there is asked for later.
kw_source() {
	if [ "$kw_joined" = yes ] || [ -e "$2" ]; then return 0; fi
	case $kw_sources in *"|$1|"*) return 0 ;; esac
	kw_sources="$kw_sources|$1|"
	if command -v curl >/dev/null; then
		kw_value=$(curl -sS -I -o /dev/null --connect-timeout 10 --max-time 15 "$1/" 2>&1 </dev/null)
	elif command -v wget >/dev/null; then
		kw_value=$(wget -nv --spider --tries=1 --timeout=10 "$1/" 2>&1 </dev/null)
		case $?$kw_value in 8* | *' error: HTTP'*) true ;; 0*) ;; *) false ;; esac
	else
		return 0
	fi
	if [ $? = 0 ]; then kw_value=; else kw_value=" ${kw_value##*"$kw_nl"}"; fi
	printf 'source %s%s\n' "$1" "$kw_value"
}
