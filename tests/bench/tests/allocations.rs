//! Allocations of a check without changes.

use monitor_bench::fleets::Watched;

fn allocations_of_a_check(runners: usize) -> u64 {
    let watched = Watched::idle(runners);
    let observation = watched.observe(&watched.unchanged());
    allocation_counter::measure(|| drop(watched.decide(&observation))).count_total
}

#[test]
fn a_check_that_changes_nothing_allocates_for_pages_and_not_for_runners() {
    let few = allocations_of_a_check(5);
    assert_eq!(allocations_of_a_check(100), few, "on one page");
    let pages = 10;
    let many = allocations_of_a_check(pages * 100);
    assert!(many <= few * pages as u64, "{many} allocations for 1,000 runners, {few} for 5");
}
