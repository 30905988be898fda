use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn at(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn state(kind: Kind) -> QueueState {
    QueueState::new(QueueSettings { kind, max_receive_count: 2 })
}

fn plain(body: &str) -> Outgoing {
    Outgoing { body: body.to_owned(), ..Outgoing::default() }
}

fn grouped(body: &str, group: &str) -> Outgoing {
    Outgoing { group: Some(group.to_owned()), deduplication_id: Some(body.to_owned()), ..plain(body) }
}

fn bodies(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.body.as_str()).collect()
}

#[test]
fn messages_that_sqs_would_refuse_are_refused_and_none_is_stored() {
    let refused = [
        (Kind::Standard, Outgoing { delay: at(901), ..plain("x") }, "at most 15 minutes"),
        (Kind::Standard, Outgoing { group: Some("a".to_owned()), ..plain("x") }, "has no groups"),
        (Kind::Standard, Outgoing { deduplication_id: Some("a".to_owned()), ..plain("x") }, "no deduplication id"),
        (Kind::Fifo, Outgoing { delay: SECOND, ..grouped("x", "a") }, "without a delay"),
        (Kind::Fifo, Outgoing { group: None, ..grouped("x", "a") }, "must have a group"),
        (Kind::Fifo, Outgoing { deduplication_id: None, ..grouped("x", "a") }, "must have a deduplication id"),
    ];
    for (kind, message, said) in refused {
        let mut queue = state(kind);
        let sound = if kind == Kind::Fifo { grouped("sound", "a") } else { plain("sound") };
        let error = queue.send(at(0), vec![sound, message]).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(queue.depth(at(0)), Depth::default());
    }
}

#[test]
fn depth_counts_messages_by_state_and_next_due_is_the_time_of_the_next_change() {
    let mut queue = state(Kind::Standard);
    assert_eq!(queue.next_due(at(0)), None);
    let delayed = Outgoing { delay: at(40), ..plain("delayed") };
    queue.send(at(0), vec![plain("one"), plain("two"), delayed]).unwrap();
    assert_eq!(queue.next_due(at(0)), Some(at(40)));
    assert_eq!(bodies(&queue.receive(at(1), 1, at(30))), ["one"]);
    assert_eq!(queue.depth(at(1)), Depth { visible: 1, delayed: 1, in_flight: 1, dead: 0 });
    assert_eq!(queue.next_due(at(1)), Some(at(31)));
    assert_eq!(queue.depth(at(31)), Depth { visible: 2, delayed: 1, in_flight: 0, dead: 0 });
    assert_eq!(queue.next_due(at(31)), Some(at(40)));
    assert_eq!(queue.depth(at(40)), Depth { visible: 3, delayed: 0, in_flight: 0, dead: 0 });
    assert_eq!(queue.next_due(at(40)), None);
}

#[test]
fn a_late_delete_works_on_a_standard_queue_until_the_next_receive() {
    let mut queue = state(Kind::Standard);
    queue.send(at(0), vec![plain("one"), plain("two")]).unwrap();
    let first = queue.receive(at(0), 2, at(10));
    queue.delete(at(11), &first[0].receipt);
    let again = queue.receive(at(12), 2, at(10));
    assert_eq!(bodies(&again), ["two"]);
    // The older receipt is no longer valid.
    queue.delete(at(13), &first[1].receipt);
    queue.release(at(13), &first[1].receipt, Duration::ZERO);
    assert_eq!(queue.depth(at(13)), Depth { in_flight: 1, ..Depth::default() });
    queue.delete(at(13), &again[0].receipt);
    assert_eq!(queue.depth(at(13)), Depth::default());
}

#[test]
fn a_late_delete_on_a_fifo_queue_is_ignored() {
    let mut queue = state(Kind::Fifo);
    queue.send(at(0), vec![grouped("one", "a")]).unwrap();
    let first = queue.receive(at(0), 1, at(10));
    queue.delete(at(10), &first[0].receipt);
    assert_eq!(bodies(&queue.receive(at(11), 1, at(10))), ["one"]);
}

#[test]
fn a_release_after_the_visibility_timeout_does_not_hide_the_message_again() {
    let mut queue = state(Kind::Standard);
    queue.send(at(0), vec![plain("one")]).unwrap();
    let first = queue.receive(at(0), 1, at(10));
    queue.release(at(10), &first[0].receipt, MINUTE);
    assert_eq!(bodies(&queue.receive(at(11), 1, at(10))), ["one"]);
}

