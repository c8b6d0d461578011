//! What is on a node's disk, as far as it tells what the node is.

use super::client::Talos;
use super::errors::TalosError;
use super::wire;

/// The file whose text is another one after each start (`random(4)`).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

impl Talos {
    /// Whether there is something of a name in a folder of the node, or anything at all where no name is given; a folder that is
    /// not there holds nothing.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn holds(&self, folder: &str, name: Option<&str>) -> Result<bool, TalosError> {
        let request = wire::ListRequest { root: folder.to_string(), ..wire::ListRequest::default() };
        // A refusal comes before the stream begins, or in it.
        let listed: Result<Vec<wire::FileEntry>, _> = async {
            let listed = self.connection.stream("/machine.MachineService/List", request).await?;
            listed.all().await
        }
        .await;
        match listed {
            Ok(files) => {
                // The folder itself is the first of them.
                let named = |file: &wire::FileEntry| match name {
                    Some(name) => file.relative_name == name,
                    None => ![".", ""].contains(&file.relative_name.as_str()),
                };
                Ok(files.iter().any(|file| file.error.is_empty() && named(file)))
            }
            Err(TalosError::Refused { message, .. }) if message.contains("no such file") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What tells one start of the node from the next.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn boot_id(&self) -> Result<String, TalosError> {
        let request = wire::ReadRequest { path: BOOT_ID.into() };
        let parts: Vec<wire::Chunk> =
            self.connection.stream("/machine.MachineService/Read", request).await?.all().await?;
        let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
        Ok(String::from_utf8_lossy(&bytes).trim().to_string())
    }
}
