//! What takes minutes, a tracer or the whole machine to see: kernels that answer wrongly, workers that hang or die,
//! peers that drip, and ten minutes of noise.
//!
//! All of it is ignored by `make test` and run by `make soak`, one test at a time: latencies are measured and processor
//! time is taken on purpose.

mod churn;
mod descriptors;
mod failures;
#[path = "../benches/load/generator.rs"]
mod generator;
#[path = "../benches/load/histogram.rs"]
pub(crate) mod histogram;
mod mass_silence;
mod noise;
mod panic;
mod reloads;
mod slow_body;
mod slow_clients;
mod slow_reader;
mod slow_transfer;
mod strace;
mod watchdog;
mod workers;

use crate::harness::{Conversation, Upstream};

/// An upstream that answers each whole request (target, body) and remembers none: for more of them than memory holds.
fn forgetful(answer: impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static) -> Upstream {
    Upstream::new(move |mut conversation: Conversation| {
        let record = conversation.wire.record();
        while let Some(head) = conversation.head() {
            let body = conversation.body(&head);
            if body.end.is_err() {
                return;
            }
            conversation.send(answer(head.word(1), &body.bytes));
            record.lock().expect("nobody panics with the record").clear();
        }
    })
}
