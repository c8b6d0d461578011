# What was there before us comes back, and what was not goes: the files, the kernel's settings, single settings.

# Puts back what is written down of a key and forgets it: the key; the function that knows how, and its words. One that
# was cut off is done again from its beginning.
kw_back() {
  kw_named "$1"
  kw_record=$kw_noted kw_was=there
  [ ! -e "$kw_before/absent/$kw_record" ] || kw_was=absent
  [ -e "$kw_before/$kw_was/$kw_record" ] || return 0
  shift
  "$@"
  kw_left=$?
  case $kw_left in 0 | 8 | 9) kw_forget && [ $kw_left = 8 ] && return 8 || return 9 ;; esac
  return 1
}

# The copies go last: without them, what is written down would say that there was no file.
kw_forget() {
  set -- "$kw_before/kept/$kw_record"
  rm -f -- "$kw_before/absent/$kw_record" "$kw_before/there/$kw_record" && rm -f -- "$1" "$1#" "$1##"
}

# What stays as it is, and why.
kw_stays() {
  printf 'kubewright tells: %s\n' "$1"
  return 8
}

# The words that were written down, in kw_words.
kw_words_of() {
  kw_words=
  [ ! -e "$kw_before/there/$kw_record" ] || read -r kw_words <"$kw_before/there/$kw_record" || :
}

# Puts a file back as it was, or takes it away when there was none: the path; a sign that tells its copy from others.
kw_file_back() {
  kw_path=$KW_ROOT$1 kw_copy=$kw_before/kept/$kw_record${2-}
  rm -f -- "$kw_path.kubewright" || return 1
  if [ -e "$kw_copy" ] || [ -L "$kw_copy" ]; then
    # Where somebody else may write, nothing that they put there meanwhile is followed.
    kw_folder "${kw_path%/*}/" && cp -pPT --remove-destination -- "$kw_copy" "$kw_path.kubewright" &&
      mv -fT -- "$kw_path.kubewright" "$kw_path" && kw_label "$kw_path"
  else
    kw_gone "$kw_path"
  fi
}

# The same for a download: path, our name for its memory.
kw_download_back() {
  rm -f -- "$KW_STATE/downloads/$2" "$KW_STATE/downloads/$2.part" && kw_file_back "$1"
}

# Gives the file that was opened the text that it has without us: to the byte what it was when that says the same, and no
# file at all where there was none and nothing is left.
kw_close_back() {
  kw_left=$kw_old kw_wish=$1
  if [ -e "$kw_before/kept/$kw_record" ]; then
    kw_read "$kw_before/kept/$kw_record" || return 1
    if [ "$kw_old" = "$kw_wish" ]; then
      kw_file_back "${kw_path#"$KW_ROOT"}"
      return
    fi
  elif [ -z "$kw_wish" ]; then
    rm -f -- "$kw_path"
    return
  fi
  kw_old=$kw_left
  kw_close "$kw_wish"
  [ $? != 1 ]
}

# Takes our block out of a file: path.
kw_block_back() {
  [ -e "$KW_ROOT$1" ] || return 0
  kw_open "$1" && kw_text=$(printf '%s' "$kw_old" | kw_blocked && echo .) && kw_close_back "${kw_text%.}"
}

# Takes a line out of a file of ours, and the file away when nothing is left in it: path, the line or the key before ` = `.
kw_line_back() {
  [ -e "$KW_ROOT$1" ] || return 0
  kw_open "$1" || return 1
  kw_text=
  while IFS= read -r kw_line; do
    case $kw_line in
    "$2" | "$2 = "*) ;;
    *) kw_text=$kw_text$kw_line$kw_newline ;;
    esac
  done <<KW_END
${kw_old%"$kw_newline"}
KW_END
  [ -n "$kw_old" ] || kw_text=
  [ -n "$kw_text" ] || { rm -f -- "$kw_path"; return; }
  kw_close "$kw_text"
  [ $? != 1 ]
}

