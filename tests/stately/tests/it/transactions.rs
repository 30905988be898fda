//! Transactions over a port. Here all commands arrive at once; the runs of the official clients send them one by one.

use std::time::Duration;

use monitor_stately::wire::transaction::{
    Command, GeneratedValue, Outcome, TransactionBegin, TransactionBeginList, TransactionDelete, TransactionFinished,
    TransactionGet, TransactionPut, TransactionRequest, TransactionResponse,
};
use monitor_stately::wire::{DeleteItem, GetItem, Item, ListPart, PutItem, path};
use monitor_stately_server::{Fault, Method, RpcCode, StatelyServer, Trouble};
use prost::Message;
use serde_json::{Value as Json, json};

use crate::support::{animals, code_of, framed, frames, get, item, put};

fn egg() -> Item {
    item("Egg", json!({}))
}

fn draw(home: &str, id: u64) -> Item {
    item("Draw", json!({ "home": home, "id": id }))
}

fn puts(items: impl IntoIterator<Item = Item>) -> Command {
    let puts = items.into_iter().map(|item| PutItem { item: Some(item), ..PutItem::default() });
    Command::PutItems(TransactionPut { puts: puts.collect() })
}

fn begin() -> Command {
    Command::Begin(TransactionBegin { store_id: 1, schema_version_id: 3, schema_id: 0 })
}

/// Sends all commands at once. Returns the results, and the code of the stream's error.
async fn send(
    server: &StatelyServer,
    commands: impl IntoIterator<Item = Command>,
) -> Result<(Vec<Outcome>, Option<String>), reqwest::Error> {
    let numbered = commands.into_iter().zip(1..);
    let body = numbered.flat_map(|(command, message_id)| {
        framed(&TransactionRequest { message_id, command: Some(command) }.encode_to_vec())
    });
    send_raw(server, body.collect()).await
}

async fn send_raw(server: &StatelyServer, body: Vec<u8>) -> Result<(Vec<Outcome>, Option<String>), reqwest::Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().http2_prior_knowledge();
    let client = builder.timeout(Duration::from_millis(500)).build().unwrap();
    let posted = client.post(format!("{}{}", server.base_url(), path::TRANSACTION));
    let answer = posted.header("content-type", "application/connect+proto").body(body).send().await?.bytes().await?;
    let (mut outcomes, mut code) = (Vec::new(), Some("the stream had no end".to_owned()));
    for (flags, message) in frames(&answer) {
        if flags == 2 {
            let end: Json = serde_json::from_slice(&message).unwrap();
            code = end.get("error").map(code_of);
        } else {
            outcomes.push(TransactionResponse::decode(message.as_slice()).unwrap().result.unwrap());
        }
    }
    Ok((outcomes, code))
}

async fn started() -> StatelyServer {
    StatelyServer::start_with(0, animals().0).await.unwrap()
}

#[tokio::test]
async fn a_transaction_reads_a_snapshot_and_stores_at_its_commit() {
    let server = started().await;
    put(&mut server.state(), [draw("x", 1), draw("x", 2)]).unwrap();
    let gets = ["/home-x/draw-1", "/home-x/draw-3"].map(|key| GetItem { key_path: key.to_owned() }).to_vec();
    let list = TransactionBeginList { key_path_prefix: "/home-x".to_owned(), ..TransactionBeginList::default() };
    let deletes = vec![DeleteItem { key_path: "/home-x/draw-2".to_owned() }];
    let commands = [
        begin(),
        puts([draw("x", 3), egg(), item("Draw", json!({ "home": "x" }))]),
        Command::DeleteItems(TransactionDelete { deletes }),
        Command::GetItems(TransactionGet { gets }),
        Command::BeginList(list),
        Command::Commit(()),
    ];
    let (outcomes, code) = send(&server, commands).await.unwrap();
    assert_eq!(code, None);
    let [
        Outcome::PutAck(ack),
        Outcome::GetResults(got),
        Outcome::ListResults(listed),
        Outcome::ListResults(end),
        Outcome::Finished(finished),
    ] = outcomes.as_slice()
    else {
        panic!("{outcomes:?}")
    };
    let given: Vec<Option<&GeneratedValue>> = ack.generated_ids.iter().map(|id| id.value.as_ref()).collect();
    assert!(matches!(given[..], [None, Some(GeneratedValue::Bytes(_)), Some(GeneratedValue::Uint(_))]), "{given:?}");
    assert_eq!(got.items.len(), 1, "its own put is not visible before the commit");
    assert!(matches!(&listed.response, Some(ListPart::Result(part)) if part.items.len() == 2));
    assert!(matches!(&end.response, Some(ListPart::Finished(_))));
    assert_eq!((finished.committed, finished.put_results.len(), finished.delete_results.len()), (true, 3, 1));
    let mut state = server.state();
    let call = state.calls().last().unwrap().clone();
    assert_eq!(state.item_count(1), 4);
    assert_eq!(get(&mut state, "/home-x/draw-2"), None);
    assert_eq!((call.method, call.items_read, call.items_written, call.failed), (Method::Transaction, 3, 4, None));
}

