//! The page, the JSON API and the metrics of a store, and what they share with the commands of the program.

pub mod history;
pub mod text;
pub mod view;
