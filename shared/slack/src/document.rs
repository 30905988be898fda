//! A message before it takes a form: what is said, in order of urgency, without any markup.

use monitor_domain::time::Timestamp;
use monitor_pipeline::commands::PersonId;

use crate::text::clean;

/// GitHub allows 64 characters.
const MAX_NAME: usize = 80;
/// A reason in plain words.
const MAX_QUOTE: usize = 240;

/// One message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    /// Where: `acme/web`, put before the title of the whole where that begins with a name; empty where it is no place.
    pub(crate) place: String,
    /// Said before everything else, in a channel that the message was not meant for.
    pub(crate) heading: Option<Line>,
    /// What is told, most urgent first; never empty.
    pub(crate) parts: Vec<Part>,
    /// How many further parts there would be.
    pub(crate) omitted: usize,
    /// Figures and a link at the foot.
    pub(crate) footer: Option<Line>,
}

/// One piece of news.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) mark: Mark,
    pub(crate) title: Line,
    /// What the phone shows after the title, with what joins the two: ` since 21:05 UTC. Jobs will queue.`
    pub(crate) brief: Line,
    /// The news in one or two sentences.
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

/// A named detail.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) label: &'static str,
    pub(crate) value: Line,
}

/// Spans that make one line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(pub(crate) Vec<Span>);

/// A stretch of a line. Only `Name` comes from outside.
#[derive(Clone, Debug)]
pub(crate) enum Span {
    Text(String),
    Strong(&'static str),
    /// Cleaned and clipped when it is made.
    Name(String),
    Command(&'static str),
    /// A moment of what is told.
    At(Timestamp),
    /// A moment to come, or of another matter: always with its date.
    On(Timestamp),
    Link {
        label: &'static str,
        url: String,
    },
    /// Somebody, by the id that the chat gives them: capital letters and digits.
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

    /// A name that is not the main thing, cut shorter.
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
    /// Leaves out detail until everything takes at most `budget` by `cost`. Titles and leads stay; the first parts
    /// keep most.
    pub(crate) fn fit(mut self, budget: usize, cost: impl Fn(&Line) -> usize) -> Self {
        /// For "and 37 more" under a list, and the like.
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

impl Part {
    /// What stands under a list for the items that are not in it.
    pub(crate) fn remainder(&self) -> Option<String> {
        match (self.items.len(), self.total.saturating_sub(self.items.len())) {
            (_, 0) => None,
            (0, more) => Some(format!("{more} in all")),
            (_, more) => Some(format!("and {more} more")),
        }
    }
}
