//! Secrets that lie locked in etcd, by a key that every server has in a file of its own.
//! <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/>

use kubewright_model::host::FileWish;
use kubewright_model::text::Text;
use serde_json::{Value, json};

use crate::foundation::{ENCRYPTION_FILE, ENCRYPTION_KEY};

/// The file. What was written before it was there is read as it is.
pub(super) fn file() -> FileWish {
    let text = Text::known(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
         providers:\n  - secretbox:\n      keys:\n      - name: kubewright\n        secret: \"",
    );
    FileWish::new(ENCRYPTION_FILE, text.and_hole(ENCRYPTION_KEY).and("\"\n  - identity: {}\n"), 0o600)
}

/// What the API server is told of it: the file is on the host, and the server in a container.
pub(super) fn api_server() -> Value {
    json!({
        "extraArgs": [{ "name": "encryption-provider-config", "value": ENCRYPTION_FILE }],
        "extraVolumes": [{
            "name": "encryption",
            "hostPath": ENCRYPTION_FILE,
            "mountPath": ENCRYPTION_FILE,
            "readOnly": true,
            "pathType": "File",
        }],
    })
}
