//! The jobs of a repository's open workflow runs.

use monitor_domain::jobs::{Job, JobState};
use monitor_domain::observation::Fault as Sort;
use monitor_domain::polling::{PolledJobs, PolledRuns};
use monitor_fakes::github::{Access, Endpoint, Fault, Job as FakeJob, Strikes};
use monitor_github::GitHub;
use monitor_pipeline::ports::RunnerSource;

use crate::world::{NOON_MS, World, target};

const LABELS: [&str; 2] = ["self-hosted", "gpu"];

/// Jobs 1 and 2 of run 7 are queued and running, job 3 of run 8 is queued; run 9 is completed.
async fn world() -> World {
    let world = World::start().await;
    let queued = |name: &str| FakeJob::queued(name, &LABELS, NOON_MS - 60_000);
    let mut state = world.fake.state();
    state.set_job("acme/web", 1, queued("one"));
    state.set_job("acme/web", 2, queued("two").taken_by("gpu-1"));
    state.set_job("acme/web", 3, queued("three").in_run(8));
    state.set_job("acme/web", 4, queued("four").in_run(9).completed());
    drop(state);
    world
}

async fn poll(github: &GitHub, known: Option<&PolledRuns>) -> PolledJobs {
    github.open_jobs(&target("acme/web"), known).await.expect("an answer")
}

fn seen(polled: &PolledJobs) -> Vec<(u64, JobState, bool)> {
    let one = |(job, completed): &(Job, bool)| (job.id.0, job.state, *completed);
    polled.jobs.iter().map(one).collect()
}

#[tokio::test]
async fn the_jobs_of_runs_that_are_queued_or_in_progress_are_read_and_unchanged_ones_are_free() {
    let world = world().await;
    let github = world.github();
    let first = poll(&github, None).await;
    assert_eq!(
        seen(&first),
        [(1, JobState::Queued, false), (2, JobState::InProgress, false), (3, JobState::Queued, false)]
    );
    let runner = first.jobs[1].0.runner.as_deref();
    assert_eq!((runner, &*first.jobs[0].0.labels), (Some("gpu-1"), &LABELS.map(str::to_owned)[..]));
    assert_eq!(world.requests_of(Endpoint::WorkflowRuns), 6, "four lists of runs, and the jobs of two");

    let not_modified = || world.fake.state().counters().not_modified;
    let before = not_modified();
    let second = poll(&github, Some(&first.runs)).await;
    assert_eq!((second.jobs.len(), not_modified() - before), (0, 6), "nothing has changed");
    assert_eq!(second.runs, first.runs);

    // Another process reads it back from the store.
    let stored = serde_json::from_str(&serde_json::to_string(&second.runs).unwrap()).unwrap();
    assert_eq!(seen(&poll(&world.github(), Some(&stored)).await), []);
}

#[tokio::test]
async fn a_run_that_waits_for_an_approval_is_read_so_that_its_jobs_wait_since_then() {
    let world = World::start().await;
    let github = world.github();
    world.fake.state().set_job(
        "acme/web",
        1,
        FakeJob { status: "waiting".to_owned(), ..FakeJob::queued("deploy", &LABELS, NOON_MS) },
    );
    let first = poll(&github, None).await;
    assert_eq!(seen(&first), [(1, JobState::Held, false)]);
    world.fake.state().set_job("acme/web", 1, FakeJob::queued("deploy", &LABELS, NOON_MS));
    assert_eq!(seen(&poll(&github, Some(&first.runs)).await), [(1, JobState::Queued, false)]);
}

#[tokio::test]
async fn the_end_of_a_run_is_seen_although_no_list_has_it_any_more() {
    let world = world().await;
    let github = world.github();
    let first = poll(&github, None).await;
    let ended = FakeJob::queued("three", &LABELS, NOON_MS - 60_000).in_run(8).completed();
    world.fake.state().set_job("acme/web", 3, ended);
    let second = poll(&github, Some(&first.runs)).await;
    assert_eq!(seen(&second), [(3, JobState::InProgress, true)]);
    assert_eq!(second.runs.runs.iter().map(|run| run.id).collect::<Vec<_>>(), [7]);
    assert_eq!(seen(&poll(&github, Some(&second.runs)).await), []);
}

#[tokio::test]
async fn runs_that_say_for_weeks_that_they_are_queued_and_githubs_own_runners_count_for_nothing() {
    let world = World::start().await;
    {
        let mut state = world.fake.state();
        (100..200).for_each(|run| state.add_ghost_run("acme/web", run, NOON_MS - 30 * 86_400_000));
        state.add_ghost_run("acme/web", 200, NOON_MS - 60_000);
        state.set_job("acme/web", 1, FakeJob::queued("hosted", &["ubuntu-latest"], NOON_MS));
        state.set_job("acme/web", 2, FakeJob::queued("own", &LABELS, NOON_MS));
    }
    let polled = poll(&world.github(), None).await;
    assert_eq!(seen(&polled), [(2, JobState::Queued, false)]);
    assert_eq!(polled.runs.runs.iter().map(|run| run.id).collect::<Vec<_>>(), [7, 200]);
}

#[tokio::test]
async fn a_list_of_several_pages_is_read_to_its_end_every_time() {
    let world = World::start().await;
    (1..=250).for_each(|id| {
        world.fake.state().set_job("acme/web", id, FakeJob::queued("shard", &LABELS, NOON_MS));
    });
    let github = world.github();
    let first = poll(&github, None).await;
    assert_eq!((first.jobs.len(), world.requests_of(Endpoint::WorkflowRuns)), (250, 7));
    world.fake.state().set_job("acme/web", 250, FakeJob::queued("shard", &LABELS, NOON_MS).taken_by("gpu-1"));
    let second = poll(&github, Some(&first.runs)).await;
    assert_eq!(second.jobs.last().map(|(job, _)| job.state), Some(JobState::InProgress));
}

#[tokio::test]
async fn at_most_fifty_runs_are_read_the_oldest_first() {
    let world = World::start().await;
    (1..=60).for_each(|id| {
        world.fake.state().set_job("acme/web", id, FakeJob::queued("one", &LABELS, NOON_MS).in_run(id));
    });
    let polled = poll(&world.github(), None).await;
    assert_eq!(polled.jobs.iter().map(|(job, _)| job.id.0).collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_missing_permission_is_named_and_a_failure_names_the_repository() {
    let world = world().await;
    world.fake.state().set_access("acme/web", Access::Hidden);
    let failure = world.github().open_jobs(&target("acme/web"), None).await.unwrap_err();
    assert_eq!(failure.fault, Sort::Forbidden);
    assert!(failure.to_string().contains("the credential needs the scope `repo`"), "{failure}");
    world.fake.state().set_access("acme/web", Access::Granted);
    world.fake.state().fault(Fault::BrokenJson, Strikes::always());
    let failure = world.github().open_jobs(&target("acme/web"), None).await.unwrap_err();
    assert_eq!(failure.fault, Sort::BrokenAnswer);
    assert!(failure.to_string().contains("the workflow jobs of acme/web"), "{failure}");
}
