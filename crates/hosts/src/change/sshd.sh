# The SSH daemon. It keeps the old configuration until the new one is in force, and puts it back when anything refuses it.

kw_sshd_config=$KW_ROOT/etc/ssh/sshd_config
# The first word wins in sshd's files, so ours is read before all others. Only ports add up.
kw_sshd_ours=$KW_ROOT/etc/ssh/sshd_config.d/00-kubewright.conf
kw_sshd_units=$KW_ROOT/etc/systemd/system
kw_sshd_kept=$KW_STATE/sshd
# Goes back at a boot, which ends the shell that waits; it is there only as long as that one.
kw_sshd_boot=kubewright-sshd-back.service

kw_sshd_keep() {
  # What an earlier run kept before it died is the last configuration that worked.
  [ ! -e "$kw_sshd_kept/pending" ] || return 0
  kw_state sshd && rm -f -- "$kw_sshd_kept/whole" || return 1
  for kw_path in "$kw_sshd_config" "$kw_sshd_ours" "$kw_sshd_units/$kw_socket.d/zz-kubewright.conf"; do
    kw_copy=$kw_sshd_kept/${kw_path##*/}
    rm -f -- "$kw_copy" && { [ ! -e "$kw_path" ] || cp -p -- "$kw_path" "$kw_copy"; } || return 1
  done
  printf '%s\n' "$kw_socket" >"$kw_sshd_kept/whole" && : >"$kw_sshd_kept/pending"
}

kw_sshd_restore() {
  [ -e "$kw_sshd_kept/whole" ] || { kw_no 'no earlier configuration of sshd was kept'; return 1; }
  for kw_path in "$kw_sshd_config" "$kw_sshd_ours" "$kw_sshd_units/$kw_socket.d/zz-kubewright.conf"; do
    kw_copy=$kw_sshd_kept/${kw_path##*/}
    if [ -e "$kw_copy" ]; then
      cp -p -- "$kw_copy" "$kw_path.kubewright" && mv -f -- "$kw_path.kubewright" "$kw_path" && kw_label "$kw_path"
    else
      rm -f -- "$kw_path"
    fi || return 1
  done
}

# Puts the last configuration back that was in force before ours. A socket that failed over it is still the way in.
kw_sshd_undo() {
  [ ! -e "$kw_sshd_kept/whole" ] || read -r kw_socket <"$kw_sshd_kept/whole" || kw_socket=
  kw_sshd_restore && kw_sshd_reload '' && rm -f -- "$kw_sshd_kept/pending" && kw_sshd_proven && return 9
  return 1
}

# Unless somebody comes in by the new way and says so, the old one is back after so many seconds: whoever changed it may
# have lost the way, or may be gone. A shell of its own waits, which holds nothing that our connection waits for.
kw_sshd_watch() {
  printf '%s\n' "$kw_back" | base64 -d | kw_put "$kw_sshd_kept/back" 700 0:0 && : >"$kw_sshd_kept/unproven" || return 1
  sh -c 'trap "" HUP; sleep "$1"; [ ! -e "$2/unproven" ] || sh "$2/back"' sh "$1" "$kw_sshd_kept" \
    </dev/null >/dev/null 2>&1 &
  kw_put "$kw_sshd_units/$kw_sshd_boot" 644 0:0 <<KW_END && systemctl -q enable "$kw_sshd_boot"
[Unit]
Description=The SSH daemon goes back to what was proven
After=ssh.service ssh.socket sshd.service sshd.socket
ConditionPathExists=/var/lib/kubewright/sshd/unproven
[Service]
Type=oneshot
ExecStart=/bin/sh /var/lib/kubewright/sshd/back
[Install]
WantedBy=multi-user.target
KW_END
}

# Somebody came in by the new way, or the old one is back.
kw_sshd_proven() {
  rm -f -- "$kw_sshd_kept/unproven" || return 1
  [ ! -e "$kw_sshd_units/$kw_sshd_boot" ] ||
    { systemctl -q disable "$kw_sshd_boot" && rm -f -- "$kw_sshd_units/$kw_sshd_boot"; }
}

# Whether sshd understands its configuration to say: port, yes or no for harden, what root may.
kw_sshd_says() {
  kw_ports= kw_password=yes kw_keyboard=yes kw_root=yes
  kw_shown=$(sshd -T) || return 1
  while read -r kw_key kw_value; do
    case $kw_key in
    port) kw_ports=$kw_ports${kw_ports:+,}$kw_value ;;
    passwordauthentication) kw_password=$kw_value ;;
    kbdinteractiveauthentication | challengeresponseauthentication) kw_keyboard=$kw_value ;;
    permitrootlogin) kw_root=$kw_value ;;
    esac
  done <<KW_END
$kw_shown
KW_END
  [ "$kw_root" != without-password ] || kw_root=prohibit-password
  [ "$kw_ports" = "$1" ] || return 1
  [ "$2" = no ] || [ "$kw_password $kw_keyboard $kw_root" = "no no $3" ]
}

# The whole text of our file: port, yes or no for harden, what root may.
kw_sshd_text() {
  printf '# Written by kubewright.\nPort %s\n' "$1"
  [ "$2" = no ] ||
    printf 'PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin %s\n' "$3"
}

