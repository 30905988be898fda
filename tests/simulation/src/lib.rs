#![doc = include_str!("../README.md")]

pub mod faults;
pub mod invariants;
pub mod machine;
pub mod operations;
pub mod record;
pub mod simulation;
pub mod world;
