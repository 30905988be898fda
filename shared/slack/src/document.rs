//! The content of a message, most urgent part first, independent of its form and without markup.

use monitor_domain::time::Timestamp;
use monitor_pipeline::person::PersonId;

use crate::text::clean;

/// The longest name; GitHub allows 64 characters.
const MAX_NAME: usize = 80;
/// The longest quoted reason.
const MAX_QUOTE: usize = 240;

/// One message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    /// The target, for example `acme/web`: precedes the first title if that begins with a name. Empty if there is none.
    pub(crate) place: String,
    /// The first line, if the message was meant for another channel.
    pub(crate) heading: Option<Line>,
    /// The notification items, most urgent first; never empty.
    pub(crate) parts: Vec<Section>,
    /// The number of further parts that were left out.
    pub(crate) omitted: usize,
    /// Counts and a link, at the end.
    pub(crate) footer: Option<Line>,
}

/// One notification item.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    pub(crate) mark: Mark,
    pub(crate) title: Line,
    /// Whether the title needs the target before it, as one that begins with a runner's name does.
    pub(crate) lacks_target: bool,
    /// What the notification line adds to the title, with the joining punctuation: ` since 21:05 UTC. Jobs will queue.`
    pub(crate) brief: Line,
    /// The item in one or two sentences.
    pub(crate) lead: Line,
    pub(crate) facts: Vec<Fact>,
    /// The first of `total` items.
    pub(crate) items: Vec<Line>,
    pub(crate) total: usize,
    /// What to do, most promising first.
    pub(crate) advice: Vec<Line>,
    pub(crate) link: Option<Line>,
}

/// How urgent a part is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mark {
    Alarm,
    Warning,
    Good,
    #[default]
    Info,
}

impl Mark {
    /// The emoji before a title. Their shapes differ as well, for readers who cannot distinguish red from green.
    pub(crate) fn emoji(self) -> &'static str {
        match self {
            Mark::Alarm => "🔴",
            Mark::Warning => "⚠️",
            Mark::Good => "✅",
            Mark::Info => "ℹ️",
        }
    }
}

/// A named detail.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) label: &'static str,
    pub(crate) value: Line,
}

/// The spans of one line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(pub(crate) Vec<Span>);

/// A piece of a line. Only `Name` holds external text.
#[derive(Clone, Debug)]
pub(crate) enum Span {
    Text(String),
    Strong(&'static str),
    /// Cleaned and clipped on construction.
    Name(String),
    Command(&'static str),
    /// A time of the event itself: written without its date if it is on the same day as the latest one.
    At(Timestamp),
    /// A future time, or the time of something else: always with its date.
    On(Timestamp),
    Link {
        label: &'static str,
        url: String,
    },
    /// A person, by their id in the chat: capital letters and digits.
    Person(PersonId),
}

impl Line {
    pub(crate) fn of(text: impl Into<String>) -> Self {
        Self::default().text(text)
    }

    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Span::Text(text.into()));
        self
    }

    pub(crate) fn strong(mut self, text: &'static str) -> Self {
        self.0.push(Span::Strong(text));
        self
    }

    pub(crate) fn name(mut self, raw: &str) -> Self {
        self.0.push(Span::Name(clean(raw, MAX_NAME)));
        self
    }

    /// A less important name, cut at `max`.
    pub(crate) fn short_name(mut self, raw: &str, max: usize) -> Self {
        self.0.push(Span::Name(clean(raw, max)));
        self
    }

    pub(crate) fn quote(mut self, raw: &str) -> Self {
        self.0.push(Span::Name(clean(raw, MAX_QUOTE)));
        self
    }

    pub(crate) fn command(mut self, command: &'static str) -> Self {
        self.0.push(Span::Command(command));
        self
    }

    pub(crate) fn at(mut self, moment: Timestamp) -> Self {
        self.0.push(Span::At(moment));
        self
    }

    pub(crate) fn on(mut self, moment: Timestamp) -> Self {
        self.0.push(Span::On(moment));
        self
    }

    pub(crate) fn link(mut self, label: &'static str, url: String) -> Self {
        self.0.push(Span::Link { label, url });
        self
    }

    pub(crate) fn person(mut self, person: &PersonId) -> Self {
        self.0.push(Span::Person(person.clone()));
        self
    }

    pub(crate) fn and(mut self, mut other: Line) -> Self {
        self.0.append(&mut other.0);
        self
    }
}

impl Document {
    /// Leaves out details until the total `cost` is at most `budget`. Titles and leads stay; the first parts keep the
    /// most details.
    pub(crate) fn fit(mut self, budget: usize, cost: impl Fn(&Line) -> usize) -> Self {
        /// Room for "and 37 more" under a list, and similar lines.
        const REMAINDER: usize = 40;
        let kept = self.parts.iter().map(|part| cost(&part.title) + cost(&part.lead) + REMAINDER);
        let foot = self.footer.iter().chain(&self.heading).map(&cost).sum::<usize>() + REMAINDER;
        let mut spare = budget.saturating_sub(kept.sum::<usize>() + foot);
        let mut take = |wanted: usize| {
            let fits = wanted <= spare;
            spare -= if fits { wanted } else { 0 };
            fits
        };
        for part in &mut self.parts {
            let facts = part.facts.iter().map(|fact| fact.label.len() + cost(&fact.value));
            if !take(facts.sum()) {
                part.facts.clear();
            }
            part.link.take_if(|link| !take(cost(link)));
            part.advice.retain(|advice| take(cost(advice)));
            let fitting = part.items.iter().take_while(|item| take(cost(item))).count();
            part.items.truncate(fitting);
        }
        self
    }
}

impl Section {
    /// The line under a list for the items that were left out.
    pub(crate) fn remainder(&self) -> Option<String> {
        match (self.items.len(), self.total.saturating_sub(self.items.len())) {
            (_, 0) => None,
            (0, more) => Some(format!("{more} in all")),
            (_, more) => Some(format!("and {more} more")),
        }
    }
}
