#![doc = include_str!("../README.md")]

pub mod github;
pub mod http;
mod server;
pub mod slack;

pub use github::FakeGitHub;
pub use server::wall_clock_ms;
pub use slack::FakeSlack;
