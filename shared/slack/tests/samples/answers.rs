//! One answer of each kind, and the extremes.

use monitor_domain::fleet::{Failing, Fleet, TargetRecord};
use monitor_domain::jobs::JobName;
use monitor_domain::muting::MuteRefusal;
use monitor_domain::observation::{Failure, Fault as CheckFault};
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::runner::{Down, Flapping, Health, Runner, RunnerId, Status, Suspicion};
use monitor_domain::scope::Scope;
use monitor_domain::secret::Secret;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_pipeline::commands::{Answer, Answered};
use monitor_pipeline::items::Mute;
use monitor_pipeline::person::PersonId;
use monitor_slack::incoming::{CommandFault, Misunderstanding, Verb, parse_command};
use monitor_slack::{Announcement, Covered, Reply, WebBase};

use super::{DAY, HOUR, MINUTE, ended, job, outage, start};

/// 40 minutes after the start: the time of every command.
fn now() -> Timestamp {
    start().plus(MINUTE * 40)
}

fn target(name: &str) -> Target {
    name.parse().unwrap()
}

/// Runner `build-01` and so on, idle or running a job since before the start.
fn runner(number: u64) -> Runner {
    let Outage { runner_id, current_id, runner_name, os, version, labels, .. } = outage(number);
    let busy = number.is_multiple_of(3);
    Runner {
        id: runner_id,
        current_id,
        name: runner_name,
        os,
        labels,
        ephemeral: false,
        group_id: None,
        version,
        updated_at: None,
        pool: None,
        is_pooled: false,
        waiting: None,
        connected: true,
        status: if busy { Status::Busy } else { Status::Idle },
        busy,
        job: None,
        first_seen_at: start().minus(DAY * 30),
        status_since: start().minus(MINUTE * 5),
        health: Health::Healthy,
        absence: None,
        recent_outages: Vec::new(),
        flapping: None,
    }
}

fn offline(number: u64) -> Runner {
    let down = Down::new(outage(number));
    let status_since = outage(number).started_at;
    Runner {
        status: Status::Offline,
        busy: false,
        status_since,
        health: Health::Down(Box::new(down)),
        ..runner(number)
    }
}

fn suspect(number: u64) -> Runner {
    let suspicion = Suspicion {
        since: now().minus(MINUTE),
        counted_at: now().minus(MINUTE),
        unhealthy_count: 1,
        outage_id: outage(number).id,
        is_baseline: false,
        last_healthy: None,
    };
    Runner { status: Status::Offline, health: Health::Suspect(Box::new(suspicion)), ..runner(number) }
}

/// One runner in each possible state.
fn every_state() -> Vec<Runner> {
    let Health::Down(mut down) = offline(3).health else { unreachable!("it is offline") };
    down.healthy_count = 1;
    let flapping = Flapping { since: start(), outages: 4, healthy_since: Some(now()), muted: false };
    vec![
        runner(1),
        Runner { status: Status::Offline, ..runner(2) },
        Runner { health: Health::Down(down), status: Status::Idle, ..runner(3) },
        offline(4),
        suspect(5),
        Runner { connected: false, version: None, first_seen_at: start(), ..suspect(6) },
        Runner { health: Health::Gone { since: start(), alerted: true }, status: Status::Unknown, ..runner(7) },
        Runner { flapping: Some(Box::new(flapping)), ..runner(8) },
        Runner { ephemeral: true, ..runner(9) },
    ]
}

fn fleet(name: &str, runners: Vec<Runner>) -> Fleet {
    let record = TargetRecord {
        watched_since: Some(start().minus(DAY)),
        observed_at: start(),
        ..TargetRecord::new(target(name))
    };
    Fleet { record, runners, last_seen_at: Some(now().minus(MINUTE * 4)), ..Fleet::unknown(target(name)) }
}

/// A runner of which the policy alerts about the pool only.
fn pooled(number: u64) -> Runner {
    Runner { is_pooled: true, ..runner(number) }
}

/// The pools of a credential: one that is short.
fn pools_of(name: &str) -> Fleet {
    let outage = super::short_pool();
    let pool = Runner {
        id: outage.runner_id,
        name: outage.runner_name.clone(),
        labels: outage.labels.clone(),
        version: None,
        pool: outage.pool,
        status: Status::Offline,
        status_since: outage.started_at,
        health: Health::Down(Box::new(Down::new(outage))),
        ..runner(1)
    };
    Fleet { pools: vec![pool], ..fleet(name, Vec::new()) }
}

