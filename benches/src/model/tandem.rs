//! A line of 16 stages. Each has room for four items and serves one at a time; an item moves on only with a credit of
//! the next stage, and leaves a credit behind. What backpressure costs.

use serde::{Deserialize, Serialize};

use super::{Actor, Outbox, System, split_mix};

const STAGES: u32 = 16;
/// Room in front of each stage.
const ROOM: u8 = 4;
/// Ticks that an item or a credit travels.
const WIRE: u64 = 100;
/// An item takes about 850 ticks per stage, and three messages.
pub(super) const TICKS_PER_EVENT: u64 = 17;

/// What a stage is told.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Message {
    /// An item, by number.
    Item(u16),
    /// The next stage has room for one more.
    Credit,
    /// The service is over.
    Done,
}

/// A stage.
#[derive(Debug)]
pub struct Tandem {
    number: u32,
    waiting: [u16; ROOM as usize],
    first: u8,
    count: u8,
    /// The item in service, or served and waiting for a credit.
    serving: Option<u16>,
    served: bool,
    credits: u8,
    /// The source's next item.
    next: u16,
    random: u64,
    events: u64,
    seen: u64,
    end: u64,
}

impl Tandem {
    /// The line until `end`. Stage 0 is fed by a source that always has an item; the last one's items leave freely.
    pub fn system(end: u64) -> System<Self> {
        let stage = |number| Self {
            number,
            waiting: [0; ROOM as usize],
            first: 0,
            count: 0,
            serving: None,
            served: false,
            credits: ROOM,
            next: 0,
            random: u64::from(number),
            events: 0,
            seen: 0,
            end,
        };
        System { actors: (0..STAGES).map(stage).collect(), starts: vec![(0, 1, Message::Item(0))] }
    }

    /// Begins a service where there is an item and nobody is served.
    fn begin(&mut self, outbox: &mut impl Outbox<Message>) {
        if self.serving.is_some() || self.count == 0 {
            return;
        }
        self.serving = Some(self.waiting[usize::from(self.first % ROOM)]);
        (self.first, self.count) = ((self.first + 1) % ROOM, self.count - 1);
        let service = 500 + split_mix(&mut self.random) % 500;
        outbox.send(self.number, service, Message::Done);
        if self.number == 0 {
            self.next = self.next.wrapping_add(1);
            outbox.send(0, WIRE, Message::Item(self.next));
        } else {
            outbox.send(self.number - 1, WIRE, Message::Credit);
        }
    }

    /// Sends a served item on where there is a credit.
    fn forward(&mut self, now: u64, outbox: &mut impl Outbox<Message>) {
        let Some(item) = self.serving.filter(|_| self.served && self.credits > 0) else { return };
        self.seen = self.seen.wrapping_mul(31).wrapping_add(now ^ u64::from(item));
        (self.serving, self.served) = (None, false);
        if self.number + 1 < STAGES {
            self.credits -= 1;
            outbox.send(self.number + 1, WIRE, Message::Item(item));
        }
        self.begin(outbox);
    }
}

impl Actor for Tandem {
    type Message = Message;

    #[inline(always)]
    fn handle(&mut self, now: u64, message: Message, outbox: &mut impl Outbox<Message>) {
        if now >= self.end {
            return;
        }
        self.events += 1;
        match message {
            Message::Item(item) => {
                self.waiting[usize::from((self.first + self.count) % ROOM)] = item;
                self.count += 1;
                self.begin(outbox);
            }
            Message::Credit => {
                self.credits += 1;
                self.forward(now, outbox);
            }
            Message::Done => {
                self.served = true;
                self.forward(now, outbox);
            }
        }
    }

    fn events(&self) -> u64 {
        self.events
    }

    fn digest(&self) -> u64 {
        self.seen ^ self.random
    }
}
