# What the bench's hosts have more than those of the tests: a network of their own with settings of its own, and time to
# get an address before anybody listens.
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,rw /proc/sys/net
printf '#!/bin/sh\nexit 0\n' >/usr/local/sbin/modprobe
ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime
rm -f /etc/timezone
for unit in ssh cron systemd-timesyncd; do
  [ -e /lib/systemd/system/$unit.service ] || printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/$unit.service
  echo active >/run/units/$unit.service.active
  echo running >/run/units/$unit.service.sub
  echo enabled >/run/units/$unit.service.enabled
done
rm -f /root/.bashrc /root/.profile /root/.bash_profile
