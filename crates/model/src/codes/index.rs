//! The index itself. 00xx form · 01xx names and nodes · 02xx network · 03xx machines · 04xx Kubernetes · 05xx load
//! balancers and ingress · 06xx host settings · 07xx secrets · 08xx add-ons, backup, maintenance, verification ·
//! 09xx files of others that are imported.

use super::{Code, Entry};
use crate::diagnostic::Severity;

codes! {
    1 Error SYNTAX = "not YAML",
        "The file cannot be read as YAML. The parser stops at the first such place, so mend it and look again. Most often it is \
         the indentation, a tab, a missing `:` or an open quote.";
    2 Error DUPLICATE_KEY = "a key twice",
        "The same key stands twice in one mapping. Other programs silently keep one of the two; here it is an error, because one \
         of the two wishes would be lost.";
    3 Error TOO_LARGE = "too large",
        "The file, with its aliases followed, is larger than any cluster needs. Use ranges (`192.168.1.41-42`) and pools instead \
         of one block for each node.";
    4 Error TOO_DEEP = "nested too deep",
        "The file is nested deeper than 64 levels.";
    5 Error ALIAS = "an alias that cannot be followed",
        "A YAML alias repeats something that contains the alias itself, or stands where a key belongs.";
    6 Error SECOND_DOCUMENT = "a second document",
        "A `---` starts a second document. One file describes one cluster.";
    7 Error EMPTY = "nothing there",
        "The file is empty or holds only comments. `kubewright init` writes a first file.";
    8 Error TAG = "a YAML tag that does not fit",
        "A value has a tag such as `!!int` and is not that.";
    9 Error KEY = "a key that is not text",
        "A key is a list or a mapping. Keys are plain text.";
    10 Error UNKNOWN_FIELD = "unknown field",
        "The language has no such field here. Look at the suggested word, or at the reference page for the fields that are known \
         in this place.";
    11 Error MISSING_FIELD = "a field is missing",
        "A field without which the rest means nothing is not there.";
    12 Error WRONG_TYPE = "a value of the wrong type",
        "The value is of another type than the field wants, for example a text where a list is wanted. A field that is there but \
         empty has no type: write `{}` for an empty mapping, or remove the line.";
    13 Error UNKNOWN_WORD = "not one of the known words",
        "The field knows only a few words, and this is none of them.";
    14 Error FORMAT = "text that is not in its form",
        "The text has a form of its own (an address, a range, a network, a size, a version, a URL, or a name as Kubernetes, \
         Linux, Proxmox or Hetzner accept it), and is not in that form. Whoever reads it later would refuse it, or take it \
         for something else. The message says what is wrong with it and the hint shows one that is right.";
    15 Error OUT_OF_RANGE = "a number or text outside of its limits",
        "The value is too small, too large, too short, too long, or of another pattern than the field allows.";
    16 Error SCHEMA = "not as the schema wants it",
        "The value breaks a rule of the schema that has no words of its own here.";
    17 Error MANIFEST_FILE = "a file of objects that cannot be read",
        "The spec names a file of Kubernetes objects that is not there, may not be read, or holds something else than \
         YAML documents of objects. A relative path begins in the folder of the spec. Correct the path or the file.";
    18 Error KEY_FILE = "a key that is not there",
        "The spec names a private key by its file, and neither that file nor its public half beside it (for a key that only \
         the SSH agent has) is there. Where an SSH agent runs, which may have it, that is a warning. It is looked for only by commands that ask hosts: who judges the spec elsewhere \
         needs no keys.";
    19 Error VALUES_FILE = "a file of chart values that cannot be read",
        "The spec names a file of values for a chart that is not there, may not be read, or holds something else than one \
         YAML mapping. A relative path begins in the folder of the spec. Correct the path or the file.";
    20 Error SECRET_IN_GIT = "a secret in clear text in Git",
        "A file that Git keeps holds a secret in clear text: one that the spec itself names with `file`, a Secret of Kubernetes, \
         a kubeconfig, a private key, or anything below `.secrets/`. Whoever gets a copy of the repository has it. Move it into \
         the SOPS file with `kubewright secrets set KEY --file FILE`, take the file out with `git rm --cached FILE`, and change \
         the secret at whoever gave it out: the history keeps what was once committed. A file that only looks so is named \
         in `secrets.clearText`.";
    21 Warning GIT_UNREAD = "a Git repository that was not looked through",
        "Whether a secret lies in clear text in the Git repository of the spec is not known: the program `git` is not here, \
         or it did not tell which files the repository has. Nothing else needs it.";
    22 Error ENVIRONMENT = "an environment that does not fit its spec",
        "The file of an environment says only what differs from the spec beside whose folder it is: below `metadata` and `spec`, \
         with a `metadata.name` of its own, which no other environment and not the spec itself has: two with one name would be \
         one cluster, and what is done to one would be done to the other. Mappings are merged, \
         lists are replaced, and `null` takes away what the spec has.";
    23 Warning SOPS_FILE = "a SOPS file that is not there",
        "The spec names a SOPS file and keys in it, and there is no such file, or it is not encrypted. `kubewright secrets init` \
         makes one, with an empty value for each key. A plan needs it open as soon as it needs a secret of it.";
    101 Error DUPLICATE_NAME = "two nodes with one name",
        "A node's name is its host name, its machine's name and its name in Kubernetes, so no two nodes can share it. The \
         second one would join as the first and take its place. Give the pools different patterns, such as \
         `k3s-server-{n}` and `k3s-agent-{n}`.";
    102 Error DUPLICATE_ADDRESS = "two nodes with one address",
        "Two machines with one address steal each other's packets: the network works by turns, and nothing says why. Look \
         for ranges that overlap and give each node an address of its own.";
    103 Error DUPLICATE_VMID = "two machines with one VMID",
        "A VMID names one guest in the whole Proxmox cluster. The second machine could not be made, or would be taken for \
         the first. Look for ranges that overlap and give each machine a VMID of its own.";
    104 Error NAME_WITHOUT_COUNTER = "one name for several nodes",
        "The pool has several nodes and its name has no counter, so all of them would have the same name. Put `{n}` into the \
         name (`k3s-agent-{n}` counts 1, 2, 3; `{nn}` counts 01, 02, 03), or list the names under `names`.";
    105 Error NAMES_DISAGREE = "as many names as addresses",
        "Names and addresses belong together one by one, the first to the first. There are more of the one than of the \
         other, so some node would have no name or no address. Add what is missing, or remove what is too much.";
    106 Error VMIDS_DISAGREE = "fewer VMIDs than nodes",
        "VMIDs belong to the nodes one by one, the first to the first. There are fewer of them than nodes. Widen the range: \
         it may reserve more than there are nodes. Or leave `vmids` out and reserve a range in `providers.proxmox.vmids` to choose from.";
    107 Error COUNT_DISAGREES = "the count and the list disagree",
        "`count` says how many nodes there are where nothing else does. Here the pool's addresses or names say another \
         number. Remove `count`, or make them agree.";
    108 Error NAME_TWO_WAYS = "a pattern and a list of names",
        "A pool's names come from a pattern (`name`) or from a list (`names`), never from both: it would not be clear which \
         one holds. Remove one of the two.";
    109 Error POOL_WITHOUT_NODES = "a pool that does not say its nodes",
        "Nothing says how many nodes the pool has. Write `addresses` (`192.168.1.41-42` are two nodes), `names`, or \
         `count`. A pool that shall be empty for now has `count: 0`.";
    110 Error TOO_MANY_NODES = "more nodes than any cluster has",
        "All pools together have more than 20,000 nodes; Kubernetes itself is tested up to 5,000. Most often it is an \
         address range that ends in the wrong network: `10.0.0.10-10.1.0.20` are 65,547 addresses.";
    111 Error NAME_TOO_LONG = "a node's name is too long",
        "A host name has at most 63 characters, and with its counter filled in this one is longer. Without a pattern of its \
         own a pool's nodes are called CLUSTER-POOL-1. Write a shorter `name`.";
    112 Warning NAMESPACE_TWICE = "a namespace twice",
        "The list names a namespace more than once. It is made once all the same; remove the second line so that nobody \
         wonders which of the two counts.";
    201 Error ADDRESS_OUTSIDE_NETWORK = "an address outside of its network",
        "A node's address does not lie in `network.cidr`, nor in one of the networks under `network.others`. The \
         machine would get a prefix and a gateway that do not fit it and could not be reached. Correct the address, \
         or the network.";
    202 Error ADDRESS_RESERVED = "the first or last address of a network",
        "The first address of an IPv4 network names the network itself and the last one is its broadcast address. No \
         node, no gateway and no virtual IP can have either. Choose another address.";
    203 Error ADDRESS_OF_GATEWAY = "a node with the gateway's address",
        "The gateway's address belongs to the router. A node that takes it cuts the whole network off from the \
         outside. Choose another address for the node, or correct `network.gateway`.";
    204 Error GATEWAY_OUTSIDE_NETWORK = "a gateway outside of the network",
        "A host reaches its gateway directly, so the gateway must lie in the hosts' own network. With this one no \
         host would reach anything outside. Correct `network.gateway` or `network.cidr`.";
    205 Error POOL_COVERS_NODE = "a LoadBalancer pool that covers a node",
        "MetalLB or Cilium would sooner or later give a node's own address to a Service and answer for it: the node \
         is gone from the network. Take the nodes' addresses out of the pool.";
    206 Error POOL_COVERS_ENDPOINT = "a LoadBalancer pool that covers the API's address",
        "A Service that is given the API endpoint's address takes the API away from everyone, nodes first. Take the \
         address out of the pool.";
    207 Error POOL_COVERS_GATEWAY = "a LoadBalancer pool that covers the gateway",
        "A Service that is given the gateway's address cuts the network off from the outside. Take the address out \
         of the pool.";
    208 Error POOLS_OVERLAP = "two LoadBalancer pools with the same addresses",
        "Two pools hold the same addresses. MetalLB refuses the second pool, and Cilium sets it aside as \
         conflicting, so its Services wait for ever. Give each pool addresses of its own.";
    209 Error POOL_OUTSIDE_NETWORK = "a LoadBalancer pool outside of all networks",
        "The addresses are announced by ARP or NDP, which reaches only hosts of the same network. In none of the \
         networks of this file do these addresses lie. Correct the pool, or add its network under `network.others`.";
    210 Error NETWORKS_OVERLAP = "networks that overlap",
        "Hosts, pods and Services need networks of their own. Where two of them share addresses, packets go to the \
         wrong one of the two, and only some of the time. Choose networks that do not touch; private ones are in \
         10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16.";
    211 Error POD_NETWORK_TOO_SMALL = "a pod network too small for the nodes",
        "Each node takes a network of 256 addresses (/24; /64 for IPv6) for its pods out of the pod network. When \
         none is left, further nodes stay NotReady. Choose a larger pod network: a /16 is enough for 256 nodes. It \
         cannot be changed later.";
    212 Error SERVICE_NETWORK_TOO_SMALL = "no room for the cluster's DNS",
        "The cluster's DNS has the tenth address of the service network, and this network ends before it. Choose a \
         network of at least /27; /16 is usual. It cannot be changed later.";
    213 Error SERVICE_NETWORK_TOO_LARGE = "a service network that the API server refuses",
        "The API server accepts at most 20 bits for Services: /12 for IPv4 and /108 for IPv6. With a larger network \
         it does not start. A /16 is enough for 65,000 Services.";
    214 Error NETWORK_FAMILIES = "pods and Services in two address families",
        "The pod network and the service network must be of the same family, both IPv4 or both IPv6, or no pod \
         reaches a Service.";
    215 Error NETWORK_MISSING = "machines with addresses and no network",
        "A machine that is made with a fixed address needs the length of its network's prefix too. Write `network: { \
         cidr: 192.168.1.0/24, gateway: 192.168.1.1 }`.";
    216 Error GATEWAY_MISSING = "machines with addresses and no gateway",
        "Machines that are made with a fixed address learn their gateway from this file only. Without one they \
         cannot download Kubernetes. Write `network.gateway`. Talos is told its addresses without DHCP, so its nodes need \
         one too: that of their own network, or that of the network in `network.others` in which they have their maintenance \
         addresses. A patch that says of a route, of DHCP or of mirrors of the registries does as well.";
    217 Error POOL_OF_CLUSTER = "LoadBalancer pool inside of the cluster's own networks",
        "Addresses of pods and Services mean something on the nodes alone, which send them elsewhere than MetalLB or \
         Cilium announces them. Choose addresses of the hosts' network that nobody has.";
    301 Error MACHINES_MISSING = "a pool that is made of nothing",
        "Exactly one of `proxmox`, `hetzner`, `existing` and `local` says what the nodes of a pool are made of, and \
         here is none. For hosts that are there already write `existing: {}`.";
    302 Error MACHINES_SEVERAL = "a pool that is made of several things",
        "A pool's nodes are alike, so they come from one provider. Make one pool for each of `proxmox`, `hetzner`, \
         `existing` and `local`.";
    303 Error LXC_OR_VM = "neither container nor virtual machine, or both",
        "A machine at Proxmox is a container (`lxc`) or a virtual machine (`vm`). Write exactly one of the two.";
    304 Error PROVIDER_MISSING = "a provider that the file does not define",
        "Machines or load balancers shall be made at a provider, and nothing says how to reach it. Write its address \
         and credentials under `providers`.";
    305 Error FEATURES_NEED_ROOT = "container features that no API token may set",
        "Proxmox lets only root itself set the features of a privileged container, and every feature but nesting of \
         any container; an API token is refused, even root's. kubewright sets them as root by SSH: write \
         `providers.proxmox.ssh`, or do without these features.";
    306 Error RAW_NEEDS_SSH = "lines that the Proxmox API does not accept",
        "Raw `lxc.*` lines and the device `/dev/kmsg` can only be set in a file of the Proxmox host, \
         `/etc/pve/lxc/VMID.conf`. kubewright writes it as root by SSH: write `providers.proxmox.ssh`. To do \
         without, write `raw: []` and `kmsg: false`; a kubelet in a container does not run then.";
    307 Error HYPERVISOR_USER = "a user that may not write the Proxmox host's files",
        "Only root may write below `/etc/pve`, and there is no sudo on a fresh Proxmox host. Let \
         `providers.proxmox.ssh.user` be root, or leave it out.";
    308 Error SIZE_MISSING = "a machine without a size",
        "Proxmox is asked for so many cores and so much memory, and for containers also for a disk. Nothing stands \
         in for a number that is not there. Write `cores`, `memory` and `disk` for the pool.";
    309 Error VMID_OUT_OF_RANGE = "a VMID that Proxmox does not accept",
        "VMIDs go from 100 to 999999999; Proxmox keeps the lower ones for itself.";
    310 Error MEMORY_TOO_SMALL = "too little memory for what the node does",
        "With less memory than its makers name as the least, the node starts and then loses its processes one by \
         one, mostly the API server or etcd. Give it more.";
    311 Error EXISTING_WITHOUT_ADDRESS = "an existing host without an address",
        "Nobody but this file can say where a host is that exists already. Write the pool's `addresses`.";
    312 Error MAINTENANCE_DISAGREES = "as many maintenance addresses as nodes",
        "The addresses in maintenance mode belong to the nodes one by one, the first to the first. Write one for \
         each node.";
    313 Error TALOS_IN_CONTAINER = "Talos in a container",
        "Talos is an operating system with a kernel of its own, which a container does not have. Make the pool's \
         machines virtual machines (`vm`), or choose K3s.";
    314 Error TALOS_HOST_SETTINGS = "host settings that Talos does not have",
        "Talos has no shell, no SSH, no packages and no users: everything is said in its machine configuration. \
         Write such settings as `kubernetes.talos.patches` and `kubernetes.talos.extensions`.";
    315 Error TEMPLATE_IS_MACHINE = "the template's VMID for a machine",
        "The pool's VMIDs contain the VMID of a template. The template would be taken for the machine, changed, and \
         deleted with the cluster. Keep templates out of the machines' ranges.";
    316 Error VMIDS_EXHAUSTED = "fewer VMIDs in reserve than machines without one",
        "Machines without a VMID of their own take one from `providers.proxmox.vmids`, and that range has too few \
         that no pool names. Widen the range.";
    317 Error SUBNET_OUTSIDE = "the hosts' network outside of the private network",
        "At Hetzner, `network.cidr` is a subnet of the private network and must lie in its `ipRange`. Correct one of \
         the two.";
    318 Error FIREWALL_PORTS = "a firewall rule with the wrong ports",
        "A rule for TCP or UDP needs ports, from 1 to 65535, and a rule for ICMP has none. Correct `ports`.";
    319 Warning SIZE_IGNORED = "a size that has no effect",
        "The size of a server at Hetzner comes from its `type` alone. Remove `cores`, `memory` and `disk` from the \
         pool, so that nobody relies on them.";
    320 Error FIREWALL_WITHOUT_SSH = "a firewall that keeps us out",
        "The firewall refuses what it does not name, and no rule lets SSH in. kubewright could make the servers and \
         never enter them. Allow the SSH port from where you work, or name a bastion in `hosts.ssh.jump`.";
    321 Error SIZE_ODD = "a size that no machine has",
        "No system with Kubernetes fits on a disk of less than 4Gi: the images of the system's own pods alone take most of it. \
         And Linux has no use for more than 64Ti of memory, nor is there one disk of more than 1024Ti. Most often it is the \
         wrong unit: Mi, Gi and Ti are each 1024 times the one before.";
    322 Error PROXMOX_IDENTITY = "nobody, or two, to log in at Proxmox as",
        "Kubewright comes to the Proxmox API either with a token, by `tokenId` and `tokenSecret`, or as a user, by `user` and \
         `password`. A token is the better one: it can be given fewer privileges, and taken away by itself.";
    323 Error PROXMOX_TRUST = "a certificate trusted in two ways, or not at all",
        "The certificate of the Proxmox API is trusted by its CA in `caFile`, by its SHA-256 fingerprint, by the CAs that \
         this computer knows, or, with `insecure`, whatever it is. Only one of them can decide. Each node of a Proxmox \
         cluster has a certificate of its own, so where one is known by its fingerprint, each of them has to be.";
    324 Error TEMPLATE_TWO_WAYS = "one template, described in two ways",
        "Pools that name the same template share it, so they say the same of it: its name, how it is built, and the \
         bus and the format of its disk. Write the same in all of them, or give one another VMID.";
    325 Error TEMPLATE_ADDRESS = "an address for a template's machine that somebody else has",
        "While a template is set up, its machine is in the network beside all others. Choose an address that no node, \
         no Service and no router has.";
    326 Error TEMPLATE_IMAGE = "an image that is no disk",
        "A template is made from a disk image: QCOW2, or raw or VMDK where the file's name ends in `.raw` or `.vmdk`. Proxmox \
         unpacks none, so a file that is packed, an archive or an ISO image would fail to be imported. Choose another of the \
         files beside it, or unpack it yourself.";
    341 Error PROXMOX_CLUSTER_MISSING = "a Proxmox cluster that the file does not define",
        "The pool's machines are to be at a cluster of this name, and `providers.proxmoxClusters` has none. Correct the name, \
         or add the cluster with its address and credentials.";
    342 Error PROXMOX_CLUSTER_NAME = "a Proxmox cluster with a name that means something else",
        "Machines know their provider by this name, and `proxmox`, `hetzner`, `existing` and `local` are others' already. \
         Choose another name.";
    343 Error PROXMOX_CLUSTER_TWICE = "one Proxmox cluster under two names",
        "Both names would show the same machines, and what one of them does the other would take for somebody else's doing. \
         Write each cluster once, with its further nodes as its `others`.";
    344 Error HYPERVISOR_TWICE = "Proxmox hosts of two clusters with one name",
        "Root logs into the host by this name, for lines that the API does not accept; two hosts of one name cannot be told \
         apart. Rename one, or use virtual machines on one of them, which need no such lines.";
    345 Error BALLOON_ABOVE_MEMORY = "a balloon that leaves more than there is",
        "`balloon` is the memory that a machine is left with when its Proxmox host is short of it, so it is no more than \
         `memory`. `never` has the machine keep all of it, which is what the kubelet reckons with.";
    346 Error MOUNT_PATH = "a volume at a path that is needed, or taken",
        "A further volume of a container begins empty and hides what its path held: at `/etc`, `/usr` or `/proc` the container \
         does not start any more. Each volume has a path of its own, written without `.` and `..`.";
    347 Error STARTUP_ODD = "a start order that Proxmox does not keep",
        "Proxmox waits for whole seconds between machines that start and stop, one at least. A start order without `order`, \
         `up` and `down` is none.";
    348 Error DISKS_TOO_MANY = "more disks than a machine has room for",
        "Beside its system disk a virtual machine has 30 disks at VirtIO SCSI and 15 at VirtIO block, and a container has 256 \
         volumes. Make fewer and larger ones.";
    349 Error TAG_OF_OURS = "a tag by which kubewright knows machines",
        "Machines are known by the tag `kubewright-CLUSTER`, and templates by `kubewright_template`. A machine with such a tag of \
         somebody else's making would be taken for another cluster's, or for a template. Choose another word.";
    350 Error DISK_BELOW_TEMPLATE = "a disk that is smaller than its template's",
        "A clone begins with its template's disk, which grows and never shrinks. Write as much for the pool's `disk`, or \
         less for `build.disk`.";
    351 Warning PROXMOX_ENDPOINT = "an address of the Proxmox API that is probably another",
        "Proxmox' API listens on port 8006 and is called below `/api2/json`, which kubewright adds by itself. An address \
         without a port means 443, where only a proxy of your own would answer. Write `https://HOST:8006`.";
    352 Error HETZNER_NETWORK = "servers without a private network",
        "Nodes at Hetzner speak to each other in a private network, etcd above all: write `providers.hetzner.network`, and in the \
         pool the `addresses` that its servers have in it, which say how many there are.";
    353 Error HETZNER_RESERVED = "an address that Hetzner keeps for itself",
        "The first address of a network's `ipRange` is its gateway, and 172.31.1.1 is that of the servers' public side. No server \
         can have them.";
    354 Error HETZNER_NAT = "a way to the world through a node that has none",
        "`nat` names the node of this file that hands on what servers without public addresses send to the world. It is there, \
         has a public IPv4 address, and an address in the private network.";
    355 Error HETZNER_NO_WAY_OUT = "servers without a way to the world",
        "A server without a public IPv4 address downloads nothing: no program, no image. Name the node that hands on what it sends \
         in `providers.hetzner.network.nat`, write the route to 0.0.0.0/0 that leads to one of your own, or give it a public \
         address. In a network that exists already, that route is yours to keep.";
    356 Error HETZNER_ZONE = "locations of two network zones",
        "A private network and a load balancer are in one network zone, and so is everything in them: eu-central holds fsn1, nbg1 \
         and hel1, us-east ash, us-west hil, and ap-southeast sin. Choose locations of one zone, and write it in `networkZone`.";
    357 Error HETZNER_SPREAD = "more servers than a placement group takes",
        "A placement group holds ten servers, each on another physical machine. Make fewer servers of the control plane, or write \
         `spreadServers: false`.";
    358 Error HETZNER_KEY = "servers that nobody can enter",
        "A server at Hetzner is made with the public half of the key that opens it. Name the private key in \
         `hosts.ssh.keyFile`; its public half is beside it, with `.pub` at the end.";
    359 Error HETZNER_ENDPOINT = "a token in clear text",
        "The API token would go over the network as it is, for whoever is in between to read. Write an address that begins with \
         `https://`. Only this computer itself may be called by `http://`.";
    360 Error HETZNER_CERTIFICATE = "a certificate from nowhere, or from two places",
        "Hetzner gets a certificate for `domains` and renews it, or you bring one in `certificate` with its `privateKey`. One of \
         the two.";
    361 Error HETZNER_LABEL = "a label that is not yours to give",
        "What begins with `kubewright.dev/` is how kubewright knows what is its own, and `hetzner.cloud/` is Hetzner's. Choose \
         another word.";
    362 Error HETZNER_INTERFACE = "pods that speak to each other over the internet",
        "A server with a public address has its default route there, and Flannel and Canal take that side unless they are told \
         another: the firewall drops what pods say to each other, or it goes over the internet as it is. Name the network card \
         of the private network, which Hetzner's images call `enp7s0`.";
    363 Error HETZNER_LAYER_2 = "an address that nobody hands on at Hetzner",
        "Hetzner's networks carry only addresses that Hetzner itself has given to a server: nobody answers for another one by ARP, \
         and no node is the next hop of another. Use a load balancer of Hetzner, its cloud controller for Services, and Flannel's \
         `vxlan` or `wireguard-native`.";
    401 Error SERVER_MISSING = "a cluster without a server",
        "No pool has the role `server` or `both`, so there is no control plane: nothing that agents could join. Give \
         one pool the role `both` (control plane and work) or `server` (control plane only).";
    402 Error EVEN_SERVERS = "an even number of etcd members",
        "etcd needs more than half of its members to agree. Two members stop when one is lost, as one does, and four \
         bear the loss of one only, as three do: the even one adds nothing but a way to fail. Make it 1, 3 or 5 \
         servers.";
    403 Error SQLITE_SEVERAL = "several servers on SQLite",
        "SQLite is a file of one server, and other servers cannot share it. Remove `datastore: sqlite` to have etcd, \
         or keep one server.";
    404 Error SQLITE_UNKNOWN = "SQLite where there is none",
        "Only K3s can keep its data in SQLite. Remove `datastore`; the distribution brings etcd.";
    405 Error VERSION_FORM = "a version that the distribution does not have",
        "Each distribution writes its versions in a form of its own: K3s `v1.31.4+k3s1`, RKE2 `v1.31.4+rke2r1`, \
         kubeadm and the Kubernetes of Talos `v1.31.4`, Talos itself `v1.9.1`. A version in another form cannot be \
         downloaded. Look it up on the page of releases.";
    406 Error CNI_SEVERAL = "several network plug-ins",
        "One plug-in gives pods their addresses and routes; two of them undo each other's work. Keep one of \
         `flannel`, `cilium`, `canal` and `calico`.";
    408 Error ENDPOINT_MISSING = "several servers and no address for the API",
        "With several servers, clients and agents need one address that outlives each of them. Write \
         `endpoint.loadBalancer` with one of `loadBalancers`, `endpoint.virtualIp` (all but kubeadm), or `endpoint.host` for \
         a name or address that you keep yourself.";
    409 Error ENDPOINT_NOT_SERVER = "an API address where no API is",
        "The endpoint is the name or the address of a node without a control plane, so nobody answers there. Write a \
         server, a load balancer or a virtual IP.";
    410 Warning ENDPOINT_ONE_SERVER = "an API address that goes with one server",
        "There are several servers, and clients know only one of them. When that one is gone the API is out of reach \
         though the others go on. Use a load balancer; Talos can have a virtual IP.";
    411 Error VIRTUAL_IP_OUTSIDE = "a virtual IP outside of the hosts' network",
        "The servers announce the virtual IP in their own network by ARP or NDP, and nobody of that network would \
         look for this address. Choose a free address of `network.cidr`.";
    412 Error VIRTUAL_IP_TAKEN = "a virtual IP that belongs to somebody",
        "The virtual IP moves from server to server and answers for whoever holds it now, so no machine and no \
         gateway may have it as its own. Choose a free address of the hosts' network.";
    413 Error VIRTUAL_IP_RANGE = "a range for the virtual IP",
        "The virtual IP is one address. Write the one that clients shall use.";
    414 Error ENDPOINT_BALANCER_UNKNOWN = "a load balancer that the file does not have",
        "`endpoint.loadBalancer` names a load balancer under `loadBalancers`, and there is none with this name. \
         Correct the name, or describe the load balancer.";
    415 Error ENDPOINT_BALANCER_PORT = "a load balancer that does not listen for the API",
        "The API's load balancer has no listener on the API's port, so clients would find a closed door. Add `{ \
         port: 6443, to: 6443 }` to its `listen`, or correct `endpoint.port`.";
    416 Error ENDPOINT_TWO_WAYS = "two addresses for the API",
        "A load balancer and a virtual IP both stand before the servers, and clients can use only one of the two. \
         Remove one.";
    417 Error RESERVED_KEY = "a setting that kubewright makes itself",
        "The key is set from another part of this file. Set here again, the two would contradict each other, and \
         members that disagree refuse to join. Use the field that the hint names.";
    418 Error TALOS_SETTINGS = "Talos without its settings, or the other way round",
        "Talos has a version beside that of Kubernetes, so the distribution `talos` needs \
         `kubernetes.talos.version`; and with another distribution these settings have no meaning.";
    419 Error NOT_OF_DISTRIBUTION = "a setting that the distribution does not have",
        "Canal, Calico, hardening and an audit policy come with RKE2, whose API has no port but 6443; images from an \
         archive, mirrors of releases, and registries' logins and other names are K3s' and RKE2's, and a version for \
         containerd is kubeadm's, because all others bring their own. Remove the setting or change the distribution.";
    420 Error TAINT_FORM = "a taint that is none",
        "A taint is `key=value:effect` or `key:effect`, and the effects are NoSchedule, PreferNoSchedule and \
         NoExecute. Kubernetes refuses anything else.";
    421 Error LABEL_FORM = "a label that is none",
        "A label's key is a name of at most 63 letters, digits, `-`, `_` and `.`, with a DNS name and a slash before \
         it or not; its value has the same form and may be empty. Kubernetes refuses anything else.";
    422 Error LABEL_RESERVED = "a label or taint that is Kubernetes' own",
        "Labels below `kubernetes.io` and `k8s.io` belong to Kubernetes: a kubelet that is told to set one does not \
         start, and the taints of `node.kubernetes.io` are set and removed by controllers. Use a name of your own: \
         `example.org/tier`.";
    424 Warning NO_ROOM_FOR_WORK = "no node that takes work",
        "Every node has the role `server`, whose taint keeps pods away: add-ons and workloads would stay Pending. \
         Give a pool the role `both`, or add agents.";
    425 Error CLUSTER_DOMAIN_FORM = "a cluster domain that is no DNS name",
        "The cluster's domain is a DNS name in lower case, such as `cluster.local`. Every Service's name ends in it.";
    426 Error TAINT_TWICE = "a taint twice",
        "A node has one taint for each key and effect. Kubernetes refuses a node that says the same twice, even with another \
         value. Remove one of the two.";
    427 Warning ENDPOINT_NOBODY = "an API address that nobody of the spec has",
        "The endpoint is an address of the hosts' own network, and no node, virtual IP or load balancer of this file has \
         it. When the server that had it has left, nobody answers there any more: every client and every agent loses the \
         API. A load balancer that you keep yourself may answer there; then all is well.";
    428 Error HARDENED_CONTAINER = "hardening in containers",
        "A hardened RKE2 ends at once unless the kernel has the settings of the benchmark, and a container has its \
         hypervisor's kernel, whose `kernel.panic` and `vm.overcommit_memory` it may not set. Make the nodes virtual \
         machines, or remove the profile.";
    430 Warning VERSION_UNKNOWN = "a version that came after this program",
        "This version of kubewright knows the distribution up to the minor version that the message names. A newer one may \
         not exist, which is found out only when hosts download it, or may want what kubewright does not know. Compare it \
         with the distribution's releases.";
    431 Error TALOS_OLD = "a Talos that is older than what is known",
        "The machine configuration of Talos has another form in each minor version, and kubewright writes those from v1.9 \
         on. An older Talos is upgraded by `talosctl upgrade`, one minor version at a time.";
    432 Error TALOS_KUBERNETES = "a Kubernetes that this Talos does not run",
        "Each minor version of Talos runs six of Kubernetes: v1.9 those from v1.27 to v1.32, v1.10 those from v1.28 to \
         v1.33, and so on. It refuses a configuration with another one.";
    433 Error TALOS_INTERFACE = "addresses on no interface",
        "From v1.12 on Talos is told of its network by documents that name an interface, so it has to be said which one \
         has the node's address. `talosctl get links --insecure` lists them on a machine that waits for its configuration.";
    434 Error TALOS_NODE_UNKNOWN = "settings of a node that the pool does not have",
        "`talos.nodes` says what differs on single nodes, by their names. A name that no node of the pool has would be \
         read by nobody.";
    435 Error TALOS_UNTAGGED = "two networks on one interface, and no tag",
        "In maintenance mode Talos is in the untagged network of its interface. Where the nodes' own network is another \
         one, it has a VLAN tag on the same interface, or the nodes would not be in it.";
    436 Error TALOS_TAINTS = "two taints with one key",
        "Talos keeps the taints of a node by their keys, so of two with one key it would set only one, and the plan would set the \
         other one for ever. Give each a key of its own.";
    438 Error VERSION_THROUGH = "a version that leads nowhere",
        "`through` names the versions that an upgrade goes through: older than `version`, at most one of each minor version. \
         Those of which a cluster is past are passed by.";
    501 Error INGRESS_SEVERAL = "several ingress controllers",
        "Two controllers both take every route and both want ports 80 and 443. Keep one of `traefik` and `nginx`; \
         `none: true` stands alone.";
    502 Error HOST_PORT_TAKEN = "a port of the hosts that two things want",
        "A port of a host has one owner. K3s' own load balancer gives each Service of type LoadBalancer its ports on \
         every node, an ingress controller on the host network takes 80 and 443, and the API has a port too. The \
         second to come stays Pending. Let MetalLB or Cilium give out addresses, or choose another port or type.";
    503 Error NODE_PORT_RANGE = "a node port outside of the range",
        "Kubernetes gives node ports from 30000 to 32767 and refuses others, unless the API server's \
         `service-node-port-range` says otherwise. Choose a port of this range.";
    504 Error NODE_PORT_TWICE = "a node port twice",
        "A node port belongs to one Service on all nodes. The second Service is refused. Choose different ports.";
    505 Error LISTENER_TWICE = "a load balancer's port twice",
        "Two listeners on one port of the same load balancer, or of the same HAProxy hosts: only one can open it. \
         Choose different ports. HAProxy's page with statistics has a port too.";
    506 Error BALANCER_POOL = "HAProxy without hosts of its own",
        "HAProxy runs on the hosts of a pool whose role is `loadBalancer`: on a node of Kubernetes its ports would \
         clash with the API and the ingress controller. Name such a pool in `pool`.";
    507 Error TARGET_UNKNOWN = "a target that cannot be one",
        "A load balancer sends to the nodes of pools of this file that belong to Kubernetes. Correct the pool's \
         name.";
    508 Error CERTIFICATE_MISSING = "HTTPS without a certificate",
        "A listener that ends TLS shows clients a certificate. At Hetzner, `certificate` is its name; HAProxy cannot \
         end TLS here: let it pass bytes on with `protocol: tcp`, and let the ingress controller end TLS.";
    509 Error HEALTH_OVER_TLS = "a health check over TLS where none is spoken",
        "A listener with `protocol: https` ends TLS itself and sends plain HTTP to its targets. A check over TLS on \
         their port fails on every target, and the load balancer gives all of them up. Write `protocol: http` for \
         the check.";
    510 Warning HEALTH_IGNORED = "a health check whose path has no effect",
        "A TCP check only opens the port; `path` and `status` are for checks over HTTP. Write `protocol: http`, or \
         remove them.";
    511 Error API_TO_AGENTS = "the API sent to agents",
        "Agents do not serve the API. A load balancer that sends clients to them fails for a part of all requests, \
         and its health checks are red for ever. Name only pools of servers as `targets` of port 6443; give other \
         ports a load balancer of their own.";
    512 Error ROUTE_HOST = "a host name that cannot be routed",
        "A route's host is a DNS name in lower case, without a port or path; it may begin with `*.`. Kubernetes \
         refuses anything else, addresses too.";
    513 Error ROUTE_TWICE = "a host name and path with two routes",
        "Two routes for the same host and path: which of the two answers depends on the controller, and may change. \
         Remove one.";
    514 Warning ROUTE_NAMESPACE = "a route into a namespace that nothing makes",
        "Nothing in this file makes the namespace, so there will be no Service in it. Correct the name, or list it \
         under `namespaces` if something else fills it.";
    515 Warning ROUTE_SERVICE = "a route to a Service that the add-on does not have",
        "The namespace belongs to an add-on of this file, and none of its Services has this name and port. The route \
         would answer 503. Correct the name or the port.";
    516 Error ROUTE_WITHOUT_INGRESS = "routes and no ingress controller",
        "Routes are instructions to an ingress controller, and there is none: `none: true`, or a distribution that \
         brings none. Write `ingress.nginx` or `ingress.traefik`.";
    517 Error ROUTE_ISSUER = "a certificate from an issuer that is not there",
        "The route wants a certificate from a ClusterIssuer that `addons.certManager.issuers` does not have. It \
         would never come. Correct the name, or add the issuer.";
    518 Error ANNOUNCERS_SEVERAL = "two that give out addresses",
        "MetalLB and Cilium's announcements both give addresses to every Service of type LoadBalancer and both \
         answer for them. Keep one of the two.";
    519 Error FLOATING_ADDRESS = "a floating address that cannot float",
        "The hosts of a load balancer hand a floating address on to each other: it is a free address of their network, \
         nobody else's, and only hosts that run HAProxy can do that. At Hetzner the load balancer has addresses of its own.";
    520 Warning FLOATING_ALONE = "a floating address of one host",
        "There is one host that can hold the address, so it is gone when that host is. Add a host to the pool, or remove \
         `floating`.";
    521 Error BALANCER_ADDRESS = "a load balancer's private address that cannot be",
        "Where a load balancer at Hetzner stands before the API, every node has to know its address before it is made: \
         `privateAddress` is a free one of the hosts' network, nobody else's, and the load balancer is in that network.";
    522 Error PLAIN_TO_TLS = "plain HTTP to a port that speaks TLS",
        "A listener with `protocol: https` ends TLS itself, and one with `http` never had any: their targets get plain HTTP. The \
         ingress controller speaks TLS on its HTTPS port and answers such requests with an error. Send both 80 and 443 to its \
         HTTP port; or pass TLS on with `protocol: tcp`, and let the controller end it.";
    523 Error BALANCER_LABELS = "targets without labels",
        "`byLabel` lets Hetzner find servers by the labels that kubewright gives them. Hosts that are somewhere else have none and \
         are targets by their addresses: leave `byLabel` out.";
    524 Error CILIUM_HALVES = "a part of Cilium without the part that it needs",
        "Announcements of addresses are made where Cilium does kube-proxy's work (`kubeProxyReplacement`), and Hubble's page \
         asks its relay. Switch on what is missing, or leave the other out.";
    601 Error FILE_CONTENT = "a path with no meaning or with two",
        "What is at a path is a file with a `content` or with a text `from` a secret, a `block` of lines in a file of \
         others, a `link` or a `directory`. Write exactly one of the five. A block has the mode and the owner of the \
         file around it, and a link has none that count.";
    602 Error PATH_FORM = "a path that is not absolute and plain",
        "A path on a host begins with `/`, ends in a file's name and has no `.`, `..` or empty part: nobody else can \
         say what it would be relative to, and one file has one path.";
    603 Error PATH_IS_OURS = "a file that kubewright writes itself",
        "Another part of this file decides what stands there, and the two would overwrite each other in turn. Use \
         the fields for it: `sysctls`, `modules`, `hostAliases`, `ssh`, `kubernetes.serverConfig`.";
    605 Error SYSCTL_FORM = "a kernel setting that is none",
        "A kernel setting has a name of words with dots between (`net.ipv4.ip_forward`) and a value in one line. \
         Slashes are for the files below /proc/sys.";
    606 Error MODULE_FORM = "a kernel module that is none",
        "A kernel module's name has letters, digits, `_` and `-`, without `.ko`, path or options.";
    607 Error USER_FORM = "a user that Linux does not accept",
        "A user's name begins with a small letter or `_`, has up to 32 small letters, digits, `_` and `-`.";
    608 Error KEY_FORM = "a public key that is none",
        "A public key is one line as in a `.pub` file: its type, its text and a comment. With anything else in \
         `authorized_keys` nobody gets in.";
    609 Error HARDEN_LOCKS_OUT = "hardening that locks us out",
        "`harden` lets nobody log in as root any more, and root is who we log in as. Write another `user` with sudo \
         under `ssh`; or leave out `harden`.";
    610 Error ADDRESS_FORM = "a host alias without an address",
        "A line of `/etc/hosts` is an address and its names: the key is the address.";
    611 Error TIMEZONE_FORM = "a time zone that is none",
        "Time zones are named after places: `Europe/Paris`; or it is `UTC`. Abbreviations such as CET have no rule \
         for the summer.";
    612 Error LOCALE_FORM = "a locale that is none",
        "A locale is a language, a country and an encoding: `fr_FR.UTF-8`; or it is `C.UTF-8`.";
    613 Error FORWARDING_OFF = "a kernel setting that stops pods",
        "Nodes pass packets on between pods, so forwarding has to be on. With it off, pods reach nothing outside of \
         their node. Remove the setting.";
    614 Error PACKAGE_FORM = "a package that is none",
        "The name is handed to the host's package tool as one word of letters, digits, `+`, `-`, `.` and `_`; \
         a version may follow after `=`.";
    615 Error JUMP_FORM = "a bastion that cannot be reached",
        "The host to go through is `user@host:port`; user and port may be left out.";
    616 Error OWNER_FORM = "a file's owner that is none",
        "The owner is `user` or `user:group`, by name.";
    617 Error FIRST_PASSWORD_ALONE = "a first password and no key to take its place",
        "`firstPassword` lets us in until the first change, which puts the public half of `keyFile` in its place; from then \
         on only that key is used. Write the `keyFile`.";
    618 Error REPOSITORY_FORM = "a repository that is none",
        "A repository of packages has a name of small letters, digits and `-`, which its files on hosts have too, the \
         publisher's public key as text, and, for apt, both `suites` and `components` or none of them. The key stands in \
         this file, so that nothing is trusted because it came over the network.";
    619 Error HOST_KEY_NODE = "a key of a host that is not there",
        "`existing.hostKeys` names a node that its pool does not have, so the key would watch over nobody. Correct the \
         name: it is the node's, not its address.";
    620 Error THIS_COMPUTER_TWICE = "one computer for two nodes",
        "A pool whose node is the computer that kubewright runs on has one node, and no other pool is the same computer.";
    621 Error PORT_BEFORE = "a port that nobody leaves",
        "`ssh.portBefore` is where a host listens until `harden` moves its SSH daemon to `ssh.port`. Without `harden` nothing \
         moves, and `port` alone says where hosts listen; and from a port to the same one there is no way. Write `harden`, \
         correct the numbers, or remove `portBefore`.";
    622 Error FILE_AND_FOLDER = "a path that is a file and a folder",
        "What is below a path makes that path a folder, so it cannot be a file at the same time; and some paths are a file \
         or a folder on every host: `/etc/passwd`, `/usr/local/bin`. Correct one of the two.";
    623 Warning TIMEZONE_UNKNOWN = "a time zone that is not known",
        "The time zone database that this version was built with has no such name, so a host most likely has none either and \
         would refuse it. Names are those of the folder /usr/share/zoneinfo: `Europe/Paris`. Correct the name; or leave it, \
         if the zone is younger than this version: the hosts decide.";
    624 Error SECRET_OPEN = "a secret that everybody on the host gets at",
        "A file whose text comes `from` a secret is for its owner, and for its group at most: with this mode everybody on the \
         host reads or changes it. Let the mode end in 0, or leave it out: it is 0600 then.";
    701 Error SECRET_IN_CLEAR = "a secret in clear text",
        "A value stands where a reference to a secret belongs. This file lives in Git, and what was once in Git is no secret \
         any more: change the secret, keep it in an environment variable, a file, a command or the SOPS file, and write only \
         where it is.";
    702 Warning SECRET_BY_NAME = "a value that looks like a secret",
        "The key's name says password, token or key, and its value stands here in clear text. If it is a secret, \
         change it where it was used, and write where the new one is: `secretValues` for charts, `secrets.objects` \
         and `secrets.configMaps` for the cluster, `from` for files.";
    703 Error PRIVATE_KEY = "a private key in clear text",
        "A private key stands in this file. This file lives in Git, and what was once in Git is no secret any more: \
         make a new pair of keys, keep the private one in a file or in the SOPS file, and write only where it is.";
    704 Error SECRET_OBJECT = "a Secret written out in a manifest",
        "A Secret's `data` is only encoded, not encrypted: everybody who reads this file can read it. Describe it \
         under `secrets.objects`, where each key says where its value is; and change the secret.";
    705 Error SECRET_WAYS = "a secret with no place or with several",
        "A reference to a secret names exactly one place: `env`, `file`, `command`, `sops` or `generate`. With \
         several it would not be clear which one holds.";
    706 Error SOPS_FILE_MISSING = "a key of a SOPS file that is not named",
        "The secret is a key of the SOPS file, and nothing says which file that is. Write `secrets.sopsFile`.";
    707 Error RECIPIENT_FORM = "a recipient that is no age public key",
        "A recipient is an age public key, `age1…`, as `age-keygen` prints it. The line that begins with \
         AGE-SECRET-KEY is the private half: it must never stand here, and if it did, make a new pair.";
    708 Error ENV_FORM = "an environment variable that cannot be",
        "An environment variable's name has letters, digits and `_`, without `$` or `=`. Write the name alone: `{ \
         env: PROXMOX_TOKEN }`.";
    709 Error GENERATED_ELSEWHERE = "a secret that only others can give out",
        "`generate` makes a new random value. This one is checked by somebody else, who has to know it first: a \
         provider's token, the key of a storage, a password of a service outside. Write where it is kept: `env`, \
         `file`, `command` or `sops`.";
    710 Error CONFIG_MAP_TWICE = "a ConfigMap described twice",
        "The same ConfigMap stands under `configMaps` and under `secrets.configMaps`. Each would overwrite the \
         other. Put all its keys in one of the two.";
    711 Error DATA_KEY_FORM = "a key that Kubernetes does not accept",
        "The keys of ConfigMaps and Secrets have letters, digits, `-`, `_` and `.`. They become the names of files, \
         so there is no `/` in them.";
    801 Warning CHART_WITHOUT_VERSION = "a chart without a version",
        "Without a version the first `apply` takes the newest, and the lock file beside the spec keeps it. Where that file is \
         lost, the same spec means another cluster. Write the chart's exact version, or keep the lock file in Git.";
    802 Error CHART_WITHOUT_REPOSITORY = "a chart from nowhere",
        "A chart's name alone says nothing about where it comes from. Write its `repository`, an `oci://` address, \
         or a folder that starts with `./`.";
    803 Error CHART_REPOSITORY_ODD = "a repository that the chart does not need",
        "A chart with an `oci://` address or from a folder has no repository, and the address of a repository begins \
         with https:// or http://. Correct one of the two.";
    804 Error RELEASE_TWICE = "two releases with one name",
        "An add-on has a Helm release of this name already. The second would take the first for its own older \
         version and replace it. Give the chart another name.";
    805 Error MANIFEST_WAYS = "a manifest from nowhere or from two places",
        "A manifest comes from a `file` or stands here under `objects`. Write exactly one of the two.";
    806 Error MANIFEST_OBJECT = "an object that is none",
        "Every object of Kubernetes has an `apiVersion`, a `kind` and a `metadata.name`. Without them it cannot be \
         sent. Its labels and annotations, where it has any, are names with texts.";
    807 Error ISSUER_WAYS = "an issuer of no kind or of several",
        "An issuer is exactly one of `acme`, `ca` and `selfSigned`.";
    808 Error ACME_ANSWER = "an ACME issuer that cannot answer",
        "The ACME server asks for a proof that the name is yours, over HTTP (`http01`) or over DNS (`dns01`, \
         `gandi`). Write exactly one of them.";
    809 Error ACME_EMAIL = "an address that is no e-mail address",
        "The ACME server writes to this address before a certificate ends, and Let's Encrypt refuses addresses at \
         example.com, example.net and example.org. Write one that somebody reads.";
    810 Error ARGOCD_ADDRESS = "an address that Argo CD cannot get",
        "A Service gets the address it asks for only if it is of type LoadBalancer and one of the pools of MetalLB \
         or Cilium holds that one address. Correct the address, the type or the pools.";
    811 Error SCHEDULE_FORM = "a schedule that is none",
        "A schedule is a cron expression of five fields, minute, hour, day, month and day of the week: `0 3 * * *` \
         is every night at three.";
    812 Error WINDOW_LENGTH = "a window without its length, or the other way round",
        "`window` says when the window opens and `windowLength` how long it stays open; one without the other says \
         nothing. Write both.";
    813 Error BACKUP_DESTINATION = "a backup to nowhere or to two places",
        "`to` has exactly one of `folder`, `s3` and `sftp`. To keep backups on the servers only, leave `to` out.";
    814 Error BACKUP_OF_NOTHING = "a backup of nothing",
        "`datastore` and `objects` are off and `machines` is not there, so nothing would ever be saved. Switch one \
         of them on, or remove `backup`.";
    815 Error BACKUP_MACHINES = "a backup of machines that nobody can make",
        "Whole machines are saved by Proxmox, and no pool of this file has machines there. Remove `backup.machines`.";
    817 Error VERIFY_NAMESPACE = "a check in a namespace that nothing makes",
        "Nothing in this file makes the namespace, so the check could never be fulfilled. Correct the name, or list \
         it under `namespaces`.";
    818 Warning VERIFY_HOST = "a check of a host that has no route",
        "The check asks for a host that no route of this file has. The ingress controller would answer 404. Correct \
         the host, or add the route.";
    819 Error VERIFY_NODE = "a check from a node that is not there",
        "The check is to be made from a node that no pool of this file has. Correct the name.";
    820 Error VERIFY_SERVICE = "a check of nothing or of two things",
        "A back-end service is reached `at` an address, or is a `service` of the cluster. Write exactly one of the \
         two.";
    821 Error VERIFY_NEVER = "a check that can never hold",
        "Nothing in this file makes what the check waits for, so it could only fail. Add what is missing, or remove \
         the check.";
    822 Error EACH_NODE = "a URL for each node that is the same for all",
        "`{node}` stands for the node's address; without it the same place would be asked again for every node. \
         Write for example `http://{node}:30080/healthz`, or put the check under `urls`.";
    823 Error STATUS_FORM = "an answer that HTTP does not have",
        "HTTP's answers are numbers from 100 to 599.";
    824 Warning STORAGE_MISSING = "a volume that nobody makes",
        "The add-on wants a volume, and neither the distribution nor this file brings anything that makes one: its \
         pod would stay Pending. Add `addons.storage`.";
    825 Error VAULT_ADDRESS = "Vault elsewhere, and not where",
        "With mode `agent` there is only the injector, and it needs the `address` of the Vault elsewhere; with any \
         other mode Vault is here, and an address has no meaning.";
    826 Warning VAULT_NODES = "fewer nodes than Vault wants",
        "In mode `ha` Vault has three servers that avoid each other, and there are fewer nodes that take work: the \
         rest stays Pending. Choose mode `standalone`, or add nodes.";
    828 Error ARGOCD_MISSING = "an add-on that Argo CD shall install, and no Argo CD",
        "`byArgocd` leaves cert-manager to Argo CD, and `addons.argocd` is not there. Add it, or let kubewright \
         install cert-manager.";
    831 Error NFS_PATH = "an NFS folder that is not absolute",
        "The folder is a path on the NFS server and begins with `/`.";
    833 Warning FENCE_WITHOUT_PROVIDER = "agents that nobody can shut off",
        "`unreachable: fence` shuts an agent off through its provider, and hosts that exist already have none. They \
         are skipped all the same.";
    834 Error SNAPSHOTS = "snapshots of machines that nobody can take",
        "Snapshots before upgrades are taken by Proxmox, and no pool of this file has machines there. Remove \
         `maintenance.snapshots`.";
    835 Error ELASTICSEARCH_VERSION = "an Elasticsearch that its parts are not for",
        "Fluentd's client is of Elasticsearch 8, and logs are kept for so long as you say since 8.16. Write a version \
         from 8.16 to 8.19, or leave `version` out.";
    836 Error HETZNER_ADDON = "a part of Hetzner Cloud where there is none",
        "What knows of Hetzner inside of the cluster calls it with the token of `providers.hetzner`. Describe the project \
         there, or take `addons.hetzner` out. The cloud controller takes a node that is no server of the project for one \
         that is gone, and takes it out of the cluster.";
    837 Error ARGOCD_REPOSITORY = "a repository that Argo CD cannot get into",
        "A repository over SSH is let in by `sshKey`, any other by `password`, and never by both; `prefix` shares credentials, \
         so it needs some; `oci` is for charts in a registry, whose address has no `oci://`. What `root.credentials` opens \
         does not stand in `repositories` again.";
    838 Error VAULT_SETTINGS = "settings that Vault refuses or does not have",
        "Of several keys Vault wants at least two to unseal it, and never more than there are. A role names policies of \
         `policies`, or `default`. Servers decide by majority, so their number is odd. What is set up stands in a Vault that \
         runs here and keeps it: mode `ha` or `standalone`.";
    839 Error VAULT_DOOR = "somebody whom Vault does not let in",
        "A store and Argo CD's plugin get into the Vault of `addons.vault` by a role of its `roles`, which names their service \
         account and its namespace, and a store's path is one of `keyValue`. Add what is missing, or write the `server` of \
         another Vault.";
    840 Error SEALED_SECRETS_KEY = "half of the key of Sealed Secrets",
        "The controller takes a private key with its certificate. Write both, or neither.";
    841 Error GANDI_SECRET = "a Secret that Gandi's webhook may not read",
        "The webhook's chart lets it read the Secret `gandi-credentials` of cert-manager's namespace and no other. Call it so.";
    842 Error STORAGE_CLASS = "a StorageClass that cannot be as it is written",
        "Every class has a name of its own, and one at most is the default. Volumes that share one folder are kept, for the \
         driver removes a volume's folder as a whole. Of a Synology NAS a class names one that the file knows and a volume that \
         begins with `/`; a file system is chosen for `iscsi` alone, and folders of `smb` have a user.";
    843 Error ISCSI_TOOLS = "iSCSI where nodes do not speak it",
        "Nodes of Talos speak iSCSI by the extension `siderolabs/iscsi-tools`, which the image has not without a word. Write it \
         into `kubernetes.talos.extensions`; an image that `schematic` names is not judged. Containers do not speak it at all. \
         Classes of protocol `nfs` need nothing of a node.";
    844 Error SYNOLOGY_NAS = "a NAS of which too little is said, or twice",
        "Synology's driver logs into a NAS with `at`, `user` and `password`, and into those of `others`; or it reads a Secret \
         that somebody else makes, which `clientInfoSecret` names. Write one of the two.";
    848 Error DRIFT = "drift that nobody hears of",
        "`maintenance.drift` says how often it is looked whether the world is as the file says, and nobody in `notifications` hears \
         of `drift` or `expiry`.";
    850 Error SFTP_KEYS = "two keys for one SFTP server",
        "The server of `backup.to.sftp` is entered with the private key that `key` gives as a secret, or with that of the file \
         `keyFile`. Write one of the two, or neither: then the user's own keys are tried.";
    851 Error SFTP_FOLDER = "a folder of an SFTP server that is not for bundles",
        "Bundles lie in a folder of their own, where nothing else is listed and nothing else is deleted: not in the one where \
         the server lets the user in, and not above it. Write a path without `..`.";
    852 Error BACKUP_ON_SERVERS = "bundles that servers cannot make by themselves",
        "With `backup.onServers` the servers save etcd, encrypt it for `backup.recipients` and put it into the bucket of \
         `backup.to.s3`. A folder of this computer, or a key of yours for an SFTP server, they do not have; Talos runs no \
         program of ours; and SQLite is a file that must not be copied while it is written. `kubewright backup timer` has this \
         computer make bundles.";
    853 Error NOTIFICATION = "somebody who cannot be told",
        "Each entry of `notifications` names one way: a webhook, a channel of Slack, a room of Matrix by its identifier, or e-mail \
         addresses. A mail server that lets users in wants a user with a password.";
    901 Error FOREIGN_FORM = "a file of others that is not in its form",
        "The inventory, the table or the output of Terraform cannot be read: whoever it is for would refuse it too, or it is \
         another kind of file. Say with `--format` what it is, or correct it. Nothing was written.";
    902 Error FOREIGN_COLUMNS = "a table whose columns nobody can tell",
        "A table of servers needs a column with host names and one with addresses. They are known by the first line \
         (`name`, `hostname`, `ip`, `ip_privee`, `role`, …) or, without one, by what they hold.";
    903 Error FOREIGN_GROUP = "a group that is declared nowhere",
        "`[NAME:vars]` and the lines below `[NAME:children]` are about groups that stand in the inventory with a section of \
         their own. Ansible refuses the inventory too. Correct the name, or declare the group.";
    904 Error FOREIGN_ADDRESS = "a host without an address",
        "Hosts that exist already are reached at an address, and the file gives none for this one: its name is no address, \
         and neither `ansible_host` nor a column says one. Write it, or leave the host out with `--group NAME=none`.";
    905 Error FOREIGN_TWICE = "a host twice",
        "Two hosts of the files have one name or one address. A node's name is its host name, so the part of it before the \
         first point has to differ.";
    906 Error FOREIGN_VALUE = "a value that means nothing here",
        "A port, an address, a number or a version in the file of others is none. Correct it there, or take it out.";
    907 Error FOREIGN_SERVERS = "no host that could be a server",
        "Neither a group, nor a column, nor a name says which hosts are the control plane. Groups and roles such as `master`, \
         `server`, `control-plane` and `kube_control_plane` are known; any other is given its role with \
         `--group NAME=server`.";
}
