//! A queue's logic as a plain value: calls carry the time, and deliveries are returned.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use monitor_pipeline::ports::{Delivery, Outgoing, QueueError};

/// How long a FIFO queue remembers a deduplication id (SQS: 5 minutes from the accepted message).
const DEDUPLICATION: Duration = Duration::from_secs(300);
/// The longest delay and the longest visibility timeout of a message (SQS: 15 minutes and 12 hours).
const LONGEST_DELAY: Duration = Duration::from_secs(900);
const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 3_600);
/// How many dead-lettered messages are kept: the latest ones.
const DEAD_KEPT: usize = 1_000;

/// The kind of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any order; messages may be delayed.
    Standard,
    /// In order within a group, without duplicates.
    Fifo,
}

/// The settings of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Standard or FIFO.
    pub kind: Kind,
    /// How often a message is delivered before it is dead-lettered; at least 1.
    pub max_receive_count: u32,
}

/// How many messages a queue has, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Due now; a FIFO group may still block them.
    pub visible: usize,
    /// Sent with a delay that has not passed.
    pub delayed: usize,
    /// Delivered, and neither deleted nor due again.
    pub in_flight: usize,
    /// Dead-lettered and still kept.
    pub dead: usize,
}

/// A message that was delivered as often as allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message's text.
    pub body: String,
    /// The message's group; FIFO only.
    pub group: Option<String>,
    /// How often it was delivered.
    pub receive_count: u32,
}

/// A queue's state. Times are durations since an arbitrary start, and never go back.
///
/// A call visits each message at most once: meant for tens of thousands of messages, not for millions.
#[derive(Clone, Debug)]
pub struct QueueState {
    settings: QueueSettings,
    /// By number, in the order in which they were sent.
    messages: BTreeMap<u64, Message>,
    sent: u64,
    /// When each de-duplication id was first used.
    known_ids: BTreeMap<String, Duration>,
    dead: VecDeque<DeadLetter>,
}

#[derive(Clone, Debug)]
struct Message {
    body: String,
    group: Option<String>,
    visible_at: Duration,
    receive_count: u32,
}

impl Message {
    fn is_in_flight(&self, now: Duration) -> bool {
        self.receive_count > 0 && self.visible_at > now
    }
}

impl QueueState {
    /// An empty queue.
    pub fn new(settings: QueueSettings) -> Self {
        let (messages, known_ids, dead) = Default::default();
        Self { settings, messages, sent: 0, known_ids, dead }
    }

    /// Accepts all messages or none. Refuses what SQS would refuse.
    pub fn send(&mut self, now: Duration, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        messages.iter().try_for_each(|message| self.accepts(message))?;
        self.known_ids.retain(|_, first_used| now.saturating_sub(*first_used) < DEDUPLICATION);
        for Outgoing { body, delay, group, deduplication_id } in messages {
            if let Some(id) = deduplication_id {
                if self.known_ids.contains_key(&id) {
                    continue;
                }
                self.known_ids.insert(id, now);
            }
            self.sent += 1;
            let message = Message { body, group, visible_at: now.saturating_add(delay), receive_count: 0 };
            self.messages.insert(self.sent, message);
        }
        Ok(())
    }

    fn accepts(&self, message: &Outgoing) -> Result<(), QueueError> {
        let Outgoing { delay, group, deduplication_id, .. } = message;
        let refusal = match self.settings.kind {
            Kind::Standard if *delay > LONGEST_DELAY => "a delay must be at most 15 minutes",
            Kind::Standard if group.is_some() => "a standard queue has no groups; send without one",
            Kind::Standard if deduplication_id.is_some() => {
                "a standard queue takes no deduplication id; send without one"
            }
            Kind::Fifo if !delay.is_zero() => "a FIFO queue cannot delay a single message; send without a delay",
            Kind::Fifo if group.is_none() => "a FIFO message must have a group",
            Kind::Fifo if deduplication_id.is_none() => "a FIFO message must have a deduplication id",
            _ => return Ok(()),
        };
        Err(QueueError(format!("the message is refused: {refusal}")))
    }

