//! Half of a hundred thousand instances fall silent at once.

use std::time::Duration;

use crate::registry::mass_silence::{Size, is_held};

#[test]
#[ignore = "takes two minutes, and the whole machine"]
fn fifty_thousand_silent_instances_are_held() {
    let patience = Duration::from_secs(90);
    let cost = is_held(Size { instances: 100_000, ttl: "30s", rate: 10_000, patience });
    assert!(cost.cores < 1.0, "{cost:?}");
    assert!(cost.beat < Duration::from_millis(50), "{cost:?}");
}
