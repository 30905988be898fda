//! How the simulation notes failed edits, from which it decides whether a message may stay as it was.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use monitor_domain::fleet::Counts;
use monitor_domain::notifications::Notification;
use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_pipeline::items::{LiveMessage, MessagePlace};
use monitor_pipeline::ports::{Chat, ChatError, EditError, Form};
use monitor_simulation::faults::Faults;
use monitor_simulation::machine::Shared;
use monitor_simulation::slack::SimulatedSlack;
use monitor_simulation::world::{Abandoned, Taken};

/// Seed 2026112800273 on StatelyDB: the edit was refused in both forms at the second and third attempt, so it was
/// rightly abandoned. After that the notifier of the first attempt, stalled for 8 minutes in its edit, found its
/// connection closed.
#[test]
fn a_stalled_notifier_does_not_overwrite_a_later_answer() -> anyhow::Result<()> {
    let target: Target = "acme/web".parse()?;
    let notification = Notification {
        subject: Subject::from(&target),
        target: Some(target),
        counts: Counts::default(),
        items: Vec::new(),
    };
    for (before, still_ms, after) in [
        (Some(Abandoned::Refused), 8 * 60_000, Abandoned::Refused),
        (None, 8 * 60_000, Abandoned::Failed(8 * 60_000)),
        (Some(Abandoned::Failed(1)), 8 * 60_000, Abandoned::Failed(1)),
    ] {
        let shared = Shared::new(7, Faults::default());
        let slack = SimulatedSlack { shared: shared.clone(), is_bot: true };
        let taken = Taken {
            at_ms: 0,
            notification: notification.clone(),
            answered: true,
            thread: None,
            shown: Vec::new(),
            is_gone: false,
            trouble: None,
            abandoned: before,
        };
        shared.lock().world.taken.push(taken);
        let place = MessagePlace { channel: "C1".to_owned(), ts: "0".to_owned() };
        let message = LiveMessage { place, outages: Vec::new() };
        let mut edit = pin!(slack.edit(&message, &notification, Form::Blocks, &[]));
        let mut context = Context::from_waker(Waker::noop());
        assert!(edit.as_mut().poll(&mut context).is_pending(), "the request is under way");
        shared.lock().now_ms += still_ms;
        let Poll::Ready(answer) = edit.as_mut().poll(&mut context) else { anyhow::bail!("the edit still waits") };
        assert!(matches!(answer, Err(EditError::Chat(ChatError::Transient(_)))), "{answer:?}");
        assert_eq!(shared.lock().world.taken[0].abandoned, Some(after), "{before:?}");
    }
    Ok(())
}