/// The same while a target of the credential is unreachable.
fn unknown_pools(name: &str) -> Fleet {
    let failure = Failure::new(CheckFault::Incomplete, "not every runner is known: acme/web is unreachable");
    let mut fleet = pools_of(name);
    fleet.record.failing = Some(Failing { since: start(), failure, unreachable: true, notified: false });
    fleet
}

fn unreachable(name: &str, runners: Vec<Runner>) -> Fleet {
    let failure = Failure::new(CheckFault::Forbidden, "GitHub refuses access (403): Resource not accessible");
    let mut fleet = fleet(name, runners);
    fleet.record.failing = Some(Failing { since: start(), failure, unreachable: true, notified: true });
    fleet
}

fn named(name: &str) -> Scope {
    Scope::Named(name.to_owned())
}

fn answered(answer: Answer) -> Answered {
    Answered { now: now(), ticked_at: Some(now().minus(MINUTE * 2)), unread: Vec::new(), mutes: Vec::new(), answer }
}

/// Every sample, with its name.
pub(crate) fn all() -> Vec<(&'static str, Reply)> {
    let answers =
        [overviews(), targets(), runners(), histories(), overrides(), others(), extremes()].into_iter().flatten();
    let web = WebBase::default();
    let answers = answers.map(|(name, answered)| (name, Reply::answered(&answered, &web)));
    answers.chain(announcements()).chain(helps()).collect()
}

fn mute(scope: Scope, reason: Option<&str>) -> Mute {
    let by = PersonId::try_from("U2CERLKJA".to_owned()).unwrap();
    Mute { scope, since: now(), until: now().plus(HOUR * 2), reason: reason.map(str::to_owned), by }
}

fn overrides() -> Vec<(&'static str, Answered)> {
    let mutes = || {
        let one = Scope::Runner { target: target("acme/web"), name: "build-01".to_owned() };
        vec![
            mute(Scope::Target(target("orgs/acme")), None),
            mute(named("gpu-*"), Some("rack <3> is *moved*")),
            mute(one, Some("new disk")),
        ]
    };
    let fleets = || vec![fleet("acme/api", vec![runner(1), offline(2)]), fleet("orgs/acme", vec![runner(4)])];
    let web = fleet("acme/web", vec![runner(1)]);
    let with_mutes = |answered: Answered| Answered { mutes: mutes(), ..answered };
    let by = mute(named("x"), None).by;
    let refused = |refusal, has_admins| answered(Answer::MuteRefused { scope: named("gpu-*"), refusal, has_admins });
    vec![
        ("muted_one", answered(Answer::Muted { mute: mutes().remove(2), fleets: vec![web.clone()] })),
        (
            "muted_pooled_runners",
            answered(Answer::Muted {
                mute: mute(named("gpu-*"), None),
                fleets: vec![fleet("acme/web", vec![pooled(1), pooled(2)])],
            }),
        ),
        (
            "muted_some_pooled_runners",
            answered(Answer::Muted {
                mute: mute(named("gpu"), None),
                fleets: vec![fleet("acme/web", vec![runner(1), pooled(2)]), pools_of("credential:app:acme/pools")],
            }),
        ),
        (
            "muted_pool_over_a_credential",
            answered(Answer::Muted {
                mute: mute(named("pool gpu"), None),
                fleets: vec![pools_of("credential:token/pools")],
            }),
        ),
        ("muted_while_one_is_offline", answered(Answer::Muted { mute: mutes().remove(1), fleets: fleets() })),
        ("mute_too_long", refused(MuteRefusal::TooLong, true)),
        ("mute_too_long_without_admins", refused(MuteRefusal::TooLong, false)),
        ("mute_too_wide", refused(MuteRefusal::TooWide, true)),
        ("mute_too_wide_without_admins", refused(MuteRefusal::TooWide, false)),
        ("mute_without_an_answer_from_slack", refused(MuteRefusal::Unknown, true)),
        ("unmuted", answered(Answer::Unmuted { mute: mutes().remove(0) })),
        ("not_muted", answered(Answer::NotMuted { scope: named("gpu"), mutes: mutes() })),
        ("nothing_muted", answered(Answer::NotMuted { scope: named("gpu"), mutes: Vec::new() })),
        ("acknowledged", answered(Answer::Acknowledged { target: target("acme/web"), outages: 2, by })),
        ("overview_with_mutes", with_mutes(answered(Answer::Overview { fleets: fleets() }))),
        ("target_with_mutes", with_mutes(answered(Answer::Target { fleet: Box::new(web) }))),
    ]
}

