//! "Did you mean": the nearest of the words that would have been right.

/// The candidate nearest to `word`, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if !(2..=LONGEST).contains(&word.len()) {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let allowance = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= allowance)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// `, did you mean `x`?` or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |candidate| format!(", did you mean `{candidate}`?"))
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before = vec![0; right.len() + 1];
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row; right.len() + 1];
        for column in 1..=right.len() {
            let same = left[row - 1] == right[column - 1];
            let mut best = (above[column] + 1).min(current[column - 1] + 1);
            best = best.min(above[column - 1] + usize::from(!same));
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                best = best.min(before[column - 2] + 1);
            }
            current[column] = best;
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

/// Longer words are not compared: the cost is the product of the lengths.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        fn check(word: &str, candidates: &[&str], expected: Option<&str>) {
            assert_eq!(nearest(word, candidates.iter().copied()), expected, "{word}");
        }
        check("heath", &["balance", "health"], Some("health"));
        check("wbe", &["api", "web"], Some("web"));
        check("Endpoints", &["endpoints"], Some("endpoints"));
        check("endpoint", &["endpoints", "balance"], Some("endpoints"));
        check("tls", &["balance", "pool"], None);
        check("", &["a"], None);
    }
}
