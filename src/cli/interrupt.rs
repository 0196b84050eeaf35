//! Ctrl-C.

use super::{INTERRUPTED, progress};
use crate::output;

/// Calls `first` at the first Ctrl-C; a second one ends the process with nothing half written.
pub(super) fn listen(first: impl Fn() + Send + 'static) {
    let mut interrupts = 0;
    let heard = ctrlc::set_handler(move || {
        interrupts += 1;
        if interrupts > 1 {
            progress::erase();
            output::abandon(i32::from(INTERRUPTED));
        }
        first();
    });
    if let Err(error) = heard {
        tracing::warn!(%error, "Ctrl-C ends the process at once: no handler could be set");
    }
}