fn overviews() -> Vec<(&'static str, Answered)> {
    let of = |fleets| answered(Answer::Overview { fleets });
    let well = vec![fleet("acme/api", vec![runner(1), runner(3)]), fleet("orgs/acme", vec![runner(4)])];
    let mixed = vec![
        fleet("acme/api", vec![runner(1), offline(2), suspect(5)]),
        unreachable("acme/web", vec![offline(3)]),
        fleet("enterprises/acme-corp", vec![]),
        fleet("orgs/acme", vec![runner(1), runner(3), runner(4)]),
    ];
    let with_pools = vec![fleet("acme/api", vec![runner(1)]), unknown_pools("credential:app:acme/pools")];
    let has_stopped = Answered {
        ticked_at: Some(start().minus(HOUR)),
        unread: vec![target("acme/slow"), target("orgs/slow")],
        ..of(well.clone())
    };
    vec![
        ("overview_all_well", of(well)),
        ("overview_mixed", of(mixed)),
        ("overview_with_pools_over_a_credential", of(with_pools)),
        ("overview_of_nothing", Answered { ticked_at: None, ..of(Vec::new()) }),
        ("overview_while_the_monitor_has_stopped", has_stopped),
    ]
}

/// Answers while no target can be checked, with the command they answer.
pub(crate) fn while_unreachable() -> Vec<(&'static str, Reply)> {
    let fleets = || vec![unreachable("acme/api", vec![runner(1), runner(2)]), unreachable("acme/web", vec![runner(1)])];
    let one = || vec![unreachable("acme/web", vec![runner(1)])];
    let runners = |name: &str, fleets| Answer::Runners { scope: named(name), fleets, similar: Vec::new() };
    let history = Answer::History {
        name: "build-*".to_owned(),
        outages: Vec::new(),
        total: 0,
        fleets: fleets(),
        similar: Vec::new(),
    };
    let answers = [
        ("status-all", Answer::Overview { fleets: fleets() }),
        ("status of a target", Answer::Target { fleet: Box::new(one().remove(0)) }),
        ("status build-*", runners("build-*", fleets())),
        ("status build-01", runners("build-01", one())),
        ("history", history),
    ];
    let web = WebBase::default();
    answers.into_iter().map(|(asked, answer)| (asked, Reply::answered(&answered(answer), &web))).collect()
}

/// The overview while the monitor has stopped and nothing else is wrong.
pub(crate) fn while_stopped() -> Reply {
    let fleets = vec![fleet("acme/web", vec![runner(1), runner(2)])];
    let answer = Answered { ticked_at: Some(start().minus(HOUR)), ..answered(Answer::Overview { fleets }) };
    Reply::answered(&answer, &WebBase::default())
}

/// The answer after one failed check, before an alert.
pub(crate) fn after_one_failed_check() -> Reply {
    let mut fleet = unreachable("acme/web", vec![runner(1)]);
    if let Some(failing) = &mut fleet.record.failing {
        (failing.unreachable, failing.notified) = (false, false);
    }
    let answer = answered(Answer::Target { fleet: Box::new(fleet) });
    Reply::answered(&answer, &WebBase::default())
}

fn targets() -> Vec<(&'static str, Answered)> {
    let of = |fleet| answered(Answer::Target { fleet: Box::new(fleet) });
    let unseen = Fleet::unknown(target("acme/new"));
    vec![
        ("target_in_every_state", of(fleet("acme/web", every_state()))),
        ("target_all_well", of(fleet("orgs/acme", vec![runner(1), runner(2)]))),
        ("target_without_runners", of(fleet("acme/empty", Vec::new()))),
        ("target_not_checked_yet", of(unseen)),
        ("pools_over_a_token", of(pools_of("credential:token/pools"))),
        ("pools_while_a_target_is_unknown", of(unknown_pools("credential:app:acme/pools"))),
        ("target_unreachable", of(unreachable("acme/web", vec![runner(1)]))),
    ]
}

