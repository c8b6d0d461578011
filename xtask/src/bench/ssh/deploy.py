from pyinfra import host
from pyinfra.operations import apt, files, server, systemd

apt.packages(packages="adduser apt bash coreutils curl dash dpkg grep gzip procps sudo tar".split())
files.directory(path="/etc/bench", mode="755")
for number in range(10):
    files.block(path=f"/etc/bench/{number}.conf", content=f"setting of the host, number {number}", try_prevent_shell_expansion=True)
for key, value in {
    "net.core.somaxconn": 4096,
    "net.ipv4.ip_forward": 1,
    "net.ipv4.tcp_keepalive_time": 600,
    "net.ipv4.tcp_fin_timeout": 30,
    "net.ipv4.tcp_syn_retries": 4,
    "net.ipv4.conf.all.accept_redirects": 0,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.rp_filter": 2,
}.items():
    server.sysctl(key=key, value=value, persist=True)
for module in ["overlay", "nf_conntrack", "fuse", "loop"]:
    files.line(path="/etc/modules-load.d/bench.conf", line=module)
server.user(user="deploy", shell="/bin/bash", public_keys=[host.data.public])
files.line(path="/etc/sudoers.d/deploy", line="deploy ALL=(ALL) NOPASSWD: ALL")
files.link(path="/etc/localtime", target="/usr/share/zoneinfo/Europe/Paris", force=True, force_backup=False)
files.line(path="/etc/timezone", line="Europe/Paris")
files.block(path="/etc/hosts", content="10.77.0.1 host-1", try_prevent_shell_expansion=True)
for unit in ["ssh.service", "cron.service", "systemd-timesyncd.service"]:
    systemd.service(service=unit, running=True, enabled=True)
