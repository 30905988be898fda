//! What can happen to a request on its way to any of the stores.

use crate::faults::Fault;
use crate::machine::Shared;

/// How long a request hangs before its connection is closed.
pub(crate) const FOR_EVER_MS: i64 = 60_000;

/// Whether the store is down. May start such a time.
pub(crate) fn is_down(shared: &Shared) -> bool {
    let mut machine = shared.lock();
    if machine.strikes(Fault::StoreIsDown) {
        machine.world.store_down_until_ms = machine.now_ms + machine.between(5_000, 60_000);
    }
    machine.world.store_down_until_ms > machine.now_ms
}

/// Whether the sender was stalled before its request for so long that the connection is closed.
pub(crate) fn is_gone(shared: &Shared, began_ms: i64) -> bool {
    shared.lock().now_ms - began_ms > FOR_EVER_MS
}

/// Runs an action within half a minute, whether or not its sender still waits.
pub(crate) fn later(shared: &Shared, least_ms: u64, what: impl FnOnce() + Send + 'static) {
    let mut machine = shared.lock();
    let late_ms = machine.between(least_ms, 30_000);
    machine.later(late_ms, what);
}
