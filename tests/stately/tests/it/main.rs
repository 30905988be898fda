//! The server from outside: what it does with items, what it speaks, and the trouble that it makes.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod protocols;
mod rules;
mod scanning;
mod support;
mod transactions;
mod trouble;
