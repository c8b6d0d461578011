# Packages of the distribution, by the manager that the host has. A lock that others hold is an error here and now: who
# asked decides whether to wait.

kw_apt() {
  # Nothing asks, no configuration of the host's is replaced, and no service is restarted behind our back.
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none \
    apt-get -q -y -o DPkg::Lock::Timeout=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

# The folder is touched by every update; the lists themselves have their publisher's time.
kw_apt_is_fresh() {
  [ -n "$(find "$KW_ROOT/var/lib/apt/lists/partial" -prune -mtime -1 2>/dev/null)" ]
}

kw_apt_install() {
  if kw_apt_is_fresh; then
    kw_said=$(kw_apt --no-install-recommends install "$@" 2>&1) && return 0
    printf '%s\n' "$kw_said"
    case $kw_said in
    # What is not known, or gone from the mirror, may be there under newer lists.
    *'Unable to locate package'* | *'no installation candidate'* | *'Failed to fetch'* | *'Couldn'?'t find any package'*) ;;
    *) return 1 ;;
    esac
  fi
  kw_apt update && kw_apt --no-install-recommends install "$@"
}

kw_dnf() {
  # The fifth dnf never waits for its lock and does not know the option.
  if kw_has dnf5; then
    dnf5 -y --setopt=install_weak_deps=False install "$@"
  else
    dnf -y --setopt=install_weak_deps=False --setopt=exit_on_lock=True install "$@"
  fi
}

kw_zypper() {
  zypper --non-interactive "$@"
  # From 100 on it is a remark; 104 says that nobody has the package, 107 that its script failed.
  case $? in
  0 | 102 | 103 | 106) ;;
  *) return 1 ;;
  esac
}

kw_installed() {
  if kw_has dpkg-query; then
    kw_states=$(dpkg-query -W -f '${db:Status-Status} ' "$@" 2>/dev/null) || return 1
    case " $kw_states" in
    *' installed '*) ;;
    *) return 1 ;;
    esac
    for kw_state in $kw_states; do
      [ "$kw_state" = installed ] || return 1
    done
  else
    rpm -q --quiet "$@"
  fi
}

# All packages that are installed.
kw_list() {
  if kw_has dpkg-query; then
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p'
  else
    rpm -qa --qf '%{NAME}\n'
  fi
}

# All that is known there before our first package, if it is only its configuration; and all that is there now.
kw_note_list() {
  kw_state before && kw_list >"$kw_before/now" || return 1
  [ ! -e "$kw_before/packages" ] || return 0
  if kw_has dpkg-query; then
    dpkg-query -W -f '${Package}\n' >"$kw_before/packages.new"
  else
    cp -- "$kw_before/now" "$kw_before/packages.new"
  fi && mv -f -- "$kw_before/packages.new" "$kw_before/packages"
}

# What came along with packages of ours, and what had to go for them: their names.
kw_note_along() {
  [ -n "$kw_notes" ] || return 0
  kw_list >"$kw_before/then" || return 1
  kw_differs then now | while read -r kw_package; do
    case " $* " in
    *" $kw_package "* | *" $kw_package:"*) ;;
    *) printf '%s\n' "$kw_package" ;;
    esac
  done >>"$kw_before/along"
  kw_differs now then >>"$kw_before/pushed"
  rm -f -- "$kw_before/now" "$kw_before/then"
}

# What is in the one list and not in the other.
kw_differs() {
  grep -vxF -f "$kw_before/$2" -- "$kw_before/$1" || :
}

# Packages that are not there yet, of these names.
kw_note_packages() {
  [ -n "$kw_notes" ] || return 0
  kw_note_list || return 1
  # One that is there must never be taken for ours: what answers for others only in part is no answer.
  if kw_has dpkg-query; then
    kw_said=$(dpkg-query -W -f '${Package} ${db:Status-Status} ' "$@" 2>/dev/null)
    [ $? -lt 2 ] || { kw_no 'dpkg cannot say what is installed'; return 1; }
  else
    kw_said=$(rpm -q --qf '%{NAME} installed ' "$@" 2>&1)
    case $kw_said in *error:*) kw_no "$kw_said"; return 1 ;; esac
  fi
  for kw_package do
    case " $kw_said" in
    # rpm gives a line of its own to what is not there.
    *" ${kw_package%%:*} installed "* | *"$kw_newline${kw_package%%:*} installed "*) ;;
    *) kw_note_absent "${kw_kind-package} $kw_package" || return 1 ;;
    esac
  done
}

# Packages that a deed of ours needs and nobody asked for.
kw_tools() {
  kw_kind=tool
  kw_packages "$@"
}

# Packages: their names.
kw_packages() {
  kw_installed "$@" && return 0
  kw_note_packages "$@" || return 1
  kw_install "$@"
  kw_left=$?
  # Also what came with those that failed.
  kw_note_along "$@" && [ $kw_left = 0 ] && return 9
  return 1
}

# All versions that are installed, in one word.
kw_versions() {
  if kw_has dpkg-query; then
    dpkg-query -W -f '${Package}:${Architecture} ${Version} ${db:Status-Status}\n'
  else
    rpm -qa
  fi | sort | sha256sum
}

# New lists of packages.
kw_refresh() {
  if kw_has apt-get; then
    kw_apt update
  elif kw_has dnf5; then
    dnf5 -y makecache --refresh
  elif kw_has dnf; then
    dnf -y --setopt=exit_on_lock=True --refresh makecache
  elif kw_has zypper; then
    kw_zypper refresh
  else
    kw_no 'there is no apt-get, dnf or zypper on this host'
  fi
}

# Upgrades everything under new lists. What is held stays, and so does what goes only by taking others away: kernels come
# as new packages beside the old ones. What was cut off in the middle is ended first.
kw_upgrade() {
  kw_was=$(kw_versions)
  if kw_has apt-get && kw_has dpkg && [ -n "$(dpkg --audit 2>/dev/null)" ]; then
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 dpkg --force-confdef --force-confold --configure -a || return 1
  fi
  kw_refresh || return 1
  if kw_has apt-get; then
    kw_apt --with-new-pkgs upgrade
  elif kw_has dnf5; then
    dnf5 -y upgrade
  elif kw_has dnf; then
    dnf -y --setopt=exit_on_lock=True upgrade
  else
    kw_zypper update --auto-agree-with-licenses
  fi || return 1
  [ "$kw_was" = "$(kw_versions)" ] || return 9
}

kw_install() {
  if kw_has apt-get; then
    kw_apt_install "$@"
  elif kw_has dnf; then
    kw_dnf "$@"
  elif kw_has zypper; then
    kw_zypper install --no-recommends --auto-agree-with-licenses "$@"
  else
    kw_no 'there is no apt-get, dnf or zypper on this host'
  fi
}
