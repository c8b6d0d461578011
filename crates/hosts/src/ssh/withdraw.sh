# Takes a key, whose text without its kind is in kw_key, away from those that may log in as the user who we are. Where the
# file is a link, as on Proxmox VE, it stays one, and what it leads to is written.
umask 077
kw_keys=$(readlink -f -- "$HOME/.ssh/authorized_keys") && [ -f "$kw_keys" ] || exit 0
grep -qF -e "$kw_key" -- "$kw_keys" || exit 0
kw_new=$kw_keys.kubewright
# Its owner and its mode come with a copy; not every file system has them.
cp -p -- "$kw_keys" "$kw_new" 2>/dev/null || cp -- "$kw_keys" "$kw_new" || exit 1
grep -vF -e "$kw_key" -- "$kw_keys" >"$kw_new"
if [ $? -gt 1 ] || [ ! -s "$kw_new" ]; then
  rm -f -- "$kw_new"
  echo "no other key would be left in $kw_keys" >&2
  exit 1
fi
mv -f -- "$kw_new" "$kw_keys" || exit 1
if command -v restorecon >/dev/null; then restorecon -R "$HOME/.ssh"; fi
echo gone
