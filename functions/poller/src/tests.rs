//! Tests over the sample events.
