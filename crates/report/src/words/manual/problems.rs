//! What has gone wrong for people who ran such clusters by hand, how it shows, and what is done about it here.

use super::{Said, Topic};

/// A known problem.
pub(crate) struct Problem {
    /// What commands for it are found by.
    pub(crate) id: &'static str,
    pub(crate) topic: Topic,
    pub(crate) title: Said,
    /// What a program says of it, in its own words; empty where it says nothing.
    pub(crate) symptom: &'static str,
    pub(crate) cause: Said,
    pub(crate) repair: Said,
}

/// From the ground up.
pub(crate) static PROBLEMS: &[Problem] = &[
    Problem {
        id: "ssh",
        topic: Topic::Always,
        title: ["A host lets nobody in over SSH", "Échec de connexion SSH"],
        symptom: "Permission denied (publickey)",
        cause: [
            "Its address, its port, the user or the key is another one than the file has, or the host is off.",
            "L’adresse, le port, l’utilisateur ou la clé n’est pas celui du fichier, ou l’hôte est éteint.",
        ],
        repair: ["The layer at which it ends is told by name.", "La couche fautive est nommée."],
    },
    Problem {
        id: "kmsg",
        topic: Topic::Lxc,
        title: ["K3s does not start in a container: /dev/kmsg", "K3s ne démarre pas : /dev/kmsg"],
        symptom: "open /dev/kmsg: no such file or directory",
        cause: [
            "A container of Proxmox has no /dev/kmsg, and the kubelet reads it.",
            "Un conteneur Proxmox n’a pas de /dev/kmsg, que le kubelet lit.",
        ],
        repair: [
            "The link `/dev/kmsg` → `/dev/console` is set at every start; where it is gone, applying the file sets it again.",
            "Le lien `/dev/kmsg` → `/dev/console` est posé à chaque démarrage ; s’il manque, appliquer le fichier le remet.",
        ],
    },
    Problem {
        id: "proc-sys",
        topic: Topic::Lxc,
        title: ["The kubelet cannot set kernel parameters", "/proc/sys en lecture seule dans le conteneur"],
        symptom: "Failed to start ContainerManager … read-only file system",
        cause: [
            "/proc/sys is read-only in the container: the line `lxc.mount.auto: proc:rw sys:rw cgroup:rw` is missing.",
            "/proc/sys est en lecture seule dans le conteneur : la ligne `lxc.mount.auto: proc:rw sys:rw cgroup:rw` manque.",
        ],
        repair: [
            "The line belongs to the file of the container; applying the file writes it and starts the container again.",
            "La ligne fait partie de la configuration du conteneur ; appliquer le fichier l’écrit et redémarre le conteneur.",
        ],
    },
    Problem {
        id: "api-port",
        topic: Topic::Always,
        title: ["Workers do not serve port 6443", "Les workers n’exposent pas le port 6443"],
        symptom: "",
        cause: [
            "Only the control plane serves the API; a worker never does. A load balancer of the API leads to the control plane alone.",
            "Seul le plan de contrôle sert l’API ; un worker, jamais. Le répartiteur de l’API ne mène qu’au plan de contrôle.",
        ],
        repair: ["This is as it should be.", "C’est normal."],
    },
    Problem {
        id: "image-pull",
        topic: Topic::Always,
        title: ["Pods in ImagePullBackOff", "Pods en ImagePullBackOff"],
        symptom: "ImagePullBackOff",
        cause: [
            "The image exists on the node alone, and `imagePullPolicy: Always` asks a registry for it; or the registry cannot be reached.",
            "L’image n’existe que sur le nœud, et `imagePullPolicy: Always` la demande à un registre ; ou le registre est injoignable.",
        ],
        repair: [
            "Set `imagePullPolicy: Never` or `IfNotPresent`, and bring the image to every node.",
            "Définir `imagePullPolicy: Never` ou `IfNotPresent`, et amener l’image sur chaque nœud.",
        ],
    },
    Problem {
        id: "browser",
        topic: Topic::Ingress,
        title: ["A page does not open in the browser", "Pas d’accès depuis le navigateur"],
        symptom: "",
        cause: [
            "The name leads nowhere, or there is no Ingress, or its Service has no end points.",
            "Le nom ne mène nulle part, ou l’Ingress manque, ou son Service n’a pas de point de terminaison.",
        ],
        repair: [
            "Each layer is looked at in turn: the name, the Ingress, the Service, its end points.",
            "Chaque couche est examinée dans l’ordre : le nom, l’Ingress, le Service, ses points de terminaison.",
        ],
    },
    Problem {
        id: "haproxy",
        topic: Topic::HaProxy,
        title: ["HAProxy passes nothing on", "HAProxy ne répond pas"],
        symptom: "",
        cause: [
            "Its service is down, or none of its targets is healthy.",
            "Le service est arrêté, ou aucune de ses cibles n’est saine.",
        ],
        repair: [
            "Its state, its log and its page of statistics tell which.",
            "Son état, son journal et sa page de statistiques disent lequel.",
        ],
    },
    Problem {
        id: "health-check",
        topic: Topic::Balancer,
        title: ["HTTPS targets are unhealthy although HTTP works", "Cibles HTTPS en échec alors que HTTP fonctionne"],
        symptom: "",
        cause: [
            "TLS ends at the load balancer, so nodes get plain HTTP on the same port; a health check by HTTPS fails there.",
            "TLS se termine sur le répartiteur : les nœuds reçoivent du HTTP sur le même port, et un contrôle en HTTPS y échoue.",
        ],
        repair: [
            "The health check asks by HTTP, as the file has it.",
            "Le contrôle de santé se fait en HTTP, comme le dit le fichier.",
        ],
    },
    Problem {
        id: "metallb",
        topic: Topic::MetalLb,
        title: ["A Service stays without an address", "Un Service LoadBalancer reste sans adresse"],
        symptom: "EXTERNAL-IP <pending>",
        cause: [
            "MetalLB has no pool of addresses, or none is left in it.",
            "MetalLB n’a pas de plage d’adresses, ou elle est épuisée.",
        ],
        repair: [
            "The pool is in the file; its pods and its log tell the rest.",
            "La plage est dans le fichier ; ses pods et leurs journaux disent le reste.",
        ],
    },
    Problem {
        id: "kubeadm",
        topic: Topic::Kubeadm,
        title: ["A node does not join", "Problèmes de déploiement Kubernetes"],
        symptom: "",
        cause: [
            "A port is closed, a token has ended, or the configuration of the cluster says something else.",
            "Un port est fermé, un jeton a expiré, ou la configuration du cluster dit autre chose.",
        ],
        repair: [
            "The configuration is a ConfigMap of the cluster; the kubelet's log tells why it does not start.",
            "La configuration est un ConfigMap du cluster ; le journal du kubelet dit pourquoi il ne démarre pas.",
        ],
    },
    Problem {
        id: "cilium-destroy",
        topic: Topic::Cilium,
        title: ["Destroying the cluster hangs at Cilium's release", "La release Helm de Cilium bloque la destruction"],
        symptom: "Error uninstalling release: dial tcp …:6443: i/o timeout",
        cause: [
            "The API is not reachable any more when the network has gone before it.",
            "L’API n’est plus accessible : le réseau a été retiré avant elle.",
        ],
        repair: [
            "Here nothing is uninstalled from a cluster that goes as a whole: its machines go.",
            "Ici, rien n’est désinstallé d’un cluster qui disparaît en entier : ce sont ses machines qui partent.",
        ],
    },
    Problem {
        id: "cilium-slow",
        topic: Topic::Cilium,
        title: ["Cilium takes long on a fresh cluster", "Cilium met longtemps à se déployer"],
        symptom: "",
        cause: [
            "Its images are large: up to 20 minutes on a cluster that has none of them are normal.",
            "Ses images sont volumineuses : jusqu’à 20 minutes sur un cluster neuf sont normales.",
        ],
        repair: ["The run waits, and tells for what.", "L’exécution attend, et dit quoi."],
    },
    Problem {
        id: "namespace",
        topic: Topic::CertManager,
        title: ["The namespace of a chart is missing", "Namespace cert-manager non créé"],
        symptom: "namespaces \"cert-manager\" not found",
        cause: ["The chart does not make its own namespace.", "Le chart ne crée pas son propre namespace."],
        repair: [
            "Namespaces are made before what lies in them.",
            "Les namespaces sont créés avant ce qu’ils contiennent.",
        ],
    },
    Problem {
        id: "repo-server",
        topic: Topic::ArgoCd,
        title: ["Argo CD: the repo-server ends the connection", "ArgoCD : erreurs EOF du repo-server"],
        symptom: "error reading from server: EOF",
        cause: [
            "After a restart of the cluster the repo-server may hold connections that are gone.",
            "Après un redémarrage du cluster, le repo-server peut garder des connexions mortes.",
        ],
        repair: [
            "A run starts it again by itself; by hand it is one command.",
            "Une exécution le redémarre d’elle-même ; à la main, c’est une commande.",
        ],
    },
    Problem {
        id: "secrets",
        topic: Topic::Sops,
        title: ["Secrets that somebody has to apply after a rebuild", "Secrets à appliquer à la main après un rebuild"],
        symptom: "",
        cause: [
            "They lay beside the repository in clear text and belonged to no run.",
            "Ils étaient en clair à côté du dépôt et n’appartenaient à aucune exécution.",
        ],
        repair: [
            "They are in an encrypted SOPS file beside the cluster's file, and every run applies them.",
            "Ils sont dans un fichier SOPS chiffré à côté du fichier du cluster, et chaque exécution les applique.",
        ],
    },
    Problem {
        id: "vault-sealed",
        topic: Topic::Vault,
        title: ["Vault is sealed after a restart", "Vault est scellé après un redémarrage"],
        symptom: "Vault is sealed",
        cause: [
            "A Vault that keeps its data itself begins sealed.",
            "Un Vault qui garde lui-même ses données démarre scellé.",
        ],
        repair: [
            "Where its keys are in the store, applying the file unseals it.",
            "Si ses clés sont dans le magasin, appliquer le fichier le descelle.",
        ],
    },
    Problem {
        id: "quorum",
        topic: Topic::Etcd,
        title: ["The API does not answer: etcd has lost its quorum", "L’API ne répond plus : etcd a perdu son quorum"],
        symptom: "etcdserver: no leader",
        cause: [
            "More servers are down than etcd can do without.",
            "Plus de serveurs sont arrêtés qu’etcd n’en peut perdre.",
        ],
        repair: [
            "Bring servers back first; where their data are lost, go back to what was saved.",
            "Ramener d’abord des serveurs ; si leurs données sont perdues, revenir à ce qui a été sauvegardé.",
        ],
    },
    Problem {
        id: "expired",
        topic: Topic::Always,
        title: ["Certificates have expired", "Certificats expirés"],
        symptom: "x509: certificate has expired or is not yet valid",
        cause: ["Certificates of the cluster are good for a year.", "Les certificats du cluster sont valables un an."],
        repair: [
            "They are made anew in turns, also where nobody answers any more.",
            "Ils sont renouvelés tour à tour, même si plus personne ne répond.",
        ],
    },
    Problem {
        id: "not-ready",
        topic: Topic::Always,
        title: ["A node is not Ready", "Un nœud n’est pas Ready"],
        symptom: "NotReady",
        cause: [
            "Its kubelet is down, its disk is full, its clock is wrong, or its network is not there.",
            "Son kubelet est arrêté, son disque est plein, son horloge est fausse, ou son réseau manque.",
        ],
        repair: [
            "The cause is named with the lines that show it, and what a program may do about it is planned.",
            "La cause est nommée avec les lignes qui la montrent, et ce qu’un programme peut réparer est planifié.",
        ],
    },
];
