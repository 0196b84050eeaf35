//! The one protocol between whoever needs a resource and the resource: a request, and the answer when it is served.
//!
//! Memories serve bytes, pools of cores serve operations. The asker does not know what kind of actor answers.

use crate::actor::Port;
use crate::time::Rate;

/// Asks a resource for `amount` (bytes or operations).
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// How much: bytes or operations.
    pub amount: u64,
    /// The fastest the asker can take it, where that is less than the whole resource.
    pub cap: Option<Rate>,
    /// Comes back in the answer.
    pub tag: u64,
    /// Where the answer goes.
    pub reply: Port<Served>,
}

/// The request with this tag has been served in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The tag of the request.
    pub tag: u64,
}
