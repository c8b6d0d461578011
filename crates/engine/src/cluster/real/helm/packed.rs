//! Charts for bundles: the verified archive, and the images of what it renders to without a cluster.

use kubewright_hosts::Holes;
use kubewright_model::desired::DesiredRelease;
use kubewright_model::secret::Secret;
use kubewright_model::text::holes_of;

use super::super::objects::fill;
use super::Helm;
use super::render::objects;
use crate::airgap::Packable;

/// What stands for every secret: no image's name depends on one, and what decodes base64 finds some.
const FILLED: &str = "a3ViZXdyaWdodA==";

impl Helm {
    /// The chart of a release, and the images in what it renders to with the release's values.
    pub(in super::super) async fn packable(&self, release: &DesiredRelease) -> Result<Packable, String> {
        let chart = self.chart(release).await.map_err(|fault| fault.said(release).why)?;
        let holes: Holes =
            holes_of(&release.values).into_iter().map(|hole| (hole, Secret::new(FILLED.to_string()))).collect();
        let values = fill(&release.values, &holes).map_err(|error| error.to_string())?;
        let words = ["template", release.name.as_str(), &chart.place, "--namespace", release.namespace.as_str()];
        let version = self.kubernetes.to_string();
        // Tests of charts are run by nobody here; their hooks are, and have images as well.
        let more = ["--values", "-", "--include-crds", "--skip-tests", "--kube-version", &version];
        let words: Vec<String> = words.into_iter().chain(more).map(String::from).collect();
        let said = self.program.run(None, &words, Some(values.to_string())).await;
        let text = said.map_err(|said| format!("it does not render: {}", said.why))?;
        let rendered = objects(&text)?;
        let always = rendered.iter().flat_map(kubewright_planner::airgap::always_pulled).collect();
        let mut images: Vec<String> = rendered.iter().flat_map(kubewright_planner::airgap::images).collect();
        images.sort();
        images.dedup();
        let archive = (!release.is_folder()).then(|| chart.place.into());
        Ok(Packable { archive, digest: chart.digest, images, always })
    }
}
