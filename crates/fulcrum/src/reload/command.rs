//! `fulcrum reload`: has a running daemon read its files anew, and says what came of it.

use std::time::Duration;

use hyper::{Method, StatusCode};

use super::{Mistakes, Reloaded};
use crate::ask::{self, AskError};
use crate::cli::{Format, ReloadOptions};
use crate::client::Reply;
use crate::exit::Exit;
use crate::output;

/// Asks a daemon for a reload and prints its answer.
pub(crate) fn reload(options: &ReloadOptions) -> Exit {
    let target = if options.wait { "/v1/reload?wait=true" } else { "/v1/reload" };
    let reply = ask::ask(&options.daemon.admin, Method::POST, target, ANSWER_WITHIN);
    match reply.and_then(|reply| show(&reply, options.format)) {
        Ok(exit) => exit,
        Err(error) => error.tell(),
    }
}

fn show(reply: &Reply, format: Format) -> Result<Exit, AskError> {
    match (reply.status, format) {
        (StatusCode::OK, Format::Text) => {
            let reloaded = serde_json::from_slice::<Reloaded>(&reply.body)?;
            for warning in &reloaded.committed.warnings {
                output::error_line(format_args!("warning: {}", super::outcome::line(warning)));
            }
            output::line(format_args!(
                "generation {}: {}",
                reloaded.committed.generation, reloaded.committed.changes
            ));
            Ok(Exit::Done)
        }
        (StatusCode::UNPROCESSABLE_ENTITY, Format::Text) => {
            let mistakes = serde_json::from_slice::<Mistakes>(&reply.body)?;
            output::error_text(&mistakes.text);
            output::error_line("refused: nothing has changed");
            Ok(Exit::Failed)
        }
        (StatusCode::OK, Format::Json) => Ok(print(reply, Exit::Done)),
        (StatusCode::UNPROCESSABLE_ENTITY, Format::Json) => Ok(print(reply, Exit::Failed)),
        _ => Err(AskError::refused(reply)),
    }
}

fn print(reply: &Reply, exit: Exit) -> Exit {
    output::text(&String::from_utf8_lossy(&reply.body));
    exit
}

/// Longer than the largest configuration takes to build, and all workers to notice.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
