//! What settings of machines are called.

use kubewright_model::setting::Setting;

use super::{Pools, Said};
use crate::words::Words;

impl Words {
    /// The name of a setting.
    pub(crate) fn setting(&self, setting: &Setting) -> String {
        let said: Said = match setting {
            Setting::Cores(_) => ["Cores", "Cœurs"],
            Setting::Memory(_) => ["Memory", "Mémoire"],
            Setting::Balloon(_) => ["Memory at least", "Mémoire minimale"],
            Setting::Swap(_) => ["Swap", "Swap"],
            Setting::Disk(_) => ["Disk", "Disque"],
            Setting::ExtraDisk(number, _) => return format!("{} {number}", self.heads.disk),
            Setting::Mount(path, _) => return format!("{} {path}", self.of(&["Volume at", "Volume monté sur"])),
            Setting::Storage(_) => ["Storage", "Stockage"],
            Setting::Bridge(_) => ["Bridge", "Pont réseau"],
            Setting::Vlan(_) => ["VLAN", "VLAN"],
            Setting::Queues(_) => ["Queues of the network card", "Files de la carte réseau"],
            Setting::Prefix(_) => ["Prefix", "Préfixe"],
            Setting::Gateway(_) => ["Gateway", "Passerelle"],
            Setting::Nameservers(_) => ["DNS", "DNS"],
            Setting::SearchDomains(_) => ["DNS search domains", "Domaines de recherche DNS"],
            Setting::Cpu(_) => ["CPU type", "Type de CPU"],
            Setting::ScsiController(_) => ["SCSI controller", "Contrôleur SCSI"],
            Setting::IoThread(_) => ["I/O thread of the disk", "Fil d’E/S du disque (iothread)"],
            Setting::Agent(_) => ["QEMU guest agent", "QEMU Guest Agent"],
            Setting::Privileged(_) => ["Privileged", "Privilégié"],
            Setting::Features(_) => ["Features", "Fonctionnalités"],
            Setting::Tags(_) => ["Tags", "Étiquettes"],
            Setting::OnBoot(_) => ["Started with its hypervisor", "Démarrage automatique (auto-boot)"],
            Setting::Startup(_) => ["Order of starting", "Ordre de démarrage"],
            Setting::Description(_) => ["Description", "Description"],
            Setting::Ha(_) => ["High availability", "Haute disponibilité"],
            Setting::HaGroup(_) => ["HA group", "Groupe HA"],
            Setting::ServerType(_) => ["Server type", "Type de serveur"],
            Setting::Protected(_) => ["Protected against deletion", "Protégé contre la suppression"],
        };
        self.of(&said).into()
    }
}

pub(crate) static EN: Pools = Pools {
    raw: "Lines that a container gets in its own configuration on the hypervisor:",
    none: "none",
    off: "off",
    made_of: "Made from",
    slot: "System disk at",
    format: "Format of the disk",
    cloud_init: "Personalised by",
    features: "Features",
    network: "Network",
    firewall: "Firewall",
    placement_group: "Placement group",
    ssh_keys: "SSH keys",
    os: "Operating system",
    ssh: "SSH",
    hardened: "Login over SSH",
    keys_only: "public keys only; neither root nor passwords",
    users: "Users",
    packages: "Packages",
    held: "Packages that an upgrade of the system passes by",
    modules: "Kernel modules",
    sysctls: "Kernel settings",
    links: "Links",
    downloads: "Downloaded and verified",
    units: "Units",
    swap: "Swap",
    timezone: "Time zone",
    locale: "Locale",
};

pub(crate) static FR: Pools = Pools {
    raw: "Lignes que reçoit chaque conteneur dans sa propre configuration sur l’hyperviseur :",
    none: "aucun",
    off: "désactivé",
    made_of: "Créée à partir de",
    slot: "Disque système sur",
    format: "Format du disque",
    cloud_init: "Personnalisée par",
    features: "Fonctionnalités",
    network: "Réseau",
    firewall: "Pare-feu",
    placement_group: "Groupe de placement",
    ssh_keys: "Clés SSH",
    os: "Système d’exploitation",
    ssh: "SSH",
    hardened: "Connexion SSH",
    keys_only: "clés publiques uniquement ; ni root ni mots de passe",
    users: "Utilisateurs",
    packages: "Paquets",
    held: "Paquets exclus des mises à jour du système",
    modules: "Modules du noyau",
    sysctls: "Paramètres du noyau",
    links: "Liens",
    downloads: "Téléchargés et vérifiés",
    units: "Unités systemd",
    swap: "Swap",
    timezone: "Fuseau horaire",
    locale: "Locale",
};
