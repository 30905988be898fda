//! The contract of a queue: run by every queue adapter, in virtual time or over a server with real time.
//!
//! Times are whole seconds with a second to spare, because SQS counts in seconds.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ports::{Delivery, Outgoing, Receiver, Sender};

/// How often a message may be received in the queues of a [`Bench`].
pub const MAX_RECEIVE_COUNT: u32 = 3;

const SECOND: Duration = Duration::from_secs(1);
/// A visibility that does not end within a part of the suite.
const LONG: Duration = Duration::from_secs(60);

/// Creates the queues under test and controls time.
pub trait Bench {
    /// The queue adapter under test.
    type Queue: Sender + Receiver;

    /// A new, empty standard queue that dead-letters a message after [`MAX_RECEIVE_COUNT`] receives.
    fn standard(&self) -> impl Future<Output = Self::Queue>;

    /// A new, empty FIFO queue that does the same.
    fn fifo(&self) -> impl Future<Output = Self::Queue>;

    /// The texts of the messages that a queue has dead-lettered.
    fn dead_letter(&self, queue: &Self::Queue) -> impl Future<Output = Vec<String>>;

    /// Lets time pass.
    fn advance(&self, by: Duration) -> impl Future<Output = ()>;
}

/// Runs the whole suite except for the slow part, each test on new queues.
pub async fn run_all(bench: &impl Bench) {
    every_message_is_received_once_while_hidden(bench, &bench.standard().await).await;
    a_message_that_is_not_deleted_is_received_again(bench, &bench.standard().await).await;
    a_released_message_is_received_again_after_its_delay(bench, &bench.standard().await).await;
    a_delayed_message_waits(bench, &bench.standard().await).await;
    receiving_from_an_empty_queue_waits(bench, &bench.standard().await).await;
    a_message_that_fails_every_time_is_dead_lettered(bench, &bench.standard().await).await;
    a_receipt_of_a_message_that_is_gone_is_ignored(bench, &bench.standard().await).await;

    let fifo = |body: &str, group: &str| outgoing_fifo(body, group, body);
    messages_of_a_group_are_received_in_order(bench, &bench.fifo().await, fifo).await;
    a_message_in_flight_holds_back_the_rest_of_its_group(bench, &bench.fifo().await, fifo).await;
    a_group_keeps_its_order_over_redelivery(bench, &bench.fifo().await, fifo).await;
    dead_lettering_a_message_frees_its_group(bench, &bench.fifo().await, fifo).await;
    a_repeated_id_is_dropped(bench, &bench.fifo().await).await;
}

/// Runs the slow part, which takes more than five minutes.
pub async fn run_slow(bench: &impl Bench) {
    let queue = &bench.fifo().await;
    send(queue, [outgoing_fifo("first", "a", "id")]).await;
    bench.advance(Duration::from_secs(150)).await;
    // A dropped repeat does not extend the five minutes.
    send(queue, [outgoing_fifo("second", "a", "id")]).await;
    bench.advance(Duration::from_secs(160)).await;
    send(queue, [outgoing_fifo("third", "a", "id")]).await;
    assert_eq!(bodies(&take(queue, 2).await), ["first", "third"]);
}

fn outgoing(body: &str, delay: Duration) -> Outgoing {
    Outgoing { body: body.to_owned(), delay, ..Outgoing::default() }
}

fn outgoing_fifo(body: &str, group: &str, id: &str) -> Outgoing {
    let (group, deduplication_id) = (Some(group.to_owned()), Some(id.to_owned()));
    Outgoing { body: body.to_owned(), delay: Duration::ZERO, group, deduplication_id }
}

async fn send(queue: &impl Sender, messages: impl IntoIterator<Item = Outgoing>) {
    queue.send(messages.into_iter().collect()).await.expect("the messages are accepted");
}

async fn receive(queue: &impl Receiver, max: usize, visibility: Duration) -> Vec<Delivery> {
    let deliveries = queue.receive(max, visibility, SECOND).await.expect("the queue answers");
    assert!(deliveries.len() <= max, "no more than asked for");
    deliveries
}

/// Receives until it has `count` messages: a server may return fewer at a time than it has.
async fn gather(queue: &impl Receiver, count: usize, visibility: Duration) -> Vec<Delivery> {
    let mut gathered = Vec::new();
    for _ in 0..count + 3 {
        if gathered.len() < count {
            gathered.extend(receive(queue, count - gathered.len(), visibility).await);
        }
    }
    assert_eq!(gathered.len(), count, "the queue has {count} messages: {gathered:?}");
    gathered
}

/// Receives and deletes until it has `count` messages.
async fn take(queue: &impl Receiver, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    for _ in 0..count + 3 {
        if taken.len() < count {
            let deliveries = receive(queue, count - taken.len(), LONG).await;
            delete(queue, &deliveries).await;
            taken.extend(deliveries);
        }
    }
    assert_eq!(taken.len(), count, "the queue has {count} messages: {taken:?}");
    taken
}

