//! `fulcrum schema`: the JSON schema of the configuration, for editors.

use crate::exit::Exit;
use crate::output;

/// Prints the schema.
pub(crate) fn print() -> Exit {
    output::line(format_args!("{:#}", fulcrum_config::schema()));
    Exit::Done
}
