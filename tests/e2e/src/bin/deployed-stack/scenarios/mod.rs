//! The scenarios of the deployed stack. Each has its own stack.

mod commands;
mod costs;
mod figures;
mod github;
mod jobs;
mod kills;
mod queues;
mod schedule;
mod settings;
mod slack;

use std::pin::Pin;

use crate::world::{Setting, World};

type Playing<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

/// Where the stack's records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    StatelyDb,
    DynamoDb,
}

/// A scenario of the deployed stack.
#[derive(Clone)]
pub(crate) struct Scenario {
    /// The name: a sentence with `_` between the words.
    pub(crate) name: &'static str,
    /// The store that it reads or makes fail; `None` if it does not matter.
    pub(crate) needs: Option<Records>,
    /// The settings of its stack.
    pub(crate) setting: fn() -> Setting,
    /// The scenario itself.
    pub(crate) run: for<'a> fn(&'a World) -> Playing<'a>,
}

impl Scenario {
    fn needing(self, records: Records) -> Self {
        Self { needs: Some(records), ..self }
    }
}

/// A scenario from an async function of the same name, and a setting other than the default one.
macro_rules! scenario {
    ($name:ident) => {
        scenario!($name, $crate::world::Setting::default)
    };
    ($name:ident, $setting:expr) => {
        $crate::scenarios::Scenario {
            name: stringify!($name),
            needs: None,
            setting: $setting,
            run: |world| Box::pin($name(world)),
        }
    };
}
pub(crate) use scenario;

/// All scenarios, the longest first.
pub(crate) fn all() -> Vec<Scenario> {
    [
        kills::all(),
        github::all(),
        slack::all(),
        queues::all(),
        schedule::all(),
        commands::all(),
        jobs::all(),
        settings::all(),
        figures::all(),
        costs::all(),
    ]
    .concat()
}
