//! End-to-end tests of the program `runner-monitor`. Most of them wait for its clock, so they run in parallel.

mod bot;
mod commands;
mod daemon;
mod host;
mod hostile;
mod jobs;
mod slack_commands;
mod stopping;
