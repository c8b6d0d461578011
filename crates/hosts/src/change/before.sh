# What was there before us. A change that touches something for the first time writes down first whether it was there
# (in absent, in there) and what is put back; copies of files are in kept. Names are keys of resources, with nothing in
# them that parts a path. What is written down once stays: a later change, or one after a cut, finds what is ours there.
kw_before=$KW_STATE/before
# A recipe has its own way back, so its scripts leave this empty and write nothing down.
kw_notes=

# Sets kw_noted to the name under which a key is written down.
kw_named() {
  kw_noted= kw_parted=$1
  while case $kw_parted in *[/%]*) ;; *) false ;; esac; do
    kw_noted=$kw_noted${kw_parted%%[/%]*}
    kw_parted=${kw_parted#"${kw_parted%%[/%]*}"}
    case $kw_parted in
    /*) kw_noted=$kw_noted%2f ;;
    *) kw_noted=$kw_noted%25 ;;
    esac
    kw_parted=${kw_parted#?}
  done
  kw_noted=$kw_noted$kw_parted
}

# Nothing is done on the host of another cluster. Sets kw_owner to whose the host is, where somebody has written it down.
kw_not_of_others() {
  kw_owner=
  [ ! -e "$KW_STATE/owner" ] || read -r kw_owner <"$KW_STATE/owner" || :
  case $kw_owner in '' | "$1") return 0 ;; esac
  kw_no "the host belongs to the cluster $kw_owner"
  return 1
}

# Writes down whose the host is: the cluster.
kw_owned_by() {
  kw_not_of_others "$1" || return 1
  [ -z "$kw_owner" ] || return 0
  # Older versions did not write down that the folder is ours. It goes with the last thing that is put back, and this too.
  kw_state before/absent && kw_note_absent 'folder /var/lib/kubewright' || return 1
  # One that is empty was cut off. Of two who come at once, one puts its own there, whole.
  [ -s "$KW_STATE/owner" ] || rm -f -- "$KW_STATE/owner"
  printf '%s\n' "$1" >"$KW_STATE/owner.$$" || return 1
  ln -- "$KW_STATE/owner.$$" "$KW_STATE/owner" || :
  rm -f -- "$KW_STATE/owner.$$"
  kw_not_of_others "$1"
}

# Whether nothing needs to be written down of a key.
kw_known() {
  [ -n "$kw_notes" ] || return 0
  kw_named "$1"
  [ -e "$kw_before/absent/$kw_noted" ] || [ -e "$kw_before/there/$kw_noted" ]
}

# Whether we remember something of which nothing is written down: it was ours before anything was. What is there by now
# is no state to go back to: the key, where the memory of it is.
kw_older() {
  [ -e "$2" ] && ! kw_known "$1"
}

# Nothing is there yet: the key.
kw_note_absent() {
  kw_known "$1" || { kw_state before/absent && kw_named "$1" && : >"$kw_before/absent/$kw_noted"; }
}

# Something is there: the key, the words that are put back, the files that are.
kw_note_there() {
  kw_known "$1" && return 0
  kw_state before/there && kw_state before/kept && kw_named "$1" || return 1
  kw_words=$2 kw_nth=
  shift 2
  for kw_left do
    kw_keep "$kw_before/kept/$kw_noted$kw_nth" "$kw_left" || return 1
    kw_nth=$kw_nth#
  done
  printf '%s\n' "$kw_words" >"$kw_before/there/$kw_noted"
}

# Other words are put back than were written down first: the key, the words.
kw_note_words() {
  kw_named "$1" && printf '%s\n' "$2" >"$kw_before/words" && mv -f -- "$kw_before/words" "$kw_before/there/$kw_noted"
}

# A file or a link that is about to be another one: the key, the path. What stood there before us is written down once,
# by whichever kind came first: what a later kind finds there is ours.
kw_note_file() {
  for kw_kind in file link download; do
    ! kw_known "$kw_kind ${2#"$KW_ROOT"}" || return 0
  done
  if [ -e "$2" ] || [ -L "$2" ]; then kw_note_there "$1" '' "$2"; else kw_note_absent "$1"; fi
}

# Keeps a file or a link, if it is there: the copy, the path.
kw_keep() {
  kw_gone "$1" || return 1
  { [ ! -f "$2" ] && [ ! -L "$2" ]; } || cp -pP -- "$2" "$1"
}
