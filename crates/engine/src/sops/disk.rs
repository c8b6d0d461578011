//! Files on the disk: written in one move, so that nobody ever reads half of one, and with the mode that they had.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use kubewright_model::secret::Secret;

/// What is encrypted is no secret.
const NEW: u32 = 0o644;

/// Writes an encrypted file, or rules about such. A link stays one, and what it leads to is written.
///
/// # Errors
///
/// The disk's.
pub fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = match std::fs::metadata(&path) {
        Ok(there) => there.permissions(),
        Err(error) if error.kind() == ErrorKind::NotFound => Permissions::from_mode(NEW),
        Err(error) => return Err(error),
    };
    let mut file = tempfile::Builder::new().prefix(".sops-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(mode)?;
    file.as_file().sync_all()?;
    file.persist(&path).map(drop).map_err(|error| error.error)
}

/// Adds a private key to a file that only its owner reads; the folder is made where there is none.
///
/// # Errors
///
/// The disk's, or others could read the file.
pub fn add_key(path: &Path, key: &Secret) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(Error::new(ErrorKind::PermissionDenied, "others may read it; `chmod 600` it first"));
    }
    file.write_all(key.expose().as_bytes())?;
    file.sync_all()
}
