//! Writing a bundle: one tar, the manifest first. The same contents give the same bytes.

use std::fs::File;
use std::io::{Read, Seek as _, Write};
use std::path::{Path, PathBuf};

use kubewright_model::airgap::Manifest;
use kubewright_model::digest::Digest;

/// The manifest's name in a bundle, and that of its digest.
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SEAL: &str = "manifest.sha256";

/// Writes a bundle in one move. `places` says where on this computer each of the contents is, in their order.
pub(super) fn pack(manifest: &Manifest, places: &[PathBuf], to: &Path) -> Result<u64, String> {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = |error: std::io::Error| format!("{} cannot be written: {error}", to.display());
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    let beside = tempfile::Builder::new().prefix(".bundle-").permissions(readable).tempfile_in(folder);
    let mut beside = beside.map_err(unwritable)?;
    let mut archive = tar::Builder::new(std::io::BufWriter::with_capacity(1 << 20, beside.as_file_mut()));
    let text = serde_json::to_string_pretty(manifest).map_err(|error| error.to_string())? + "\n";
    let seal = format!("{}\n", Digest::of(&text));
    append(&mut archive, MANIFEST, text.len() as u64, text.as_bytes()).map_err(unwritable)?;
    append(&mut archive, SEAL, seal.len() as u64, seal.as_bytes()).map_err(unwritable)?;
    for (packed, place) in manifest.contents.iter().zip(places) {
        let unreadable = |error: std::io::Error| format!("{}: {error}", place.display());
        let file = File::open(place).map_err(unreadable)?;
        append(&mut archive, &packed.path, packed.size, file.take(packed.size)).map_err(unreadable)?;
    }
    let mut written = archive.into_inner().map_err(unwritable)?;
    written.flush().map_err(unwritable)?;
    drop(written);
    beside.as_file_mut().sync_all().map_err(unwritable)?;
    let size = beside.as_file_mut().seek(std::io::SeekFrom::End(0)).map_err(unwritable)?;
    beside.persist(to).map_err(|error| unwritable(error.error))?;
    Ok(size)
}

/// Adds a file that has no owner and no time.
pub(super) fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    size: u64,
    bytes: impl Read,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    archive.append_data(&mut header, name, bytes)
}
