//! The commands, one per file.

pub(crate) mod check;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod history;
pub(crate) mod run;
pub(crate) mod status;
