//! The scheduler as a Lambda.

fn main() {}
