//! Queries: names and values, each known to whoever asked for them.

use std::time::Duration;

use super::problem::{Code, Problem};
use super::{duration, route};

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Problem> {
        let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A `+` is a space in the queries of forms, and stays a plus in none of our values.
            let decode = |text: &str| route::decode(&text.replace('+', " "));
            Ok((decode(name)?, decode(value)?))
        });
        pairs.collect::<Result<_, Problem>>().map(Query)
    }

    /// Takes all values of a parameter.
    pub(super) fn all(&mut self, name: &str) -> Vec<String> {
        self.0.extract_if(.., |(found, _)| found == name).map(|(_, value)| value).collect()
    }

    /// Takes the parameters that begin so, without the beginning.
    pub(super) fn starting(&mut self, prefix: &str) -> Vec<(String, String)> {
        let taken = self.0.extract_if(.., |(found, _)| found.starts_with(prefix));
        taken.map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect()
    }

    /// Takes a parameter that comes once at most.
    pub(super) fn one(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.all(name);
        let value = values.pop();
        if values.is_empty() { Ok(value) } else { Err(wrong(name, "it is there more than once")) }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>, Problem> {
        let parse = |text: String| text.parse().map_err(|_| wrong(name, "expected a whole number"));
        self.one(name)?.map(parse).transpose()
    }

    pub(super) fn duration(&mut self, name: &str, most: Duration) -> Result<Option<Duration>, Problem> {
        let parse = |text: String| {
            let wait = duration::parse(&text).ok_or_else(|| wrong(name, "expected a duration like `30s`"))?;
            if wait <= most { Ok(wait) } else { Err(wrong(name, &format!("at most {}s", most.as_secs()))) }
        };
        self.one(name)?.map(parse).transpose()
    }

    /// Nothing may be left: a filter with a slip in its name would let everything pass.
    pub(super) fn end(self) -> Result<(), Problem> {
        match self.0.first() {
            Some((name, _)) => Err(wrong(name, "there is no such parameter here")),
            None => Ok(()),
        }
    }
}

pub(super) fn wrong(name: &str, what: &str) -> Problem {
    Problem::new(Code::Query, format!("{name}: {what}")).with("parameter", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_taken_apart() {
        let mut query = Query::parse(Some("tag=a&tag=b%26&meta.k=v+w&wait=30s&&x")).expect("a query");
        assert_eq!(query.all("tag"), ["a", "b&"]);
        assert_eq!(query.starting("meta."), [("k".to_owned(), "v w".to_owned())]);
        assert_eq!(query.duration("wait", Duration::from_secs(30)).ok(), Some(Some(Duration::from_secs(30))));
        assert_eq!(query.one("since").ok(), Some(None));
        assert!(query.end().is_err(), "x is left");
        let check = |text: &str, code: Code| {
            let query = Query::parse(Some(text)).and_then(|mut query| {
                query.number("n")?;
                query.duration("wait", Duration::from_secs(30))?;
                query.end()
            });
            assert_eq!(query.map_err(|problem| problem.code), Err(code), "{text}");
        };
        check("n=1&n=2", Code::Query);
        check("n=-1", Code::Query);
        check("n=", Code::Query);
        check("wait=31s", Code::Query);
        check("wait=30", Code::Query);
        check("m=1", Code::Query);
        check("n=%", Code::Encoding);
    }
}
