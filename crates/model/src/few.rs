//! A map of the few things that are said of an instance: made once, in one piece of memory without room to spare.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Values by name, in the order of the names. A `BTreeMap` of one entry takes the room of eleven; clones of this one share
/// theirs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Few<V>(Arc<[(Box<str>, V)]>);

impl<V> Few<V> {
    /// All of them, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &V)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The values, in the order of their names.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<&V> {
        let place = self.0.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
        Some(&self.0[place].1)
    }

    /// Whether both are the same in memory: one was cloned from the other.
    pub fn shares_with(&self, other: &Few<V>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> Default for Few<V> {
    fn default() -> Self {
        Few(Arc::default())
    }
}

/// Of several with the same name the last one stays.
impl<V, N: Into<Box<str>> + Ord> FromIterator<(N, V)> for Few<V> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let sorted: BTreeMap<N, V> = pairs.into_iter().collect();
        if sorted.is_empty() {
            // Takes no memory.
            return Few::default();
        }
        Few(sorted.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_in_in_any_order() {
        let few: Few<u8> = [("b", 1), ("a", 2), ("b", 3)].into_iter().collect();
        assert_eq!(few.iter().collect::<Vec<_>>(), [("a", &2), ("b", &3)]);
        assert_eq!((few.find("b"), few.find("c"), few.is_empty()), (Some(&3), None, false));
        assert!(Few::<u8>::default().is_empty());
        let equal: Few<u8> = few.iter().map(|(name, value)| (name, *value)).collect();
        assert_eq!(few, equal);
        assert!(few.shares_with(&few.clone()) && !few.shares_with(&equal));
    }
}
