#![doc = include_str!("../README.md")]

pub mod availability;
pub mod change;
pub mod credential;
pub mod cycle;
pub mod decision;
pub mod fleet;
pub mod muting;
pub mod notifications;
pub mod observation;
pub mod outage;
pub mod overrides;
pub mod pace;
pub mod policy;
pub mod quote;
pub mod reconcile;
pub mod recording;
pub mod routing;
pub mod runner;
pub mod scope;
pub mod secret;
mod status;
pub mod subject;
pub mod target;
pub mod time;
pub mod versions;
pub mod watchlist;
