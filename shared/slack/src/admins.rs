//! Who may set longer and wider mutes: the people and user groups that the settings list.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use monitor_domain::muting::Authority;
use monitor_domain::time::Timestamp;
use monitor_pipeline::person::PersonId;
use tracing::warn;

use crate::bot::Bot;
use crate::messenger::Messenger;

/// How long the members of the user groups are cached.
const KEEP: Duration = Duration::from_secs(300);

/// The admins listed in the settings.
#[derive(Debug, Default)]
pub struct Admins {
    people: BTreeSet<String>,
    groups: Vec<String>,
    bot: Option<Bot>,
    /// The members of all groups, and when they were fetched.
    members: Mutex<Option<(Timestamp, BTreeSet<String>)>>,
}

impl Admins {
    /// People and user groups by their ids; ids of groups begin with `S`. A bot fetches the members of a group.
    pub fn new(ids: &[String], messenger: Option<&Messenger>) -> Self {
        let bot = if let Some(Messenger::Bot(bot)) = messenger { Some(bot.clone()) } else { None };
        let (groups, people): (Vec<String>, Vec<String>) = ids.iter().cloned().partition(|id| id.starts_with('S'));
        Self { people: people.into_iter().collect(), groups, bot, members: Mutex::default() }
    }

    /// What a person may mute.
    pub(crate) async fn authority_of(&self, person: &PersonId, now: Timestamp) -> Authority {
        if self.people.is_empty() && self.groups.is_empty() {
            return Authority::NoAdmins;
        }
        if self.people.contains(person.as_str()) {
            return Authority::Admin;
        }
        if self.groups.is_empty() {
            return Authority::Member;
        }
        match self.is_member(person, now).await {
            Some(true) => Authority::Admin,
            Some(false) => Authority::Member,
            None => Authority::Unknown,
        }
    }

    /// Whether a person is in one of the groups; `None` if Slack does not answer.
    async fn is_member(&self, person: &PersonId, now: Timestamp) -> Option<bool> {
        let cached = {
            let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            let is_fresh = |read_at: Timestamp| read_at <= now && now.since(read_at) < KEEP;
            members.as_ref().filter(|(read_at, _)| is_fresh(*read_at)).map(|(_, all)| all.contains(person.as_str()))
        };
        if cached.is_some() {
            return cached;
        }
        let bot = self.bot.as_ref()?;
        let mut all = BTreeSet::new();
        for group in &self.groups {
            match bot.members_of(group).await {
                Ok(members) => all.extend(members),
                Err(error) => {
                    warn!(%error, "could not read the members of a user group in SLACK_ADMINS");
                    return None;
                }
            }
        }
        let is_member = all.contains(person.as_str());
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, all));
        Some(is_member)
    }
}