async fn delete(queue: &impl Receiver, deliveries: &[Delivery]) {
    for delivery in deliveries {
        queue.delete(&delivery.receipt).await.expect("the delete is answered");
    }
}

async fn release(queue: &impl Receiver, delivery: &Delivery, delay: Duration) {
    queue.release(&delivery.receipt, delay).await.expect("the release is answered");
}

async fn assert_empty(queue: &impl Receiver, why: &str) {
    assert_eq!(receive(queue, 10, LONG).await, [], "{why}");
}

fn bodies(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.body.as_str()).collect()
}

async fn every_message_is_received_once_while_hidden<Q: Sender + Receiver>(_: &impl Bench, queue: &Q) {
    let sent: Vec<String> = (0..25).map(|number| format!("message {number} \u{1F680} \"'&<")).collect();
    send(queue, sent.iter().map(|body| outgoing(body, Duration::ZERO))).await;
    let received = gather(queue, 25, LONG).await;
    let distinct: BTreeSet<&str> = bodies(&received).into_iter().collect();
    assert_eq!(distinct, sent.iter().map(String::as_str).collect());
    assert!(received.iter().all(|delivery| delivery.receive_count == 1 && delivery.group.is_none()));
    assert_empty(queue, "messages in flight are hidden").await;
    delete(queue, &received).await;
    assert_empty(queue, "deleted messages are gone").await;
}

async fn a_message_that_is_not_deleted_is_received_again<Q: Sender + Receiver>(bench: &impl Bench, queue: &Q) {
    send(queue, ["kept", "lost"].map(|body| outgoing(body, Duration::ZERO))).await;
    let first = gather(queue, 2, 4 * SECOND).await;
    delete(queue, &first.into_iter().filter(|delivery| delivery.body == "lost").collect::<Vec<_>>()).await;
    bench.advance(5 * SECOND).await;
    let again = gather(queue, 1, LONG).await;
    assert_eq!((again[0].body.as_str(), again[0].receive_count), ("kept", 2));
    delete(queue, &again).await;
    bench.advance(LONG + SECOND).await;
    assert_empty(queue, "a deleted message is not received again").await;
}

async fn a_released_message_is_received_again_after_its_delay<Q: Sender + Receiver>(bench: &impl Bench, queue: &Q) {
    send(queue, [outgoing("later", Duration::ZERO)]).await;
    let first = gather(queue, 1, LONG).await;
    release(queue, &first[0], Duration::ZERO).await;
    let second = gather(queue, 1, 3 * SECOND).await;
    assert_eq!(second[0].receive_count, 2);
    // Longer than its visibility: the last request applies.
    release(queue, &second[0], 6 * SECOND).await;
    bench.advance(4 * SECOND).await;
    assert_empty(queue, "it is not due yet").await;
    bench.advance(2 * SECOND).await;
    assert_eq!(take(queue, 1).await[0].receive_count, 3);
}

async fn a_delayed_message_waits<Q: Sender + Receiver>(bench: &impl Bench, queue: &Q) {
    send(queue, [outgoing("later", 4 * SECOND), outgoing("now", Duration::ZERO)]).await;
    assert_eq!(bodies(&take(queue, 1).await), ["now"]);
    assert_empty(queue, "it is not due yet").await;
    bench.advance(4 * SECOND).await;
    assert_eq!(bodies(&take(queue, 1).await), ["later"]);
}

async fn receiving_from_an_empty_queue_waits<Q: Sender + Receiver>(bench: &impl Bench, queue: &Q) {
    let began = tokio::time::Instant::now();
    let sends_later = async {
        bench.advance(2 * SECOND).await;
        send(queue, [outgoing("late", Duration::ZERO)]).await;
    };
    let (received, ()) = tokio::join!(queue.receive(10, LONG, 15 * SECOND), sends_later);
    assert_eq!(bodies(&received.expect("the queue answers")), ["late"]);
    assert!(began.elapsed() < 8 * SECOND, "it returns as soon as there is a message: {:?}", began.elapsed());

    let began = tokio::time::Instant::now();
    let received = queue.receive(10, LONG, 2 * SECOND).await.expect("the queue answers");
    assert_eq!(received, []);
    let waited = began.elapsed();
    assert!(
        waited >= 2 * SECOND - SECOND / 4 && waited < 8 * SECOND,
        "it waits as long as it was asked to: {waited:?}"
    );
}

async fn a_message_that_fails_every_time_is_dead_lettered<Q: Sender + Receiver, B: Bench<Queue = Q>>(
    bench: &B,
    queue: &Q,
) {
    send(queue, [outgoing("poison", Duration::ZERO)]).await;
    for count in 1..=MAX_RECEIVE_COUNT {
        assert_eq!(bench.dead_letter(queue).await, [""; 0]);
        let received = gather(queue, 1, SECOND).await;
        assert_eq!(received[0].receive_count, count);
        // By release and by the end of its visibility, alternately.
        if count % 2 == 0 {
            release(queue, &received[0], Duration::ZERO).await;
        } else {
            bench.advance(2 * SECOND).await;
        }
    }
    assert_empty(queue, "it has been received too often").await;
    assert_eq!(bench.dead_letter(queue).await, ["poison"]);
}

