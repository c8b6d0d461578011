# The kernel's modules and settings, now and at every start, and swap.

# Modules: of each its index, its name, and its name under /sys/module. They are loaded one by one, and written down
# together.
kw_modules() {
  kw_first=$1 kw_all= kw_wish= kw_any=same
  while [ $# -gt 0 ]; do
    kw_try "$1" kw_module "$2" "$3" || return 1
    [ $kw_verdict = same ] || kw_any=changed
    kw_all="$kw_all $1" kw_wish=$kw_wish$2$kw_newline
    shift 3
  done
  kw_try "$kw_first" kw_lined /etc/modules-load.d/kubewright.conf && kw_all_told
}

# What became of all that were done together.
kw_all_told() {
  [ $kw_any = same ] || kw_verdict=changed
  kw_also $kw_all
}

# A module, now: its name, its name under /sys/module.
kw_module() {
  kw_note_absent "module $1" || return 1
  [ ! -d "$KW_ROOT/sys/module/$2" ] || return 0
  if ! modprobe "$1"; then
    ! kw_container || kw_no "the module $1 must be loaded by the hypervisor: this host is a container"
    return 1
  fi
  # What is built into the kernel may never show up there.
  [ ! -d "$KW_ROOT/sys/module/$2" ] || return 9
}

# Kernel settings: of each its index, its path under /proc/sys, its key, its value. They are set one by one, and written
# down together.
kw_sysctls() {
  kw_sysctls_now "$@" || return 1
  kw_first=$1 kw_all= kw_wish= kw_any=same
  while [ $# -gt 0 ]; do
    kw_now=
    case $kw_nows in
    *"$kw_newline$KW_ROOT/proc/sys/$2:"*)
      kw_now=${kw_nows#*"$kw_newline$KW_ROOT/proc/sys/$2:"}
      kw_now=${kw_now%%"$kw_newline"*}
      ;;
    esac
    kw_try "$1" kw_sysctl "$2" "$3" "$4" || return 1
    [ $kw_verdict = same ] || kw_any=changed
    kw_all="$kw_all $1" kw_wish="$kw_wish$3 = $4$kw_newline"
    shift 4
  done
  kw_try "$kw_first" kw_sysctls_kept && kw_all_told
}

# Reads what the kernel has of them into kw_nows, behind their paths. It gives a number to the first read alone, and a
# shell reads sign by sign.
kw_sysctls_now() {
  kw_paths=
  while [ $# -gt 0 ]; do
    [ -e "$KW_ROOT/proc/sys/$2" ] ||
      kw_try "$1" kw_no "this kernel has no setting $3; the module that brings it may not be loaded" || return 1
    kw_paths="$kw_paths $KW_ROOT/proc/sys/$2"
    shift 4
  done
  kw_nows=$kw_newline$(grep '' $kw_paths /dev/null 2>/dev/null)$kw_newline
}

# A kernel setting, now: its path under /proc/sys, its key, its value. What it is so far stands in kw_now.
kw_sysctl() {
  kw_file=$KW_ROOT/proc/sys/$1 kw_key=$2 kw_value=$3
  # Values of several words stand there with tabs between them.
  set -f
  set -- $kw_now
  kw_note_there "sysctl $kw_key" "$*" || return 1
  [ "$*" != "$kw_value" ] || return 0
  printf '%s\n' "$kw_value" >"$kw_file" && return 9
  ! kw_container || kw_no "the setting $kw_key must be made on the hypervisor: this host is a container"
  return 1
}

# The kernel settings of kw_wish, at every start.
kw_sysctls_kept() {
  kw_open /etc/sysctl.d/90-kubewright.conf || return 1
  kw_text=$kw_old
  while IFS= read -r kw_pair; do
    kw_set "${kw_pair%% = *} = " "$kw_pair"
  done <<KW_END
${kw_wish%"$kw_newline"}
KW_END
  kw_close "$kw_text"
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
