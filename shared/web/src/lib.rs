//! The page, the JSON API and the metrics of a store, and what they share with the commands of the program.

mod access;
mod fleet_page;
mod layout;
mod metrics;
mod outages_page;
mod runner_page;
mod server;
mod snapshot;
mod state;
mod tables;
mod target_page;
pub mod text;
pub mod view;
mod why;

pub use access::Access;
pub use server::{GitHubPage, Hosts, Options, router};