fn runners() -> Vec<(&'static str, Answered)> {
    let of = |name: &str, fleets| answered(Answer::Runners { scope: named(name), fleets, similar: Vec::new() });
    let everywhere = vec![fleet("acme/api", vec![runner(1)]), unreachable("acme/web", vec![offline(1)])];
    let gpu = vec![fleet("acme/web", vec![runner(2), offline(6)]), fleet("orgs/acme", vec![offline(10)])];
    let nobody = Answer::Runners {
        scope: named("bild-01"),
        fleets: Vec::new(),
        similar: vec!["build-01".to_owned(), "build-02".to_owned()],
    };
    let job = JobName { started_at: Some(now().minus(MINUTE * 12)), ..job(3) };
    let busy = Runner { job: Some(Box::new(job)), ..runner(3) };
    vec![
        ("runner_idle", of("build-01", vec![fleet("acme/web", vec![runner(1)])])),
        ("runner_busy_with_a_known_job", of("build-03", vec![fleet("acme/web", vec![busy])])),
        (
            "runner_of_a_pool_about_which_alone_people_are_alerted",
            of("build-01", vec![fleet("acme/web", vec![pooled(1)])]),
        ),
        ("pool_over_a_credential", of("pool gpu", vec![pools_of("credential:app:acme/pools")])),
        ("runner_offline", of("build-03", vec![fleet("orgs/acme", vec![offline(3)])])),
        ("runner_of_an_unreachable_target", of("build-01", vec![unreachable("acme/web", vec![runner(1)])])),
        ("runner_in_two_targets", of("build-01", everywhere)),
        ("runners_with_a_label", of("gpu", gpu)),
        ("runner_unknown", answered(nobody)),
    ]
}

fn histories() -> Vec<(&'static str, Answered)> {
    let of = |name: &str, fleets: Vec<Fleet>, outages: Vec<(Target, Outage)>| {
        let total = outages.len();
        answered(Answer::History { name: name.to_owned(), outages, total, fleets, similar: Vec::new() })
    };
    let here = |outage| (target("acme/web"), outage);
    let removed = Outage { status: Status::Unknown, ..ended(1, MINUTE * 20, Ending::Removed) };
    let several = vec![
        here(outage(3)),
        here(ended(3, HOUR * 2 + MINUTE * 5, Ending::Recovered)),
        (target("orgs/acme"), ended(3, DAY, Ending::NoLongerMonitored)),
    ];
    let nobody = Answer::History {
        name: "nobody".to_owned(),
        outages: Vec::new(),
        total: 0,
        fleets: Vec::new(),
        similar: Vec::new(),
    };
    let in_both = vec![fleet("acme/web", vec![offline(3)]), fleet("orgs/acme", vec![runner(3)])];
    vec![
        (
            "history_of_one",
            of(
                "build-01",
                vec![fleet("acme/web", vec![runner(1)])],
                vec![here(ended(1, MINUTE * 20, Ending::Recovered))],
            ),
        ),
        ("history_in_two_targets", of("build-03", in_both, several)),
        ("history_without_outages", of("build-01", vec![fleet("acme/web", vec![runner(1)])], Vec::new())),
        ("history_of_a_forgotten_runner", of("build-01", Vec::new(), vec![here(removed)])),
        ("history_of_an_unknown_runner", answered(nobody)),
    ]
}

fn others() -> Vec<(&'static str, Answered)> {
    let sent = |target, seen_at| answered(Answer::RecheckSent { target, seen_at });
    let unknown = |similar| answered(Answer::NotWatched { target: target("acme/wbe"), similar });
    vec![
        ("recheck_sent", sent(target("acme/web"), Some(now().minus(MINUTE * 4)))),
        ("recheck_before_the_first_check", sent(target("orgs/acme"), None)),
        ("not_monitored", unknown(Vec::new())),
        ("not_monitored_but_similar", unknown(vec![target("acme/api"), target("orgs/acme")])),
    ]
}

