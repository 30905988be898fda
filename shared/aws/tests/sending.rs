//! Sending to SQS and to the function itself, and dead-lettering, against a fake that keeps what it receives.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use monitor_aws::batch::{FailureSink as _, Record};
use monitor_aws::{DeadLetters, LambdaEnvironment, OwnFunction, Queue, Sdk};
use monitor_fakes::FakeAws;
use monitor_fakes::aws::CallFault;
use monitor_pipeline::ports::{Outgoing, Sender as _};
use serde_json::json;

const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/1/checks";
const FIFO: &str = "https://sqs.us-east-1.amazonaws.com/1/changes.fifo";

async fn fake_aws() -> (FakeAws, Sdk) {
    let aws = FakeAws::start().await.expect("a port");
    let sdk = Sdk::for_fake(aws.base_url());
    (aws, sdk)
}

fn numbered(count: usize) -> Vec<Outgoing> {
    (0..count).map(|number| Outgoing { body: number.to_string(), ..Outgoing::default() }).collect()
}

fn sorted_bodies(aws: &FakeAws, queue: &str) -> Vec<usize> {
    let mut bodies: Vec<usize> = aws.take_sent(queue).iter().map(|sent| sent.body.parse().expect("a number")).collect();
    bodies.sort_unstable();
    bodies
}

#[tokio::test]
async fn messages_are_sent_ten_per_call_with_their_delays() {
    let (aws, sdk) = fake_aws().await;
    let mut messages = numbered(25);
    messages[3].delay = Duration::from_millis(61_500);
    Queue::new(sdk, QUEUE).send(messages).await.expect("sent");
    let mut sizes: Vec<usize> =
        aws.calls("SendMessageBatch").iter().map(|call| call["Entries"].as_array().map_or(0, Vec::len)).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 10, 10]);
    let sent = aws.take_sent(QUEUE);
    let delayed: Vec<_> = sent.iter().filter(|sent| sent.delay_secs > 0).collect();
    assert_eq!((sent.len(), delayed.len()), (25, 1));
    assert_eq!((&*delayed[0].body, delayed[0].delay_secs), ("3", 61));
}

#[tokio::test]
async fn a_fifo_queue_gets_its_messages_in_order_with_group_and_id() {
    let (aws, sdk) = fake_aws().await;
    let messages: Vec<Outgoing> = numbered(25)
        .into_iter()
        .map(|message| Outgoing {
            group: Some("g".to_owned()),
            deduplication_id: Some(format!("d{}", message.body)),
            ..message
        })
        .collect();
    Queue::new(sdk, FIFO).send(messages).await.expect("sent");
    let sent = aws.take_sent(FIFO);
    let in_order = sent.iter().enumerate().all(|(number, sent)| {
        sent.body == number.to_string()
            && sent.group.as_deref() == Some("g")
            && sent.deduplication_id == Some(format!("d{number}"))
    });
    assert!(in_order && sent.len() == 25, "{sent:?}");
    assert_eq!(aws.most_in_flight(), 1);
}

#[tokio::test]
async fn only_the_messages_that_sqs_did_not_accept_are_sent_again() {
    let (aws, sdk) = fake_aws().await;
    aws.plan("SendMessageBatch", [CallFault::Entries(vec![1, 4], false), CallFault::Entries(vec![0], false)]);
    Queue::new(sdk, QUEUE).send(numbered(6)).await.expect("sent in the end");
    assert_eq!(sorted_bodies(&aws, QUEUE), [0, 1, 2, 3, 4, 5]);
    let sizes: Vec<usize> =
        aws.calls("SendMessageBatch").iter().map(|call| call["Entries"].as_array().map_or(0, Vec::len)).collect();
    assert_eq!(sizes, [6, 2, 1]);
}

