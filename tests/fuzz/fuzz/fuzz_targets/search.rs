//! libFuzzer's program for every target: `FUZZ_TARGET` names the one, and it is built and linked once.
#![no_main]

use std::env;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use monitor_fuzz::{TARGETS, Target};

fuzz_target!(
    init: {
        let _ = target();
    },
    |input: &[u8]| target()(input)
);

fn target() -> Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let named = env::var("FUZZ_TARGET").unwrap_or_default();
        let target = TARGETS.iter().find(|(name, _)| *name == named);
        let names = || TARGETS.map(|(name, _)| name).join(", ");
        target.unwrap_or_else(|| panic!("set FUZZ_TARGET to one of {}", names())).1
    })
}
