# The kernel's modules and settings, now and at every start, and swap.

# A module: its name, the name under /sys/module; its line in base64 on standard input.
kw_module() {
  kw_loaded=0
  kw_note_absent "module $1" || return 1
  if [ ! -d "$KW_ROOT/sys/module/$2" ]; then
    if ! modprobe "$1"; then
      ! kw_container || kw_no "the module $1 must be loaded by the hypervisor: this host is a container"
      return 1
    fi
    # What is built into the kernel may never show up there.
    [ ! -d "$KW_ROOT/sys/module/$2" ] || kw_loaded=9
  fi
  kw_lines /etc/modules-load.d/kubewright.conf
  case $? in
  0) return $kw_loaded ;;
  9) return 9 ;;
  *) return 1 ;;
  esac
}

# A kernel setting: its path under /proc/sys, its key, its value.
kw_sysctl() {
  kw_set=0
  kw_file=$KW_ROOT/proc/sys/$1
  [ -e "$kw_file" ] || { kw_no "this kernel has no setting $2; the module that brings it may not be loaded"; return 1; }
  # The kernel gives a number to the first read alone, and a shell reads sign by sign.
  kw_now=$(head -n 1 -- "$kw_file")
  # Values of several words stand there with tabs between them.
  set -f
  set -- "$1" "$2" "$3" $kw_now
  kw_key=$2 kw_value=$3
  shift 3
  kw_note_there "sysctl $kw_key" "$*" || return 1
  if [ "$*" != "$kw_value" ]; then
    if ! printf '%s\n' "$kw_value" >"$kw_file"; then
      ! kw_container || kw_no "the setting $kw_key must be made on the hypervisor: this host is a container"
      return 1
    fi
    kw_set=9
  fi
  kw_setting /etc/sysctl.d/90-kubewright.conf "$kw_key = " "$kw_key = $kw_value"
  case $? in
  0) return $kw_set ;;
  9) return 9 ;;
  *) return 1 ;;
  esac
}

# Swap is off, now and at every start.
kw_swap_off() {
  kw_off=0
  kw_swaps=
  while read -r kw_line kw_rest; do
    case $kw_line in
    Filename* | '') ;;
    *) kw_swaps="$kw_swaps $kw_line ${kw_rest##*[ \	]}" ;;
    esac
  done <"$KW_ROOT/proc/swaps"
  kw_note_there swap "$kw_swaps" "$KW_ROOT/etc/fstab" || return 1
  if [ -n "$kw_swaps" ]; then
    if kw_container; then
      kw_no 'swap must be taken away by the hypervisor: this host is a container'
      return 1
    fi
    swapoff -a || return 1
    kw_off=9
  fi
  [ -e "$KW_ROOT/etc/fstab" ] || return $kw_off
  kw_open /etc/fstab || return 1
  set -f
  kw_text=
  while IFS= read -r kw_line; do
    set -- $kw_line
    case ${1-},${3-} in
    '#'*) ;;
    *,swap) kw_line="# kubewright turned swap off: $kw_line" ;;
    esac
    kw_text=$kw_text$kw_line$kw_newline
  done <<KW_END
${kw_old%"$kw_newline"}
KW_END
  [ -n "$kw_old" ] || kw_text=
  set +f
  kw_close "$kw_text"
  case $? in
  0) return $kw_off ;;
  9) systemctl daemon-reload || : ; return 9 ;;
  *) return 1 ;;
  esac
}