async fn a_receipt_of_a_message_that_is_gone_is_ignored<Q: Sender + Receiver>(_: &impl Bench, queue: &Q) {
    send(queue, [outgoing("once", Duration::ZERO)]).await;
    let taken = take(queue, 1).await;
    release(queue, &taken[0], Duration::ZERO).await;
    delete(queue, &taken).await;
    assert_empty(queue, "neither call makes it visible again").await;
}

async fn messages_of_a_group_are_received_in_order<Q: Sender + Receiver>(
    _: &impl Bench,
    queue: &Q,
    fifo: impl Fn(&str, &str) -> Outgoing,
) {
    let numbers: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    let messages = numbers.iter().flat_map(|number| ["a", "b"].map(|group| fifo(&format!("{group}{number}"), group)));
    send(queue, messages).await;
    let taken = take(queue, 24).await;
    for group in ["a", "b"] {
        let of_group = taken.iter().filter(|delivery| delivery.group.as_deref() == Some(group));
        let of_group: Vec<&str> = of_group.map(|delivery| delivery.body.as_str()).collect();
        let expected: Vec<String> = numbers.iter().map(|number| format!("{group}{number}")).collect();
        assert_eq!(of_group, expected);
    }
    assert_empty(queue, "each is received once").await;
}

async fn a_message_in_flight_holds_back_the_rest_of_its_group<Q: Sender + Receiver>(
    _: &impl Bench,
    queue: &Q,
    fifo: impl Fn(&str, &str) -> Outgoing,
) {
    send(queue, [fifo("a1", "a"), fifo("a2", "a"), fifo("a3", "a"), fifo("b1", "b")]).await;
    let first = gather(queue, 1, LONG).await;
    assert_eq!(bodies(&first), ["a1"]);
    let other = gather(queue, 1, LONG).await;
    assert_eq!(bodies(&other), ["b1"], "another group is not held back");
    assert_empty(queue, "a2 waits for a1").await;
    delete(queue, &first).await;
    assert_eq!(bodies(&take(queue, 2).await), ["a2", "a3"]);
    delete(queue, &other).await;
}

async fn a_group_keeps_its_order_over_redelivery<Q: Sender + Receiver>(
    bench: &impl Bench,
    queue: &Q,
    fifo: impl Fn(&str, &str) -> Outgoing,
) {
    send(queue, [fifo("a1", "a"), fifo("a2", "a"), fifo("a3", "a")]).await;
    let first = gather(queue, 1, 4 * SECOND).await;
    assert_eq!(bodies(&first), ["a1"]);
    bench.advance(5 * SECOND).await;
    let again = gather(queue, 1, LONG).await;
    assert_eq!((again[0].body.as_str(), again[0].receive_count), ("a1", 2), "it is received before the later ones");
    release(queue, &again[0], 4 * SECOND).await;
    assert_empty(queue, "while delayed, it still holds back its group").await;
    bench.advance(4 * SECOND).await;
    assert_eq!(bodies(&take(queue, 3).await), ["a1", "a2", "a3"]);
}

async fn dead_lettering_a_message_frees_its_group<Q: Sender + Receiver, B: Bench<Queue = Q>>(
    bench: &B,
    queue: &Q,
    fifo: impl Fn(&str, &str) -> Outgoing,
) {
    send(queue, [fifo("poison", "a"), fifo("sound", "a")]).await;
    for _ in 0..MAX_RECEIVE_COUNT {
        let received = gather(queue, 1, LONG).await;
        assert_eq!(bodies(&received), ["poison"]);
        release(queue, &received[0], Duration::ZERO).await;
    }
    assert_eq!(bodies(&take(queue, 1).await), ["sound"]);
    assert_eq!(bench.dead_letter(queue).await, ["poison"]);
}

async fn a_repeated_id_is_dropped<Q: Sender + Receiver>(bench: &impl Bench, queue: &Q) {
    send(queue, [outgoing_fifo("first", "a", "id"), outgoing_fifo("repeat", "a", "id")]).await;
    send(queue, [outgoing_fifo("repeat", "a", "id"), outgoing_fifo("other", "a", "another id")]).await;
    assert_eq!(bodies(&take(queue, 2).await), ["first", "other"]);
    // Deleted or not: the id is remembered for five minutes.
    bench.advance(2 * SECOND).await;
    send(queue, [outgoing_fifo("repeat", "a", "id"), outgoing_fifo("last", "a", "a third id")]).await;
    assert_eq!(bodies(&take(queue, 1).await), ["last"]);
    assert_empty(queue, "the repeat was dropped").await;
}
