//! libFuzzer's program for all targets, so that only one is built and linked. `FUZZ_TARGET` names one target, or
//! several separated by commas: then each input is passed to all of them.
#![no_main]

use std::env;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use monitor_fuzz::{TARGETS, Target};

fuzz_target!(
    init: {
        let _ = targets();
    },
    |input: &[u8]| for target in targets() {
        target(input);
    }
);

fn targets() -> &'static [Target] {
    static CHOSEN: OnceLock<Vec<Target>> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let named = env::var("FUZZ_TARGET").unwrap_or_default();
        let find = |name| TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target);
        let names = || TARGETS.map(|(name, _)| name).join(", ");
        let one = |name| find(name).unwrap_or_else(|| panic!("FUZZ_TARGET must name targets of {}", names()));
        named.split(',').map(one).collect()
    })
}
