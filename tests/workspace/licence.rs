//! SPDX expressions, as far as manifests use them: AND, OR, WITH, parentheses, and the old slash for OR.

/// Whether one can choose among the terms so that all that remain are allowed.
pub(super) fn is_satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let is_good = either(&mut rest, allowed);
    assert!(rest.is_empty(), "{expression:?} is not understood from {rest:?} on");
    is_good
}

/// AND binds tighter than OR (SPDX specification, annex on license expressions).
fn either(rest: &mut &[&str], allowed: &[&str]) -> bool {
    let mut is_good = both(rest, allowed);
    while take(rest, "OR") {
        // Not `||`: what follows has to be read in any case.
        is_good |= both(rest, allowed);
    }
    is_good
}

fn both(rest: &mut &[&str], allowed: &[&str]) -> bool {
    let mut is_good = one(rest, allowed);
    while take(rest, "AND") {
        is_good &= one(rest, allowed);
    }
    is_good
}

fn one(rest: &mut &[&str], allowed: &[&str]) -> bool {
    if take(rest, "(") {
        let is_good = either(rest, allowed);
        assert!(take(rest, ")"), "a parenthesis is not closed before {rest:?}");
        return is_good;
    }
    let Some((first, behind)) = rest.split_first() else { return false };
    *rest = behind;
    let mut name = (*first).to_owned();
    if take(rest, "WITH")
        && let Some((exception, behind)) = rest.split_first()
    {
        *rest = behind;
        name = format!("{name} WITH {exception}");
    }
    allowed.contains(&name.as_str())
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    let is_next = rest.first() == Some(&word);
    if is_next {
        *rest = &rest[1..];
    }
    is_next
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    fn check(expression: &str, expected: bool) {
        assert_eq!(is_satisfied(expression, &["MIT", "Unicode-3.0", "A WITH e"]), expected, "{expression}");
    }
    check("MIT", true);
    check("GPL-3.0", false);
    check("GPL-3.0 OR MIT", true);
    check("GPL-3.0/MIT", true);
    check("MIT AND GPL-3.0", false);
    check("(MIT OR GPL-3.0) AND Unicode-3.0", true);
    check("MIT OR GPL-3.0 AND GPL-2.0", true);
    check("A WITH e", true);
    check("A", false);
    check("MIT WITH e", false);
}