#[test]
fn a_batch_of_a_group_is_in_order_and_blocks_the_group_until_its_last_message_is_settled() {
    let mut queue = state(Kind::Fifo);
    queue.send(at(0), ["a1", "a2", "a3", "b1"].map(|body| grouped(body, &body[..1])).to_vec()).unwrap();
    let batch = queue.receive(at(0), 2, at(10));
    assert_eq!(bodies(&batch), ["a1", "a2"]);
    queue.delete(at(1), &batch[0].receipt);
    assert_eq!(bodies(&queue.receive(at(1), 9, at(10))), ["b1"]);
    // a1 is settled. a2 was not, so it is redelivered before a3.
    assert_eq!(bodies(&queue.receive(at(10), 9, at(10))), ["a2", "a3"]);
}

#[test]
fn dead_letters_are_kept_up_to_a_limit() {
    let mut queue = state(Kind::Standard);
    for number in 0..1_100_u64 {
        queue.send(at(number), vec![plain(&number.to_string())]).unwrap();
        for _ in 0..3 {
            queue.receive(at(number), 1, Duration::ZERO);
        }
    }
    let dead: Vec<&DeadLetter> = queue.dead().collect();
    assert_eq!((dead.len(), dead[0].body.as_str(), dead[0].receive_count), (1_000, "100", 2));
    assert_eq!(queue.depth(at(2_000)), Depth { dead: 1_000, ..Depth::default() });
}

#[test]
fn invalid_receipts_are_ignored() {
    let mut queue = state(Kind::Standard);
    queue.send(at(0), vec![plain("one")]).unwrap();
    queue.receive(at(0), 1, MINUTE);
    for receipt in ["", ".", "1", "1.", "1.2", "2.1", "-1.1", "1.1.1", "one"] {
        queue.delete(at(1), receipt);
        queue.release(at(1), receipt, Duration::ZERO);
    }
    assert_eq!(queue.depth(at(1)), Depth { in_flight: 1, ..Depth::default() });
}

#[tokio::test(start_paused = true)]
async fn waiting_costs_nothing_and_ends_when_a_message_is_due() {
    let queue = Queue::standard(3);
    queue.send(vec![Outgoing { delay: 7 * SECOND, ..plain("later") }]).await.unwrap();
    let began_at = Instant::now();
    let mut polls = 0;
    let received = {
        let mut receive = std::pin::pin!(queue.receive(1, MINUTE, MINUTE));
        std::future::poll_fn(|context| {
            polls += 1;
            receive.as_mut().poll(context)
        })
        .await
        .unwrap()
    };
    assert_eq!(bodies(&received), ["later"]);
    assert_eq!(began_at.elapsed().as_secs(), 7);
    assert!(polls <= 3, "{polls} polls in 7 s");
}

#[tokio::test(start_paused = true)]
async fn releasing_a_group_wakes_a_waiting_receive() {
    let queue = Queue::fifo(3);
    queue.send(vec![grouped("a1", "a"), grouped("a2", "a")]).await.unwrap();
    let first = queue.receive(1, MINUTE, Duration::ZERO).await.unwrap();
    let settles = async {
        tokio::time::sleep(5 * SECOND).await;
        queue.delete(&first[0].receipt).await.unwrap();
    };
    let began_at = Instant::now();
    let (received, ()) = tokio::join!(queue.receive(1, MINUTE, MINUTE), settles);
    assert_eq!(bodies(&received.unwrap()), ["a2"]);
    assert_eq!(began_at.elapsed().as_secs(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_on_many_threads_share_the_messages() {
    let queue = Queue::standard(3);
    let worker = || {
        let queue = queue.clone();
        tokio::spawn(async move {
            let mut done = Vec::new();
            loop {
                let received = queue.receive(3, MINUTE, Duration::from_millis(500)).await.unwrap();
                if received.is_empty() {
                    return done;
                }
                for delivery in received {
                    queue.delete(&delivery.receipt).await.unwrap();
                    done.push(delivery.body);
                }
            }
        })
    };
    let workers: Vec<_> = (0..8).map(|_| worker()).collect();
    for number in 0..500 {
        queue.send(vec![plain(&format!("{number:03}"))]).await.unwrap();
        if number % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut done = Vec::new();
    for worker in workers {
        done.extend(worker.await.unwrap());
    }
    done.sort();
    assert_eq!(done, (0..500).map(|number| format!("{number:03}")).collect::<Vec<_>>());
    assert_eq!(queue.depth(), Depth::default());
}
