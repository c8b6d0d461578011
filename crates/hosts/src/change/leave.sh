# What was there before us comes back, and what was not goes: units, people, packages, and the SSH daemon.

# Stops a unit that did not run before us, while all that it reads is still there: its name.
kw_unit_halt() {
  kw_named "unit $1"
  kw_record=$kw_noted
  kw_words_of
  case $kw_words in yes*) return 0 ;; esac
  [ -e "$kw_before/absent/$kw_record" ] || [ -n "$kw_words" ] || return 0
  ! systemctl -q is-active "$1" || systemctl stop "$1" || kw_unit_failed "$1"
}

# A unit: its name. One that ran before us reads again what is as it was.
kw_unit_back() {
  kw_words_of
  # Whether it ran, whether it was started at boot, and whether its file was replaced.
  set -f
  set -- "$1" $kw_words
  rm -f -- "$KW_STATE/units/$1.reads" || return 1
  if [ "${3-no}" = no ] && systemctl -q is-enabled "$1" 2>/dev/null; then systemctl -q disable "$1" || return 1; fi
  if [ "$kw_was" = absent ] || [ "${4-}" = file ]; then
    kw_file_back "/etc/systemd/system/$1" && systemctl daemon-reload || return 1
  fi
  [ "${3-no}" = no ] || systemctl -q is-enabled "$1" 2>/dev/null || systemctl -q enable "$1" || return 1
  [ "${2-no}" = no ] || kw_bounded restart "$1"
}

# The time service that we turned on.
kw_time_back() {
  kw_words_of
  set -f
  set -- $kw_words
  [ "${2-yes}" = yes ] || ! systemctl -q is-active "$1" || systemctl stop "$1" || return 1
  [ "${3-yes}" = yes ] || ! systemctl -q is-enabled "$1" || systemctl -q disable "$1"
}

# Takes a user out of a group: both.
kw_member_back() {
  if kw_comes_in "$1"; then kw_stays "membership of $1 in $2 stays: $1 is who we come in as"; return; fi
  kw_entry passwd "$1" && kw_entry group "$2" || return 0
  kw_left=,${kw_found##*:},
  case $kw_left in
  *",$1,"*) gpasswd -d "$1" "$2" ;;
  esac
}

# A group that we made goes, unless somebody is in it: its name.
kw_group_back() {
  if kw_comes_in "$1"; then kw_stays "group $1 stays: $1 is who we come in as"; return; fi
  kw_entry group "$1" || return 0
  [ -z "${kw_found##*:}" ] || { kw_stays "the group $1 stays: ${kw_found##*:} is in it"; return; }
  groupdel "$1" || kw_stays "the group $1 stays: it is somebody's own"
}

# Whether a user is who we are on this host, whatever name we asked to come in by.
kw_comes_in() {
  [ "$1" = "${SUDO_USER:-root}" ]
}

# What it came in by goes last: whoever is cut off or refused before that can come in again.
kw_user_back() {
  if kw_comes_in "$1"; then kw_stays "user $1 stays: $1 is who we come in as"; return; fi
  kw_done=0
  ! kw_entry passwd "$1" || kw_person_back "$1"
  case $? in
  0) ;;
  8) kw_done=8 ;;
  *) return 1 ;;
  esac
  rm -f -- "$(kw_sudoers "$1")" "$KW_STATE/users/$1" || return 1
  return $kw_done
}

# One who is there: its name; its entry is in kw_found.
kw_person_back() {
  if [ "$kw_was" = absent ]; then
    # It says 12 when its home was not all its own.
    userdel -r "$1" || [ $? = 12 ]
    return
  fi
  { read -r kw_shell && read -r kw_hash && read -r kw_mode; } <"$kw_before/there/$kw_record" || return 1
  [ "${kw_found##*:}" = "$kw_shell" ] || usermod -s "$kw_shell" "$1" || return 1
  kw_home=${kw_found%:*} kw_home=${kw_home##*:} kw_done=0
  kw_keys_back
  case $? in
  0) ;;
  8) kw_done=8 ;;
  *) return 1 ;;
  esac
  [ -z "$kw_hash" ] || chpasswd -e <<KW_END || return 1
$1:${kw_hash#:}
KW_END
  return $kw_done
}