fn extremes() -> Vec<(&'static str, Answered)> {
    let many = |count: u64, make: &dyn Fn(u64) -> Runner| (1..=count).map(make).collect::<Vec<_>>();
    let longest = format!("{}/{}", "o".repeat(39), "r".repeat(100));
    let fleets = (1..=500).map(|number| {
        let make = |id: u64| if (id + number).is_multiple_of(10) { offline(id) } else { runner(id) };
        fleet(&format!("acme/repository-{number:03}"), many(4, &make))
    });
    let strange = [
        "*bold* _it_ ~no~ `code` <!channel> <@U1> & <https://x|y>",
        "admin\u{202E}gnp",
        "בונה-7",
        "🦀👩\u{200D}🔧",
        "a\nb\r\tc\u{0}",
        "",
    ];
    let named_so = |index: usize, name: &str| Runner {
        id: RunnerId(index as u64),
        name: name.to_owned(),
        labels: vec![name.to_owned(), "l".repeat(300)],
        os: name.to_owned(),
        ..offline(1)
    };
    let strange: Vec<Runner> = strange.iter().enumerate().map(|(index, name)| named_so(index, name)).collect();
    let history: Vec<(Target, Outage)> =
        (1..=200).map(|number| (target(&longest), ended(number % 40 + 1, HOUR, Ending::Recovered))).collect();
    vec![
        ("overview_of_500_targets", answered(Answer::Overview { fleets: fleets.collect() })),
        (
            "target_with_1000_runners",
            answered(Answer::Target { fleet: Box::new(fleet(&longest, many(1_000, &offline))) }),
        ),
        ("target_with_strange_names", answered(Answer::Target { fleet: Box::new(fleet("acme/web", strange.clone())) })),
        (
            "runner_with_a_strange_name",
            answered(Answer::Runners {
                scope: named(&strange[0].name),
                fleets: vec![fleet("acme/web", vec![strange[0].clone()])],
                similar: Vec::new(),
            }),
        ),
        (
            "history_of_4000_outages",
            answered(Answer::History {
                name: "`x`<y>".to_owned(),
                outages: history,
                total: 4_000,
                fleets: vec![fleet(&longest, strange)],
                similar: Vec::new(),
            }),
        ),
    ]
}

fn covered(runners: usize, pooled: usize, targets: usize) -> Covered {
    Covered { runners, pooled, pools: 0, targets }
}

/// Announcements in the channel of what a person has changed.
fn announcements() -> Vec<(&'static str, Reply)> {
    let with_reason =
        Announcement::Muted { mute: mute(named("gpu-*"), Some("new <disk>")), covered: covered(12, 0, 3) };
    let without = Announcement::Muted { mute: mute(named("build-7"), None), covered: covered(1, 0, 1) };
    let of_pooled = Announcement::Muted { mute: mute(named("gpu-1"), None), covered: covered(1, 1, 1) };
    let mute = mute(named("gpu-*"), None);
    let by = mute.by.clone();
    vec![
        ("announced_mute", Reply::announcement(&with_reason)),
        ("announced_mute_of_one", Reply::announcement(&without)),
        ("announced_mute_of_pooled", Reply::announcement(&of_pooled)),
        ("announced_unmute", Reply::announcement(&Announcement::Unmuted { mute, by })),
    ]
}

fn helps() -> Vec<(&'static str, Reply)> {
    let misunderstood = |command: &str, text: &str| match parse_command(command, text).0 {
        monitor_slack::incoming::Asked::Misunderstood(fault) => Reply::misunderstood(&fault),
        other => panic!("{command} {text}: {other:?}"),
    };
    let old = Misunderstanding { verb: None, fault: CommandFault::OldButton };
    vec![
        ("help", Reply::help()),
        ("dashboard", Reply::dashboard(Some(&Secret::new("https://runners.example.com/open?link=1800000600.7.00ff")))),
        ("no_dashboard", Reply::dashboard(None)),
        ("not_a_command", misunderstood("/runner-`reboot` <!here>", "now")),
        ("no_name", misunderstood(Verb::History.name(), "")),
        ("no_target", misunderstood(Verb::Recheck.name(), "")),
        ("not_a_target", misunderstood(Verb::Recheck.name(), "acme")),
        ("no_scope", misunderstood(Verb::Mute.name(), "")),
        ("no_duration", misunderstood(Verb::Mute.name(), "gpu")),
        ("duration_out_of_range", misunderstood(Verb::Mute.name(), "gpu 90d")),
        ("unknown_option", misunderstood(Verb::Status.name(), "--json")),
        ("too_much", misunderstood(Verb::StatusAll.name(), "acme/web")),
        ("too_long", misunderstood(Verb::Status.name(), &"x".repeat(400))),
        ("old_button", Reply::misunderstood(&old)),
    ]
}
