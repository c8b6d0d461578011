# Files that come over the connection itself, from where we are.

# What of a file is wanted: path, mode, our name for its memory, its mark, what it is, and what of it if it is an archive.
# Nothing, or this host's machine and how much of the file arrived before a connection was cut.
kw_wanted() {
  kw_path=$KW_ROOT$1
  if kw_kept "$@"; then
    echo 'w nothing'
    return
  fi
  kw_begun "$3" "$4" || kw_have=0
  printf 'w %s %s\n' "$(uname -m)" "$kw_have"
}

# Whether the beginning of this very file lies beside, from us and not from somebody who may write there too. Our name
# for its memory, its mark; how much of it is in kw_have.
kw_begun() {
  kw_line=
  [ ! -f "$KW_STATE/downloads/$1.part" ] || read -r kw_line <"$KW_STATE/downloads/$1.part" || :
  [ "$kw_line" = "$2" ] && [ -f "$kw_path.kubewright" ] && [ ! -L "$kw_path.kubewright" ] || return 1
  set -- $(stat -c '%u %s' -- "$kw_path.kubewright") "$(id -u)"
  kw_have=$2
  [ "$1" = "$3" ]
}

# A place for a file that begins: our name for its memory, its mark.
kw_begin() {
  kw_folder "${kw_path%/*}/" && kw_state downloads && rm -f -- "$kw_path.kubewright" &&
    (umask 077 && set -C && : >"$kw_path.kubewright") && printf '%s\n' "$2" >"$KW_STATE/downloads/$1.part"
}

# Takes the bytes of descriptor 4 for the rest of a file: as kw_wanted, then where the rest begins, the size of the whole
# and its digest. A beginning stays for the next run; what is wrong does not.
kw_upload() {
  kw_path=$KW_ROOT$1
  kw_note_download "$@" || return 1
  if [ "$7" = 0 ]; then
    kw_begin "$3" "$4" || return 1
  else
    kw_begun "$3" "$4" && [ "$kw_have" = "$7" ] || { kw_no "its beginning is another one now"; return 1; }
  fi
  cat <&4 >>"$kw_path.kubewright" || { rm -f -- "$kw_path.kubewright"; return 1; }
  kw_have=$(stat -c %s -- "$kw_path.kubewright")
  [ "$kw_have" -ge "$8" ] || { kw_no "only $kw_have of $8 bytes arrived"; return 1; }
  kw_arrived "$9" && kw_unpacked "$6" && kw_placed "$kw_path" "$2" root:root || { rm -f -- "$kw_path.kubewright"; return 1; }
  rm -f -- "$KW_STATE/downloads/$3.part" && kw_remember "$@" && return 9
  return 1
}

# What came is what was sent: its digest.
kw_arrived() {
  kw_digested "$kw_path.kubewright" "$1" || kw_no "$kw_path did not arrive whole"
}

# A file that came so: as kw_wanted.
kw_uploaded() {
  kw_path=$KW_ROOT$1
  kw_kept "$@" || { kw_no "somebody changed it meanwhile"; return 1; }
  kw_owned "$kw_path" "$2" root:root && return 0
  kw_note_download "$@" && kw_own "$kw_path" "$2" root:root && return 9
  return 1
}
