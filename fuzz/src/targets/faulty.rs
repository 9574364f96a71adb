//! Targets that break, by which the fuzzer itself is tested.

use super::{Target, texts};

/// They take any input but their example. None of [`super::all`].
pub fn faulty() -> Vec<Target> {
    let target = |name, parser| Target {
        name,
        reads: "nothing: it breaks",
        corpus: || texts(&["an example"]),
        words: &[],
        parser,
    };
    vec![
        target("panics", || on_example(|| panic!("it panics"))),
        target("hangs", || on_example(|| std::thread::sleep(std::time::Duration::MAX))),
        target("swallows", || on_example(|| drop(std::hint::black_box(vec![1_u8; 2 << 30])))),
        target("recurses", || on_example(|| assert!(deep(0) > 0))),
    ]
}

fn on_example(act: fn()) -> super::Parser {
    Box::new(move |bytes| {
        if bytes == b"an example" {
            act();
        }
    })
}

#[expect(unconditional_recursion, reason = "it is to overflow its stack")]
fn deep(depth: u64) -> u64 {
    std::hint::black_box(deep(std::hint::black_box(depth + 1))) + 1
}