#[tokio::test]
async fn a_message_that_is_never_accepted_is_reported_and_does_not_block_others() {
    let (aws, sdk) = fake_aws().await;
    // A faulty message is not retried; a queue that keeps failing is abandoned after four tries.
    aws.plan("SendMessageBatch", [CallFault::Entries(vec![2], true)]);
    let error = Queue::new(sdk.clone(), QUEUE).send(numbered(3)).await.expect_err("one is not accepted").to_string();
    assert!(error.contains("1 of 3 messages not accepted: InvalidMessageContents: as planned"), "{error}");
    assert_eq!(aws.calls("SendMessageBatch").len(), 1);

    aws.plan("SendMessageBatch", std::iter::repeat_n(CallFault::Entries(vec![0], false), 4));
    let error = Queue::new(sdk.clone(), QUEUE).send(numbered(1)).await.expect_err("never accepted").to_string();
    assert!(error.contains("InternalError"), "{error}");
    assert_eq!(aws.calls("SendMessageBatch").len(), 1 + 4);

    aws.take_sent(QUEUE);
    aws.plan("SendMessageBatch", [CallFault::Refused(403, "AccessDeniedException")]);
    let error = Queue::new(sdk, QUEUE).send(numbered(30)).await.expect_err("a call is refused").to_string();
    assert!(error.contains("AccessDeniedException: as planned"), "{error}");
    assert_eq!(aws.take_sent(QUEUE).len(), 20, "the other calls are made all the same");
}

