//! What a channel is asked for, and what it tells.

use super::Tick;
use super::rules::Place;
use crate::command::{Address, Command};

/// Read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read one granule.
    Read,
    /// Write one granule.
    Write,
}

/// One access to one granule of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Read or write.
    pub access: Access,
    /// Bank and row.
    pub address: Address,
    /// Column of the row, in granules.
    pub column: u32,
    /// Given back with the completion; no two requests need differ in it.
    pub tag: u64,
}

impl Request {
    /// Reads a granule; tag 0.
    pub const fn read(address: Address, column: u32) -> Self {
        Self { access: Access::Read, address, column, tag: 0 }
    }

    /// Writes a granule; tag 0.
    pub const fn write(address: Address, column: u32) -> Self {
        Self { access: Access::Write, address, column, tag: 0 }
    }

    /// The same with a tag.
    #[must_use]
    pub const fn tagged(self, tag: u64) -> Self {
        Self { tag, ..self }
    }
}

/// What became of an offered request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is in its queue.
    Queued,
    /// A read that is answered from the write queue.
    Forwarded,
    /// It goes with one for the same granule that waits already.
    Coalesced,
    /// The queue is full: offer it again when a place is free.
    Refused,
}

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The request.
    pub request: Request,
    /// The tick after which it was offered.
    pub arrived: Tick,
    /// When it is done: the last data of a read; the issue of a write.
    pub done: Tick,
}

/// For whom a command is.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A request. The address is the request's, also where the command closes another row.
    Request(&'a Request),
    /// Refresh of a node.
    Refresh(&'a Place),
}

/// Is told what a channel does.
pub trait Observer {
    /// A command is issued.
    fn issued(&mut self, tick: Tick, command: Command, target: Target<'_>) {
        let _ = (tick, command, target);
    }

    /// A request is done, now or (reads) at a tick to come. Reads are told in the order of their commands.
    fn completed(&mut self, completion: &Completion) {
        let _ = completion;
    }
}

/// Nobody listens.
impl Observer for () {}

/// Keeps completions.
impl Observer for Vec<Completion> {
    fn completed(&mut self, completion: &Completion) {
        self.push(*completion);
    }
}
