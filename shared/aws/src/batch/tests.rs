use std::cell::RefCell;

use super::*;

#[derive(Default)]
struct Notes {
    dead_letter: RefCell<Vec<(String, String)>>,
    put_off: RefCell<Vec<(String, Duration)>>,
    is_down: bool,
}

impl FailureSink for Notes {
    async fn dead_letter(&self, record: &Record, reason: &str) -> Result<(), QueueError> {
        if self.is_down {
            return Err(QueueError("no answer".to_owned()));
        }
        self.dead_letter.borrow_mut().push((record.body.clone(), reason.to_owned()));
        Ok(())
    }

    async fn put_off(&self, record: &Record, after: Duration) {
        self.put_off.borrow_mut().push((record.body.clone(), after));
    }
}

/// Messages as `body` or `group:body`; with a group they come from a FIFO queue.
fn event(messages: &[&str]) -> SqsEvent {
    let records = messages.iter().map(|message| {
        let mut record = SqsMessage::default();
        let (group, body) = message.split_once(':').map_or((None, *message), |(group, body)| (Some(group), body));
        record.message_id = Some(format!("id-{body}"));
        record.body = Some(body.to_owned());
        record.event_source_arn =
            Some(format!("arn:aws:sqs:us-east-1:1:q{}", if group.is_some() { ".fifo" } else { "" }));
        record.attributes.extend(group.map(|group| ("MessageGroupId".to_owned(), group.to_owned())));
        record
    });
    let mut event = SqsEvent::default();
    event.records = records.collect();
    event
}

fn long() -> Budget {
    Budget::of(Duration::from_secs(60))
}

/// Does what the body says.
async fn obedient(record: &Record) -> Disposition {
    match record.body.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "retry" => Disposition::Retry { after: Duration::from_secs(30), reason: "not now".to_owned() },
        "aside" => Disposition::DeadLetter { reason: "never".to_owned() },
        "panic" => panic!("as requested"),
        "forever" => std::future::pending().await,
        _ => Disposition::Done,
    }
}

fn failed(handled: &Handled) -> Vec<&str> {
    handled.response.batch_item_failures.iter().map(|failure| &*failure.item_identifier).collect()
}

#[tokio::test(start_paused = true)]
async fn each_message_is_settled_separately() {
    let notes = Notes::default();
    let batch = event(&["done1", "retry1", "aside1", "panic1", "done2", "forever1"]);
    let handled = handle(batch, long(), 10, &notes, obedient).await;
    assert_eq!(failed(&handled), ["id-retry1", "id-panic1", "id-forever1"]);
    assert_eq!(handled.dead_letter, 1);
    assert_eq!(notes.dead_letter.take(), [("aside1".to_owned(), "never".to_owned())]);
    assert_eq!(notes.put_off.take(), [("retry1".to_owned(), Duration::from_secs(30))]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_dead_lettered_is_returned() {
    let notes = Notes { is_down: true, ..Notes::default() };
    let handled = handle(event(&["aside1", "done1"]), long(), 10, &notes, obedient).await;
    assert_eq!((failed(&handled), handled.dead_letter), (vec!["id-aside1"], 0));
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_rest_of_its_group_is_returned_unhandled_and_hidden_no_longer() {
    let seen = RefCell::new(Vec::new());
    let noting = async |record: &Record| {
        seen.borrow_mut().push(record.body.clone());
        obedient(record).await
    };
    let batch = event(&["a:done1", "b:retry1", "a:aside1", "b:done2", "a:done3", "c:panic1", "c:done4", "b:done5"]);
    let notes = Notes::default();
    let handled = handle(batch, long(), 10, &notes, noting).await;
    assert_eq!(failed(&handled), ["id-retry1", "id-done2", "id-panic1", "id-done4", "id-done5"]);
    let put_off = ["retry1", "done2", "done5"].map(|body| (body.to_owned(), Duration::from_secs(30)));
    assert_eq!(notes.put_off.take(), put_off, "a message that stays hidden blocks its whole group");
    let seen = seen.take();
    let of_a: Vec<&String> = seen.iter().filter(|body| ["done1", "aside1", "done3"].contains(&&***body)).collect();
    assert_eq!(of_a, ["done1", "aside1", "done3"], "in order, and a dead-lettered message does not block its group");
    assert!(!seen.contains(&"done2".to_owned()), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn groups_and_messages_are_handled_in_parallel_up_to_the_limit() {
    let under_way = RefCell::new((0_usize, 0_usize));
    let slow = async |_: &Record| {
        let now = under_way.borrow().0 + 1;
        let most = under_way.borrow().1.max(now);
        under_way.replace((now, most));
        tokio::time::sleep(Duration::from_secs(1)).await;
        under_way.borrow_mut().0 -= 1;
        Disposition::Done
    };
    let began = Instant::now();
    handle(event(&["a", "b", "c", "d", "e"]), long(), 2, &Notes::default(), slow).await;
    assert_eq!((under_way.borrow().1, began.elapsed().as_secs()), (2, 3));
    let began = Instant::now();
    handle(event(&["a:1", "b:1", "a:2", "c:1"]), long(), 10, &Notes::default(), slow).await;
    assert_eq!((under_way.borrow().1, began.elapsed().as_secs()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn near_the_deadline_no_message_is_started_and_finished_ones_are_acknowledged() {
    let slow = async |_: &Record| {
        tokio::time::sleep(Duration::from_secs(8)).await;
        Disposition::Done
    };
    let began = Instant::now();
    let budget = Budget::of(Duration::from_secs(40));
    // They end at 8, 16, 24 and 32 s; after 28 s none is started.
    let handled = handle(event(&["1", "2", "3", "4", "5", "6"]), budget, 1, &Notes::default(), slow).await;
    assert_eq!(failed(&handled), ["id-5", "id-6"]);
    assert!(began.elapsed() < Duration::from_secs(38));

    let handled = handle(event(&["forever", "2"]), Budget::of(Duration::ZERO), 1, &Notes::default(), obedient).await;
    assert_eq!(failed(&handled), ["id-forever", "id-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_may_take_a_quarter_of_the_time_and_at_most_twenty_seconds() {
    let ms = Duration::from_millis;
    for (left_secs, for_a_message, for_the_answer) in
        [(8, ms(2_000), ms(400)), (40, ms(10_000), ms(2_000)), (900, ms(20_000), ms(2_000))]
    {
        let now = Instant::now();
        let Budget { begin_until, end_by } = Budget::of(Duration::from_secs(left_secs));
        assert_eq!(end_by - begin_until, for_a_message, "{left_secs} s");
        assert_eq!(now + Duration::from_secs(left_secs) - end_by, for_the_answer, "{left_secs} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_standard_queue_may_have_groups_and_has_no_order() {
    let mut batch = event(&["retry1", "done1"]);
    for record in &mut batch.records {
        record.attributes.insert("MessageGroupId".to_owned(), "tenant".to_owned());
    }
    let handled = handle(batch, long(), 10, &Notes::default(), obedient).await;
    assert_eq!(failed(&handled), ["id-retry1"]);
}

#[test]
fn the_response_has_the_shape_that_lambda_expects() {
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = vec![returned("m-1".to_owned())];
    let answer = serde_json::to_value(&response).unwrap();
    assert_eq!(answer, serde_json::json!({"batchItemFailures": [{"itemIdentifier": "m-1"}]}));
}
