//! Outages, open and past, with a filter; and the same as CSV.

use std::time::Duration;

use maud::html;
use monitor_domain::time::Timestamp;
use serde::Deserialize;

use crate::layout::{Place, is_found, own_health, page};
use crate::snapshot::{MOST_OUTAGES, OutageOf, Snapshot, thread_address};
use crate::tables::{ending, outage_table, page_links, paged};
use crate::text::{counted, escaped, grouped};

/// The filter in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    /// Words that the runner's name, its labels or its target contain.
    pub(crate) q: String,
    /// Open ones, past ones, or both.
    pub(crate) state: Wanted,
    /// Only outages that were open within this many days.
    pub(crate) days: u32,
    /// The page of the list, from 1.
    pub(crate) page: usize,
}

/// Which outages are wanted, by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Wanted {
    #[default]
    #[serde(rename = "")]
    Any,
    #[serde(rename = "open")]
    Open,
    #[serde(rename = "past")]
    Past,
}

const STATES: [(Wanted, &str, &str); 3] =
    [(Wanted::Any, "", "Open and past"), (Wanted::Open, "open", "Open"), (Wanted::Past, "past", "Past")];
const DAYS: [(u32, &str); 5] =
    [(0, "All that are stored"), (1, "24 hours"), (7, "7 days"), (30, "30 days"), (90, "90 days")];

impl Filter {
    fn finds(&self, OutageOf { target, outage, .. }: &OutageOf, now: Timestamp) -> bool {
        let is_in_state = match self.state {
            Wanted::Open => outage.is_open(),
            Wanted::Past => !outage.is_open(),
            Wanted::Any => true,
        };
        let from = now.minus(Duration::from_secs(u64::from(self.days) * 86_400));
        let is_within = self.days == 0 || outage.resolved_at.is_none_or(|at| at >= from);
        let words = self.q.split_whitespace().take(20);
        is_in_state && is_within && is_found(words, target, &outage.runner_name, &outage.labels, None)
    }

    /// The outages that it finds, latest first.
    pub(crate) fn of<'a>(&self, outages: &'a [OutageOf], now: Timestamp) -> Vec<&'a OutageOf> {
        outages.iter().filter(|outage| self.finds(outage, now)).collect()
    }

    fn query(&self) -> String {
        let state = STATES.iter().find(|(wanted, ..)| *wanted == self.state).map_or("", |(_, value, _)| value);
        format!("q={}&state={state}&days={}", escaped(&self.q), self.days)
    }
}

/// The page.
pub(crate) fn outages_page(snapshot: &Snapshot, outages: &[OutageOf], filter: &Filter) -> String {
    let now = snapshot.now();
    let found = filter.of(outages, now);
    let open = found.iter().filter(|of| of.outage.is_open()).count();
    let title = match (found.len(), open) {
        (0, _) => "No outages".to_owned(),
        (count, 0) => format!("{}, none open", counted(count, "outage")),
        (count, open) => format!("{}, {} open", counted(count, "outage"), grouped(open)),
    };
    let shown = paged(&found, filter.page);
    let content = html! {
        (own_health(snapshot))
        h1 { (title) }
        form .filter method="get" action="/outages" role="search" {
            label { "Name, label or target" input type="search" name="q" value=(filter.q) maxlength="200"; }
            label { "State" select name="state" {
                @for (wanted, value, word) in STATES { option value=(value) selected[wanted == filter.state] { (word) } }
            } }
            label { "Time" select name="days" {
                @for (value, word) in DAYS { option value=(value) selected[value == filter.days] { (word) } }
            } }
            button type="submit" { "Search" }
            a href={ "/outages.csv?" (filter.query()) } { "CSV" }
            a href={ "/api/v1/outages?" (filter.query()) } { "JSON" }
        }
        (outage_table(shown, now, true, true))
        @if outages.len() == MOST_OUTAGES {
            p .lead { "These are the latest " (grouped(MOST_OUTAGES)) " outages. The JSON of a runner has all of its own." }
        }
        (page_links(found.len(), filter.page, |page| format!("/outages?{}&page={page}", filter.query())))
    };
    page(&title, Place::Outages, Some(snapshot), &content)
}

/// The outages as CSV (RFC 4180).
pub(crate) fn as_csv(outages: &[&OutageOf], now: Timestamp) -> String {
    let mut csv = "target,runner,runner_id,labels,status,in_job,started_at,resolved_at,duration_secs,ending,\
                   acknowledged_at,acknowledged_by,alert\r\n"
        .to_owned();
    for OutageOf { target, outage, note } in outages {
        let lasted = outage.resolved_at.unwrap_or(now).since(outage.started_at);
        let acknowledgement = note.acknowledgement.as_ref();
        let cells = [
            target.to_string(),
            outage.runner_name.clone(),
            outage.runner_id.to_string(),
            outage.labels.join(" "),
            outage.status.to_string(),
            outage.in_job.to_string(),
            outage.started_at.to_string(),
            outage.resolved_at.map(|at| at.to_string()).unwrap_or_default(),
            lasted.as_secs().to_string(),
            ending(outage).1.to_owned(),
            acknowledgement.map(|item| item.at.to_string()).unwrap_or_default(),
            acknowledgement.map(|item| item.by.shown().to_owned()).unwrap_or_default(),
            note.alert.as_ref().map(thread_address).unwrap_or_default(),
        ];
        csv.push_str(&cells.map(|cell| csv_cell(&cell)).join(","));
        csv.push_str("\r\n");
    }
    csv
}

/// A cell. A spreadsheet would take a text that begins with `=`, `+`, `-` or `@` for a formula.
fn csv_cell(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_never_a_formula() {
        let cells = ["a", "a,b", "a\"b", "=1+1", "-x", "a\nb"].map(csv_cell);
        assert_eq!(cells, ["a", "\"a,b\"", "\"a\"\"b\"", "'=1+1", "'-x", "\"a\nb\""]);
    }
}
