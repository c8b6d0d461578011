# Packages that wait for an update: what an upgrade would take now, by the lists that the host has. Nothing is fetched and
# nothing is locked. $1 of the answer is when the lists were fetched, 0 where nobody tells.
kw_updates() {
	kw_up=0
	if command -v apt-get >/dev/null; then
		# The folder is touched by every update; the lists themselves have their publisher's time.
		kw_value=$(LC_ALL=C timeout 30 apt-get -q -s -o Debug::NoLocking=1 --with-new-pkgs upgrade </dev/null) || return 0
		kw_x=$(printf '%s\n' "$kw_value" | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
		kw_up=$(stat -c %Y var/lib/apt/lists/partial)
	elif command -v dnf >/dev/null; then
		# 100 says that there are some.
		kw_value=$(LC_ALL=C timeout 30 dnf -q -C check-update </dev/null)
		case $? in 0 | 100) ;; *) return 0 ;; esac
		kw_x=$(printf '%s\n' "$kw_value" | sed -n -e '/^Obsoleting/q' -e 's/^\([^ ]*\)\.[^ .]*  *[^ ][^ ]*  *[^ ][^ ]* *$/\1/p')
	elif command -v zypper >/dev/null; then
		kw_value=$(LC_ALL=C timeout 30 zypper --non-interactive --no-refresh --quiet list-updates </dev/null) || return 0
		kw_x=$(printf '%s\n' "$kw_value" | sed -n 's/^v *|[^|]*| *\([^ |]*\) .*/\1/p')
	else
		return 0
	fi
	printf 'updates %s%s\n' "${kw_up:-0}" "$(printf '%s\n' "$kw_x" | sort -u | head -n 1000 | sed -n 's/..*/ &/p' | tr -d '\n')"
} 2>/dev/null
