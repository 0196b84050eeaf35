//! Transfers against closed forms.

mod contention;
mod random;
mod system;
mod unloaded;
