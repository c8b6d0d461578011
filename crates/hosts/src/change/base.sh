# What every script of a change stands on. A function that makes something true returns 0 when it was so already, 9 when
# it is so now, and anything else when it failed; it runs in a shell of its own, so its variables are its own too.
# KW_ROOT is empty on a real host; tests put a folder there.
KW_ROOT=${KW_ROOT-}
KW_STATE=$KW_ROOT/var/lib/kubewright
kw_newline='
'

# Says so when the host is on its way down, or to its next boot: then what failed means nothing.
kw_leaving() {
  [ -d "$KW_ROOT/run/systemd/system" ] || return 0
  case $(systemctl is-system-running 2>/dev/null) in
  initializing | starting | running | degraded | maintenance) ;;
  stopping) echo 'this host is shutting down' ;;
  *) echo 'it does not answer any more' ;;
  esac
}

# Does something; its index comes first. What fails is told at once.
kw_try() {
  kw_index=$1
  shift
  kw_log=$("$@" 2>&1)
  case $? in
  0) kw_verdict=same ;;
  8)
    kw_verdict=changed
    printf 't %s %s\n' "$kw_index" "$(printf '%s\n' "$kw_log" | sed -n 's/^kubewright tells: //p' | od -An -v -tx1 | tr -d ' \n')"
    ;;
  9) kw_verdict=changed ;;
  *)
    kw_log=$({ printf '%s\n' "$kw_log"; kw_leaving; } | tail -n 40 | tail -c 20000 | od -An -v -tx1 | tr -d ' \n')
    printf 'c %s failed %s\n' "$kw_index" "$kw_log"
    return 1
    ;;
  esac
}

# Does something and tells what came of it.
kw_do() {
  kw_try "$@" && printf 'c %s %s\n' "$1" "$kw_verdict"
}

# What was done last made these true as well.
kw_also() {
  for kw_index do
    printf 'c %s %s\n' "$kw_index" "$kw_verdict"
  done
}

# Says why not, for people.
kw_no() {
  printf '%s\n' "$*" >&2
  return 1
}

kw_has() {
  command -v "$1" >/dev/null 2>&1
}

# Whether this host is a container, whose kernel is its hypervisor's. systemd leaves that word.
kw_container() {
  [ -e "$KW_ROOT/run/systemd/container" ]
}

# Gives a path the context that SELinux wants for it.
kw_label() {
  [ ! -e "$KW_ROOT/sys/fs/selinux/enforce" ] || ! kw_has restorecon || restorecon "$1" || :
}

# Makes a folder, and those above it.
kw_folder() {
  [ ! -d "$1" ] || return 0
  kw_made=${1%/}
  while [ -n "$kw_made" ] && [ ! -e "$kw_made" ]; do
    kw_note_absent "folder ${kw_made#"$KW_ROOT"}" || return 1
    kw_made=${kw_made%/*}
  done
  mkdir -p -- "$1" && kw_label "$1"
}

# Our own memory on a host is root's alone. That it is there is what we forget last.
kw_state() {
  [ ! -d "$KW_STATE/$1" ] || return 0
  (umask 077 && mkdir -p -- "$KW_STATE/$1") && kw_label "$KW_STATE" && kw_note_absent 'folder /var/lib/kubewright'
}

# Whether a file has this mode and this owner, by name or by number.
kw_owned() {
  case $(stat -c '%a %U:%G %u:%g' -- "$1") in
  "$2 $3 "* | "$2 "*" $3") ;;
  *) return 1 ;;
  esac
}

# Sets mode and owner, never those of what a link leads to. A file system that has its own ideas of both is right when they are so already.
kw_own() {
  [ ! -L "$1" ] || { kw_no "${1#"$KW_ROOT"} is a link"; return 1; }
  { kw_ours "$1" "$3" || chown -h -- "$3" "$1"; } && chmod -- "$2" "$1" || kw_owned "$1" "$2" "$3"
}

# Whether a file is root's already, as one that we made is: the shell knows that by itself.
kw_ours() {
  case $2 in
  root:root | 0:0) [ ! -L "$1" ] && [ -O "$1" ] && [ -G "$1" ] ;;
  *) return 1 ;;
  esac
}

# Makes sure that nothing is there, be it a link that leads nowhere.
kw_gone() {
  { [ ! -e "$1" ] && [ ! -L "$1" ]; } || rm -f -- "$1"
}

# Whether a file's bytes have this digest.
kw_digested() {
  [ "$(sha256sum <"$1")" = "$2  -" ]
}

# Puts the bytes of standard input at a path: beside it first, then renamed over it, so that nobody ever sees a half and
# a link at the path is replaced, not followed. Path, mode, owner; then their digest or a command that must agree.
kw_put() {
  kw_put_by cat "$@"
}

# The same for bytes that come in base64.
kw_decode() {
  kw_put_by 'base64 -d' "$@"
}

# The same for a text, which comes first.
kw_write() {
  kw_bytes=$1
  shift
  kw_put_by kw_say "$@"
}

kw_say() {
  printf '%s' "$kw_bytes"
}

# The same for what a command prints, which comes first.
kw_put_by() {
  kw_by=$1
  shift
  if [ -d "$1" ]; then
    [ -L "$1" ] && rm -f -- "$1" || { kw_no "$1 is a folder"; return 1; }
  fi
  kw_folder "${1%/*}/" && kw_gone "$1.kubewright" || return 1
  # What it says first tells most.
  kw_said=$(exec 2>&1; umask 077 && set -C && $kw_by >"$1.kubewright") || kw_no "${kw_said%%"$kw_newline"*}" &&
    kw_placed "$@" || { rm -f -- "$1.kubewright"; return 1; }
}

kw_placed() {
  kw_own "$1.kubewright" "$2" "$3" || return 1
  if [ -n "${4-}" ]; then
    kw_digested "$1.kubewright" "$4" || { kw_no "$1 did not arrive whole"; return 1; }
  fi
  if [ -n "${5-}" ]; then
    "$5" "$1.kubewright" || return 1
  fi
  mv -f -- "$1.kubewright" "$1" && kw_label "$1"
}
