//! A guest's notes: what people have written there, and below it what we must not forget of it.
//!
//! Proxmox copies tags and notes into every clone. So a guest of ours tells its own VMID: one that tells another number is
//! a copy that somebody has made by hand, and theirs.

use std::fmt;

use kubewright_model::ids::Vmid;

use super::call::{Config, Guest};

/// What stands before the VMID.
const VMID: &str = "kubewright-vmid: ";
/// What stands before the name of the template of ours that a machine was cloned from.
const TEMPLATE: &str = "kubewright-template: ";
/// What stands before the volume of the image that a template was made from.
const IMAGE: &str = "kubewright-image: ";

/// The notes of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// What people read.
    pub(super) text: String,
    /// Its own number, as it was made.
    pub(super) vmid: Option<Vmid>,
    /// The template of ours that it was cloned from.
    pub(super) template: Option<String>,
    /// The image that it was made from.
    pub(super) image: Option<String>,
}

impl Notes {
    pub(super) fn read(config: &Config) -> Self {
        let told = config.get("description").map(String::as_str).unwrap_or_default();
        let mut notes = Self::default();
        let mut text = Vec::new();
        for line in told.lines() {
            let noted = |what| line.trim().strip_prefix(what).map(str::to_string);
            match (noted(VMID), noted(TEMPLATE), noted(IMAGE)) {
                (Some(vmid), ..) => notes.vmid = vmid.parse().ok().map(Vmid),
                (_, Some(template), _) => notes.template = Some(template),
                (.., Some(image)) => notes.image = Some(image),
                _ => text.push(line),
            }
        }
        notes.text = text.join("\n").trim().to_string();
        notes
    }

    /// Whether the guest is a copy of one of ours, and not itself one.
    pub(super) fn are_copied(&self, guest: &Guest) -> bool {
        self.vmid.is_some_and(|vmid| vmid != guest.vmid)
    }
}

/// As they are written.
impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        let vmid = self.vmid.map(|vmid| vmid.to_string());
        let mut between = if self.text.is_empty() { "" } else { "\n\n" };
        for (what, value) in [(VMID, &vmid), (TEMPLATE, &self.template), (IMAGE, &self.image)] {
            if let Some(value) = value {
                write!(f, "{between}{what}{value}")?;
                between = "\n";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxmox::call::Kind;

    fn read(text: &str) -> Notes {
        Notes::read(&Config::from([("description".to_string(), text.to_string())]))
    }

    #[test]
    fn what_is_noted_is_read_back() {
        let notes = Notes {
            text: "Of the lab.\n\nSee the wiki.".into(),
            vmid: Some(Vmid(400)),
            template: Some("noble-1a2b3c4d".into()),
            image: None,
        };
        let written = "Of the lab.\n\nSee the wiki.\n\nkubewright-vmid: 400\nkubewright-template: noble-1a2b3c4d";
        assert_eq!((notes.to_string().as_str(), read(&format!("{written}\n"))), (written, notes));
        let image = Notes { image: Some("local:import/a.qcow2".into()), ..Notes::default() };
        assert_eq!(
            (image.to_string().as_str(), read("")),
            ("kubewright-image: local:import/a.qcow2", Notes::default())
        );
    }

    #[test]
    fn a_copy_tells_another_number_than_its_own() {
        let guest = Guest { kind: Kind::Qemu, node: "pve1".into(), vmid: Vmid(500) };
        assert!(read("kubewright-vmid: 400").are_copied(&guest));
        assert!(!read("kubewright-vmid: 500").are_copied(&guest) && !read("of others").are_copied(&guest));
    }
}
