# systemd's units. What a unit read when it started last is remembered, so that one that reads something newer is
# restarted, also when an earlier run died in between.

# Says what a unit's log tells, and that it failed.
kw_unit_failed() {
  ! kw_has journalctl || journalctl -u "$1" -n 30 --no-pager -o cat || :
  return 1
}

# A unit as it is before us: its name, and file when its file is about to be ours.
kw_note_unit() {
  kw_known "unit $1" && { kw_note_unit_file "$@"; return; }
  if kw_older "unit $1" "$KW_STATE/units/$1.reads"; then
    # Nor is its file, which is about to be written.
    kw_notes=
    return
  fi
  kw_found=
  case $1 in *@*) kw_found=1 ;; esac
  for kw_at in etc/systemd/system usr/lib/systemd/system lib/systemd/system run/systemd/system; do
    [ ! -e "$KW_ROOT/$kw_at/$1" ] || kw_found=1
  done
  # systemd knows more places, and makes units itself out of what it finds elsewhere.
  if [ -z "$kw_found" ] && kw_has systemctl; then
    case $(systemctl show -p LoadState "$1") in
    *=not-found* | '') ;;
    *) kw_found=1 ;;
    esac
  fi
  [ -n "$kw_found" ] || { kw_note_absent "unit $1"; return; }
  kw_runs=no kw_boots=no
  ! systemctl -q is-active "$1" || kw_runs=yes
  ! systemctl -q is-enabled "$1" 2>/dev/null || kw_boots=yes
  kw_note_there "unit $1" "$kw_runs $kw_boots ${2-}" "$KW_ROOT/etc/systemd/system/$1"
}

# The same, when only its state was ours so far.
kw_note_unit_file() {
  [ "${2-}" = file ] && [ -n "$kw_notes" ] && [ -e "$kw_before/there/$kw_noted" ] || return 0
  read -r kw_words <"$kw_before/there/$kw_noted" || return 1
  case $kw_words in *file) return 0 ;; esac
  kw_keep "$kw_before/kept/$kw_noted" "$KW_ROOT/etc/systemd/system/$1" && kw_note_words "unit $1" "$kw_words file"
}

# Writes a unit's file: its name, the digest; its bytes in base64 on standard input.
kw_unit_file() {
  kw_note_unit "$1" file && kw_whole "unit $1" "/etc/systemd/system/$1" 644 root:root "$2"
}

# systemd, where there is one, reads its files again when any was written: one word for each.
kw_reload() {
  case $* in
  *changed*) ! kw_has systemctl || systemctl daemon-reload ;;
  esac
}

kw_remember_unit() {
  kw_state units && kw_write "$2$kw_newline" "$KW_STATE/units/$1.reads" 600 0:0
}

# Enables and starts a unit as wished: its name, yes or no for enabled, running, reloading, oneshot or byrecipe, what it
# reads, and whether its file was changed.
kw_unit() {
  kw_was= kw_active= kw_enabled= kw_loaded= kw_done=0
  [ "$5" != changed ] || kw_done=9
  [ ! -e "$KW_STATE/units/$1.reads" ] || read -r kw_was <"$KW_STATE/units/$1.reads" || return 1
  kw_has systemctl || kw_no 'this host has no systemd' || return 1
  kw_shown=$(systemctl show -p LoadState -p ActiveState -p UnitFileState -p NeedDaemonReload "$1") || return 1
  while read -r kw_line; do
    case $kw_line in
    LoadState=*) kw_loaded=${kw_line#*=} ;;
    ActiveState=*) kw_active=${kw_line#*=} ;;
    UnitFileState=*) kw_enabled=${kw_line#*=} ;;
    # An earlier run died between the file and this.
    NeedDaemonReload=yes) systemctl daemon-reload || return 1 ;;
    esac
  done <<KW_END
$kw_shown
KW_END
  [ "$kw_loaded" != not-found ] || { kw_no "this host has no unit $1"; return 1; }
  kw_note_unit "$1" || return 1
  # One that waits for its recipe neither starts nor is started at boot before that.
  [ "$3,$kw_was" != byrecipe, ] && kw_runs=1 || kw_runs=
  kw_unit_enabled "$1" "$2" && kw_unit_started "$@" && return $kw_done
  return 1
}

kw_unit_enabled() {
  case $2$kw_runs,$kw_enabled in
  yes1,enabled | yes1,static | yes1,alias | yes1,indirect | yes1,generated) ;;
  yes1,*) systemctl -q enable "$1" && kw_done=9 ;;
  *,enabled) systemctl -q disable "$1" && kw_done=9 ;;
  esac
}

kw_unit_started() {
  [ -n "$kw_runs" ] || return 0
  case $3,$kw_active in
  *,active | *,reloading | byrecipe,activating)
    if [ "$3" = oneshot ] || [ "$kw_was" = "$4" ]; then
      [ "$3,$kw_active" = byrecipe,activating ] || return 0
      # An earlier run has restarted it, and died or gave up before it was ready.
      kw_ready "$1" && kw_done=9
      return
    fi
    # A unit whose own file was changed is another one.
    [ "$3,$5" = reloading,same ] && kw_verb=reload || kw_verb=restart
    ;;
  # It has done its work; one that failed has not.
  oneshot,inactive)
    [ "$kw_was" != "$4" ] || return 0
    kw_verb=start
    ;;
  *) kw_verb=start ;;
  esac
  if [ "$3" = byrecipe ]; then
    kw_patiently "$kw_verb" "$1" "$4" && kw_done=9
  else
    kw_bounded "$kw_verb" "$1" && kw_remember_unit "$1" "$4" && kw_done=9
  fi
}

# Kubernetes may take long until it says that it is ready: it brings images in first. Until it does, what it was before may
# still serve, so nobody goes on to the next host; and it is not restarted once more for having taken long.
kw_patiently() {
  kw_forgiven "$2"
  timeout 300 systemctl "$1" "$2"
  case $? in
  0 | 124) kw_remember_unit "$2" "$3" && kw_ready "$2" ;;
  *) kw_unit_failed "$2" ;;
  esac
}

# Waits until a unit is ready: its name.
kw_ready() {
  kw_left=300
  while ! systemctl -q is-active "$1"; do
    kw_left=$((kw_left - 1))
    case $kw_left,$(systemctl show -p ActiveState "$1") in
    0,* | *ActiveState=failed*) printf '%s\n' "$1 is not ready yet" && kw_unit_failed "$1" || return 1 ;;
    esac
    sleep 2
  done
}

# systemd refuses what was started often within seconds, and counts failures. Who asks for it now means it.
kw_forgiven() {
  systemctl reset-failed "$1" 2>/dev/null || :
}

# A unit that never says that it is ready must not hold us for ever.
kw_bounded() {
  kw_forgiven "$2"
  timeout 300 systemctl "$1" "$2"
  case $? in
  0) return 0 ;;
  124) printf '%s\n' "$2 was not ready within 5 minutes" ;;
  esac
  kw_unit_failed "$2"
}
