//! Rules of the workspace itself: which crate may know which, what may be depended on, and what stands in the sources.

mod dependencies;
mod layout;
mod licence;
mod metadata;
mod sources;
mod version;

use std::path::{Path, PathBuf};

/// The top of the workspace.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/fulcrum is below it").to_owned()
}
