//! The client against a GitHub over HTTP.

mod app;
mod examine;
mod faults;
mod incomplete;
mod limits;
mod lists;
mod repositories;
mod script;
mod scripted;
mod world;
