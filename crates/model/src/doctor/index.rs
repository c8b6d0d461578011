//! Every check by name, with what it looks at and why that is wrong.
//!
//! A name never changes its meaning. The pages of `kubewright explain` and of the reference come from here; the functions are
//! in `planner::doctor`.

use super::{Entry, Layer};

const fn entry(
    id: &'static str,
    layer: Layer,
    title: &'static str,
    looks_at: &'static str,
    text: &'static str,
) -> Entry {
    Entry { id, layer, title, looks_at, text }
}

/// Every check, from the ground up.
pub static INDEX: &[Entry] = &[
    entry(
        "machine-off",
        Layer::Machines,
        "a machine does not run",
        "the power of each machine, as its provider tells it",
        "A machine of the spec is off, so its host and its node are away. `kubewright apply` starts it; when it \
         goes off again, look at its provider's log.",
    ),
    entry(
        "host-unreachable",
        Layer::Hosts,
        "a host cannot be reached",
        "the connection to each host",
        "Nobody gets in over SSH, or over the API of Talos, so nothing of the host is known. The layer at which \
         it ends is told: the name, TCP, the host key, the login or sudo. The port, the user and the key are in \
         `ssh` of the spec.",
    ),
    entry(
        "kmsg-missing",
        Layer::Hosts,
        "/dev/kmsg is missing",
        "`ls -l /dev/kmsg`",
        "kubelet reads the kernel's messages from /dev/kmsg and does not start without it: `open /dev/kmsg: no \
         such file or directory`. A container of Proxmox has none by itself. The spec's containers get one at \
         every start, so `kubewright apply` puts it back.",
    ),
    entry(
        "proc-sys-read-only",
        Layer::Hosts,
        "/proc/sys is read-only",
        "/proc/mounts",
        "kubelet sets kernel settings and fails with `Failed to start ContainerManager` and `read-only file \
         system`. The container's configuration on its hypervisor needs `lxc.mount.auto: proc:rw sys:rw \
         cgroup:rw`, and the container has to be stopped and started.",
    ),
    entry(
        "swap-on",
        Layer::Hosts,
        "swap is on",
        "/proc/swaps, where the spec wants none",
        "kubelet does not start while swap is on, unless it was told to bear it, as those of K3s and RKE2 are. Swap \
         goes off at once and stays off when it is commented out in /etc/fstab.",
    ),
    entry(
        "ip-forward-off",
        Layer::Hosts,
        "packets are not forwarded",
        "the setting `net.ipv4.ip_forward`",
        "Pods of different nodes cannot reach each other, and `kubeadm` refuses to begin: \
         `/proc/sys/net/ipv4/ip_forward contents are not set to 1`. The setting belongs to what the spec wants of \
         every host.",
    ),
    entry(
        "bridge-netfilter-off",
        Layer::Hosts,
        "bridged packets pass iptables by",
        "the setting `net.bridge.bridge-nf-call-iptables`",
        "Services are rules of iptables, and packets between pods of one node pass them by: a Service answers \
         from other nodes and not from its own. The module `br_netfilter` brings the setting, and both are to be \
         there at every start.",
    ),
    entry(
        "inotify-exhausted",
        Layer::Hosts,
        "no inotify instances are left",
        "the settings `fs.inotify` and the logs of the units",
        "Programs that watch files fail with `too many open files` although files are to be had: what is used up \
         are inotify instances of the user, of which a kernel gives 128. Set `fs.inotify.max_user_instances` to \
         8192 and `fs.inotify.max_user_watches` to 524288.",
    ),
    entry(
        "file-handles-exhausted",
        Layer::Hosts,
        "open files are nearly used up",
        "`fs.file-nr`",
        "The kernel gives no more files than `fs.file-max`, and every connection is one. Whoever holds them is \
         found by `lsof`; the limit is raised by a sysctl.",
    ),
    entry(
        "pids-exhausted",
        Layer::Hosts,
        "process ids are nearly used up",
        "the number of threads and `kernel.pid_max`",
        "When no id is left, nobody starts a process any more: `fork: Resource temporarily unavailable`. Raise \
         `kernel.pid_max`, and find who starts so many.",
    ),
    entry(
        "conntrack-full",
        Layer::Hosts,
        "the table of connections is full",
        "`nf_conntrack_count` and `nf_conntrack_max`",
        "The kernel drops packets of new connections when its table is full: `nf_conntrack: table full, dropping \
         packet`. What seems to be a network that loses packets ends with a larger \
         `net.netfilter.nf_conntrack_max`.",
    ),
    entry(
        "out-of-memory",
        Layer::Hosts,
        "the kernel has killed processes",
        "the kernel's log",
        "The host had no memory left, and the kernel killed the process that it holds to be worth least. That is over, \
         and happens again: give the machine more memory, or its pods limits that fit.",
    ),
    entry(
        "machine-id-duplicate",
        Layer::Hosts,
        "hosts have one machine id",
        "/etc/machine-id",
        "Hosts that were cloned from a template that was not cleaned have one machine id, and so DHCP gives them \
         one address, and add-ons take them for one. Make it anew: `rm /etc/machine-id && \
         systemd-machine-id-setup`, then restart the host.",
    ),
    entry(
        "hostname-duplicate",
        Layer::Hosts,
        "hosts have one name",
        "the hosts' names",
        "The second node with a name takes the place of the first one in the cluster, or is refused: `node \
         password rejected`. Every host of the spec has its own name, which `kubewright apply` sets.",
    ),
    entry(
        "cgroup-v1",
        Layer::Hosts,
        "the host has the old control groups",
        "`stat -fc %T /sys/fs/cgroup`",
        "The first version of control groups is at its end: from Kubernetes 1.35 on kubelet refuses to start with \
         it. Boot with `systemd.unified_cgroup_hierarchy=1`, or take a newer system.",
    ),
    entry(
        "iptables-missing",
        Layer::Hosts,
        "there is no iptables",
        "the program `iptables`",
        "kube-proxy and the network plug-ins write rules by the program `iptables`. A small image of a container \
         may lack it; the package `iptables` brings it.",
    ),
    entry(
        "kubernetes-not-running",
        Layer::Hosts,
        "the unit of Kubernetes does not run",
        "`systemctl show` of K3s, RKE2 or kubelet, and the last lines of its log",
        "The unit that makes the host a node does not run. The last line of its log tells why; other findings on \
         this host are the more probable cause.",
    ),
    entry(
        "unit-restarts",
        Layer::Hosts,
        "a unit is started over and over",
        "`NRestarts` of the units",
        "The unit ends and is started again by systemd, so it seems to be active in each look. The last line of \
         its log tells why it ends.",
    ),
    entry(
        "port-taken",
        Layer::Hosts,
        "another program has the port",
        "the logs of the units",
        "A unit does not start because another program listens where it is to: `bind: address already in use`. \
         `ss -lntp` on the host names it.",
    ),
    entry(
        "reboot-pending",
        Layer::Hosts,
        "the host waits for a restart",
        "/run/reboot-required, /run/reboot-needed, `needs-restarting`",
        "Packages were upgraded that only a restart brings into use, a kernel with its fixes among them. Nodes \
         are restarted one after the other.",
    ),
    entry(
        "packages-half-installed",
        Layer::Hosts,
        "packages are half installed",
        "`dpkg --audit`",
        "A package manager was cut off, and every further installation fails: `dpkg was interrupted`. `dpkg \
         --configure -a` ends what was begun.",
    ),
    entry(
        "guest-agent-down",
        Layer::Hosts,
        "the guest agent does not run",
        "the unit `qemu-guest-agent`",
        "Proxmox asks the guest agent for addresses, and freezes filesystems with it while it snapshots. Without \
         it, backups are as after a power cut.",
    ),
    entry(
        "disk-full",
        Layer::Disks,
        "a filesystem is full",
        "`df -P`",
        "Nothing can be written any more: kubelet evicts pods and taints the node at 85 to 90 percent, etcd \
         stops, and images are not pulled. Old logs go first, where there are any; then the disk has to grow. \
         kubelet itself takes unused images away from 85 percent on.",
    ),
    entry(
        "inodes-full",
        Layer::Disks,
        "a filesystem has no inodes left",
        "`df -P -i`",
        "There is room and no file can be made: `no space left on device`. Very many small files use the inodes \
         up, mostly layers of images; unused images go first.",
    ),
    entry(
        "filesystem-read-only",
        Layer::Disks,
        "a filesystem has become read-only",
        "/proc/mounts",
        "The kernel makes a filesystem read-only when its disk gives errors. Look at the disk or its storage, \
         repair the filesystem with `fsck` from a rescue system, and restart the host.",
    ),
    entry(
        "disk-errors",
        Layer::Disks,
        "a disk gives errors",
        "the kernel's log",
        "The kernel could not read or write blocks of a disk. A real disk is to be replaced; a virtual one's \
         storage has run full or away.",
    ),
    entry(
        "clock-skew",
        Layer::Time,
        "a clock is wrong",
        "the host's clock beside that of this computer",
        "Certificates are not valid yet, or not any more, for who has another time, tokens are refused, and etcd \
         warns: `the clock difference against peer is too high`. A time service that runs mends it.",
    ),
    entry(
        "clock-not-synchronized",
        Layer::Time,
        "nobody keeps the clock right",
        "`timedatectl show`",
        "The clock is right now and runs away day by day. A time service of the system has to run and to reach \
         its servers, by UDP 123.",
    ),
    entry(
        "certificate-expired",
        Layer::Certificates,
        "a certificate has expired",
        "the certificate files of each host",
        "Whoever shows an expired certificate is spoken to by nobody: `x509: certificate has expired or is not \
         yet valid`. K3s and RKE2 make theirs anew when they are restarted within 120 days of the end; kubeadm's \
         need `kubeadm certs renew all` and a restart of the control plane's pods.",
    ),
    entry(
        "certificate-expires-soon",
        Layer::Certificates,
        "a certificate expires soon",
        "the certificate files of each host",
        "It still holds, for less than 30 days. Renew it now, while everything works.",
    ),
    entry(
        "certificate-not-yet-valid",
        Layer::Certificates,
        "a certificate is not valid yet",
        "the certificate files of each host",
        "A certificate was made while a clock was ahead. When no clock is wrong any more, it becomes valid by \
         itself or is made anew.",
    ),
    entry(
        "etcd-slow-disk",
        Layer::Etcd,
        "etcd's disk is slow",
        "etcd's metrics, and its log",
        "etcd waits until each entry is on the disk. Where the 99th percentile is above 10 ms for the log or 25 \
         ms for the commit, leaders change and the API is slow. The disk has to be an SSD that nobody else writes \
         to.",
    ),
    entry(
        "etcd-no-space",
        Layer::Etcd,
        "etcd takes no more writes",
        "etcd's health and its log",
        "Its database has reached its quota and etcd has raised the alarm NOSPACE: `mvcc: database space \
         exceeded`. Old revisions are compacted away, the file is defragmented, and the alarm is disarmed, in \
         this order.",
    ),
    entry(
        "etcd-nearly-full",
        Layer::Etcd,
        "etcd's database is nearly full",
        "etcd's metrics",
        "At the quota (2 GiB, where no other was set) etcd takes no more writes. Defragmenting gives back what is \
         not in use; what makes so many objects is to be found.",
    ),
    entry(
        "etcd-no-leader",
        Layer::Etcd,
        "etcd has no leader",
        "etcd's metrics, and its log",
        "More than half of the members have to reach each other by TCP 2380. Without a leader the API answers \
         nothing.",
    ),
    entry(
        "etcd-leader-changes",
        Layer::Etcd,
        "etcd's leader changes often",
        "etcd's metrics",
        "A slow disk, a slow network or a busy processor keep the leader from being heard in time. Each change \
         stops the API for a second.",
    ),
    entry(
        "etcd-corrupt",
        Layer::Etcd,
        "a member of etcd has other data",
        "etcd's health and its log",
        "etcd has raised the alarm CORRUPT: members do not agree about what is written. The member whose data \
         differ leaves and joins anew with none.",
    ),
    entry(
        "runtime-down",
        Layer::Runtime,
        "the container runtime does not run",
        "the unit `containerd`",
        "kubelet starts nothing without its runtime and its node is not Ready: `container runtime is down`.",
    ),
    entry(
        "cgroup-driver-mismatch",
        Layer::Runtime,
        "kubelet and containerd disagree about control groups",
        "`SystemdCgroup` of containerd and `cgroupDriver` of kubelet",
        "The one has systemd make control groups and the other makes them itself: pods start and are killed \
         again. Both have to say systemd.",
    ),
    entry(
        "cri-disabled",
        Layer::Runtime,
        "containerd does not serve Kubernetes",
        "`disabled_plugins` of containerd",
        "The package of Docker's repository writes a configuration that turns the plug-in `cri` off, and kubelet \
         says `unknown service runtime.v1.RuntimeService`. The configuration that the spec means has it on.",
    ),
    entry(
        "mtu-mismatch",
        Layer::Network,
        "the network of pods has larger packets than that of hosts",
        "the MTU of links, and which of them has the node's address",
        "Packets of pods are wrapped into packets of hosts, which takes 50 bytes with VXLAN. Where the inner MTU \
         is too large, small answers come and large ones never do.",
    ),
    entry(
        "vxlan-blocked",
        Layer::Network,
        "a firewall blocks VXLAN",
        "the rules of ufw, firewalld or iptables",
        "Flannel, Canal and Cilium send packets between nodes by UDP 8472. A firewall on the host that lets them \
         not in leaves pods of this node alone.",
    ),
    entry(
        "api-port-blocked",
        Layer::Network,
        "a firewall blocks the API",
        "the rules of ufw, firewalld or iptables",
        "Nodes join and kubelets report by TCP 6443, and a firewall on the server does not let them in.",
    ),
    entry(
        "no-default-route",
        Layer::Network,
        "a host has no default route",
        "`ip route show default`, of IPv4 and of IPv6",
        "Without it, nothing is pulled or downloaded, and K3s, RKE2 and kubeadm do not know which address is the \
         node's.",
    ),
    entry(
        "address-duplicate",
        Layer::Network,
        "hosts have one address",
        "`ip -j addr`",
        "Two hosts with one address answer by turns. One of them was cloned, or DHCP has given away what the spec \
         gives.",
    ),
    entry(
        "api-not-listening",
        Layer::Network,
        "a server does not serve the API",
        "`ss -lnt`",
        "Nobody listens on the port of the API on a server of the spec. The unit or the pod of the API server \
         does not run there.",
    ),
    entry(
        "dns-loop",
        Layer::Dns,
        "CoreDNS asks itself",
        "the logs of CoreDNS, /etc/resolv.conf of the hosts",
        "The name server that a pod inherits from its host is an address of the host itself (127.0.0.53), which \
         in a pod is the pod: CoreDNS finds the loop and ends. kubelet has to be given \
         /run/systemd/resolve/resolv.conf.",
    ),
    entry(
        "dns-down",
        Layer::Dns,
        "no name server of the cluster runs",
        "the Deployment of CoreDNS and its end points",
        "Names of Services are not found by any pod. What keeps the pods of CoreDNS from running is told beside \
         this.",
    ),
    entry(
        "name-servers-missing",
        Layer::Dns,
        "a host has no name server",
        "/etc/resolv.conf",
        "The host resolves no name, so nothing is pulled or downloaded there.",
    ),
    entry(
        "name-servers-too-many",
        Layer::Dns,
        "a host has more name servers than pods can have",
        "/etc/resolv.conf",
        "A pod has three at the most; kubelet leaves the others out: `Nameserver limits exceeded`. Which of them \
         answer for inner names is then chance.",
    ),
    entry(
        "kubeadm-pod-down",
        Layer::Kubeadm,
        "a part of the control plane does not run",
        "the static pods in `kube-system`",
        "kubelet starts the API server, the controller manager, the scheduler and etcd from \
         /etc/kubernetes/manifests. One of them ends or does not start on this node; its last words are in its \
         log.",
    ),
    entry(
        "kubeadm-manifest-missing",
        Layer::Kubeadm,
        "a manifest of the control plane is missing",
        "/etc/kubernetes/manifests",
        "A server of kubeadm that lacks a manifest runs that part not at all: an upgrade or a renewal was cut off \
         in the middle. `kubeadm init phase` writes it again.",
    ),
    entry(
        "kubeadm-init-failed",
        Layer::Kubeadm,
        "kubeadm was cut off",
        "the logs of kubelet and the files in /etc/kubernetes",
        "kubeadm has written some of its files, and the node never came to be. `kubewright apply` clears what is \
         left and goes on.",
    ),
    entry(
        "talos-not-serving",
        Layer::Talos,
        "a node of Talos does not answer",
        "the API of Talos",
        "Its API answers on TCP 50000 to who shows a certificate of this cluster. What it shows on its console \
         tells how far it is.",
    ),
    entry(
        "node-not-ready",
        Layer::Nodes,
        "a node is not Ready",
        "the nodes' conditions",
        "kubelet on it does not report, or reports what it lacks. Its pods are evicted after five minutes.",
    ),
    entry(
        "cni-not-ready",
        Layer::Nodes,
        "a node has no network plug-in",
        "the nodes' conditions",
        "No plug-in has written its configuration into /etc/cni/net.d yet: `cni plugin not initialized`. The \
         release or DaemonSet of the plug-in does not run there.",
    ),
    entry(
        "node-missing",
        Layer::Nodes,
        "a node of the spec is not in the cluster",
        "the nodes, beside the spec",
        "The spec has a member that has never joined, or was deleted. `kubewright apply` joins it.",
    ),
    entry(
        "node-cordoned",
        Layer::Nodes,
        "a node takes no pods",
        "`spec.unschedulable` of the nodes",
        "Somebody, or a run that was cut off, has cordoned the node, and nobody has let pods back.",
    ),
    entry(
        "node-taint-left",
        Layer::Nodes,
        "a node keeps a taint that nobody clears",
        "the nodes' taints, beside the spec",
        "A taint that should go by itself is still there: of a cloud that never came \
         (`node.cloudprovider.kubernetes.io/uninitialized`) or of a plug-in that is gone. Pods stay Pending: `had \
         untolerated taint`.",
    ),
    entry(
        "node-pressure",
        Layer::Nodes,
        "a node is short of memory, disk or process ids",
        "the nodes' conditions",
        "kubelet evicts pods and takes no new ones until there is room again.",
    ),
    entry(
        "version-skew",
        Layer::Nodes,
        "a kubelet is too far from the API server",
        "the nodes' versions",
        "A kubelet may be three minor versions older than the API server and never newer. `kubewright apply` \
         brings all nodes to the spec's version.",
    ),
    entry(
        "csr-pending",
        Layer::Nodes,
        "certificate requests wait",
        "the certificate signing requests",
        "A kubelet has asked for a certificate and nobody has approved it: `kubectl logs` and `kubectl exec` fail \
         for its pods. Approve those that you know.",
    ),
    entry(
        "image-local-pull-always",
        Layer::Images,
        "a local image is always pulled",
        "the pods' containers and their images on the nodes",
        "The image is on the node and in no registry, and `imagePullPolicy: Always` asks the registry \
         nevertheless. Set `imagePullPolicy: Never` or `IfNotPresent` in the manifest or the chart's values.",
    ),
    entry(
        "image-never-missing",
        Layer::Images,
        "an image that is never pulled is not there",
        "the pods' containers",
        "`imagePullPolicy: Never`, and the image is not on the node where the pod is: `ErrImageNeverPull`. Import \
         it on every node, or push it into a registry.",
    ),
    entry(
        "image-not-found",
        Layer::Images,
        "an image does not exist",
        "the events of pods",
        "The registry knows no such name or tag: `not found`, `manifest unknown`. Correct it in the manifest or \
         the chart's values.",
    ),
    entry(
        "image-denied",
        Layer::Images,
        "a registry refuses an image",
        "the events of pods",
        "The registry wants a login: `pull access denied`, `401 Unauthorized`. The pod needs an \
         `imagePullSecrets`, or the host a login in the registry's configuration.",
    ),
    entry(
        "image-rate-limit",
        Layer::Images,
        "a registry has had enough of us",
        "the events of pods",
        "Docker Hub lets in so many pulls in six hours: `toomanyrequests`. Log in, or put a mirror before it: \
         `registries` of the spec.",
    ),
    entry(
        "registry-unreachable",
        Layer::Images,
        "a registry cannot be reached",
        "the events of pods",
        "Its name is not resolved, or nobody answers: `no such host`, `i/o timeout`. Where all images on a node \
         fail so, it is the node's network or name server.",
    ),
    entry(
        "image-wrong-platform",
        Layer::Images,
        "an image is for another processor",
        "the events and last words of pods",
        "`exec format error` or `no match for platform in manifest`: the image was built for another architecture \
         than the node has.",
    ),
    entry(
        "pod-crash-loop",
        Layer::Pods,
        "a container ends over and over",
        "the pods' containers",
        "The program in it ends by itself, and kubelet waits longer before each new start. `kubectl logs \
         --previous` shows its last words.",
    ),
    entry(
        "pod-out-of-memory",
        Layer::Pods,
        "a container goes over its memory",
        "the pods' containers",
        "The kernel has killed it at its limit: `OOMKilled`. Raise `resources.limits.memory`, or find what it \
         keeps. One that was killed longer than an hour ago and runs since is a risk.",
    ),
    entry(
        "pod-unschedulable",
        Layer::Pods,
        "no node takes a pod",
        "the pods' conditions",
        "The scheduler says why of each node: too little processor or memory, taints, labels, volumes.",
    ),
    entry(
        "pod-evicted",
        Layer::Pods,
        "pods were evicted",
        "the pods",
        "kubelet has ended pods because their node was short of something. The remains stay until they are \
         deleted.",
    ),
    entry(
        "pod-terminating",
        Layer::Pods,
        "a pod does not go",
        "the pods",
        "It was told to go long ago and is still there: its node is away, its volume does not let go, or a \
         finalizer is never taken off.",
    ),
    entry(
        "pod-sandbox-failed",
        Layer::Pods,
        "a pod gets no network",
        "the events of pods",
        "`FailedCreatePodSandBox`: the network plug-in on its node gave an error, or has no addresses left.",
    ),
    entry(
        "pod-probe-fails",
        Layer::Pods,
        "a container is not ready",
        "the events of pods",
        "Its probe fails: the program does not answer where the probe asks, so no Service sends to it.",
    ),
    entry(
        "secret-missing",
        Layer::Pods,
        "a Secret is missing",
        "the events of pods",
        "A pod names a Secret that is not there, so its container is never made. Secrets that are applied by hand \
         are forgotten when a cluster is made anew; the spec can keep them.",
    ),
    entry(
        "config-map-missing",
        Layer::Pods,
        "a ConfigMap is missing",
        "the events of pods",
        "A pod names a ConfigMap that is not there, so its container is never made.",
    ),
    entry(
        "quota-exceeded",
        Layer::Pods,
        "a quota is used up",
        "the events of workloads",
        "`exceeded quota`: the namespace may have no more, and no pod is made.",
    ),
    entry(
        "pod-security-refuses",
        Layer::Pods,
        "the pod security standard refuses pods",
        "the events of workloads",
        "`violates PodSecurity`: the namespace's label `pod-security.kubernetes.io/enforce` forbids what the pods \
         ask for. Give the namespace another level, or the pods less.",
    ),
    entry(
        "disruption-budget-blocks",
        Layer::Pods,
        "a disruption budget allows no disruption",
        "the PodDisruptionBudgets",
        "No pod may go, so a drain never ends. Run one more replica, or loosen the budget.",
    ),
    entry(
        "workload-unavailable",
        Layer::Pods,
        "a workload has too few replicas",
        "Deployments, StatefulSets and DaemonSets",
        "Fewer pods run than it wants, and no other finding says why.",
    ),
    entry(
        "claim-pending",
        Layer::Storage,
        "a claim has no volume",
        "the claims and their events",
        "No volume was made for it; its events tell what the provisioner lacks.",
    ),
    entry(
        "storage-class-missing",
        Layer::Storage,
        "a claim names a class that is not there",
        "the claims and the storage classes",
        "The claim waits for a StorageClass of this name for ever: make it, or change the claim.",
    ),
    entry(
        "default-class-missing",
        Layer::Storage,
        "no storage class is the default",
        "the claims and the storage classes",
        "A claim without a class waits until some StorageClass is the default.",
    ),
    entry(
        "default-classes-many",
        Layer::Storage,
        "several storage classes are the default",
        "the storage classes",
        "Claims without a class get the newest one, which is seldom the one that was meant. Take the annotation \
         off all but one.",
    ),
    entry(
        "volume-mount-failed",
        Layer::Storage,
        "a volume cannot be mounted",
        "the events of pods",
        "`FailedMount`: the node cannot mount the volume; the message is its driver's.",
    ),
    entry(
        "volume-attached-elsewhere",
        Layer::Storage,
        "a volume is still on another node",
        "the events of pods",
        "`Multi-Attach error`: the volume may be on one node at a time and the old one has not let go, mostly \
         because that node is away. When it certainly is off, delete its VolumeAttachment or taint it \
         `node.kubernetes.io/out-of-service`.",
    ),
    entry(
        "mount-program-missing",
        Layer::Storage,
        "a node lacks the program that mounts",
        "the events of pods",
        "`you might need a /sbin/mount.<type> helper program`: the package `nfs-common`, `cifs-utils` or \
         `open-iscsi` is missing on the node.",
    ),
    entry(
        "webhook-without-endpoints",
        Layer::Api,
        "a webhook has nobody to answer",
        "webhook configurations, their Services and end points",
        "The API asks a webhook before it takes objects, its Service has no end points, and `failurePolicy: Fail` \
         refuses everything: `failed calling webhook`. Bring its pods back, or delete the configuration when its \
         program is gone.",
    ),
    entry(
        "api-service-down",
        Layer::Api,
        "an extension of the API does not answer",
        "the APIServices",
        "`kubectl` is slow, namespaces do not go, and `kubectl top` fails, because a part of the API is served by \
         pods that do not answer.",
    ),
    entry(
        "namespace-stuck",
        Layer::Api,
        "a namespace does not go",
        "the namespaces",
        "It was deleted, and something in it has a finalizer that nobody takes off, or a part of the API cannot \
         be listed. Its conditions name what is left.",
    ),
    entry(
        "object-stuck",
        Layer::Api,
        "an object does not go",
        "objects with finalizers",
        "It was deleted long ago, and a finalizer keeps it: the program that would take it off is gone or cannot.",
    ),
    entry(
        "metallb-no-pool",
        Layer::Balancers,
        "MetalLB has no addresses",
        "IPAddressPools and Services of type LoadBalancer",
        "MetalLB runs and no IPAddressPool is there, so no Service gets an address: it stays `<pending>`. \
         `metallb.addressPools` of the spec makes one.",
    ),
    entry(
        "metallb-pool-exhausted",
        Layer::Balancers,
        "MetalLB's addresses are used up",
        "the events of Services",
        "`no available IPs`: all addresses of the pools are given away, or the one that was asked for is in none.",
    ),
    entry(
        "metallb-not-advertised",
        Layer::Balancers,
        "nobody announces MetalLB's addresses",
        "L2Advertisements and BGPAdvertisements",
        "A Service has its address and nobody answers for it: no advertisement names the pool.",
    ),
    entry(
        "metallb-down",
        Layer::Balancers,
        "MetalLB does not run",
        "the pods of `metallb-system`",
        "Without its controller no Service gets an address, and without its speaker nobody answers for one.",
    ),
    entry(
        "address-pending",
        Layer::Balancers,
        "a Service has no address",
        "Services of type LoadBalancer",
        "Nobody gives addresses in this cluster, or who does so has none to give.",
    ),
    entry(
        "haproxy-down",
        Layer::Balancers,
        "HAProxy does not run",
        "the unit `haproxy`",
        "Nobody reaches the API or the ingress by this balancer. Its log tells why it ended.",
    ),
    entry(
        "haproxy-config-invalid",
        Layer::Balancers,
        "HAProxy's file is refused",
        "`haproxy -c`",
        "HAProxy goes on with what it read last and does not start again with this. The line that it refuses is \
         told.",
    ),
    entry(
        "haproxy-backend-down",
        Layer::Balancers,
        "HAProxy has nobody to send to",
        "HAProxy's log",
        "`has no server available`: every server of a backend failed its checks. Look at the port that they are \
         checked on.",
    ),
    entry(
        "balancer-port-mismatch",
        Layer::Balancers,
        "a balancer sends to a port that no Service has",
        "the balancers of the spec and the Services' node ports",
        "The balancer sends to a node port on which nothing listens, so its checks fail and visitors get an \
         error.",
    ),
    entry(
        "name-not-resolved",
        Layer::Reach,
        "this computer does not know a name",
        "the names of ingresses, as this computer resolves them",
        "Layer 1 of a page that does not open: the name leads nowhere. Put it into the name server, or for a try \
         into /etc/hosts.",
    ),
    entry(
        "name-leads-elsewhere",
        Layer::Reach,
        "a name leads to another address",
        "the names of ingresses, and the addresses of the ingress controller",
        "Layer 1 of a page that does not open: the name resolves, to an address that is not the ingress \
         controller's.",
    ),
    entry(
        "ingress-without-class",
        Layer::Reach,
        "no controller serves an ingress",
        "ingresses and ingress classes",
        "Layer 2 of a page that does not open: the ingress names a class that no controller has, or none while no \
         class is the default.",
    ),
    entry(
        "ingress-controller-down",
        Layer::Reach,
        "the ingress controller does not run",
        "the pods of the ingress controller",
        "Layer 2 of a page that does not open: nobody answers for any name.",
    ),
    entry(
        "ingress-service-missing",
        Layer::Reach,
        "an ingress leads to no Service",
        "ingresses and Services",
        "Layer 3 of a page that does not open: the Service or its port that the ingress names is not there. \
         Visitors get 404 or 503.",
    ),
    entry(
        "service-without-endpoints",
        Layer::Reach,
        "a Service has no end points",
        "Services, end point slices and pods",
        "Layer 4 of a page that does not open: no ready pod has the labels that the Service selects. Visitors get \
         503. Where nothing leads to it but its own name, it may be meant so, and is a risk.",
    ),
    entry(
        "service-port-mismatch",
        Layer::Reach,
        "a Service sends to a port that its pods do not have",
        "Services and the ports of their pods",
        "Layer 4 of a page that does not open: `targetPort` names a port that no container of the selected pods \
         has.",
    ),
    entry(
        "release-pending",
        Layer::Releases,
        "a release was cut off",
        "Helm's releases",
        "The last `helm` was killed in the middle: `another operation (install/upgrade/rollback) is in progress`. \
         `kubewright apply` puts it back and goes on.",
    ),
    entry(
        "release-failed",
        Layer::Releases,
        "a release has failed",
        "Helm's releases",
        "Its last installation or upgrade ended with an error. The pods of the release tell why.",
    ),
    entry(
        "release-blocks-destroy",
        Layer::Releases,
        "a release waits for an API that it has cut off",
        "Helm's releases and the pods of the network plug-in",
        "The network plug-in's own release was being removed, so the API is not reached any more and the removal \
         never ends: `Error uninstalling release: dial tcp: i/o timeout`. `kubewright destroy` takes the machines \
         away and asks no release; where the cluster is to stay, take the release's record away and install it \
         again.",
    ),
    entry(
        "argocd-repo-server-eof",
        Layer::Gitops,
        "Argo CD's repo-server breaks off",
        "the applications' conditions",
        "`error reading from server: EOF`: the repo-server was restarted or ran out of memory while it rendered. \
         It is well again after a restart.",
    ),
    entry(
        "namespace-missing",
        Layer::Gitops,
        "a namespace is missing",
        "the applications and the events",
        "`namespaces \"cert-manager\" not found`: a chart does not make its namespace. The application needs the \
         option `CreateNamespace=true`, or somebody makes it.",
    ),
    entry(
        "application-not-synced",
        Layer::Gitops,
        "an application is not as Git has it",
        "the applications",
        "Its last synchronisation failed, or nobody has begun one. The message is Argo CD's.",
    ),
    entry(
        "application-degraded",
        Layer::Gitops,
        "an application is not healthy",
        "the applications",
        "It is as Git has it, and what it runs does not work.",
    ),
    entry(
        "issuer-not-ready",
        Layer::Gitops,
        "an issuer of certificates is not ready",
        "cert-manager's issuers",
        "No certificate is issued by it: its account or its credentials are refused.",
    ),
    entry(
        "certificate-not-issued",
        Layer::Gitops,
        "a certificate is not issued",
        "cert-manager's certificates",
        "The Secret with the certificate is not there or is old. Its challenge fails at the name server or at the \
         ingress.",
    ),
];
