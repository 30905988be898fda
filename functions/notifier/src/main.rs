//! The notifier as a Lambda.

fn main() {}
