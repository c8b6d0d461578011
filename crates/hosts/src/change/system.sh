# Single settings of the whole system.

# The host's name.
kw_hostname() {
  kw_done=0 kw_now=
  read -r kw_now <"$KW_ROOT/proc/sys/kernel/hostname"
  kw_note_there hostname "$kw_now" "$KW_ROOT/etc/hostname" || return 1
  if [ "$kw_now" != "$1" ]; then
    # A container may have no right to one of these and to the other all the same.
    hostnamectl set-hostname "$1" || hostname "$1" || printf '%s\n' "$1" >"$KW_ROOT/proc/sys/kernel/hostname" || return 1
    kw_done=9
  fi
  kw_now=
  [ ! -e "$KW_ROOT/etc/hostname" ] || read -r kw_now <"$KW_ROOT/etc/hostname" || :
  [ "$kw_now" != "$1" ] || return $kw_done
  kw_write "$1$kw_newline" "$KW_ROOT/etc/hostname" 644 0:0 && return 9
  return 1
}

# The time zone.
kw_timezone() {
  kw_done=0
  kw_note_there 'time zone' '' "$KW_ROOT/etc/localtime" "$KW_ROOT/etc/timezone" || return 1
  if [ ! -f "$KW_ROOT/usr/share/zoneinfo/$1" ]; then
    # A small image has no time zones at all.
    if kw_has zypper; then kw_tools timezone; else kw_tools tzdata; fi
    [ -f "$KW_ROOT/usr/share/zoneinfo/$1" ] || { kw_no "this host knows no time zone $1"; return 1; }
  fi
  case $(readlink -- "$KW_ROOT/etc/localtime") in
  */zoneinfo/"$1") ;;
  *) ln -sfn -- "../usr/share/zoneinfo/$1" "$KW_ROOT/etc/localtime" && kw_done=9 || return 1 ;;
  esac
  # Debian had it twice until 12.
  [ -f "$KW_ROOT/etc/timezone" ] || return $kw_done
  read -r kw_now <"$KW_ROOT/etc/timezone" || :
  [ "$kw_now" != "$1" ] || return $kw_done
  kw_write "$1$kw_newline" "$KW_ROOT/etc/timezone" 644 0:0 && return 9
  return 1
}

# Whether the C library has a locale, under either spelling.
kw_has_locale() {
  case $kw_newline$(locale -a 2>/dev/null)$kw_newline in
  *"$kw_newline$1$kw_newline"* | *"$kw_newline$2$kw_newline"*) ;;
  *) return 1 ;;
  esac
}

kw_make_locale() {
  if kw_has apt-get; then
    if ! kw_has locale-gen; then
      kw_tools locales
      [ $? = 9 ] || return 1
    fi
    kw_line=
    while read -r kw_line; do
      case $kw_line in
      "$1 "*) break ;;
      *) kw_line= ;;
      esac
    done <"$KW_ROOT/usr/share/i18n/SUPPORTED"
    [ -n "$kw_line" ] || { kw_no "this host's C library supports no locale $1"; return 1; }
    kw_setting /etc/locale.gen "$kw_line" "$kw_line"
    [ $? != 1 ] && locale-gen
  elif kw_has dnf; then
    kw_tools "glibc-langpack-${1%%[_.@]*}"
  else
    kw_tools glibc-locale
  fi
}

# The locale: its name, and how the C library lists it.
kw_locale() {
  kw_done=0
  # Debian's old place is a link to the new one where there is a new one.
  kw_at=/etc/locale.conf
  [ -e "$KW_ROOT$kw_at" ] || ! kw_has apt-get || kw_at=/etc/default/locale
  kw_note_there locale "$kw_at" "$KW_ROOT$kw_at" "$KW_ROOT/etc/locale.gen" || return 1
  if ! kw_has_locale "$1" "$2"; then
    kw_make_locale "$1"
    kw_has_locale "$1" "$2" || { kw_no "the locale $1 could not be made"; return 1; }
    kw_done=9
  fi
  kw_setting "$kw_at" LANG= "LANG=$1"
  case $? in
  0) return $kw_done ;;
  9) return 9 ;;
  *) return 1 ;;
  esac
}

# Sets kw_clock to the first time service that the host has.
kw_clocks() {
  kw_clock=
  while read -r kw_line kw_rest; do
    case $kw_line in
    chrony.service | chronyd.service | ntpsec.service | ntpd.service | systemd-timesyncd.service)
      kw_clock=${kw_clock:-$kw_line}
      ;;
    esac
  done <<KW_END
$(systemctl list-unit-files --no-legend --no-pager chrony.service chronyd.service ntpsec.service ntpd.service \
    systemd-timesyncd.service 2>/dev/null | sort)
KW_END
  [ -n "$kw_clock" ]
}

# The system's time service runs.
kw_time_sync() {
  # A container has its hypervisor's clock, and may not set it.
  ! kw_container || return 0
  kw_done=0
  if ! kw_clocks; then
    if kw_has apt-get; then kw_tools systemd-timesyncd; else kw_tools chrony; fi
    [ $? != 1 ] && kw_clocks || { kw_no 'no time service could be installed'; return 1; }
    kw_done=9
  fi
  kw_runs=yes kw_boots=yes
  systemctl -q is-active "$kw_clock" || kw_runs=no
  systemctl -q is-enabled "$kw_clock" || kw_boots=no
  [ $kw_runs$kw_boots != yesyes ] || return $kw_done
  kw_note_there 'time service' "$kw_clock $kw_runs $kw_boots" || return 1
  systemctl -q enable --now "$kw_clock" && return 9
  return 1
}
