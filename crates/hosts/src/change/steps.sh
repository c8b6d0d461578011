# A recipe's steps.

# Runs a program.
kw_run() {
  "$@"
  kw_code=$?
  [ $kw_code != 0 ] || return 9
  kw_no "it ended with $kw_code"
}

# Removes a file, or a folder with all that is in it but what is mounted there, and what we remember of it: path, the
# name of a download's memory.
kw_remove() {
  case $1 in
  /etc/systemd/system/*) rm -f -- "$KW_STATE/units/${1##*/}.reads" || return 1 ;;
  esac
  rm -f -- "$KW_STATE/downloads/$2" || return 1
  [ -e "$KW_ROOT$1" ] || [ -L "$KW_ROOT$1" ] || return 0
  rm -rf --one-file-system -- "$KW_ROOT$1" && return 9
  # A disk that is mounted there is the host's own: it stays, and is empty.
  kw_has mountpoint && mountpoint -q -- "$KW_ROOT$1" && [ -z "$(ls -A -- "$KW_ROOT$1" | grep -vx 'lost+found')" ] && return 9
  return 1
}

# Enables and starts a unit, without waiting until it is ready: its name, what it reads.
kw_start() {
  systemctl -q enable "$1" || return 1
  kw_verb=start
  if systemctl -q is-active "$1"; then
    [ ! -e "$KW_STATE/units/$1.reads" ] || return 0
    # Somebody else started it, or we died right after that: nobody knows what it has read.
    kw_verb=restart
  fi
  kw_forgiven "$1"
  systemctl --no-block "$kw_verb" "$1" || { kw_unit_failed "$1"; return 1; }
  kw_remember_unit "$1" "$2" && return 9
  return 1
}

# Restarts a unit. One that takes long to be ready is waited for by the next step; by then the old one is gone.
kw_restart() {
  kw_forgiven "$1"
  timeout 120 systemctl restart "$1"
  case $? in
  0 | 124) kw_remember_unit "$1" "$2" && return 9 ;;
  *) kw_unit_failed "$1" ;;
  esac
  return 1
}

# Stops and disables a unit and forgets what it has read: its name. One that is not there is stopped already.
kw_stop() {
  kw_done=0
  [ ! -e "$KW_STATE/units/$1.reads" ] || kw_done=9
  rm -f -- "$KW_STATE/units/$1.reads" || return 1
  case $(systemctl show -p LoadState "$1") in
  *LoadState=not-found*) return $kw_done ;;
  esac
  ! systemctl -q is-enabled "$1" 2>/dev/null || { systemctl -q disable "$1" && kw_done=9; } || return 1
  # Also what is about to be started again.
  systemctl stop "$1" || { kw_unit_failed "$1"; return 1; }
  return $kw_done
}

kw_hex() {
  tail -n "$1" | tail -c 20000 | od -An -v -tx1 | tr -d ' \n'
}

# Looks once whether a program succeeds, and tells why not yet: the unit whose log tells more or nothing, yes when it is
# the last look, the program.
kw_until() {
  kw_unit=$1 kw_last=$2
  shift 2
  kw_log=$(timeout 60 "$@" 2>&1) && { echo 'u done'; return 0; }
  printf 'u wait %s\n' "$(printf '%s\n' "$kw_log" | kw_hex 5)"
  [ -n "$kw_unit" ] || return 1
  kw_active= kw_sub=
  kw_shown=$(systemctl show -p ActiveState -p SubState "$kw_unit" 2>&1)
  while read -r kw_line; do
    case $kw_line in
    ActiveState=*) kw_active=${kw_line#*=} ;;
    SubState=*) kw_sub=${kw_line#*=} ;;
    esac
  done <<KW_END
$kw_shown
KW_END
  # What does not end well while the host goes down may begin well when it is back.
  [ "$kw_active" != failed ] || [ -z "$(kw_leaving)" ] || kw_active=deactivating
  printf 'u state %s %s\n' "$kw_active" "$kw_sub"
  case $kw_last,$kw_active,$kw_sub in
  yes,* | *,failed,* | *,auto-restart)
    ! kw_has journalctl ||
      printf 'u log %s\n' "$(journalctl -u "$kw_unit" -n 30 --no-pager -o cat 2>/dev/null | kw_hex 30)"
    ;;
  esac
  return 1
}

# Gives a file's bytes: its index, its path.
kw_give() {
  if [ -f "$KW_ROOT$2" ]; then
    printf 'g %s %s\n' "$1" "$(base64 <"$KW_ROOT$2" | tr -d '\n')"
    [ "$3" != once ] || rm -f -- "$KW_ROOT$2"
  else
    printf 'g %s missing\n' "$1"
    return 1
  fi
}
