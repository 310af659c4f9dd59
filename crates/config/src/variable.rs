//! `${VARIABLE}` and `${VARIABLE:-default}` in scalars, put in after parsing so that a value can never change the
//! structure of the document.

/// A scalar after its variables were put in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Substituted {
    pub(crate) text: String,
    /// The whole scalar was one variable.
    pub(crate) whole: bool,
    /// At least one variable was put in.
    pub(crate) any: bool,
}

/// Why variables cannot be put in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum VariableError {
    /// No value and no default.
    Unset(String),
    /// `${` without `}`.
    Unclosed,
    /// Not a name, or something other than `:-` behind it.
    Malformed(String),
}

/// Puts variables in. `$${` stands for `${`; a `$` before anything else is itself. As in shells, the default holds
/// for a variable that is unset or empty. `None` when there was nothing to do.
pub(crate) fn substitute(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Substituted>, VariableError> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let (mut variables, mut literals) = (0, 0);
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            literals += 1;
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        literals += usize::from(!before.is_empty());
        let end = from.find('}').ok_or(VariableError::Unclosed)?;
        out.push_str(&value(&from[2..end], env)?);
        variables += 1;
        rest = &from[end + 1..];
    }
    literals += usize::from(!rest.is_empty());
    out.push_str(rest);
    Ok(Some(Substituted { text: out, whole: variables == 1 && literals == 0, any: variables > 0 }))
}

fn value(inside: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, VariableError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let malformed = || VariableError::Malformed(inside.to_owned());
    if !is_name(name) || default.is_some_and(|default| default.contains("${")) {
        return Err(malformed());
    }
    match (env(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(VariableError::Unset(name.to_owned())),
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "PORT" => Some("8080".into()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${PORT}".into()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_put_in() {
        fn check(text: &str, expected: &str, whole: bool) {
            let done = substitute(text, &env).expect("well-formed").expect("something to do");
            assert_eq!((done.text.as_str(), done.whole), (expected, whole), "{text}");
        }
        check("${PORT}", "8080", true);
        check(":${PORT}", ":8080", false);
        check("${PORT}${PORT}", "80808080", false);
        check("${NONE:-x}", "x", true);
        check("${NONE:-}", "", true);
        check("${EMPTY:-x}", "x", true);
        check("${EMPTY}", "", true);
        check("${NESTED}", "${PORT}", true);
        check("$${PORT}", "${PORT}", false);
        check("a$$${PORT}b", "a$${PORT}b", false);
        check("$5 ${PORT}", "$5 8080", false);
        assert_eq!(substitute("$PORT", &env), Ok(None));
    }

    #[test]
    fn errors_name_the_variable() {
        fn check(text: &str, expected: VariableError) {
            assert_eq!(substitute(text, &env), Err(expected), "{text}");
        }
        check("${NONE}", VariableError::Unset("NONE".into()));
        check("${PORT", VariableError::Unclosed);
        check("${}", VariableError::Malformed(String::new()));
        check("${1A}", VariableError::Malformed("1A".into()));
        check("${A-b}", VariableError::Malformed("A-b".into()));
        check("${A:-${B}}", VariableError::Malformed("A:-${B".into()));
    }
}
