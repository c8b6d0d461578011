# Keeps a host on until it is told `off`, or until nobody holds our standard input any more: then whoever wanted it was
# killed, and what that one left is taken away. Folder, host's name, address, port. Its first process is the only child
# of the process in `pid`.
set -eu
lab=$1 address=$3
unshare --net --mount --uts --pid --fork --kill-child \
  sh "$(dirname "$0")/start.sh" "$@" "/proc/$$/ns/net" </dev/null >/dev/null 2>"$lab/log" &
echo $! >"$lab/pid"
word=
read -r word || :
# When the first process has gone, so have all others; then the one that waits for it goes.
kill -9 $(cat "/proc/$!/task/$!/children") || kill -9 $! || :
wait
ip link delete "host${address##*.}" || :
ip neighbour flush to "$address"
[ "$word" = off ] || rm -rf "$lab"
