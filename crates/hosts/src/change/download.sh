# Files that a host downloads by itself and verifies.
kw_more=

# Puts this host's architecture into kw_said in place of {arch} and {-arch}.
kw_arch() {
  case $(uname -m) in
  x86_64 | amd64) kw_machine=amd64 kw_suffix= ;;
  aarch64 | arm64) kw_machine=arm64 kw_suffix=-arm64 ;;
  *) kw_no "there is no such file for $(uname -m)"; return 1 ;;
  esac
  kw_said=$1
  kw_arch_in '{arch}' "$kw_machine"
  kw_arch_in '{-arch}' "$kw_suffix"
}

kw_arch_in() {
  while case $kw_said in *"$1"*) ;; *) false ;; esac; do
    kw_said=${kw_said%%"$1"*}$2${kw_said#*"$1"}
  done
}

# Fetches an address into a file.
kw_fetch() {
  if kw_has curl; then
    curl -fsSL --connect-timeout 20 --speed-limit 1000 --speed-time 60 -o "$2" "$1"
  elif kw_has wget; then
    wget -nv --tries=1 --timeout=60 -O "$2" "$1"
  else
    kw_tools curl ca-certificates
    [ $? != 1 ] && kw_has curl && kw_fetch "$@"
  fi || {
    set -- "$1" $(df -Pk "${2%/*}/" | tail -n 1)
    kw_no "$1 could not be downloaded; there are ${5:-no} KiB free on ${7:-that disk}"
    return 1
  }
}

# Finds the digest of a file: the address of its publisher's list, or of a file that holds that digest alone; the file's
# name in the list.
kw_published() {
  kw_arch "$1" && kw_url=$kw_said && kw_arch "$2" && kw_name=$kw_said || return 1
  kw_fetch "$kw_url" "$kw_path.kubewright" || return 1
  kw_sum= kw_alone= kw_lines=0
  while read -r kw_line kw_rest || [ -n "$kw_line" ]; do
    kw_lines=$((kw_lines + 1))
    case $kw_rest in
    "$kw_name" | "*$kw_name" | "./$kw_name") kw_sum=$kw_line ;;
    '') kw_alone=$kw_line ;;
    esac
  done <"$kw_path.kubewright"
  case $kw_lines,$kw_sum in 1,) kw_sum=$kw_alone ;; esac
  case $kw_sum in
  *[!0-9a-f]* | '') kw_no "$kw_url lists no digest of $kw_name"; return 1 ;;
  esac
}

kw_fetched() {
  kw_is=$(sha256sum <"$1") && [ "${kw_is%% *}" = "$kw_sum" ] ||
    kw_no "what was downloaded has the digest ${kw_is%% *}, not ${kw_sum}"
}

# Puts a file of the archive that came in the archive's place: its name in there, or nothing.
kw_unpacked() {
  [ -n "$1" ] || return 0
  rm -f -- "$kw_path.kubewright-member" &&
    (umask 077 && set -C && tar -xzOf "$kw_path.kubewright" -- "$1" >"$kw_path.kubewright-member") &&
    { [ -z "$kw_more" ] || { kw_state downloads && mv -f -- "$kw_path.kubewright" "$KW_STATE/downloads/archive"; }; } &&
    mv -f -- "$kw_path.kubewright-member" "$kw_path.kubewright" ||
    { rm -f -- "$kw_path.kubewright-member"; kw_no "$1 could not be taken out of the archive"; }
}

# Brings what an address leads to. An archive of which the file before was taken lies here still.
kw_brought() {
  kw_line=$KW_STATE/downloads/archive
  if [ -f "$kw_line" ] && kw_digested "$kw_line" "$kw_sum"; then
    mv -f -- "$kw_line" "$kw_path.kubewright"
  else
    kw_not_kept && (umask 077 && kw_fetch "$1" "$kw_path.kubewright")
  fi
}

# Throws away the archive that was kept for the next file of it.
kw_not_kept() {
  rm -f -- "$KW_STATE/downloads/archive"
}

# What we remember of a download, by which it is known again without reading it whole.
kw_remembered() {
  kw_line="$2 $(stat -c '%s %Y' -- "$kw_path") $3"
  kw_old=
  [ ! -f "$KW_STATE/downloads/$1" ] || read -r kw_old <"$KW_STATE/downloads/$1" || :
  [ "$kw_old" = "$kw_line" ]
}

# Whether it is there as we remember it: path, mode, our name for its memory, its mark, what it is.
kw_kept() {
  [ -f "$kw_path" ] && [ ! -L "$kw_path" ] && kw_remembered "$3" "$4" "$5"
}

# Remembers it: as above.
kw_remember() {
  kw_remembered "$3" "$4" "$5" && return 0
  kw_state downloads && kw_write "$kw_line$kw_newline" "$KW_STATE/downloads/$3" 600 0:0
}

# What is there before it comes: as above.
kw_note_download() {
  kw_older "download $1" "$KW_STATE/downloads/$3" || kw_note_file "download $1" "$kw_path"
}

# A download: path, mode, our name for its memory, its mark, what it is, the file of it that is wanted if it is an
# archive, where it is; then its digest, or where the list of digests is and its name there. With kw_more, the next one is
# of the same archive.
kw_download() {
  kw_path=$KW_ROOT$1 kw_done=0
  if kw_kept "$@"; then
    [ -n "$kw_more" ] || kw_not_kept
    kw_owned "$kw_path" "$2" root:root && return 0
    kw_note_download "$@" && kw_own "$kw_path" "$2" root:root && return 9
    return 1
  fi
  kw_note_download "$@" && kw_folder "${kw_path%/*}/" && rm -f -- "$kw_path.kubewright" || return 1
  kw_downloaded "$@" || { rm -f -- "$kw_path.kubewright"; return 1; }
  kw_remember "$@" && return 9
  return 1
}

kw_downloaded() {
  if [ $# -gt 8 ]; then kw_published "$8" "$9" || return 1; else kw_sum=$8; fi
  # The right bytes may be there already, from before we remembered.
  if [ -z "$6" ] && [ -f "$kw_path" ] && [ ! -L "$kw_path" ] && kw_digested "$kw_path" "$kw_sum"; then
    rm -f -- "$kw_path.kubewright"
    kw_own "$kw_path" "$2" root:root
    return
  fi
  kw_arch "$7" && kw_brought "$kw_said" && kw_fetched "$kw_path.kubewright" &&
    kw_unpacked "$6" && kw_placed "$kw_path" "$2" root:root
}
