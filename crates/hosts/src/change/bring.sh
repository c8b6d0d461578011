# What was saved of a datastore, on its way to where we are.

# The newest file of a pattern: its size, its digest and its path in base64, or that there is none.
kw_newest() {
  kw_file=
  # The pattern is the shell's to fill in.
  for kw_one in $KW_ROOT$1; do
    [ -f "$kw_one" ] || continue
    [ -n "$kw_file" ] && [ "$kw_one" -ot "$kw_file" ] || kw_file=$kw_one
  done
  [ -n "$kw_file" ] || { echo 'n nothing'; return 0; }
  kw_measured "$kw_file"
}

# A file: its size, its digest and its path in base64.
kw_measured() {
  [ -f "$1" ] || { echo 'n nothing'; return 0; }
  kw_size=$(stat -c %s -- "$1") && kw_sum=$(sha256sum <"$1") || return 1
  printf 'n %s %s %s\n' "$kw_size" "${kw_sum%% *}" "$(printf %s "$1" | base64 | tr -d '\n')"
}

# Bytes of a file in base64: its path, how many MiB of it are behind us, how many are wanted.
kw_piece() {
  dd if="$1" bs=1048576 skip="$2" count="$3" 2>/dev/null | base64
}
