//! Tests of the server through its public interface: items, protocols and injected faults.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod protocols;
mod rules;
mod scanning;
mod support;
mod transactions;
mod trouble;
