//! What a service says, and behind it what `defaults` say.

use crate::decode::Switch;

/// The same section of a service and of `defaults`.
#[derive(Clone, Copy)]
pub(crate) struct Layers<'a, T>([Option<&'a T>; 2]);

impl<'a, T> Layers<'a, T> {
    /// `None` where it is switched off.
    pub(crate) fn of(own: Option<&'a Switch<T>>, inherited: Option<&'a Switch<T>>) -> Option<Self> {
        if let Some(Switch(None)) = own.or(inherited) {
            return None;
        }
        Some(Layers([own, inherited].map(|layer| layer.and_then(|switch| switch.0.as_ref()))))
    }

    /// The value of a key, of the service if it gives one.
    pub(crate) fn find<V>(&self, key: impl Fn(&'a T) -> Option<V>) -> Option<V> {
        self.0.into_iter().flatten().find_map(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_wins_key_by_key() {
        type Keys = (Option<u8>, Option<u8>);
        fn check(own: Option<Switch<Keys>>, inherited: Option<Switch<Keys>>, expected: Option<Keys>) {
            let layers = Layers::of(own.as_ref(), inherited.as_ref());
            let found = layers.map(|layers| (layers.find(|keys| keys.0), layers.find(|keys| keys.1)));
            assert_eq!(found, expected, "{own:?} {inherited:?}");
        }
        let off = Some(Switch(None));
        let on = |keys: Keys| Some(Switch(Some(keys)));
        check(None, None, Some((None, None)));
        check(off, None, None);
        check(None, off, None);
        check(off, on((Some(1), None)), None);
        check(on((Some(1), None)), off, Some((Some(1), None)));
        check(None, on((Some(1), None)), Some((Some(1), None)));
        check(on((None, Some(2))), on((Some(3), Some(4))), Some((Some(3), Some(2))));
    }
}