# The keys by which somebody comes in, and whose their folder is. Both are in the user's own hands, so nothing is followed
# there, and what stands beside them is made anew.
kw_keys_back() {
  kw_ssh=$KW_ROOT$kw_home/.ssh kw_path=$KW_ROOT$kw_home/.ssh/authorized_keys kw_copy=$kw_before/kept/$kw_record
  if [ -L "$kw_ssh" ] || [ -L "$kw_path" ]; then
    kw_stays "$kw_home/.ssh/authorized_keys stays as it is: a link leads there"
    return
  fi
  if [ -e "$kw_path" ]; then
    kw_read "$kw_path" && kw_text=$(printf '%s' "$kw_old" | kw_blocked && echo .) && kw_keys_put "${kw_text%.}" || return 1
  fi
  [ -z "$kw_mode" ] || kw_owned "$kw_ssh" ${kw_mode} || kw_own "$kw_ssh" ${kw_mode}
}

# Puts the keys there that are left: to the byte what they were when that says the same: the text.
kw_keys_put() {
  kw_left=$kw_old
  if [ ! -f "$kw_copy" ] || [ -L "$kw_copy" ]; then
    [ -n "$1" ] || { rm -f -- "$kw_path"; return; }
  else
    kw_read "$kw_copy" || return 1
    if [ "$kw_old" = "$1" ]; then
      kw_put "$kw_path" $(stat -c '%a %u:%g' -- "$kw_copy") <"$kw_copy"
      return
    fi
  fi
  kw_old=$kw_left
  kw_close "$1"
  [ $? != 1 ]
}

# Whether packages can go and take none along that is not among them.
kw_go_alone() {
  kw_has dpkg-query || { rpm -e --test "$@" >/dev/null 2>&1; return; }
  kw_said=$(kw_apt -s purge "$@") || return 1
  while read -r kw_line kw_package kw_rest; do
    case $kw_line in
    Purg | Remv)
      case " $* " in
      *" $kw_package "* | *" ${kw_package%%:*} "*) ;;
      *) return 1 ;;
      esac
      ;;
    esac
  done <<KW_END
$kw_said
KW_END
}

# Sets kw_go to those packages of ours that nobody else needs, and kw_stay to the others.
kw_needed() {
  kw_go= kw_stay=
  if kw_go_alone "$@"; then
    kw_go=$*
    return
  fi
  kw_stay=$* kw_more=1
  # One may go only after another that needs it.
  while [ -n "$kw_more" ]; do
    kw_still= kw_more=
    for kw_one in $kw_stay; do
      if kw_go_alone $kw_go "$kw_one"; then kw_go="$kw_go $kw_one" kw_more=1; else kw_still="$kw_still $kw_one"; fi
    done
    kw_stay=$kw_still
  done
}

# Packages that came along with ours and that nobody needs any more.
kw_orphans() {
  kw_go=
  [ -e "$kw_before/along" ] || return 0
  kw_said=$(kw_apt -s autoremove --purge) || return 1
  while read -r kw_line kw_package kw_rest; do
    case $kw_line in
    Purg | Remv) ! grep -qxF -e "${kw_package%%:*}" "$kw_before/along" || kw_go="$kw_go $kw_package" ;;
    esac
  done <<KW_END
$kw_said
KW_END
  [ -z "$kw_go" ] || kw_apt purge $kw_go
}

# What was known before us had left its configuration there, which stays.
kw_remove_packages() {
  if kw_has apt-get; then
    kw_older= kw_newer=
    for kw_one do
      if grep -qxF -e "${kw_one%%:*}" "$kw_before/packages"; then kw_older="$kw_older $kw_one"; else kw_newer="$kw_newer $kw_one"; fi
    done
    # sudo would not go where root has no password.
    SUDO_FORCE_REMOVE=yes
    export SUDO_FORCE_REMOVE
    { [ -z "$kw_older" ] || kw_apt remove $kw_older; } && { [ -z "$kw_newer" ] || kw_apt purge $kw_newer; } && kw_orphans
  elif kw_has dnf5; then
    dnf5 -y remove --no-autoremove "$@"
  elif kw_has dnf; then
    # What came along with others, long before us, is not theirs to take.
    dnf -y --setopt=exit_on_lock=True --setopt=clean_requirements_on_remove=False remove "$@"
  else
    kw_zypper remove --no-clean-deps "$@"
  fi
}

# What came along with ours and is still there, where nobody can tell whether somebody needs it by now; and what went when
# ours came. Both are told.
kw_along_stays() {
  kw_has dpkg-query || kw_told_of along 'what came along with ours stays:'
  kw_told_of pushed 'what went when ours came is not back:'
}

