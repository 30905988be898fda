#![doc = include_str!("../README.md")]

pub mod change;
pub mod credential;
pub mod decision;
pub mod fleet;
pub mod notices;
pub mod observation;
pub mod outage;
pub mod policy;
pub mod quote;
pub mod reconcile;
pub mod runner;
pub mod scope;
pub mod subject;
pub mod target;
pub mod time;
pub mod watchlist;
