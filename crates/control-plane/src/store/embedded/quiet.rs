//! Panics of redb over a file that is damaged: our own error says what there is to say.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

/// What comes of it, or that it panicked, of which nothing is reported. Panics of other threads are reported as ever.
pub(super) fn caught<T>(look: impl FnOnce() -> T) -> thread::Result<T> {
    INSTALLED.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // A thread that ends has no place for it any more, and looks at nothing.
            if !IS_QUIET.try_with(Cell::get).unwrap_or(false) {
                report(panic);
            }
        }));
    });
    let _quiet = Quiet(IS_QUIET.replace(true));
    panic::catch_unwind(AssertUnwindSafe(look))
}

/// For as long as it lives; then as it was before.
struct Quiet(bool);

impl Drop for Quiet {
    fn drop(&mut self) {
        IS_QUIET.set(self.0);
    }
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

static INSTALLED: Once = Once::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_quiet_on_its_thread_and_for_its_time() {
        assert_eq!(caught(|| 7).expect("it went well"), 7);
        let inner = caught(|| {
            assert!(caught(|| panic!("contained")).is_err());
            assert!(IS_QUIET.get(), "the outer one goes on");
            thread::spawn(|| IS_QUIET.get()).join().expect("it went well")
        });
        assert!(!inner.expect("it went well"), "others are not");
        assert!(caught(|| panic!("contained")).is_err());
        assert!(!IS_QUIET.get());
    }
}
