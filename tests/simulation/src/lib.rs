#![doc = include_str!("../README.md")]

pub mod faults;
mod happens;
pub mod installation;
pub mod invariants;
pub mod machine;
pub mod model;
pub mod operations;
pub mod outside;
pub mod record;
pub mod simulation;
pub mod slack;
mod stately;
pub mod store;
pub mod world;
