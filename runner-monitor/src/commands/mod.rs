//! The commands, one per file.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod copy;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod jobs;
pub(crate) mod overrides;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod web;
