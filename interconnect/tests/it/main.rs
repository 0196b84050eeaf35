//! Transfers against closed forms.

mod contention;
mod system;
mod unloaded;