# Has sshd read our folder, and takes the ports out of its main file: they would be added to ours.
kw_sshd_main() {
  [ -e "$kw_sshd_config" ] || return 0
  kw_open /etc/ssh/sshd_config || return 1
  kw_text= kw_includes=
  while IFS= read -r kw_line; do
    case $kw_line in
    [Ii]nclude*/etc/ssh/sshd_config.d/\*.conf*) kw_includes=1 ;;
    [Pp][Oo][Rr][Tt][\ \	=]*) kw_line="# kubewright says it in its own file: $kw_line" ;;
    esac
    kw_text=$kw_text$kw_line$kw_newline
  done <<KW_END
${kw_old%"$kw_newline"}
KW_END
  [ -n "$kw_includes" ] || kw_text="Include /etc/ssh/sshd_config.d/*.conf$kw_newline$kw_text"
  kw_close "$kw_text"
  [ $? != 1 ]
}

# Sets kw_socket to the socket by which systemd listens for sshd, if it does.
kw_sshd_socket() {
  for kw_socket in ssh.socket sshd.socket ''; do
    [ -z "$kw_socket" ] || ! systemctl -q is-active "$kw_socket" || return 0
  done
}

# Has the daemon read its configuration again, without an end to any connection: port, or nothing.
kw_sshd_reload() {
  if [ -n "$kw_socket" ]; then
    kw_makes=
    for kw_path in /usr/lib /lib; do
      # Ubuntu since 24.04 makes the socket's port out of sshd's configuration.
      [ ! -e "$KW_ROOT$kw_path/systemd/system-generators/sshd-socket-generator" ] || kw_makes=1
    done
    # Here the last word wins, and `systemctl edit` writes `override.conf`.
    if [ -z "$kw_makes" ] && [ -n "$1" ]; then
      printf '[Socket]\nListenStream=\nListenStream=%s\n' "$1" |
        kw_put "$kw_sshd_units/$kw_socket.d/zz-kubewright.conf" 644 0:0 || return 1
    fi
    # A socket does not start beside a daemon that runs, and whoever knocks meanwhile would start one. Connections that
    # are there go on without both.
    systemctl daemon-reload && systemctl stop "$kw_socket" "${kw_socket%.socket}.service" &&
      systemctl start "$kw_socket"
  elif systemctl -q is-active ssh.service; then
    systemctl reload ssh.service
  else
    systemctl reload sshd.service
  fi
}

# SELinux lets the daemon listen at its port.
kw_sshd_label() {
  ! semanage port -l | grep -q "^ssh_port_t .*[ ,]$1\(,\|\$\)" || return 0
  kw_note_absent "port label $1" || return 1
  semanage port -a -t ssh_port_t -p tcp "$1" || semanage port -m -t ssh_port_t -p tcp "$1"
}

# What would stand between the daemon and its new port.
kw_sshd_way() {
  [ "$1" != 22 ] || return 0
  if [ -e "$KW_ROOT/sys/fs/selinux/enforce" ]; then
    if ! kw_has semanage; then
      kw_tools policycoreutils-python-utils
      [ $? != 1 ] || return 1
    fi
    kw_sshd_label "$1" || return 1
  fi
  if kw_has firewall-cmd && firewall-cmd -q --state; then
    firewall-cmd -q --query-port="$1/tcp" || kw_note_absent "open port $1" || return 1
    firewall-cmd -q --permanent --add-port="$1/tcp" && firewall-cmd -q --add-port="$1/tcp" || return 1
  fi
}

kw_sshd_write() {
  kw_sshd_main && kw_sshd_text "$@" | kw_put "$kw_sshd_ours" 600 0:0 && sshd -t || return 1
  kw_sshd_says "$@" ||
    { kw_no "sshd would not do as wished: another file of its configuration says otherwise"; return 1; }
  kw_sshd_way "$1"
}

# The SSH daemon: seconds in which the new way must be proven; port, yes or no for harden, what root may. The script that
# goes back is on standard input, in base64.
kw_sshd() {
  kw_back=$(cat)
  kw_within=$1
  shift
  kw_sshd_socket
  # A daemon that was never started has no such folder, and its test wants one.
  ! kw_has apt-get || [ -d "$KW_ROOT/run/sshd" ] || mkdir -p -- "$KW_ROOT/run/sshd" || return 1
  if [ -f "$kw_sshd_ours" ] && [ ! -e "$kw_sshd_kept/pending" ] &&
    [ "$(cat -- "$kw_sshd_ours")" = "$(kw_sshd_text "$@")" ] && kw_sshd_says "$@"; then
    # An earlier run died before it came in by the new way: this one must.
    [ -e "$kw_sshd_kept/unproven" ] || return 0
    return 9
  fi
  kw_older 'ssh daemon' "$kw_sshd_ours" || kw_note_there 'ssh daemon' "$kw_socket" "$kw_sshd_config" "$kw_sshd_ours" \
    "$kw_sshd_units/$kw_socket.d/zz-kubewright.conf" || return 1
  kw_sshd_keep || return 1
  if ! kw_sshd_write "$@"; then
    kw_sshd_restore && rm -f -- "$kw_sshd_kept/pending"
    return 1
  fi
  if ! kw_sshd_watch "$kw_within" || ! kw_sshd_reload "$1"; then
    kw_sshd_undo
    return 1
  fi
  rm -f -- "$kw_sshd_kept/pending" && return 9
  return 1
}
