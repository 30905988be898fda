#![doc = include_str!("../README.md")]

pub mod faults;
pub mod installation;
pub mod invariants;
pub mod machine;
pub mod model;
pub mod operations;
pub mod outside;
pub mod record;
pub mod simulation;
pub mod store;
pub mod world;
