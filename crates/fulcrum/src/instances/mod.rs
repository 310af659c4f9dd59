//! `fulcrum services`, `instances`, `register`, `deregister`, `watch`: a registry from the command line.
//!
//! A registry is asked over its own API, so that any that can be reached will do, not only that of a daemon on this
//! machine.

mod question;
mod show;
mod watch;

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

pub(crate) use self::question::encoded;
pub(crate) use self::watch::watch;

use self::question::{Question, ask};
use crate::ask::AskError;
use crate::cli::{
    DeregisterOptions, Format, InstancePath, InstancesOptions, Pair, RegisterOptions, RegistryOptions,
    ServicesOptions,
};
use crate::client::Reply;
use crate::exit::Exit;
use crate::output;

/// `fulcrum services`
pub(crate) fn services(options: &ServicesOptions) -> Exit {
    let asked = ask(&options.registry, Question::new(Method::GET, "/v1/services"));
    finish(asked, &options.registry, show::services)
}

/// `fulcrum instances`
pub(crate) fn instances(options: &InstancesOptions) -> Exit {
    let mut question = Question::new(Method::GET, &format!("/v1/services/{}/instances", options.service));
    options.tag.iter().for_each(|tag| question.add("tag", tag));
    for Pair(key, value) in &options.meta {
        question.add(&format!("meta.{key}"), value);
    }
    options.state.iter().for_each(|state| question.add("state", state));
    options.health.iter().for_each(|health| question.add("health", health));
    finish(ask(&options.registry, question), &options.registry, show::instances)
}

/// `fulcrum register`
pub(crate) fn register(options: &RegisterOptions) -> Exit {
    let question = Question::new(Method::PUT, &path_of(&options.instance)).with_body(&registration(options));
    let name = &options.instance;
    finish(ask(&options.registry, question), &options.registry, |answer| show::registered(name, answer))
}

/// `fulcrum deregister`
pub(crate) fn deregister(options: &DeregisterOptions) -> Exit {
    let mut question = Question::new(Method::DELETE, &path_of(&options.instance));
    if let Some(drain) = options.drain {
        question.add("drain", &milliseconds(drain));
    }
    options.epoch.iter().for_each(|epoch| question.add("epoch", &epoch.to_string()));
    options.reason.iter().for_each(|reason| question.add("reason", reason));
    let name = &options.instance;
    finish(ask(&options.registry, question), &options.registry, |answer| show::left(name, answer))
}

fn registration(options: &RegisterOptions) -> Value {
    let mut body = Map::from_iter([("port".to_owned(), json!(options.port))]);
    let mut add = |key: &str, value: Option<Value>| body.extend(value.map(|value| (key.to_owned(), value)));
    add("address", options.address.map(|address| json!(address)));
    add("weight", options.weight.map(|weight| json!(weight)));
    add("ttl", options.ttl.map(|ttl| json!(milliseconds(ttl))));
    add("locality", options.locality.as_ref().map(|locality| json!(locality)));
    add("incarnation", options.incarnation.as_ref().map(|incarnation| json!(incarnation)));
    let meta: Map<_, _> = options.meta.iter().map(|Pair(key, value)| (key.clone(), json!(value))).collect();
    add("tags", (!options.tag.is_empty()).then(|| json!(options.tag)));
    add("meta", (!meta.is_empty()).then_some(Value::Object(meta)));
    Value::Object(body)
}

/// Prints an answer, or why it is none.
fn finish(
    asked: Result<Reply, AskError>,
    options: &RegistryOptions,
    text: impl FnOnce(&Value) -> String,
) -> Exit {
    let told = asked.and_then(|reply| {
        if !reply.status.is_success() {
            return Err(AskError::refused(&reply));
        }
        let is_empty = reply.status == StatusCode::NO_CONTENT;
        Ok(match options.format {
            Format::Json if is_empty => String::new(),
            Format::Json => String::from_utf8_lossy(&reply.body).into_owned(),
            Format::Text if is_empty => text(&Value::Null),
            Format::Text => text(&serde_json::from_slice(&reply.body)?),
        })
    });
    match told {
        Ok(text) => {
            output::text(&text);
            Exit::Done
        }
        Err(error) => error.tell(),
    }
}

fn path_of(InstancePath { service, id }: &InstancePath) -> String {
    format!("/v1/services/{service}/instances/{}", question::encoded(id.as_str()))
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
