//! 10,000 jobs through the sender to a stand-in for SQS that takes 10 ms to answer: time, calls under way, and memory.

use std::time::Duration;

use monitor_aws::{Queue, Sdk};
use monitor_fakes::FakeAws;
use monitor_pipeline::ports::{Outgoing, Sender as _};
use tokio::time::Instant;

const JOBS: usize = 10_000;
const LATENCY_MS: u64 = 10;

/// The stand-in on a thread of its own, as another machine would be.
fn stand_in() -> FakeAws {
    let (started, starting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let aws = FakeAws::start().await.expect("a port");
            aws.set_latency_ms(LATENCY_MS);
            aws.forget_messages();
            started.send(aws).expect("somebody waits");
            std::future::pending::<()>().await;
        });
    });
    starting.recv().expect("it starts")
}

fn jobs() -> Vec<Outgoing> {
    let body = |number| {
        format!(
            "{{\"version\":1,\"repository\":\"acme/app-{number}\",\"reason\":\"schedule\",\"requestedAt\":\"2026-11-23T09:30:00.000Z\"}}"
        )
    };
    let job = |number: usize| Outgoing {
        body: body(number),
        delay: Duration::from_millis(number as u64 * 67),
        ..Outgoing::default()
    };
    (0..JOBS).map(job).collect()
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let aws = stand_in();
    let queue = Queue::new(Sdk::of_stand_in(aws.base_url()), "https://sqs.us-east-1.amazonaws.com/1/checks");
    // Connections and buffers are there from the first time on.
    queue.send(jobs()).await.expect("sent");
    let mut memory = Vec::new();
    let mut times = Vec::new();
    for _ in 0..5 {
        let (jobs, before) = (jobs(), aws.calls("SendMessageBatch").len());
        let began = Instant::now();
        queue.send(jobs).await.expect("sent");
        times.push(began.elapsed());
        assert_eq!(aws.calls("SendMessageBatch").len() - before, JOBS / 10, "every call once");
        memory.push(resident_kib());
    }
    times.sort_unstable();
    let at_once = aws.most_in_flight();
    let allowed = Duration::from_millis(LATENCY_MS) * u32::try_from(JOBS.div_ceil(10).div_ceil(at_once)).expect("few");
    let median = times[times.len() / 2];
    println!("{JOBS} jobs in {} calls, {at_once} under way at once", JOBS / 10);
    println!(
        "median {} ms of 5, slowest {} ms; the calls alone take {} ms",
        median.as_millis(),
        times[4].as_millis(),
        allowed.as_millis()
    );
    println!("resident after each: {memory:?} KiB");
    assert!(median <= allowed * 13 / 10, "more than 1.3 times as long as the calls alone take");
    let (least, most) = (memory.iter().min().expect("five"), memory.iter().max().expect("five"));
    assert!(most - least < 2_048, "memory grows");
}
