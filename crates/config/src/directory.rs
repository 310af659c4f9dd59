//! Folders: absolute paths.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// A folder that does not depend on where the daemon was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory(pub(crate) PathBuf);

impl Leaf for Directory {
    const WANTED: &'static str = "the path of a folder";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text.starts_with('/') && !text.contains('\0') {
            return Ok(Directory(PathBuf::from(text)));
        }
        Err(Complaint::new(Code::Path, "is not an absolute path").note("like `/var/lib/fulcrum`"))
    }
}

/// A file that does not depend on where the daemon was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePath(pub(crate) PathBuf);

impl Leaf for FilePath {
    const WANTED: &'static str = "the path of a file";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text.starts_with('/') && !text.ends_with('/') && !text.contains('\0') {
            return Ok(FilePath(PathBuf::from(text)));
        }
        let note = "it begins with `/`, and ends with the name of the file";
        Err(Complaint::new(Code::Path, "is not the absolute path of a file").note(note))
    }
}

impl JsonSchema for FilePath {
    fn schema_name() -> Cow<'static, str> {
        "File".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The absolute path of a file.",
            "type": "string",
            "pattern": r"^(/|\$\{)"
        })
    }
}

impl JsonSchema for Directory {
    fn schema_name() -> Cow<'static, str> {
        "Directory".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The absolute path of a folder.",
            "type": "string",
            "pattern": r"^(/|\$\{)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_absolute_and_no_folders() {
        assert!(FilePath::parse("/var/lib/fulcrum/registry.redb").is_ok());
        assert!(FilePath::parse("/var/lib/").is_err());
        assert!(FilePath::parse("registry.redb").is_err());
    }

    #[test]
    fn folders_are_absolute() {
        fn check(text: &str, valid: bool) {
            assert_eq!(Directory::parse(text).is_ok(), valid, "{text:?}");
        }
        check("/var/lib/fulcrum", true);
        check("/", true);
        check("state", false);
        check("~/state", false);
        check("", false);
        check("/a\0b", false);
    }
}
