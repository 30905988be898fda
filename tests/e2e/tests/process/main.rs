//! The program `runner-monitor` from outside. Most of these tests wait for its clock: they run side by side.

mod bot;
mod commands;
mod daemon;
mod host;
mod hostile;
mod slack_commands;
mod stopping;
