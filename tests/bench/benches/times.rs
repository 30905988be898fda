//! Measures the time of each workload.

use criterion::Criterion;
use monitor_bench::workloads;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for workload in workloads::ALL {
        let work = (workload.set_up)();
        criterion.bench_function(workload.name, |bencher| bencher.iter(&work));
    }
    criterion.final_summary();
}
