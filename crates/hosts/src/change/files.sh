# Whole files, parts of files, and links.

# A file: path, mode, owner, digest, and maybe the words of who judges it; its bytes in base64 on standard input.
kw_file() {
  kw_whole "file $1" "$@"
}

# The same, of what goes by this key.
kw_whole() {
  kw_path=$KW_ROOT$2
  if [ -f "$kw_path" ] && [ ! -L "$kw_path" ] && kw_digested "$kw_path" "$5"; then
    kw_owned "$kw_path" "$3" "$4" && return 0
    kw_note_file "$1" "$kw_path" && kw_own "$kw_path" "$3" "$4" && return 9
    return 1
  fi
  kw_judge=${6-}
  kw_note_file "$1" "$kw_path" && kw_decode "$kw_path" "$3" "$4" "$5" ${kw_judge:+kw_judged} && return 9
  return 1
}

# Whether the program that is to read a file agrees with it: the file. What it says against it is told.
kw_judged() {
  kw_said=$(exec 2>&1; $kw_judge "$1") && return 0
  printf '%s\n' "$kw_said" | tail -n 20
  kw_no "${kw_judge%% *} refuses it, and what was there stays"
}

# A folder: path, mode, owner. A link that leads to one will do.
kw_directory() {
  kw_path=$KW_ROOT$1 kw_done=0
  if [ ! -d "$kw_path" ]; then
    { [ ! -e "$kw_path" ] && [ ! -L "$kw_path" ]; } || { kw_no "$1 is no folder"; return 1; }
    kw_note_absent "directory $1" && kw_folder "$kw_path" && kw_done=9 || return 1
  fi
  kw_owned "$kw_path/." "$2" "$3" && return $kw_done
  kw_known "directory $1" || kw_note_there "directory $1" "$(stat -c '%a %u:%g' -- "$kw_path/.")" || return 1
  kw_own "$kw_path/." "$2" "$3" && return 9
  return 1
}

# A link: path, target.
kw_link() {
  kw_path=$KW_ROOT$1
  [ -L "$kw_path" ] && [ "$(readlink -- "$kw_path")" = "$2" ] && return 0
  [ -L "$kw_path" ] || [ ! -d "$kw_path" ] || { kw_no "$1 is a folder"; return 1; }
  kw_note_file "link $1" "$kw_path" && kw_folder "${kw_path%/*}/" && ln -sfn -- "$2" "$kw_path" && kw_label "$kw_path" && return 9
  return 1
}

# Reads a file that others own too into kw_path, its real place, and kw_old, its text.
kw_open() {
  kw_path=$KW_ROOT$1
  [ ! -L "$kw_path" ] || kw_path=$(readlink -f -- "$kw_path") || { kw_no "$1 leads nowhere"; return 1; }
  kw_read "$kw_path"
}

# Reads a file that may not be there into kw_old.
kw_read() {
  kw_old=
  [ ! -e "$1" ] && return 0
  # The point keeps the empty lines at the end, which the shell would drop.
  kw_old=$(cat -- "$1" && echo .) || return 1
  kw_old=${kw_old%.}
  # What the last line lacks is no difference worth a write.
  kw_old=${kw_old%"$kw_newline"}
  [ -z "$kw_old" ] || kw_old=$kw_old$kw_newline
}

# Writes a text there if it is another one, and keeps mode and owner.
kw_close() {
  [ "$1" != "$kw_old" ] || return 0
  if [ -e "$kw_path" ]; then
    set -- "$1" $(stat -c '%a %u:%g' -- "$kw_path")
  else
    set -- "$1" 644 0:0
  fi
  kw_write "$1" "$kw_path" "$2" "$3" && return 9
  return 1
}

# Reads the lines that are wished, in base64 on standard input, into kw_wish.
kw_take() {
  kw_wish=$(base64 -d && echo .) && kw_wish=${kw_wish%.}
}

# A text with the block in it, at its old place or else at the end; without the block when there is no second word.
kw_blocked() {
  kw_at=before
  while IFS= read -r kw_line || [ -n "$kw_line" ]; do
    case $kw_at,$kw_line in
    before,'# BEGIN kubewright')
      kw_at=inside
      [ $# -eq 0 ] || kw_marked "$1"
      ;;
    inside,'# END kubewright') kw_at=after ;;
    inside,*) ;;
    *) printf '%s\n' "$kw_line" ;;
    esac
  done
  case $kw_at in
  before) [ $# -eq 0 ] || kw_marked "$1" ;;
  inside) kw_no 'a block of ours begins there and never ends' ;;
  esac
}

kw_marked() {
  printf '# BEGIN kubewright\n%s# END kubewright\n' "$1"
}

# A block in a file: path; its lines in base64 on standard input.
kw_block() {
  kw_take && kw_block_in "$1"
}

# The same for the lines that stand in kw_wish: path.
kw_block_in() {
  kw_open "$1" || return 1
  kw_text=$(printf '%s' "$kw_old" | kw_blocked "$kw_wish" && echo .) || return 1
  [ "${kw_text%.}" = "$kw_old" ] || kw_note_file "block in $1" "$kw_path" || return 1
  kw_close "${kw_text%.}"
}

