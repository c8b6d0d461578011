//! What is said before the commands of a procedure.

use super::{Manual, Procedures};

pub(crate) static EN: Procedures = Procedures {
    upgrade: "Another version of Kubernetes",
    upgrade_text: "Write it as {field} into the file. The plan shows the whole path: no minor version is skipped, servers come \
                   one by one before workers, and the datastore is saved first.",
    packages: "Packages of the operating system",
    packages_text: "One host after the other: drained, upgraded, started again where it wants that, Ready.",
    backup: "Save",
    backup_text: "One encrypted file holds everything that the cluster is made anew from. A rehearsal restores it elsewhere \
                  and says whether that works.",
    restore: "Go back to what was saved",
    restore_text: "What was written since is lost; the plan says so, and asks for the cluster's name where it lives.",
    rebuild: "Make everything anew",
    rebuild_text: "Saves, destroys, builds and proves, in one plan; a run that was cut goes on where it was.",
    replace: "A dead or sick node",
    replace_text: "Drained, taken out of the datastore, made anew and joined, whichever node it is.",
    scale: "More or fewer nodes",
    scale_text: "Change {field} of a pool in the file. A node that goes is drained, leaves the datastore, and its machine is \
                 deleted; where the rest would have no quorum, the plan refuses and says why.",
    rotate: "New certificates",
    rotate_text: "They are good for a year; their end is in every status.",
    restart: "Start something again",
    restart_text: "A node is drained before and Ready after; a unit alone is started again at once.",
    logs: "Logs",
    images: "Images of a node",
    balancers: "The load balancer",
    look: "Look",
    quorum: "etcd has {all} members and answers while {quorum} do. Failures that it bears: {lost}.",
    quorum_none: "The control plane is a single node: while it is away, the API does not answer. Workloads run on.",
};

pub(crate) static FR: Procedures = Procedures {
    upgrade: "Mettre à jour Kubernetes",
    upgrade_text: "Écrire la version dans {field} du fichier. Le plan montre tout le chemin : aucune version mineure n’est \
                   sautée, les serveurs passent un par un avant les workers, et la base de données est d’abord sauvegardée.",
    packages: "Mettre à jour le système d’exploitation",
    packages_text: "Un hôte après l’autre : vidé, mis à jour, redémarré s’il le demande, Ready.",
    backup: "Sauvegarder",
    backup_text: "Un seul fichier chiffré contient tout ce dont le cluster est refait. Une répétition le restaure ailleurs et \
                  dit si cela fonctionne.",
    restore: "Revenir à une sauvegarde",
    restore_text: "Ce qui a été écrit depuis est perdu ; le plan le dit, et demande le nom du cluster s’il vit encore.",
    rebuild: "Tout refaire à neuf (rebuild)",
    rebuild_text: "Sauvegarde, détruit, reconstruit et prouve, en un seul plan ; une exécution coupée reprend où elle en était.",
    replace: "Remplacer un nœud mort ou malade",
    replace_text: "Vidé, retiré de la base de données, refait à neuf et rattaché, quel que soit le nœud.",
    scale: "Ajouter ou retirer des nœuds",
    scale_text: "Changer {field} d’un groupe dans le fichier. Un nœud qui part est vidé, quitte la base de données, et sa \
                 machine est supprimée ; si le reste perdait le quorum, le plan refuse et dit pourquoi.",
    rotate: "Renouveler les certificats",
    rotate_text: "Ils sont valables un an ; leur fin est dans chaque état.",
    restart: "Redémarrer",
    restart_text: "Un nœud est d’abord vidé, et Ready ensuite ; une unité seule est redémarrée aussitôt.",
    logs: "Journaux",
    images: "Images d’un nœud",
    balancers: "Le répartiteur de charge",
    look: "Diagnostic",
    quorum: "etcd a {all} membres et répond tant que {quorum} répondent. Pannes tolérées : {lost}.",
    quorum_none: "Le plan de contrôle est un seul nœud : sans lui, l’API ne répond pas. Les charges continuent de tourner.",
};

pub(crate) static MANUAL_EN: Manual = Manual {
    intro: "{command} looks for all of these at once and names the cause:",
    symptom: "What is seen",
    cause: "Why",
    repair: "What is done",
    component: "Component",
    kubernetes: "Kubernetes",
    term: "Term",
    meaning: "Meaning",
    machines: "Network of the machines",
    gateway: "Gateway",
    nameserver: "DNS",
    own_disks: "the nodes' own disks",
    objects: "Objects",
};

pub(crate) static MANUAL_FR: Manual = Manual {
    intro: "{command} les cherche tous à la fois et nomme la cause :",
    symptom: "Symptôme",
    cause: "Cause",
    repair: "Solution",
    component: "Composant",
    kubernetes: "Kubernetes",
    term: "Terme",
    meaning: "Signification",
    machines: "Réseau des machines",
    gateway: "Passerelle",
    nameserver: "DNS",
    own_disks: "les disques des nœuds",
    objects: "Objets",
};
