#![doc = include_str!("../README.md")]

pub mod aws;
mod chance;
pub mod github;
pub mod http;
pub mod server;
pub mod slack;
mod stalling;

pub use aws::FakeAws;
pub use chance::Chance;
pub use github::FakeGitHub;
pub use server::wall_clock_ms;
pub use slack::FakeSlack;
pub use stalling::Stalling;
