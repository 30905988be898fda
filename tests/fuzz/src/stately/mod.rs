//! StatelyDB's answers and the items in them.

pub(crate) mod answers;
pub(crate) mod items;
