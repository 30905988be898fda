//! Generated seeds for the search, made of the samples of the contract tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use monitor_domain::subject::Revision;
use monitor_pipeline::items::Item;
use monitor_pipeline::messages::{CheckJob, Reason, StateChange};
use monitor_pipeline::testing::samples::{at, every_item, subject, target};
use monitor_stately::items::write;
use monitor_stately::wire::{GetResponse, Payload, StatelyErrorDetails};
use prost::Message;

use crate::stately::answers::listed;

/// A seed: the target, the name of the file, and its bytes.
pub type Seed = (&'static str, String, Vec<u8>);

/// All generated seeds.
///
/// # Panics
/// If a sample cannot be written, which is a bug.
pub fn seeds() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    let mut kinds = std::collections::BTreeSet::new();
    for (index, item) in (0_u8..).zip(every_item()) {
        let kind = item.key().to_string().split(' ').nth(1).unwrap_or("item").to_owned();
        let name = |form: &str| format!("sample-{index:02}-{kind}{form}");
        seeds.push(("item_fields", name(""), [&[index, index, 0][..], b"\"2027-01-15T08:00:00Z\""].concat()));
        let json = serde_json::to_string(&item).unwrap();
        if json.len() < 4_096 {
            seeds.push(("items", name(""), json.into_bytes()));
        }
        let on_wire = write(&item).unwrap();
        let which =
            u8::try_from(monitor_stately::fields::ALL.iter().position(|it| it.name == on_wire.item_type).unwrap());
        if let (Some(Payload::Proto(bytes)), true) = (on_wire.payload, kinds.insert(kind.clone())) {
            seeds.push(("stately_items", name(""), [&[which.unwrap()][..], &bytes].concat()));
        }
    }
    seeds.push(("stately_items", "cursor-json".to_owned(), [&[0x84][..], CURSOR_JSON.as_bytes()].concat()));
    let jobs = [
        CheckJob { target: target("Acme/Web"), reason: Reason::Schedule, requested_at: Some(at(0)), valid_until: None },
        CheckJob { target: target("orgs/acme"), reason: Reason::Dropped, requested_at: None, valid_until: None },
        CheckJob {
            target: target("enterprises/acme-corp"),
            reason: Reason::Recheck,
            requested_at: Some(at(9)),
            valid_until: None,
        },
    ];
    for (job, name) in jobs.iter().zip(["job-repository", "job-organization", "job-enterprise"]) {
        seeds.push(("messages", name.to_owned(), job.to_json().into_bytes()));
    }
    let of_target = every_item().into_iter().filter_map(|item| match item {
        Item::Change(change) if change.subject == subject("acme/web") => Some(change),
        _ => None,
    });
    for (number, change) in of_target.enumerate() {
        let message = StateChange::of(change.subject, change.revision, &change.events);
        seeds.push(("messages", format!("state-change-{number}"), message.to_json().into_bytes()));
    }
    let message = StateChange::of(subject("credential:app:acme"), Revision(1), &[]);
    seeds.push(("messages", "state-change".to_owned(), message.to_json().into_bytes()));
    seeds.extend(stately());
    seeds
}

const CURSOR_JSON: &str = r#"{"repoId":"acme/web","notifiedThrough":"41","nextAttemptAt":1800000030007}"#;

fn stately() -> Vec<Seed> {
    let wire = |wanted: fn(&Item) -> bool| -> Vec<_> {
        let items = every_item().into_iter().filter(wanted).filter(|item| item.key().subject() == subject("acme/web"));
        items.map(|item| write(&item).unwrap()).filter(|item| item.encoded_len() < 2_000).collect()
    };
    let stream = |body: Vec<u8>| [&b"200 application/connect+proto\n"[..], &body].concat();
    let seed = |name: &str, which: u8, answers: Vec<Vec<u8>>| {
        ("stately_answers", name.to_owned(), [&[which][..], &answers.join(&b"\n=====\n"[..])].concat())
    };
    let fleet = wire(|item| matches!(item, Item::Target(_) | Item::Runner(_) | Item::LastSeen(_) | Item::Cursor(_)));
    let half = fleet.len() / 2;
    let pages = vec![stream(listed(fleet[..half].to_vec(), true)), stream(listed(fleet[half..].to_vec(), false))];
    let outages = stream(listed(wire(|item| matches!(item, Item::Outage(_))), false));
    let endings = stream(listed(wire(|item| matches!(item, Item::Sent(_))).into_iter().rev().collect(), false));
    let get = GetResponse { items: fleet[..1].to_vec() }.encode_to_vec();
    let unary = |body: &[u8]| [b"200 application/proto\n", body].concat();
    let details = StatelyErrorDetails {
        stately_code: "StoreThroughputExceeded".to_owned(),
        message: "slow down".to_owned(),
        ..Default::default()
    };
    let details = STANDARD_NO_PAD.encode(details.encode_to_vec());
    let error = |code: &str, details: &str| {
        format!(
            r#"{{"code":"{code}","message":"(x/y)","details":[{{"type":"{}","value":"{details}"}}]}}"#,
            StatelyErrorDetails::TYPE_NAME
        )
    };
    let token = monitor_stately::wire::GetAuthTokenResponse { auth_token: "abc".to_owned(), expires_in_s: 3_600 };
    let refused = format!("429 application/json\n{}", error("resource_exhausted", &details)).into_bytes();
    let ended = stream([b"\x02\0\0\0\x24".to_vec(), br#"{"error":{"code":"unauthenticated"}}"#.to_vec()].concat());
    vec![
        seed("fleet-in-two-pages", 0, pages.clone()),
        seed("fleet-with-token", 0x80, [vec![unary(&token.encode_to_vec())], pages].concat()),
        seed("outages", 3, vec![outages]),
        seed("endings", 2, vec![endings]),
        seed("get-of-another", 5, vec![unary(&get)]),
        seed("put-after-a-limit", 6, vec![refused, unary(b"")]),
        seed("token-refused-in-a-stream", 0x80, vec![unary(&token.encode_to_vec()), ended]),
        seed("html", 7, vec![b"502 text/html\n<html>".to_vec()]),
        seed("frames", 8, vec![b"200 frames\n\0\x0a\0\n--\n\0\x12\0\n--\n\x02{}".to_vec()]),
    ]
}
