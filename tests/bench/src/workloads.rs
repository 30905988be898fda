//! The measured workloads, by name.

use std::hint::black_box;

use monitor_domain::change::{Change, Event};
use monitor_domain::decision::Handled;
use monitor_domain::notifications::{Notification, pending_notification};
use monitor_domain::runner::Status;
use monitor_domain::subject::{Revision, Subject};
use monitor_fakes::github::{RunnerSpec, State};
use monitor_fakes::http::Request;
use monitor_github::fuzzing::{Question, read};
use monitor_pipeline::items::{Item, RunnerItem};
use monitor_pipeline::json;
use monitor_pipeline::ports::Form;
use monitor_slack::{WebBase, render};

use crate::fleets::{Watched, listed};

/// An action that is repeated.
pub type Work = Box<dyn Fn()>;

/// A measured action and its preparation.
pub struct Workload {
    /// Its name, as in `instructions.json`.
    pub name: &'static str,
    /// Prepares the data and returns the action.
    pub set_up: fn() -> Work,
}

/// Every workload.
pub const ALL: [Workload; 11] = [
    Workload { name: "reconcile, 5 runners, 304", set_up: || unchanged(5) },
    Workload { name: "reconcile, 100 runners, 304", set_up: || unchanged(100) },
    Workload { name: "reconcile, 1,000 runners, 304", set_up: || unchanged(1_000) },
    Workload { name: "reconcile, 1,000 runners, the same list in full", set_up: || same_list(1_000) },
    Workload { name: "reconcile, 1,000 runners, all confirmed offline", set_up: || all_offline(1_000) },
    Workload { name: "list decoded, 5 runners", set_up: || decoded(5) },
    Workload { name: "list decoded, 100 runners", set_up: || decoded(100) },
    Workload { name: "list decoded, 1,000 runners on 10 pages", set_up: || decoded(1_000) },
    Workload { name: "stored runners read, 100", set_up: || stored_runners(100) },
    Workload { name: "notification rendered, 1 runner", set_up: || rendered(1) },
    Workload { name: "notification rendered, 1,000 runners", set_up: || rendered(1_000) },
];

fn unchanged(runners: usize) -> Work {
    let watched = Watched::idle(runners);
    let observation = watched.observe(&watched.unchanged());
    assert!(watched.decide(&observation).is_empty(), "nothing has changed");
    Box::new(move || drop(black_box(watched.decide(black_box(&observation)))))
}

fn same_list(runners: usize) -> Work {
    let watched = Watched::idle(runners);
    let observation = watched.observe(&listed(runners, Status::Idle));
    assert!(watched.decide(&observation).is_empty(), "nothing has changed");
    Box::new(move || drop(black_box(watched.decide(black_box(&observation)))))
}

fn all_offline(runners: usize) -> Work {
    let (watched, pages) = about_to_go_down(runners);
    let observation = watched.observe(&pages);
    Box::new(move || drop(black_box(watched.decide(black_box(&observation)))))
}

/// A target whose next check confirms that every runner is offline.
fn about_to_go_down(runners: usize) -> (Watched, Vec<monitor_domain::observation::ObservedPage>) {
    let mut watched = Watched::idle(runners);
    let pages = listed(runners, Status::Offline);
    for _ in 0..10 {
        let opens = |event: &Event| matches!(event, Event::OutageOpened { .. });
        if watched.decide(&watched.observe(&pages)).all_events().any(opens) {
            return (watched, pages);
        }
        watched.check(&pages);
    }
    unreachable!("ten unhealthy readings confirm an outage")
}

fn decoded(runners: usize) -> Work {
    let pages = pages(runners);
    let decode = move || {
        for page in &pages {
            let read = read(Question::Runners, black_box(page));
            assert!(black_box(read).is_ok(), "a page from GitHub is decoded");
        }
    };
    Box::new(decode)
}

/// A page of 100 runners as GitHub answers it.
pub fn page_of_100() -> Vec<u8> {
    pages(100).swap_remove(0)
}

/// The bodies of a whole list.
fn pages(runners: usize) -> Vec<Vec<u8>> {
    let mut github = State::new();
    github.add_token("token");
    github.add_target("acme/web");
    for number in 1..=runners {
        let runner = RunnerSpec::new(&format!("build-{number:04}")).with_labels(&["gpu"]);
        github.add_runner("acme/web", runner);
    }
    let page = |number: usize| {
        let request = Request::get(&format!("/repos/acme/web/actions/runners?per_page=100&page={number}"))
            .with_header("user-agent", "bench")
            .with_header("authorization", "Bearer token");
        github.handle(&request, 1_795_435_200_000).body
    };
    (1..=runners.div_ceil(100)).map(page).collect()
}

fn stored_runners(runners: usize) -> Work {
    let fleet = Watched::idle(runners).fleet;
    let item = |runner| Item::Runner(RunnerItem { target: fleet.record.target.id().clone(), runner });
    let stored: Vec<String> = fleet.runners.iter().cloned().map(item).map(|item| encoded(&item)).collect();
    let read = move || {
        for text in &stored {
            let item = json::decode(black_box(text.as_bytes()));
            assert!(matches!(black_box(item), Ok(Some(_))), "a stored item is decoded");
        }
    };
    Box::new(read)
}

fn encoded(item: &Item) -> String {
    serde_json::to_string(item).unwrap_or_else(|error| unreachable!("{error}"))
}

fn rendered(runners: usize) -> Work {
    let notification = notification(runners);
    let web = WebBase::default();
    Box::new(move || drop(black_box(render(black_box(&notification), Form::Blocks, &web))))
}

/// The notification of this many outages at once.
fn notification(runners: usize) -> Notification {
    let (watched, pages) = about_to_go_down(runners);
    let decision = watched.decide(&watched.observe(&pages));
    let changes: Vec<Change> =
        decision.commits(7, usize::MAX, Handled::default()).into_iter().map(|commit| commit.change).collect();
    let target = &watched.fleet.record.target;
    let before = changes.first().map_or(Revision(0), |change| Revision(change.revision.0 - 1));
    pending_notification(&Subject::from(target), Some(target), before, &changes)
        .notification
        .unwrap_or_else(|| unreachable!("outages are notified"))
}