#[tokio::test]
async fn a_failing_service_is_retried_and_a_missing_one_is_reported() {
    let (aws, sdk) = fake_aws().await;
    aws.plan("SendMessageBatch", [CallFault::Refused(500, "InternalFailure")]);
    Queue::new(sdk, QUEUE).send(numbered(1)).await.expect("the second time");
    assert_eq!(aws.calls("SendMessageBatch").len(), 2);
    let nowhere = Sdk::for_fake("http://127.0.0.1:1");
    let error = Queue::new(nowhere, QUEUE).send(numbered(1)).await.expect_err("nobody is there").to_string();
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_call_to_a_fifo_queue_waits_for_the_one_before_it() {
    let (aws, sdk) = fake_aws().await;
    aws.set_latency_ms(20);
    let in_a_group = |message| Outgoing { group: Some("g".to_owned()), ..message };
    Queue::new(sdk, FIFO).send(numbered(45).into_iter().map(in_a_group).collect()).await.expect("sent");
    assert_eq!((aws.calls("SendMessageBatch").len(), aws.most_in_flight()), (5, 1));
}

#[tokio::test]
async fn many_calls_are_made_at_the_same_time_but_no_more_than_twenty() {
    let (aws, sdk) = fake_aws().await;
    aws.set_latency_ms(20);
    Queue::new(sdk, QUEUE).send(numbered(1_000)).await.expect("sent");
    assert_eq!(sorted_bodies(&aws, QUEUE).len(), 1_000);
    assert!((15..=20).contains(&aws.most_in_flight()), "{}", aws.most_in_flight());
}

fn record(arn: &str, group: Option<&str>) -> Record {
    let mut message = SqsMessage::default();
    message.message_id = Some("m-1".to_owned());
    message.receipt_handle = Some("receipt-1".to_owned());
    message.body = Some("{\"repo\":1}".to_owned());
    message.event_source_arn = Some(arn.to_owned());
    message.attributes.extend(group.map(|group| ("MessageGroupId".to_owned(), group.to_owned())));
    message.into()
}

#[tokio::test]
async fn a_dead_lettered_message_keeps_its_body_and_carries_the_reason() {
    let (aws, sdk) = fake_aws().await;
    let standard = record("arn:aws:sqs:us-east-1:1:checks", None);
    DeadLetters::new(sdk.clone(), QUEUE).dead_letter(&standard, "the field `repo`\nis not known").await.expect("sent");
    let sent = aws.take_sent(QUEUE);
    assert_eq!((&*sent[0].body, sent[0].reason.as_deref()), ("{\"repo\":1}", Some("the field `repo` is not known")));
    assert_eq!((&sent[0].group, &sent[0].deduplication_id), (&None, &None));

    let grouped = record("arn:aws:sqs:us-east-1:1:changes.fifo", Some("g"));
    DeadLetters::new(sdk, FIFO).dead_letter(&grouped, "never").await.expect("sent");
    let sent = aws.take_sent(FIFO);
    assert_eq!((sent[0].group.as_deref(), sent[0].deduplication_id.as_deref()), (Some("g"), Some("m-1")));
}

#[tokio::test]
async fn a_dead_lettered_message_that_sqs_does_not_accept_is_sent_again() {
    let (aws, sdk) = fake_aws().await;
    let (dead_letters, message) = (DeadLetters::new(sdk, QUEUE), record("", None));
    aws.plan("SendMessageBatch", [CallFault::Entries(vec![0], false)]);
    dead_letters.dead_letter(&message, "never").await.expect("sent");
    assert_eq!((aws.calls("SendMessageBatch").len(), aws.take_sent(QUEUE).len()), (2, 1));

    aws.plan("SendMessageBatch", [CallFault::Entries(vec![0], true)]);
    let error = dead_letters.dead_letter(&message, "never").await.unwrap_err().to_string();
    assert!(error.contains("InvalidMessageContents: as planned"), "{error}");
    assert!(aws.take_sent(QUEUE).is_empty());
}

#[tokio::test]
async fn a_message_is_put_off_at_the_queue_that_it_came_from() {
    let (aws, sdk) = fake_aws().await;
    let dead_letters = DeadLetters::new(sdk, FIFO);
    let came = record("arn:aws:sqs:us-east-1:1:changes.fifo", Some("g"));
    dead_letters.put_off(&came, Duration::from_millis(30_900)).await;
    assert_eq!(aws.visibility(), [("receipt-1".to_owned(), 31)], "never before it is due");
    assert_eq!(aws.calls("ChangeMessageVisibility")[0]["QueueUrl"], FIFO);
    // A refusal and a missing queue are both harmless.
    aws.plan("ChangeMessageVisibility", [CallFault::Refused(403, "AccessDenied")]);
    dead_letters.put_off(&came, Duration::from_secs(1)).await;
    dead_letters.put_off(&record("", None), Duration::from_secs(1)).await;
    assert_eq!(aws.visibility().len(), 1);
}

fn own_function(sdk: Sdk, name: Option<&'static str>) -> OwnFunction {
    let variables = LambdaEnvironment::new(move |variable| {
        (variable == "AWS_LAMBDA_FUNCTION_NAME").then_some(name).flatten().map(str::to_owned)
    });
    let http = monitor_http::client(monitor_http::http()).expect("a client");
    OwnFunction::new(&variables, sdk, http)
}

#[tokio::test]
async fn the_function_itself_is_invoked_once_for_each_message_and_again_if_lambda_refuses() {
    let (aws, sdk) = fake_aws().await;
    let function = own_function(sdk.clone(), Some("slack"));
    function.send(numbered(2)).await.expect("accepted");
    assert_eq!(aws.take_events("slack"), [json!({"deferred": 0}), json!({"deferred": 1})]);

    let throttled = || CallFault::Refused(429, "TooManyRequestsException");
    aws.plan("Invoke", [throttled()]);
    function.send(numbered(1)).await.expect("accepted at the second time");
    assert_eq!((aws.take_events("slack").len(), aws.calls("Invoke").len()), (1, 4));
    aws.plan("Invoke", [throttled(), throttled()]);
    let error = function.send(numbered(1)).await.expect_err("refused twice");
    assert!(error.to_string().contains("Lambda answered 429"), "{error}");

    let not_json = vec![Outgoing { body: "{".to_owned(), ..Outgoing::default() }];
    assert!(function.send(not_json).await.is_err() && aws.take_events("slack").is_empty());
    let error = own_function(sdk, None).send(numbered(1)).await.expect_err("outside of Lambda");
    assert!(error.to_string().contains("AWS_LAMBDA_FUNCTION_NAME is not set"), "{error}");
}