# Tells of the packages in a list of ours: its name, what is so of them. Those that came along are there, those that went are not.
kw_told_of() {
  [ -s "$kw_before/$1" ] || return 0
  kw_many= kw_now=$kw_newline$(kw_list)$kw_newline
  while read -r kw_package; do
    case $kw_now,$1 in
    *"$kw_newline$kw_package$kw_newline"*,along) kw_many="$kw_many $kw_package" ;;
    *"$kw_newline$kw_package$kw_newline"*,* | *,along) ;;
    *) kw_many="$kw_many $kw_package" ;;
    esac
  done <"$kw_before/$1"
  [ -z "$kw_many" ] || { kw_stays "$2$kw_many"; kw_left=8; }
}

# Packages that were not there before us: their keys. One that others need by now stays, and is theirs.
kw_packages_back() {
  kw_ours= kw_left=0 kw_kept=
  for kw_one do
    kw_named "$kw_one"
    [ -e "$kw_before/absent/$kw_noted" ] || continue
    kw_left=9
    case ${kw_one#* },${SUDO_USER:-root} in
    sudo,root) ;;
    sudo,*)
      kw_kept="package sudo stays: $SUDO_USER is who we come in as"
      continue
      ;;
    esac
    ! kw_installed "${kw_one#* }" || kw_ours="$kw_ours ${kw_one#* }"
  done
  [ $kw_left != 0 ] || return 0
  kw_stay=
  if [ -n "$kw_ours" ]; then
    kw_needed $kw_ours
    [ -z "$kw_go" ] || kw_remove_packages $kw_go || return 1
  fi
  if [ -n "$kw_stay" ]; then
    ! kw_has apt-mark || apt-mark auto $kw_stay >/dev/null || return 1
    kw_stays "what others need by now stays:$kw_stay"
    kw_left=8
  fi
  kw_along_stays
  [ -z "$kw_kept" ] || { kw_stays "$kw_kept"; kw_left=8; }
  for kw_one do
    kw_named "$kw_one"
    rm -f -- "$kw_before/absent/$kw_noted" || return 1
  done
  return $kw_left
}

# The SSH daemon as it was. Connections go on meanwhile.
kw_sshd_back() {
  kw_words_of
  kw_socket=$kw_words
  kw_sshd_proven && kw_sshd_keep || return 1
  kw_sshd_says '' ''
  kw_were=$kw_ports
  if kw_sshd_unwrite && sshd -t; then
    kw_sshd_reload '' && rm -f -- "$kw_sshd_kept/pending" || return 1
    kw_sshd_says '' ''
    [ "$kw_ports" = "$kw_were" ] || kw_stays "the SSH daemon listens on port $kw_ports again"
    return
  fi
  kw_sshd_restore && rm -f -- "$kw_sshd_kept/pending"
  return 1
}

kw_sshd_unwrite() {
  kw_file_back "${kw_sshd_ours#"$KW_ROOT"}" '#' || return 1
  [ -z "$kw_socket" ] || kw_file_back "/etc/systemd/system/$kw_socket.d/zz-kubewright.conf" '##' || return 1
  [ -e "$kw_sshd_config" ] || return 0
  kw_open /etc/ssh/sshd_config || return 1
  kw_text= kw_include='Include /etc/ssh/sshd_config.d/*.conf'
  ! grep -qxF -e "$kw_include" "$kw_before/kept/$kw_record" || kw_include=
  while IFS= read -r kw_line; do
    # The one that we put there stands first.
    [ -z "$kw_include" ] || [ "$kw_line" != "$kw_include" ] || { kw_include=; continue; }
    kw_text=$kw_text${kw_line#'# kubewright says it in its own file: '}$kw_newline
  done <<KW_END
${kw_old%"$kw_newline"}
KW_END
  kw_close_back "$kw_text"
}

# What let the daemon be at its port: the port.
kw_label_back() {
  ! kw_has semanage || ! semanage port -l -C | grep -q "^ssh_port_t .*tcp.*[ ,]$1\(,\|\$\)" || semanage port -d -p tcp "$1"
}

kw_port_back() {
  ! kw_has firewall-cmd || ! firewall-cmd -q --state ||
    { firewall-cmd -q --permanent --remove-port="$1/tcp" && firewall-cmd -q --remove-port="$1/tcp"; }
}
