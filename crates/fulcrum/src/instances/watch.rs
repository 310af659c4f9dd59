//! `fulcrum watch`: what changes, as it changes, until it is interrupted or the registry ends.

use fulcrum_client::{Event, Events};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::question::Question;
use super::show;
use crate::ask::AskError;
use crate::cli::{Format, WatchOptions};
use crate::client::{self, ExchangeError};
use crate::exit::Exit;
use crate::output;

/// Prints events for ever; how it ends is always a failure.
pub(crate) fn watch(options: &WatchOptions) -> Exit {
    match follow(options) {
        Ok(never) => match never {},
        Err(error) => error.tell(),
    }
}

fn follow(options: &WatchOptions) -> Result<std::convert::Infallible, AskError> {
    let mut question = Question::new(Method::GET, "/v1/watch");
    options.services.iter().for_each(|service| question.add("service", service.as_str()));
    let request = question.request(&options.registry)?;
    let address = &options.registry.registry;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let response = client::begin(address, request).await?;
        if !response.status().is_success() {
            return Err(AskError::refused(&client::whole(address, response).await?));
        }
        let broken = |source| ExchangeError::Broken { address: address.clone(), source };
        let ended = print(response.into_body(), options.registry.format).await;
        Err(broken(ended.err().unwrap_or_else(|| "the registry has ended the watch".into())).into())
    })
}

/// Until the end of the events.
async fn print(mut body: Incoming, format: Format) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut events = Events::default();
    loop {
        // A bookmark comes every ten seconds: whoever says nothing for longer is not there any more.
        let frame = tokio::time::timeout(3 * client::ANSWER_WITHIN, body.frame()).await;
        let Some(frame) = frame.map_err(|_| "nothing has come for 30 s")? else { return Ok(()) };
        if let Some(bytes) = frame?.data_ref() {
            for event in events.take(bytes)? {
                output::text(&shown(&event, format)?);
            }
        }
    }
}

fn shown(Event { kind, id, data }: &Event, format: Format) -> Result<String, serde_json::Error> {
    let data: Value = if data.is_empty() { Value::Null } else { serde_json::from_str(data)? };
    Ok(match format {
        Format::Json => format!("{}\n", json!({ "event": kind, "id": id, "data": data })),
        Format::Text => show::event(kind, &data),
    })
}
