#![doc = include_str!("../README.md")]
#![allow(clippy::unwrap_used, reason = "a violated property is reported by a panic")]

mod answer;
mod checks;
mod github;
mod messages;
mod names;
mod seeds;
mod settings;
mod slack;
mod stately;
mod stored;
mod text_checks;

pub use seeds::{Seed, seeds};

/// A fuzz target: checks properties of any input bytes, and panics if one does not hold.
pub type Target = fn(&[u8]);

/// All targets with their names, which are also the names of their folders in `corpus/`.
pub const TARGETS: [(&str, Target); 14] = [
    ("github_answers", github::answers),
    ("github_bodies", github::bodies),
    ("github_headers", github::headers),
    ("github_checks", checks::checks),
    ("item_fields", stored::fields),
    ("items", stored::items),
    ("messages", messages::messages),
    ("names", names::names),
    ("policy", settings::policy),
    ("settings", settings::settings),
    ("slack_answers", slack::answers),
    ("slack_requests", slack::requests),
    ("stately_answers", stately::answers::answers),
    ("stately_items", stately::items::items),
];
