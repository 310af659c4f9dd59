//! The fields of a record's data, as a line of a zone file has them.

use super::RecordError;
use crate::dns_name::escaped;

/// A field: a word, or a text in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As it is written, the quotes left out, escapes as they are.
    pub text: String,
    /// Whether it stood in quotes.
    pub is_quoted: bool,
}

impl Field {
    /// The bytes that are meant, escapes resolved; at most 255 of them.
    pub(super) fn bytes(&self) -> Result<Box<[u8]>, RecordError> {
        let mut bytes = Vec::with_capacity(self.text.len());
        let mut characters = self.text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => bytes.push(escaped(&mut characters).map_err(RecordError::Name)?),
                _ => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if bytes.len() > 255 { Err(RecordError::LongText) } else { Ok(bytes.into()) }
    }
}

/// Splits data at white space; what stands in quotes is one field. Inside of words, too, quotes may stand: `alpn="h2"`.
pub fn fields(text: &str) -> Result<Vec<Field>, RecordError> {
    let mut fields = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (field, behind) = next(rest)?;
        fields.push(field);
        rest = behind.trim_start();
    }
    Ok(fields)
}

fn next(text: &str) -> Result<(Field, &str), RecordError> {
    let (mut found, mut in_quotes) = (String::new(), false);
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => in_quotes = !in_quotes,
            '\\' => {
                found.push(character);
                found.push(characters.next().ok_or(RecordError::Quotes)?.1);
            }
            _ if character.is_whitespace() && !in_quotes => {
                return Ok((Field { text: found, is_quoted: text.starts_with('"') }, &text[place..]));
            }
            _ => found.push(character),
        }
    }
    match in_quotes {
        true => Err(RecordError::Quotes),
        false => Ok((Field { text: found, is_quoted: text.starts_with('"') }, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_split_into_fields() {
        fn check(text: &str, expected: Result<&[&str], RecordError>) {
            let texts =
                fields(text).map(|fields| fields.into_iter().map(|field| field.text).collect::<Vec<_>>());
            assert_eq!(
                texts,
                expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect()),
                "{text}"
            );
        }
        check("10 mail", Ok(&["10", "mail"]));
        check("  10\t mail ", Ok(&["10", "mail"]));
        check(r#"0 issue "a b""#, Ok(&["0", "issue", "a b"]));
        check(r#"alpn="h2,h3" port=1"#, Ok(&["alpn=h2,h3", "port=1"]));
        check(r#""a\"b" """#, Ok(&[r#"a\"b"#, ""]));
        check(r#""open"#, Err(RecordError::Quotes));
        check(r"a\", Err(RecordError::Quotes));
        check("", Ok(&[]));
    }

    #[test]
    fn escapes_of_texts_are_resolved() {
        fn check(text: &str, expected: Result<&[u8], RecordError>) {
            let field = Field { text: text.to_owned(), is_quoted: true };
            assert_eq!(field.bytes(), expected.map(Box::from));
        }
        check(r"a\034\\b", Ok(b"a\"\\b"));
        check("ä", Ok("ä".as_bytes()));
        check(&"a".repeat(256), Err(RecordError::LongText));
    }
}
