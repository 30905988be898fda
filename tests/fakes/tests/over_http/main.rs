//! The fakes asked over real HTTP, as the product asks them.

mod client;
mod github_app;
mod github_faults;
mod github_limits;
mod github_lists;
mod slack;
