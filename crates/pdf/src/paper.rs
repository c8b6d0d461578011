//! The world that the template sees: itself, the document as JSON, and the fonts inside the program.

use std::sync::LazyLock;

use typst::diag::{FileError, FileResult};
use typst::foundations::{Bytes, Datetime, Duration};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};

const TEMPLATE: &str = include_str!("document.typ");

/// What is the same for all documents, read once.
static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let fonts: Vec<Font> = typst_assets::fonts().flat_map(|bytes| Font::iter(Bytes::new(bytes))).collect();
    Shared {
        library: LazyHash::new(Library::default()),
        book: LazyHash::new(FontBook::from_fonts(&fonts)),
        fonts,
        template: Source::detached(TEMPLATE),
    }
});

struct Shared {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
    template: Source,
}

/// One document's world.
pub(crate) struct Paper {
    document: Bytes,
}

impl Paper {
    /// The world of a document, as [`kubewright_report::Document::tree`] gives it.
    pub(crate) fn new(tree: &serde_json::Value) -> Self {
        Self { document: Bytes::new(tree.to_string().into_bytes()) }
    }

    fn is_document(id: FileId) -> bool {
        VirtualPath::new("document.json").is_ok_and(|path| id == RootedPath::new(VirtualRoot::Project, path).intern())
    }
}

impl World for Paper {
    fn library(&self) -> &LazyHash<Library> {
        &SHARED.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &SHARED.book
    }

    fn main(&self) -> FileId {
        SHARED.template.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == SHARED.template.id() { Ok(SHARED.template.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        if Self::is_document(id) { Ok(self.document.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn font(&self, index: usize) -> Option<Font> {
        SHARED.fonts.get(index).cloned()
    }

    /// No day: a document does not say when it was set.
    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}
