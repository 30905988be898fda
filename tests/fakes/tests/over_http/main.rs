//! The fakes over real HTTP, used as the product uses them.

mod client;
mod github_app;
mod github_faults;
mod github_limits;
mod github_lists;
mod slack;
