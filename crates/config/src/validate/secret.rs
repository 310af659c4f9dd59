//! Secrets, out of files or the configuration itself.

use std::path::{Path, PathBuf};

use crate::code::Code;
use crate::decode::At;
use crate::file::why;
use crate::gslb::CookieKey;
use crate::process::Secret;
use crate::regular_file;
use crate::secret::{FILE, SecretText};

use super::Context;

/// A bearer token.
pub(crate) fn token(text: &At<SecretText>, context: &mut Context<'_>) -> Option<Secret> {
    secret(text, context, |bytes| match bytes {
        [] => Some("the token is empty".to_owned()),
        bytes if bytes.iter().all(u8::is_ascii_graphic) => None,
        _ => Some(
            "the token holds more than printable ASCII, which a bearer token cannot (RFC 6750 §2.1)"
                .to_owned(),
        ),
    })
}

/// A key that signs cookies.
pub(crate) fn cookie_key(text: &At<SecretText>, context: &mut Context<'_>) -> Option<Secret> {
    secret(text, context, |bytes| {
        (bytes.len() < SHORTEST_KEY).then(|| format!("the key is shorter than {SHORTEST_KEY} bytes"))
    })
}

/// A key of server cookies: 128 bits (RFC 9018 §4.4), written as other name servers write it.
pub(crate) fn dns_cookie_key(text: &At<SecretText>, context: &mut Context<'_>) -> Option<CookieKey> {
    let hex = secret(text, context, |bytes| {
        let message = "the key is not 32 hexadecimal digits, which are 128 bits (RFC 9018 §4.4)";
        cookie_digits(bytes).is_none().then(|| message.to_owned())
    })?;
    cookie_digits(hex.expose()).map(CookieKey)
}

fn cookie_digits(text: &[u8]) -> Option<[u8; 16]> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 32)?;
    // The parser of numbers would take a sign.
    let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hexadecimal)?;
    Some(number.to_be_bytes())
}

/// The secret itself, or the content of the file that `file:` names. `refuse` says why it cannot be used.
fn secret(
    text: &At<SecretText>,
    context: &mut Context<'_>,
    refuse: impl Fn(&[u8]) -> Option<String>,
) -> Option<Secret> {
    let bytes = match text.value.0.strip_prefix(FILE) {
        None => Ok(text.value.0.clone().into_bytes()),
        Some(path) => {
            let path = beside(context.sources.name(text.place.file), path);
            let bytes = read(&path);
            context.files.push(path);
            bytes
        }
    };
    let checked = bytes.and_then(|bytes| match refuse(&bytes) {
        None => Ok(Secret::new(bytes)),
        Some(message) => Err(message),
    });
    match checked {
        Ok(secret) => Some(secret),
        Err(message) => {
            context.problems.add(Code::Secret, text.place, message);
            None
        }
    }
}

/// A path as seen from the file that names it.
fn beside(file: &str, path: &str) -> PathBuf {
    Path::new(file).parent().unwrap_or(Path::new("")).join(path)
}

/// The content of a file, without the final line break.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("cannot read `{}`: {error}", path.display());
    let bytes = regular_file::read(path, LARGEST + 1).map_err(|error| unreadable(&why(&error)))?;
    if bytes.len() as u64 > LARGEST {
        return Err(unreadable(&"a secret has at most 4 KiB"));
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

/// Longest secret file in bytes.
const LARGEST: u64 = 4096;

/// Shortest key in bytes: with 128 bits of chance nobody guesses it.
const SHORTEST_KEY: usize = 16;