#[tokio::test]
async fn an_aborted_interrupted_or_invalid_transaction_stores_nothing() {
    let server = started().await;
    let (outcomes, code) = send(&server, [begin(), puts([egg()]), Command::Abort(())]).await.unwrap();
    assert_eq!((outcomes.last(), code), (Some(&Outcome::Finished(TransactionFinished::default())), None));
    let (outcomes, code) = send(&server, [begin(), puts([egg()])]).await.unwrap();
    assert_eq!((outcomes.len(), code), (1, None));
    let refused = [
        vec![puts([egg()])],
        vec![begin(), begin()],
        vec![begin(), puts([item("Dog", json!({}))]), Command::Commit(())],
        vec![begin(), puts((0..51).map(|_| egg())), Command::Commit(())],
        vec![begin(), Command::GetItems(TransactionGet::default())],
    ];
    for commands in refused {
        let (_, code) = send(&server, commands).await.unwrap();
        assert_eq!(code.as_deref(), Some("InvalidArgument"));
    }
    let same_id = TransactionRequest { message_id: 1, command: Some(begin()) }.encode_to_vec();
    let again = TransactionRequest { message_id: 1, command: Some(Command::Commit(())) }.encode_to_vec();
    let (_, code) = send_raw(&server, [framed(&same_id), framed(&again)].concat()).await.unwrap();
    assert_eq!(code.as_deref(), Some("InvalidArgument"));
    assert_eq!(server.state().item_count(1), 0);
}

#[tokio::test]
async fn a_fault_takes_effect_at_the_beginning_or_at_the_response_to_the_commit() {
    let server = started().await;
    let inject = |trouble: Trouble| server.state().inject(Fault::once(trouble).to(Method::Transaction));
    let commands = |id: u64| [begin(), puts([draw("x", id)]), Command::Commit(())];
    inject(Trouble::stately_code("NonRecoverableTransaction"));
    assert_eq!(send(&server, commands(1)).await.unwrap().1.as_deref(), Some("NonRecoverableTransaction"));
    inject(Trouble::Bare(RpcCode::Unavailable));
    assert_eq!(send(&server, commands(1)).await.unwrap().1.as_deref(), Some("unavailable"));
    inject(Trouble::RequestLost);
    assert!(send(&server, commands(1)).await.is_err());
    assert_eq!(server.state().item_count(1), 0);
    for (trouble, id) in [(Trouble::AnswerLost, 1), (Trouble::AnswerStalls, 2)] {
        inject(trouble);
        assert!(send(&server, commands(id)).await.is_err());
        assert_eq!(server.state().item_count(1), id as usize);
    }
    inject(Trouble::EndMissing);
    let (outcomes, code) = send(&server, commands(3)).await.unwrap();
    assert_eq!((outcomes.len(), code.as_deref()), (1, Some("the stream had no end")));
    assert_eq!(server.state().item_count(1), 3);
    inject(Trouble::Late(50));
    assert_eq!(send(&server, commands(4)).await.unwrap().1, None);
}