# A kernel setting: its path under /proc/sys, its key.
kw_sysctl_back() {
  kw_line_back /etc/sysctl.d/90-kubewright.conf "$2" && kw_words_of || return 1
  kw_file=$KW_ROOT/proc/sys/$1
  [ -e "$kw_file" ] && [ -n "$kw_words" ] || return 0
  set -f
  set -- $(head -n 1 -- "$kw_file")
  [ "$*" = "$kw_words" ] || printf '%s\n' "$kw_words" >"$kw_file"
}

# Swap is in use again that was, now and at every start.
kw_swap_back() {
  kw_mark='# kubewright turned swap off: '
  if [ -e "$KW_ROOT/etc/fstab" ]; then
    kw_open /etc/fstab || return 1
    kw_text=
    while IFS= read -r kw_line; do
      kw_text=$kw_text${kw_line#"$kw_mark"}$kw_newline
    done <<KW_END
${kw_old%"$kw_newline"}
KW_END
    [ -n "$kw_old" ] || kw_text=
    [ "$kw_text" = "$kw_old" ] || { kw_close_back "$kw_text" && { systemctl daemon-reload || :; }; } || return 1
  fi
  kw_words_of
  [ -n "$kw_words" ] || return 0
  # Most stand in that table, with what is said of them there.
  swapon -a || :
  set -f
  set -- $kw_words
  kw_on=$(cat -- "$KW_ROOT/proc/swaps") kw_off=
  while [ $# -gt 1 ]; do
    case $kw_newline$kw_on in
    *"$kw_newline$1 "* | *"$kw_newline$1	"*) ;;
    *) kw_swapon "$1" "$2" || kw_off="$kw_off $1" ;;
    esac
    shift 2
  done
  [ -z "$kw_off" ] || kw_stays "swap stays off that nobody can turn on any more:$kw_off"
}

kw_swapon() {
  # The kernel itself gives numbers below zero.
  case $2 in
  -*) swapon "$1" ;;
  *) swapon -p "$2" "$1" ;;
  esac
}

# The host's name.
kw_hostname_back() {
  kw_words_of
  kw_now=
  read -r kw_now <"$KW_ROOT/proc/sys/kernel/hostname"
  [ -z "$kw_words" ] || [ "$kw_now" = "$kw_words" ] || hostnamectl set-hostname "$kw_words" || hostname "$kw_words" ||
    printf '%s\n' "$kw_words" >"$KW_ROOT/proc/sys/kernel/hostname" || return 1
  kw_file_back /etc/hostname
}

kw_timezone_back() {
  kw_file_back /etc/localtime && kw_file_back /etc/timezone '#'
}

# The locale, and those that are made.
kw_locale_back() {
  kw_words_of
  kw_sum=$(cat -- "$KW_ROOT/etc/locale.gen" 2>/dev/null)
  kw_file_back "${kw_words:-/etc/locale.conf}" && kw_file_back /etc/locale.gen '#' || return 1
  [ -e "$KW_ROOT/etc/locale.gen" ] && [ "$kw_sum" != "$(cat -- "$KW_ROOT/etc/locale.gen")" ] || return 0
  ! kw_has locale-gen || locale-gen
}

# A folder that we made goes, unless somebody has put something there: path.
kw_folder_back() {
  [ ! -d "$KW_ROOT$1" ] || rmdir -- "$KW_ROOT$1" 2>/dev/null || kw_stays "$1 stays: it is not empty"
}

# A folder that others made is whose it was: path.
kw_directory_back() {
  [ $kw_was = there ] || { kw_folder_back "$1"; return; }
  kw_words_of
  [ -z "$kw_words" ] || [ ! -d "$KW_ROOT$1" ] || kw_own "$KW_ROOT$1/." ${kw_words}
}

# Our own memory goes when there is nothing else to put back.
kw_memory_back() {
  for kw_path in "$kw_before/there"/* "$kw_before/absent"/*; do
    [ ! -e "$kw_path" ] || [ "${kw_path##*/}" = "$kw_record" ] || { kw_no "${kw_path##*/} is still ours"; return 1; }
  done
  for kw_path in "$KW_STATE"/* "$kw_before"/*; do
    case ${kw_path##*/} in before | absent) ;; *) rm -rf -- "$kw_path" || return 1 ;; esac
  done
  rm -rf -- "$KW_STATE"
}