# Our block of /etc/hosts, its lines in base64 on standard input. Where cloud-init writes that file at every boot, from a
# template, as Proxmox VE has it do, the template has the block first.
kw_hosts() {
  kw_take || return 1
  kw_made=0
  for kw_of in $(kw_hosts_template) /etc/hosts; do
    kw_block_in "$kw_of"
    case $? in
    0) ;;
    9) kw_made=9 ;;
    *) return 1 ;;
    esac
  done
  return $kw_made
}

# The template that cloud-init writes /etc/hosts from, if it does that: it has one for each family of distributions. What
# the user and the provider said to it stands together in one file each.
# <https://docs.cloud-init.io/en/latest/reference/modules.html#update-etc-hosts>
kw_hosts_template() {
  grep -qsE 'manage_etc_hosts.*(rue|template)' "$KW_ROOT/var/lib/cloud/instance/cloud-config.txt" \
    "$KW_ROOT/var/lib/cloud/instance/vendor-cloud-config.txt" "$KW_ROOT/etc/cloud/cloud.cfg" \
    "$KW_ROOT"/etc/cloud/cloud.cfg.d/*.cfg || return 0
  if kw_has apt-get; then kw_family=debian; elif kw_has dnf; then kw_family=redhat; else kw_family=suse; fi
  kw_template=/etc/cloud/templates/hosts.$kw_family.tmpl
  [ ! -f "$KW_ROOT$kw_template" ] || echo "$kw_template"
}

# Splits a text into kw_head, before the first [section], and kw_tail.
kw_split() {
  kw_head= kw_tail=
  while IFS= read -r kw_line || [ -n "$kw_line" ]; do
    case $kw_tail$kw_line in
    '['*) kw_tail=$kw_tail$kw_line$kw_newline ;;
    *) kw_head=$kw_head$kw_line$kw_newline ;;
    esac
  done <<KW_END
${kw_old%"$kw_newline"}
KW_END
  [ -n "$kw_old" ] || kw_head=
}

# Takes the lines `key: value` of a key out of kw_head: the key.
kw_without() {
  kw_kept=
  while IFS= read -r kw_other; do
    case $kw_other in
    "$1:"*) ;;
    *) kw_kept=$kw_kept$kw_other$kw_newline ;;
    esac
  done <<KW_END
${kw_head%"$kw_newline"}
KW_END
  [ -z "$kw_head" ] || kw_head=$kw_kept
}

# Lines in a file that is another program's: one that we made would be taken for what it is not. As below.
kw_their_lines() {
  [ -e "$KW_ROOT$1" ] || { kw_no "there is no file $1"; return 1; }
  kw_of_container "$1" && kw_lines "$1"
}

# Proxmox VE changes a container's configuration under a lock of its own, and so do we, until what holds it ends:
# `config_file_lock` in pve-container. It waits 10 s itself.
kw_of_container() {
  case $1 in
  /etc/pve/lxc/*.conf) kw_vmid=${1##*/} kw_vmid=${kw_vmid%.conf} ;;
  *) return 0 ;;
  esac
  [ -d "$KW_ROOT/run/lock/lxc" ] || return 0
  exec 9>>"$KW_ROOT/run/lock/lxc/pve-config-$kw_vmid.lock" || return 1
  flock -w 30 9 || kw_no "the configuration of the container $kw_vmid is held by Proxmox VE"
}

# Lines that stand in a file before its first section: path; the lines in base64 on standard input.
kw_lines() {
  kw_take && kw_lined "$1"
}

# The same for the lines that stand in kw_wish: path.
kw_lined() {
  kw_open "$1" && kw_split || return 1
  while IFS= read -r kw_line; do
    case $kw_newline$kw_head in
    *"$kw_newline$kw_line$kw_newline"*) continue ;;
    esac
    case $kw_line in
    lxc.*) ;;
    *:*) kw_without "${kw_line%%:*}" ;;
    esac
    kw_head=$kw_head$kw_line$kw_newline
  done <<KW_END
${kw_wish%"$kw_newline"}
KW_END
  kw_close "$kw_head$kw_tail"
}

# One setting in a file of settings: path, what its line begins with, the line.
kw_setting() {
  kw_open "$1" || return 1
  kw_text=$kw_old
  kw_set "$2" "$3"
  kw_close "$kw_text"
}

# One setting in kw_text, the text of such a file: what its line begins with, the line.
kw_set() {
  kw_was=$kw_text kw_text=
  while IFS= read -r kw_line; do
    case $kw_line in
    "$1"*)
      case $kw_newline$kw_text in
      *"$kw_newline$2$kw_newline"*) ;;
      *) kw_text=$kw_text$2$kw_newline ;;
      esac
      ;;
    *) kw_text=$kw_text$kw_line$kw_newline ;;
    esac
  done <<KW_END
${kw_was%"$kw_newline"}
KW_END
  [ -n "$kw_was" ] || kw_text=
  case $kw_newline$kw_text in
  *"$kw_newline$2$kw_newline"*) ;;
  *) kw_text=$kw_text$2$kw_newline ;;
  esac
}
