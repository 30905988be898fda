//! The poller as a Lambda.

fn main() {}
