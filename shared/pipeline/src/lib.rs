#![doc = include_str!("../README.md")]

pub mod items;
pub mod ports;
