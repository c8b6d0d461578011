# Users, what they belong to, and how they come in.

# A line of a file whose fields are parted by colons, by its first field: file, name.
kw_entry() {
  kw_found=
  while IFS= read -r kw_line; do
    case $kw_line in
    "$2":*) kw_found=$kw_line ;;
    esac
  done <"$KW_ROOT/etc/$1"
  [ -n "$kw_found" ]
}

# A user: name, shell, groups parted by commas, yes or no for sudo, mark. On standard input its keys in base64, or a
# point when none are wished, and the password's hash in base64, or a point.
kw_user() {
  kw_done=0
  read -r kw_keys && read -r kw_hash || return 1
  [ -x "$KW_ROOT$2" ] || { kw_no "this host has no shell $2"; return 1; }
  kw_user_there "$1" "$2" && kw_user_groups "$1" "$3" && kw_user_keys "$1" && kw_user_sudo "$1" "$4" &&
    kw_user_password "$1" && kw_user_remember "$1" "$5" && return $kw_done
  return 1
}

kw_user_there() {
  if ! kw_entry passwd "$1"; then
    kw_note_absent "user $1" || return 1
    # Some distributions would put everybody into one group.
    if kw_entry group "$1"; then
      set -- "$1" "$2" -g "$1"
    else
      kw_note_absent "group $1" && set -- "$1" "$2" -U || return 1
    fi
    kw_name=$1 kw_shell=$2
    shift 2
    # Who may not log in is not a person, and has no home.
    kw_home=-m
    case $kw_shell in */nologin | */false) kw_home='-r -M' ;; esac
    useradd $kw_home -s "$kw_shell" "$@" "$kw_name" || return 1
    kw_done=9
    kw_entry passwd "$kw_name" || { kw_no "there is no $kw_name after useradd"; return 1; }
  else
    kw_note_user "$1" || return 1
    [ "${kw_found##*:}" = "$2" ] || { usermod -s "$2" "$1" && kw_done=9; } || return 1
  fi
  # name:x:uid:gid:gecos:home:shell
  kw_rest=${kw_found#*:*:} kw_uid=${kw_rest%%:*}
  kw_rest=${kw_rest#*:} kw_gid=${kw_rest%%:*}
  kw_rest=${kw_found%:*} kw_home=${kw_rest##*:}
}

# A user as others made it: its name; its entry is in kw_found. Its shell, a line for its password's hash, its keys, and
# whose its folder of keys is.
kw_note_user() {
  kw_known "user $1" && return 0
  ! kw_older "user $1" "$KW_STATE/users/$1" || return 0
  kw_mode=
  kw_at=${kw_found%:*} kw_at=$KW_ROOT${kw_at##*:}/.ssh
  [ ! -d "$kw_at" ] || kw_mode=$(stat -c '%a %u:%g' -- "$kw_at") || return 1
  kw_note_there "user $1" "${kw_found##*:}$kw_newline$kw_newline$kw_mode" "$kw_at/authorized_keys"
}

# Groups are added and never taken away: others may have put the user into theirs.
kw_user_groups() {
  [ -n "$2" ] || return 0
  kw_in=$(id -nG -- "$1") || return 1
  kw_rest=$2, kw_lacks=
  while [ -n "$kw_rest" ]; do
    kw_group=${kw_rest%%,*} kw_rest=${kw_rest#*,}
    case " $kw_in " in
    *" $kw_group "*) ;;
    *)
      kw_entry group "$kw_group" ||
        { kw_note_absent "group $kw_group" && groupadd -r "$kw_group"; } || return 1
      kw_note_absent "membership of $1 in $kw_group" || return 1
      kw_lacks=$kw_lacks${kw_lacks:+,}$kw_group
      ;;
    esac
  done
  [ -z "$kw_lacks" ] || { usermod -a -G "$kw_lacks" "$1" && kw_done=9; }
}

# The keys stand in a block of ours: a key by which somebody else comes in, we among them, is not taken away.
kw_user_keys() {
  kw_ssh=$KW_ROOT$kw_home/.ssh
  if [ "$kw_keys" = . ]; then
    # Where none are wished, those of an earlier wish go.
    [ ! -L "$kw_ssh" ] && [ -f "$kw_ssh/authorized_keys" ] && [ ! -L "$kw_ssh/authorized_keys" ] || return 0
    kw_open "$kw_home/.ssh/authorized_keys" && kw_text=$(printf '%s' "$kw_old" | kw_blocked && echo .) || return 1
    kw_text=${kw_text%.}
    [ "$kw_text" != "$kw_old" ] || return 0
    kw_write "$kw_text" "$kw_path" 600 "$kw_uid:$kw_gid" && kw_done=9
    return
  fi
  [ ! -L "$kw_ssh" ] || { kw_no "$kw_home/.ssh is a link"; return 1; }
  if [ ! -d "$kw_ssh" ]; then
    kw_note_absent "folder $kw_home/.ssh" && (umask 077 && mkdir -p -- "$kw_ssh") && kw_label "$kw_ssh" || return 1
    kw_done=9
  fi
  kw_owned "$kw_ssh" 700 "$kw_uid:$kw_gid" || { kw_own "$kw_ssh" 700 "$kw_uid:$kw_gid" && kw_done=9; } || return 1
  kw_path=$kw_ssh/authorized_keys
  [ ! -L "$kw_path" ] || { kw_no "$kw_home/.ssh/authorized_keys is a link"; return 1; }
  kw_open "$kw_home/.ssh/authorized_keys" && kw_take <<KW_END || return 1
$kw_keys
KW_END
  kw_text=$(printf '%s' "$kw_old" | kw_blocked "$kw_wish" && echo .) || return 1
  kw_text=${kw_text%.}
  if [ "$kw_text" = "$kw_old" ] && kw_owned "$kw_path" 600 "$kw_uid:$kw_gid"; then return 0; fi
  kw_write "$kw_text" "$kw_path" 600 "$kw_uid:$kw_gid" && kw_done=9
}

kw_sudoers_right() {
  visudo -c -q -f "$1"
}

# sudo does not read files with a point in their name.
kw_sudoers() {
  kw_name=$1
  while case $kw_name in *.*) ;; *) false ;; esac; do
    kw_name=${kw_name%%.*}_${kw_name#*.}
  done
  printf '%s' "$KW_ROOT/etc/sudoers.d/kubewright-$kw_name"
}

kw_user_sudo() {
  kw_path=$(kw_sudoers "$1")
  if [ "$2" = no ]; then
    [ ! -e "$kw_path" ] || { rm -f -- "$kw_path" && kw_done=9; }
    return
  fi
  if ! kw_has visudo; then
    kw_tools sudo
    [ $? = 9 ] || return 1
    kw_done=9
  fi
  kw_rule="$1 ALL=(ALL:ALL) NOPASSWD: ALL"
  kw_old=
  [ ! -f "$kw_path" ] || kw_old=$(cat -- "$kw_path") || return 1
  if [ "$kw_old" = "$kw_rule" ] && kw_owned "$kw_path" 440 0:0; then return 0; fi
  kw_write "$kw_rule$kw_newline" "$kw_path" 440 0:0 '' kw_sudoers_right && kw_done=9
}

# The hash as it is before ours, behind a colon, because it may be empty: the user, the hash.
kw_note_hash() {
  [ -n "$kw_notes" ] && kw_named "user $1" && [ -e "$kw_before/there/$kw_noted" ] || return 0
  { read -r kw_was && read -r kw_old && read -r kw_mode; } <"$kw_before/there/$kw_noted" || return 1
  [ -n "$kw_old" ] || kw_note_words "user $1" "$kw_was$kw_newline:$2$kw_newline$kw_mode"
}

# The hash goes over standard input, where nobody sees it.
kw_user_password() {
  [ "$kw_hash" != . ] || return 0
  kw_wish=$(base64 -d <<KW_END
$kw_hash
KW_END
  ) || return 1
  ! kw_entry shadow "$1" || {
    kw_rest=${kw_found#*:}
    [ "${kw_rest%%:*}" != "$kw_wish" ] || return 0
    kw_note_hash "$1" "${kw_rest%%:*}" || return 1
  }
  chpasswd -e <<KW_END && kw_done=9
$1:$kw_wish
KW_END
}

# The mark of what of it nobody can see.
kw_user_remember() {
  kw_old=
  [ ! -f "$KW_STATE/users/$1" ] || read -r kw_old <"$KW_STATE/users/$1" || :
  [ "$kw_old" != "$2" ] || return 0
  kw_state users && kw_write "$2$kw_newline" "$KW_STATE/users/$1" 600 0:0 && kw_done=9
}
