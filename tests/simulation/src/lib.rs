#![doc = include_str!("../README.md")]

pub mod calendar;
pub mod capacity;
mod connection;
pub mod dispatch;
pub mod dynamodb;
mod events;
pub mod faults;
pub mod installation;
pub mod invariants;
pub mod jobs;
pub mod machine;
pub mod model;
pub mod network;
pub mod operations;
pub mod record;
pub mod shown;
pub mod simulation;
pub mod slack;
mod stately;
pub mod store;
pub mod targets;
mod workflows;
pub mod world;
