//! The client against a GitHub over HTTP.

mod app;
mod faults;
mod groups;
mod incomplete;
mod limits;
mod lists;
mod polling;
mod probe;
mod repositories;
mod script;
mod scripted;
mod versions;
mod world;
