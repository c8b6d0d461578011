# Repositories that packages come from, and packages that stay as they are.

# Where this host's package manager looks for a repository's key and for its address: the repository's name.
kw_repository_at() {
  kw_key=$KW_ROOT/etc/pki/rpm-gpg/kubewright-$1.asc
  if kw_has apt-get; then
    kw_key=$KW_ROOT/etc/apt/keyrings/kubewright-$1.asc kw_list=$KW_ROOT/etc/apt/sources.list.d/kubewright-$1.sources
  elif kw_has dnf; then
    kw_list=$KW_ROOT/etc/yum.repos.d/kubewright-$1.repo
  elif kw_has zypper; then
    kw_list=$KW_ROOT/etc/zypp/repos.d/kubewright-$1.repo
  else
    kw_no 'there is no apt-get, dnf or zypper on this host'
  fi
}

# A file that everybody may read: path, its bytes in base64.
kw_public() {
  [ -f "$1" ] && [ ! -L "$1" ] && [ "$(base64 <"$1" | tr -d '\n')" = "$2" ] && kw_owned "$1" 644 0:0 && return 0
  kw_decode "$1" 644 0:0 <<KW_END && kw_done=9
$2
KW_END
}

# A repository: name, mark. On standard input, in base64: its key, what apt reads of it, and what dnf and zypper read.
kw_repository() {
  kw_done=0
  kw_older "repository $1" "$KW_STATE/repositories/$1" || kw_note_absent "repository $1" || return 1
  read -r kw_asc && read -r kw_deb && read -r kw_text || return 1
  kw_repository_at "$1" || return 1
  ! kw_has apt-get || kw_text=$kw_deb
  kw_public "$kw_key" "$kw_asc" && kw_public "$kw_list" "$kw_text" || return 1
  kw_line=$2
  for kw_path in "$kw_key" "$kw_list"; do
    kw_sum=$(sha256sum <"$kw_path") && kw_line="$kw_line ${kw_sum%% *}" || return 1
  done
  kw_old=
  [ ! -f "$KW_STATE/repositories/$1" ] || read -r kw_old <"$KW_STATE/repositories/$1" || :
  [ "$kw_old" != "$kw_line" ] || return $kw_done
  # It counts only when its lists were read.
  kw_repository_read "kubewright-$1" && kw_state repositories &&
    kw_write "$kw_line$kw_newline" "$KW_STATE/repositories/$1" 600 0:0 && return 9
  return 1
}

# Reads the lists of this repository alone: what is wrong with others is no business of ours.
kw_repository_read() {
  if kw_has apt-get; then
    kw_apt update -o "Dir::Etc::sourcelist=$kw_list" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 \
      -o APT::Update::Error-Mode=any
    return
  fi
  rpm --import "$kw_key" || return 1
  if kw_has dnf; then
    dnf -y -q makecache "--repo=$1"
  else
    zypper --non-interactive refresh "$1"
  fi
}

# Takes a repository away: its name. What was installed from it stays.
kw_unrepository() {
  kw_repository_at "$1" || return 1
  kw_done=0
  for kw_path in "$kw_list" "$kw_key" "$KW_STATE/repositories/$1"; do
    [ ! -e "$kw_path" ] || { rm -f -- "$kw_path" && kw_done=9; } || return 1
  done
  return $kw_done
}

# Whether a package is held: its name.
kw_is_held() {
  if kw_has dpkg-query; then
    case $(dpkg-query -W -f '${db:Status-Want}' "$1" 2>/dev/null) in
    hold*) return 0 ;;
    *) return 1 ;;
    esac
  fi
  kw_locked /etc/zypp/locks "solvable_name: $1" "" || kw_locked /etc/dnf/versionlock.toml "name = \"$1\"" "" ||
    kw_locked /etc/dnf/plugins/versionlock.list "$1-" '[0-9]*:*'
}

# Whether a list of locks has a line: path, how it begins, a pattern of its end.
kw_locked() {
  [ -f "$KW_ROOT$1" ] || return 1
  while IFS= read -r kw_line || [ -n "$kw_line" ]; do
    case $kw_line in
    "$2"$3) return 0 ;;
    esac
  done <"$KW_ROOT$1"
  return 1
}

# Holds a package: its name.
kw_hold() {
  kw_is_held "$1" && return 0
  kw_note_absent "hold $1" || return 1
  if kw_has apt-mark; then
    apt-mark hold "$1"
  elif kw_has dnf5; then
    dnf5 -y versionlock add "$1"
  elif kw_has dnf; then
    # The fourth dnf knows it from a package of its own.
    if [ ! -e "$KW_ROOT/etc/dnf/plugins/versionlock.conf" ]; then
      kw_tools python3-dnf-plugin-versionlock
      [ $? != 1 ] || return 1
    fi
    dnf -y versionlock add "$1"
  elif kw_has zypper; then
    zypper --non-interactive addlock "$1"
  else
    kw_no 'there is no apt-mark, dnf or zypper on this host'
  fi && return 9
  return 1
}

# Lets a package go: its name.
kw_unhold() {
  kw_is_held "$1" || return 0
  if kw_has apt-mark; then
    apt-mark unhold "$1"
  elif kw_has dnf5; then
    dnf5 -y versionlock delete "$1"
  elif kw_has dnf; then
    dnf -y versionlock delete "$1"
  else
    zypper --non-interactive removelock "$1"
  fi && return 9
  return 1
}
