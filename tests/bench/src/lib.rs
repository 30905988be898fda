#![doc = include_str!("../README.md")]

pub mod fleets;
pub mod workloads;