    /// Delivers up to `max` messages and hides them for `visibility`. Dead-letters those that were delivered
    /// `max_receive_count` times.
    pub fn receive(&mut self, now: Duration, max: usize, visibility: Duration) -> Vec<Delivery> {
        let blocked_groups = self.groups_in_flight(now);
        let (mut handed_out, mut spent) = (Vec::new(), Vec::new());
        for (&number, message) in &mut self.messages {
            if handed_out.len() == max {
                break;
            }
            let is_blocked = message.group.as_ref().is_some_and(|group| blocked_groups.contains(group));
            if is_blocked || message.visible_at > now {
                continue;
            }
            if message.receive_count >= self.settings.max_receive_count {
                spent.push(number);
                continue;
            }
            message.receive_count += 1;
            message.visible_at = now.saturating_add(visibility.min(LONGEST_VISIBILITY));
            handed_out.push(Delivery {
                body: message.body.clone(),
                receipt: format!("{number}.{}", message.receive_count),
                receive_count: message.receive_count,
                group: message.group.clone(),
            });
        }
        spent.into_iter().for_each(|number| self.dead_letter(number));
        handed_out
    }

    /// Deletes a message. On a standard queue this still works after its visibility timeout, until it is delivered
    /// again.
    pub fn delete(&mut self, now: Duration, receipt: &str) {
        let is_late_allowed = self.settings.kind == Kind::Standard;
        let valid = self.received(receipt).filter(|(_, message)| is_late_allowed || message.is_in_flight(now));
        if let Some(number) = valid.map(|(number, _)| number) {
            self.messages.remove(&number);
        }
    }

    /// Hides a message in flight for `delay` from now, instead of the rest of its visibility timeout.
    pub fn release(&mut self, now: Duration, receipt: &str, delay: Duration) {
        if let Some((_, message)) = self.received(receipt).filter(|(_, message)| message.is_in_flight(now)) {
            message.visible_at = now.saturating_add(delay.min(LONGEST_VISIBILITY));
        }
    }

    /// When the next hidden message becomes due; `None` if none is hidden.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        self.messages.values().map(|message| message.visible_at).filter(|due| *due > now).min()
    }

    /// The number of messages by state.
    pub fn depth(&self, now: Duration) -> Depth {
        let mut depth = Depth { dead: self.dead.len(), ..Depth::default() };
        for message in self.messages.values() {
            match (message.visible_at > now, message.receive_count) {
                (false, _) => depth.visible += 1,
                (true, 0) => depth.delayed += 1,
                (true, _) => depth.in_flight += 1,
            }
        }
        depth
    }

    /// The dead-lettered messages, oldest first; at most the latest thousand.
    pub fn dead(&self) -> impl Iterator<Item = &DeadLetter> {
        self.dead.iter()
    }

    fn groups_in_flight(&self, now: Duration) -> BTreeSet<String> {
        let in_flight = self.messages.values().filter(|message| message.is_in_flight(now));
        in_flight.filter_map(|message| message.group.clone()).collect()
    }

    /// The message that a receipt names, unless it was delivered again since.
    fn received(&mut self, receipt: &str) -> Option<(u64, &mut Message)> {
        let (number, count) = receipt.split_once('.')?;
        let (number, count): (u64, u32) = (number.parse().ok()?, count.parse().ok()?);
        let message = self.messages.get_mut(&number)?;
        (message.receive_count == count).then_some((number, message))
    }

    fn dead_letter(&mut self, number: u64) {
        if let Some(Message { body, group, receive_count, .. }) = self.messages.remove(&number) {
            if self.dead.len() == DEAD_KEPT {
                self.dead.pop_front();
            }
            self.dead.push_back(DeadLetter { body, group, receive_count });
        }
    }
}
