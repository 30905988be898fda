//! The one-machine program.
fn main() {}
