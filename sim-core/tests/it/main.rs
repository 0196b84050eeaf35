//! What a run of actors does, and how it fails.

mod failures;
mod order;
mod random_streams;
mod sharing;
mod threads;
mod timers;
