//! Lists and scans, and their cost.

use monitor_stately::wire::scan::{BEGIN_SCAN, BeginScanRequest, CONTINUE_SCAN, ContinueScanRequest};
use monitor_stately::wire::{
    BeginListRequest, CelExpression, ContinueListRequest, Filter, FilterCondition, Item, KeyCondition, Operator,
    SortDirection, path,
};
use monitor_stately_server::{PrefixRule, State};
use serde_json::json;

use crate::support::{item, list, list_request, listed, product, put_as, put_request, request};

fn fill(state: &mut State, items: impl IntoIterator<Item = Item>) {
    let items: Vec<Item> = items.into_iter().collect();
    for batch in items.chunks(50) {
        put_as(state, &put_request(1, batch.iter().cloned())).unwrap();
    }
}

fn runner(id: u64) -> Item {
    item("Runner", json!({ "repoId": "acme/web", "runnerId": id.to_string(), "status": 5 }))
}

fn outage(runner: u64, id: u64) -> Item {
    let (runner, id) = (runner.to_string(), id.to_string());
    item("OutageEvent", json!({ "repoId": "acme/web", "runnerId": runner, "outageId": id, "status": 2 }))
}

fn change(repo: &str, revision: u64) -> Item {
    item("Change", json!({ "repoId": repo, "revision": revision.to_string() }))
}

fn with_repository(state: &mut State) {
    let fleet = [
        item("Repository", json!({ "repoId": "acme/web" })),
        item("LastSeen", json!({ "repoId": "acme/web", "slot": "1" })),
        item("Cursor", json!({ "repoId": "acme/web" })),
        item("Repository", json!({ "repoId": "acme/web-2" })),
    ];
    fill(state, fleet);
}

fn of_type(name: &str) -> Vec<FilterCondition> {
    vec![FilterCondition { value: Some(Filter::ItemType(name.to_owned())) }]
}

fn types(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.item_type.as_str()).collect()
}

/// The revisions of the listed items, in list order.
fn revisions(state: &mut State, message: &BeginListRequest) -> Result<Vec<u64>, String> {
    let mut request = request(path::BEGIN_LIST, message);
    request.headers.insert("sc-rf".to_owned(), "application/json".to_owned());
    let (items, _) = listed(&state.handle(&request))?;
    let revision = |item: &Item| crate::support::fields(item)["revision"].as_str().unwrap().parse().unwrap();
    Ok(items.iter().map(revision).collect())
}

#[test]
fn the_fleet_costs_the_same_with_any_history() {
    let mut state = product();
    with_repository(&mut state);
    fill(&mut state, (1..=10).map(runner));
    let fleet = list_request(1, "/fleet-acme%/web");
    let (before, _) = list(&mut state, &fleet).unwrap();
    assert_eq!(types(&before[..3]), ["Repository", "Cursor", "LastSeen"]);
    assert_eq!(before.len(), 13);
    fill(&mut state, (1..=10_000).map(|id| outage(id % 10 + 1, id)));
    fill(&mut state, (1..=1_000).map(|id| change("acme/web", id)));
    state.clear_calls();
    assert_eq!(list(&mut state, &fleet).unwrap().0, before);
    assert_eq!(state.calls().map(|call| call.items_read).collect::<Vec<_>>(), [13]);
    // Under the same prefix as the outages, a filter reduces the returned items but not the items read.
    let runners =
        BeginListRequest { filter_conditions: of_type("Runner"), ..list_request(1, "/repo-acme%/web/runner-") };
    assert_eq!(list(&mut state, &runners).unwrap().0.len(), 10);
    assert_eq!(state.calls().last().unwrap().items_read, 10_010);
}

#[test]
fn changes_are_listed_by_number_within_bounds_in_both_directions() {
    let mut state = product();
    fill(&mut state, [9, 100, 1, 11, 2, 10].map(|revision| change("acme/web", revision)));
    fill(&mut state, [change("acme/we", 5), change("acme/web-2", 6), runner(3)]);
    let prefix = "/repo-acme%/web/change-";
    let bounded = |bounds: &[(Operator, u64)], direction: SortDirection| BeginListRequest {
        key_conditions: bounds
            .iter()
            .map(|(operator, revision)| KeyCondition {
                key_path: format!("{prefix}{revision}"),
                operator: (*operator).into(),
            })
            .collect(),
        sort_direction: direction.into(),
        ..list_request(1, prefix)
    };
    use Operator::{GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual, Unspecified};
    use SortDirection::{Ascending, Descending};
    let mut of = |bounds: &[(Operator, u64)], direction| revisions(&mut state, &bounded(bounds, direction));
    assert_eq!(of(&[], Ascending).unwrap(), [1, 2, 9, 10, 11, 100]);
    assert_eq!(of(&[], Descending).unwrap(), [100, 11, 10, 9, 2, 1]);
    assert_eq!(of(&[(GreaterThan, 9)], Ascending).unwrap(), [10, 11, 100]);
    assert_eq!(of(&[(GreaterThanOrEqual, 9), (LessThan, 11)], Descending).unwrap(), [10, 9]);
    assert_eq!(of(&[(LessThanOrEqual, 2)], Ascending).unwrap(), [1, 2]);
    assert_eq!(of(&[(GreaterThan, 50), (LessThan, 20)], Ascending).unwrap(), [0; 0]);
    assert_eq!(of(&[(GreaterThan, 1), (GreaterThan, 2)], Ascending).unwrap_err(), "InvalidArgument");
    assert_eq!(of(&[(Unspecified, 1)], Ascending).unwrap_err(), "InvalidArgument");
    let mut outside = bounded(&[], Ascending);
    outside.key_conditions =
        vec![KeyCondition { key_path: "/repo-acme%/we/change-1".to_owned(), operator: GreaterThan.into() }];
    assert_eq!(revisions(&mut state, &outside).unwrap_err(), "InvalidArgument");
}

