//! URLs that are asked: `http://host:port/path`.

use std::borrow::Cow;

use fulcrum_model::{HttpUrl, ParseHttpUrlError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// Whom to ask for what.
#[derive(Clone, Debug)]
pub(crate) struct Url(pub(crate) HttpUrl);

impl Leaf for Url {
    const WANTED: &'static str = "a URL as text";

    fn parse(text: &str) -> Result<Self, Complaint> {
        text.parse().map(Url).map_err(|error| refuse(text, error))
    }
}

fn refuse(text: &str, error: ParseHttpUrlError) -> Complaint {
    let complaint = |predicate: &str| Complaint::new(Code::Url, predicate.to_owned());
    match error {
        ParseHttpUrlError::Https => complaint("is asked over TLS, which is not possible yet")
            .note("a URL begins with `http://`; for TLS put a proxy of this machine before the server"),
        ParseHttpUrlError::Scheme if !text.contains("://") => {
            complaint("is no URL").hint(format!("did you mean `http://{text}`?"))
        }
        ParseHttpUrlError::Scheme => complaint("cannot be asked").note("a URL begins with `http://`"),
        ParseHttpUrlError::User => complaint("holds a user name or a password, which would not be sent"),
        ParseHttpUrlError::Fragment => complaint("holds a fragment, which would not be sent"),
        ParseHttpUrlError::Authority => complaint("has no host and port").note(NOTE),
        ParseHttpUrlError::Target => {
            complaint("holds something that must be percent-encoded, like `%20` for a blank")
        }
    }
}

const NOTE: &str = "URLs look like `http://sd.internal:8080/web`";

impl JsonSchema for Url {
    fn schema_name() -> Cow<'static, str> {
        "Url".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An http URL: http://HOST:PORT/PATH.",
            "type": "string",
            "pattern": r"^([hH][tT][tT][pP]://|.*\$\{)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        fn check(text: &str, expected: Result<&str, &str>) {
            let parsed = Url::parse(text).map(|url| url.0.to_string());
            assert_eq!(parsed.as_deref().map_err(|c| c.predicate.as_str()), expected, "{text}");
        }
        check("http://sd:8080/web", Ok("http://sd:8080/web"));
        check("https://sd/web", Err("is asked over TLS, which is not possible yet"));
        check("sd/web", Err("is no URL"));
        check("ftp://sd/web", Err("cannot be asked"));
        check("http://a:b@sd/web", Err("holds a user name or a password, which would not be sent"));
        check("http://sd/#web", Err("holds a fragment, which would not be sent"));
        check("http:///web", Err("has no host and port"));
        check("http://sd/ä", Err("holds something that must be percent-encoded, like `%20` for a blank"));
    }
}
