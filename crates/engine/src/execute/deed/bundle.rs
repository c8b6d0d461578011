//! A bundle is packed and put where it is kept, and those that are not kept any more go.

use std::fs::File;
use std::io::{BufWriter, Seek as _};

use kubewright_model::bundle::{BundleName, DesiredBundle, Label, Shelf, in_bytes};
use kubewright_model::spec::backup::Keep;

use super::{Fault, Hands, Tell};
use crate::backup::catalog;
use crate::backup::collect::Sources;
use crate::backup::shelf::{Bundles, ShelfError};
use crate::execute::Saying;
use crate::retry::{DEED, retry};

impl From<ShelfError> for Fault {
    fn from(error: ShelfError) -> Self {
        let lasts = !matches!(error, ShelfError::Unreachable(_));
        Self { causes: vec![error.to_string()], log: Vec::new(), hint: None, lasts }
    }
}

impl Hands<'_> {
    /// Gathers, packs, and sends. The file in between is encrypted and has no name.
    pub(super) async fn pack(&self, bundle: &DesiredBundle, tell: Tell<'_>) -> Result<bool, Fault> {
        let say = |message: String| tell(Saying::Tells(message));
        let sources = Sources {
            desired: self.desired,
            secrets: self.filler.secrets(),
            filler: &self.filler,
            cluster: self.cluster()?.as_ref(),
            copies: self.world.copies.as_ref(),
            tell: &say,
        };
        let packing = patiently!(tell, sources.gather(bundle))?;
        let (about, recipients) = (sources.about(bundle), bundle.recipients.clone());
        let sealed = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::tempfile()?;
            let packed = packing.seal(about, &recipients, BufWriter::new(&file))?;
            file.rewind().map(|()| (file, packed))
        });
        let sealed = sealed.await.map_err(|error| Fault::from(error.to_string()))?;
        let (file, packed) = sealed.map_err(|error| Fault::from(format!("packing: {error}")))?;
        let label = Label::of(&packed.manifest, packed.size, packed.sha256, bundle.recipients.clone());
        let bundles = self.bundles(&bundle.to)?;
        self.put(&*bundles, &bundle.name, &file, &label, tell).await?;
        let holds: Vec<String> = label.holds.iter().map(|(kind, many)| format!("{many} {}", kind.word())).collect();
        let (size, digest) = (in_bytes(label.size), label.sha256.short());
        tell(Saying::Tells(format!("{}: {size}, SHA-256 {digest}; files: {}", bundle.name, holds.join(", "))));
        Ok(true)
    }

    /// Whoever tries again may find what the try before has put there, whose answer was lost.
    async fn put(
        &self,
        bundles: &dyn Bundles,
        name: &BundleName,
        file: &File,
        label: &Label,
        tell: Tell<'_>,
    ) -> Result<(), Fault> {
        let tries = std::cell::Cell::new(0);
        let put = async || {
            tries.set(tries.get() + 1);
            match catalog::put(bundles, name, file, label).await {
                Err(ShelfError::Taken(_)) if tries.get() > 1 => {
                    let there = bundles.list().await?;
                    match there.get(name.file()) == Some(&label.size) {
                        true => catalog::note_label(bundles, name, label).await,
                        false => Err(ShelfError::Taken(name.to_string())),
                    }
                }
                answer => answer,
            }
        };
        Ok(retry(DEED, put, tell).await?)
    }

    /// Deletes what is not kept; returns whether anything was.
    pub(super) async fn prune(
        &self,
        from: &Shelf,
        keep: &Keep,
        newest: &BundleName,
        tell: Tell<'_>,
    ) -> Result<bool, Fault> {
        let bundles = self.bundles(from)?;
        let listed = patiently!(tell, catalog::list(&*bundles, &self.desired.cluster))?;
        let gone = catalog::surplus(&listed, keep);
        let mut gone = gone.into_iter().filter(|bundle| bundle.name != *newest).peekable();
        let any = gone.peek().is_some();
        for bundle in gone {
            patiently!(tell, catalog::delete(&*bundles, &bundle.name))?;
            tell(Saying::Tells(format!("deleted {}", bundle.name)));
        }
        Ok(any)
    }

    fn bundles(&self, shelf: &Shelf) -> Result<Box<dyn Bundles>, Fault> {
        self.world.bundles(shelf).map_err(Fault::from)
    }
}