#[test]
fn a_list_continues_where_it_stopped_by_limit_or_by_page() {
    let mut state = product();
    fill(&mut state, (1..=250).map(|revision| change("acme/web", revision)));
    for (limit, page_items, direction) in [
        (0, 0, SortDirection::Ascending),
        (7, 0, SortDirection::Descending),
        (0, 40, SortDirection::Ascending),
        (30, 40, SortDirection::Descending),
    ] {
        state.settings.page_items = page_items;
        let begin =
            BeginListRequest { limit, sort_direction: direction.into(), ..list_request(1, "/repo-acme%/web/change-") };
        let (mut items, mut token) = list(&mut state, &begin).unwrap();
        let mut requests = 1;
        while token.can_continue {
            assert!(!token.token_data.is_empty() && token.schema_version_id == 1);
            let go_on = ContinueListRequest {
                token_data: token.token_data.clone(),
                schema_version_id: 1,
                ..ContinueListRequest::default()
            };
            let (more, next) = listed(&state.handle(&request(path::CONTINUE_LIST, &go_on))).unwrap();
            items.extend(more);
            token = next;
            requests += 1;
        }
        let per_request = [limit as usize, page_items].into_iter().filter(|most| *most > 0).min().unwrap_or(250);
        assert_eq!(requests, 250_usize.div_ceil(per_request));
        items.dedup();
        assert_eq!(items.len(), 250);
    }
    let other = ContinueListRequest { token_data: vec![64, 1], schema_version_id: 2, ..ContinueListRequest::default() };
    let code = listed(&state.handle(&request(path::CONTINUE_LIST, &other))).unwrap_err();
    assert_eq!(code, "SchemaVersionMismatch");
    let broken = ContinueListRequest { token_data: vec![255], schema_version_id: 1, ..ContinueListRequest::default() };
    assert_eq!(listed(&state.handle(&request(path::CONTINUE_LIST, &broken))).unwrap_err(), "InvalidArgument");
}

#[test]
fn the_end_of_a_prefix_is_text_or_a_segment() {
    let mut state = product();
    fill(&mut state, [7, 70, 8].map(runner));
    fill(&mut state, [outage(7, 1), outage(70, 2)]);
    let count = |state: &mut State, prefix: &str| list(state, &list_request(1, prefix)).unwrap().0.len();
    assert_eq!(count(&mut state, "/repo-acme%/web/runner-7"), 4);
    assert_eq!(count(&mut state, "/repo-acme%/web/runner-7/outage-"), 1);
    state.settings.prefix_rule = PrefixRule::Segments;
    assert_eq!(count(&mut state, "/repo-acme%/web/runner-7"), 2);
    assert_eq!(count(&mut state, "/repo-acme%/web/runner-7/outage-"), 1);
    assert_eq!(count(&mut state, "/repo-acme%/web/runner-"), 5);
    for bad in ["", "/repo", "/repo-/x", "repo-a"] {
        assert_eq!(list(&mut state, &list_request(1, bad)).unwrap_err(), "InvalidArgument", "{bad}");
    }
}

#[test]
fn filters_by_type_are_alternatives_and_expressions_are_not_supported() {
    let mut state = product();
    with_repository(&mut state);
    fill(&mut state, [runner(1), outage(1, 2), change("acme/web", 1)]);
    let filtered = |filters: Vec<FilterCondition>| BeginListRequest {
        filter_conditions: filters,
        ..list_request(1, "/repo-acme%/web")
    };
    let two = [of_type("Runner"), of_type("Change")].concat();
    assert_eq!(types(&list(&mut state, &filtered(two)).unwrap().0), ["Change", "Runner"]);
    assert_eq!(list(&mut state, &filtered(of_type("Dog"))).unwrap_err(), "InvalidArgument");
    let expression = CelExpression { item_type: "Runner".to_owned(), expression: "true".to_owned() };
    let cel = vec![FilterCondition { value: Some(Filter::CelExpression(expression)) }];
    assert_eq!(list(&mut state, &filtered(cel)).unwrap_err(), "unimplemented");
}

#[test]
fn a_scan_finds_every_item_of_a_type_once() {
    let mut state = product();
    with_repository(&mut state);
    fill(&mut state, (1..=5).map(runner));
    state.settings.page_items = 3;
    let begin = BeginScanRequest {
        store_id: 1,
        filter_conditions: of_type("Repository"),
        schema_version_id: 1,
        ..BeginScanRequest::default()
    };
    let (mut items, mut token) = listed(&state.handle(&request(BEGIN_SCAN, &begin))).unwrap();
    while token.can_continue {
        let go_on = ContinueScanRequest { token_data: token.token_data, schema_version_id: 1, schema_id: 0 };
        let (more, next) = listed(&state.handle(&request(CONTINUE_SCAN, &go_on))).unwrap();
        items.extend(more);
        token = next;
    }
    assert_eq!(types(&items), ["Repository", "Repository"]);
    assert_eq!(state.calls().map(|call| call.items_read).sum::<usize>(), 9);
    let as_list = ContinueListRequest { token_data: token.token_data, schema_version_id: 1, ..Default::default() };
    assert_eq!(listed(&state.handle(&request(path::CONTINUE_LIST, &as_list))).unwrap_err(), "InvalidArgument");
}
