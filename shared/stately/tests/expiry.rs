//! Expiry never deletes a pending change.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::installation::Installation;
use common::{server, store};
use monitor_domain::notifications::NotificationItem;
use monitor_domain::runner::Status;
use monitor_domain::subject::Revision;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::Query;
use monitor_pipeline::ports::{Clock, Store};
use monitor_pipeline::testing::samples::subject;

#[tokio::test]
async fn an_outage_after_a_month_without_changes_is_notified_although_earlier_changes_have_expired() {
    let server = server();
    let store = store(&server);
    // Too many runners for one commit, so the first check is split.
    let installation = Installation::new(&store, 100);
    let clock = installation.clock.clone();
    server.state().settings.clock = Arc::new(move || clock.now().epoch_ms());
    installation.check().await;
    let changes = async || {
        let query = Query::Changes { subject: subject("acme/web"), after: Revision(0), limit: 100 };
        let revision = |item: Item| if let Item::Change(change) = item { Some(change.revision.0) } else { None };
        store.list(&query).await.unwrap().into_iter().filter_map(revision).collect::<Vec<_>>()
    };
    assert_eq!(changes().await, [1, 2, 3]);

    installation.clock.advance(Duration::from_secs(31 * 86_400));
    assert!(changes().await.is_empty(), "none of them was notifiable");
    installation.set_status(1, Status::Offline);
    for _ in 0..3 {
        installation.check().await;
    }
    let notified = installation.notify_all().await;
    assert!(
        matches!(&notified[0].items[..], [NotificationItem::Offline { outages }] if outages.len() == 1),
        "{notified:?}"
    );
}
