//! Requests to measure a channel with: eight patterns, defined by arithmetic, and how they are offered.
//!
//! The reference runs that pimscope is compared with are made of the same ones.

use std::str::FromStr;

use super::bank_queue::BankQueueChannel;
use super::channel::DramChannel;
use super::config::DramError;
use super::request::{Access, Completion, Observer, Request, Target};
use crate::command::{Address, Command, CommandCounts};
use crate::organisation::Organisation;

/// Requests offered before one tick, at most.
const OFFERS: u32 = 4;

/// A stream of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Reads in order, neighbours in different pseudo-channels and bank groups.
    StreamBgi,
    /// The same, all writes.
    StreamBgiWr,
    /// Reads in order, a row of each bank after the other.
    StreamRow,
    /// One bank, another row each time.
    Conflict,
    /// All banks in turn, another row each time.
    BankRr,
    /// Random reads.
    Random,
    /// [`Self::StreamBgi`], half of it writes.
    MixStream,
    /// Random, half writes.
    MixRandom,
}

impl Pattern {
    /// All, by name. Where one name begins with another the longer one comes first.
    pub const ALL: [(&'static str, Self); 8] = [
        ("stream_bgi_wr", Self::StreamBgiWr),
        ("stream_bgi", Self::StreamBgi),
        ("stream_row", Self::StreamRow),
        ("conflict", Self::Conflict),
        ("bankrr", Self::BankRr),
        ("mix_stream", Self::MixStream),
        ("mix_random", Self::MixRandom),
        ("random", Self::Random),
    ];

    /// The names, for messages.
    pub fn names() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }

    const fn order(self) -> Order {
        match self {
            Self::StreamBgi => Order::Interleaved(Writes::None),
            Self::StreamBgiWr => Order::Interleaved(Writes::All),
            Self::MixStream => Order::Interleaved(Writes::Half),
            Self::StreamRow => Order::Rows,
            Self::Conflict => Order::OneBank,
            Self::BankRr => Order::Banks,
            Self::Random => Order::Scattered(Writes::None),
            Self::MixRandom => Order::Scattered(Writes::Half),
        }
    }
}

impl FromStr for Pattern {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, pattern)| pattern).ok_or(())
    }
}

/// Where the requests of a pattern go: to the digits of their number, or anywhere.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Pseudo-channels and bank groups first, then columns, banks, ranks.
    Interleaved(Writes),
    /// Pseudo-channels, columns, and bank groups after these.
    Rows,
    /// Rows of the first bank.
    OneBank,
    /// All banks, then another row.
    Banks,
    /// Anywhere.
    Scattered(Writes),
}

/// How many requests are writes.
#[derive(Clone, Copy, Debug)]
enum Writes {
    None,
    All,
    Half,
}

impl Writes {
    /// Whether a request is one; half of them are by a coin.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as the requests below")]
    fn toss(self, coin: impl FnOnce() -> bool) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Half => coin(),
        }
    }
}

/// How many of each there are for the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    /// Pseudo-channels.
    pub pseudo_channels: u64,
    /// Ranks of a pseudo-channel.
    pub ranks: u64,
    /// Bank groups of a rank.
    pub bank_groups: u64,
    /// Banks of a bank group.
    pub banks: u64,
    /// Rows of a bank.
    pub rows: u64,
    /// Columns of a row.
    pub columns: u64,
}

impl Dimensions {
    /// Those of a channel.
    pub fn of(organisation: &Organisation) -> Self {
        Self {
            pseudo_channels: organisation.pseudo_channels.into(),
            ranks: organisation.ranks.into(),
            bank_groups: organisation.bank_groups.into(),
            banks: organisation.banks.into(),
            rows: organisation.rows.into(),
            columns: organisation.columns.into(),
        }
    }
}

/// The requests of a pattern, one after the other.
#[derive(Clone, Debug)]
pub struct Generator {
    dimensions: Dimensions,
    order: Order,
    /// State of splitmix64.
    state: u64,
    index: u64,
    /// Remainders of powers of two are masks.
    masks: Option<Masks>,
}

/// Of a random number: a byte each for pseudo-channels, bank groups, banks and ranks, then rows, columns, and a bit that says
/// whether it is a write.
#[derive(Clone, Copy, Debug)]
struct Masks {
    parts: u32,
    all: u64,
}

/// Takes the next digit off a mixed-radix number.
fn digit(x: &mut u64, base: u64) -> u64 {
    let digit = *x % base;
    *x /= base;
    digit
}

impl Generator {
    /// From the beginning. Only random patterns look at the seed.
    pub fn new(dimensions: Dimensions, pattern: Pattern, seed: u64) -> Self {
        let Dimensions { pseudo_channels, ranks, bank_groups, banks, rows, columns } = dimensions;
        let counts = [pseudo_channels, bank_groups, banks, ranks, rows, columns];
        let masks = counts.iter().all(|count| count.is_power_of_two()).then(|| {
            let [parts @ .., rows, columns] = counts.map(|count| count - 1);
            let parts = u32::from_le_bytes(parts.map(|part| part as u8));
            Masks { parts, all: 1 << 63 | (columns & 0x7ff) << 52 | (rows & 0xf_ffff) << 32 }
        });
        Self { dimensions, order: pattern.order(), state: seed, index: 0, masks }
    }

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.state;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next request of a pattern that jumps; the index has been counted.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a call and its copies are a third of what a request takes (callgrind)")]
    fn scattered(&mut self, writes: Writes) -> Request {
        let u = self.random();
        let (u, parts) = match self.masks {
            Some(masks) => (u & masks.all, u as u32 & masks.parts),
            None => self.remainders(u),
        };
        let [pseudo_channel, bank_group, bank, rank] = parts.to_le_bytes();
        let (row, column) = ((u >> 32) as u32 & 0xf_ffff, (u >> 52) as u32 & 0x7ff);
        let address = Address { pseudo_channel, rank, bank_group, bank, row };
        let write = writes.toss(|| u >> 63 == 1);
        let access = if write { Access::Write } else { Access::Read };
        Request { access, address, column, tag: self.index }
    }

    /// A random number with the remainders of its digits, and the four that say which bank as one number.
    #[cold]
    fn remainders(&self, u: u64) -> (u64, u32) {
        let Dimensions { pseudo_channels, ranks, bank_groups, banks, rows, columns } = self.dimensions;
        let digit = |at: u32, count: u64| (u >> (8 * at) & 0xff) % count;
        let parts = [pseudo_channels, bank_groups, banks, ranks];
        let parts = (0..).zip(parts).fold(0, |sum, (at, count)| sum | digit(at, count) << (8 * at));
        let (row, column) = ((u >> 32 & 0xf_ffff) % rows, (u >> 52 & 0x7ff) % columns);
        (u & 1 << 63 | column << 52 | row << 32, parts as u32)
    }

    /// The next request.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a call and its copies are a third of what a request takes (callgrind)")]
    pub fn generate(&mut self) -> Request {
        let mut x = self.index;
        self.index += 1;
        let d = &self.dimensions;
        let (mut pc, mut rank, mut group, mut bank, mut column, mut write) = (0, 0, 0, 0, 0, false);
        let row;
        match self.order {
            Order::Interleaved(writes) => {
                pc = digit(&mut x, d.pseudo_channels);
                group = digit(&mut x, d.bank_groups);
                column = digit(&mut x, d.columns);
                bank = digit(&mut x, d.banks);
                rank = digit(&mut x, d.ranks);
                row = x % d.rows;
                write = writes.toss(|| self.random() & 1 == 1);
            }
            Order::Rows => {
                pc = digit(&mut x, d.pseudo_channels);
                column = digit(&mut x, d.columns);
                group = digit(&mut x, d.bank_groups);
                bank = digit(&mut x, d.banks);
                rank = digit(&mut x, d.ranks);
                row = x % d.rows;
            }
            Order::OneBank => row = x % d.rows,
            Order::Scattered(writes) => return self.scattered(writes),
            Order::Banks => {
                pc = digit(&mut x, d.pseudo_channels);
                group = digit(&mut x, d.bank_groups);
                bank = digit(&mut x, d.banks);
                rank = digit(&mut x, d.ranks);
                row = x % d.rows;
            }
        }
        let address = Address {
            pseudo_channel: pc as u8,
            rank: rank as u8,
            bank_group: group as u8,
            bank: bank as u8,
            row: row as u32,
        };
        let access = if write { Access::Write } else { Access::Read };
        Request { access, address, column: column as u32, tag: self.index }
    }
}

/// A channel between two ticks.
pub trait Channel {
    /// Takes a request, and runs until a place is free before, where there is none. Says whether there was none.
    ///
    /// # Errors
    /// [`DramError::Address`] where the address is not in the channel, [`DramError::Stuck`] where a place is never free.
    fn put(&mut self, request: &Request, observer: &mut impl Observer) -> Result<bool, DramError>;
    /// Runs one tick.
    fn tick(&mut self, observer: &mut impl Observer);
    /// Runs until it is known when every request is done.
    ///
    /// # Errors
    /// [`DramError::Stuck`] where one never is.
    fn drain(&mut self, observer: &mut impl Observer) -> Result<(), DramError>;
    /// Runs up to and with a tick.
    fn finish(&mut self, tick: u64, observer: &mut impl Observer);
}

impl Channel for DramChannel {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a call and its copies are a fifth of what an offer takes (callgrind)")]
    fn put(&mut self, request: &Request, observer: &mut impl Observer) -> Result<bool, DramError> {
        Self::put(self, request, observer)
    }
    fn tick(&mut self, observer: &mut impl Observer) {
        self.advance(self.now() + 1, observer);
    }
    fn drain(&mut self, observer: &mut impl Observer) -> Result<(), DramError> {
        Self::drain(self, observer);
        Ok(())
    }
    fn finish(&mut self, tick: u64, observer: &mut impl Observer) {
        self.advance(tick, observer);
    }
}

impl Channel for BankQueueChannel {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as above")]
    fn put(&mut self, request: &Request, observer: &mut impl Observer) -> Result<bool, DramError> {
        Self::put(self, request, observer)
    }
    fn tick(&mut self, observer: &mut impl Observer) {
        self.advance(self.now() + 1, observer);
    }
    fn drain(&mut self, observer: &mut impl Observer) -> Result<(), DramError> {
        self.drain_reads(observer)
    }
    fn finish(&mut self, tick: u64, observer: &mut impl Observer) {
        self.advance(tick + 1, observer);
    }
}

/// What is counted over a run.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Commands issued.
    pub commands: CommandCounts,
    /// Reads done.
    pub reads: u64,
    /// From arrival to the end of the data, over all reads, in ticks.
    pub latency: u64,
    /// When the last request was done.
    pub last: u64,
}

impl Observer for Totals {
    fn issued(&mut self, _: u64, command: Command, _: Target<'_>) {
        self.commands[command] += 1;
    }

    fn completed(&mut self, completion: &Completion) {
        self.last = self.last.max(completion.done);
        if completion.request.access == Access::Read {
            self.reads += 1;
            self.latency += completion.done - completion.arrived;
        }
    }
}

/// Keeps the tick in which the run stops.
struct Stop<'a, O> {
    inner: &'a mut O,
    /// The last tick that has to run.
    last: u64,
}

impl<O: Observer> Observer for Stop<'_, O> {
    fn issued(&mut self, tick: u64, command: Command, target: Target<'_>) {
        self.inner.issued(tick, command, target);
    }

    fn completed(&mut self, completion: &Completion) {
        // What is done when it is offered is seen in the tick after.
        self.last = self.last.max(completion.done.max(completion.arrived + 1));
        self.inner.completed(completion);
    }
}

/// Offers so many requests in order, up to four before each tick until one is refused, and runs to the tick in which the
/// last of them is done.
///
/// # Errors
/// [`DramError::Address`] where the requests are not for this channel, [`DramError::Stuck`] where they wait for each other
/// for ever.
pub fn drive(
    channel: &mut impl Channel,
    generator: &mut Generator,
    requests: u64,
    observer: &mut impl Observer,
) -> Result<(), DramError> {
    let mut observer = Stop { inner: observer, last: 0 };
    let (mut sent, mut offers) = (0, 0);
    while sent < requests {
        let request = generator.generate();
        let waited = channel.put(&request, &mut observer)?;
        (sent, offers) = (sent + 1, if waited { 1 } else { offers + 1 });
        if offers == OFFERS && sent < requests {
            channel.tick(&mut observer);
            offers = 0;
        }
    }
    channel.drain(&mut observer)?;
    let last = observer.last;
    channel.finish(last, &mut observer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Dimensions =
        Dimensions { pseudo_channels: 2, ranks: 1, bank_groups: 4, banks: 4, rows: 1 << 15, columns: 32 };

    #[test]
    fn is_every_name_read_and_no_other() {
        for (name, pattern) in Pattern::ALL {
            assert_eq!(name.parse(), Ok(pattern));
        }
        assert_eq!("stream".parse::<Pattern>(), Err(()));
    }

    #[test]
    fn do_streams_visit_bank_groups_before_columns() {
        let mut stream = Generator::new(SMALL, Pattern::StreamBgi, 42);
        let seen: Vec<Request> = (0..9).map(|_| stream.generate()).collect();
        assert_eq!((seen[1].address.pseudo_channel, seen[1].address.bank_group), (1, 0));
        assert_eq!((seen[2].address.bank_group, seen[8].column), (1, 1));
        let mut rows = Generator::new(SMALL, Pattern::StreamRow, 42);
        assert_eq!((0..3).map(|_| rows.generate().column).collect::<Vec<_>>(), [0, 0, 1]);
    }

    /// The first value of splitmix64 from seed 42.
    #[test]
    fn is_the_random_stream_splitmix64() {
        let mut generator = Generator::new(SMALL, Pattern::Random, 42);
        assert_eq!(generator.random(), 0xBDD7_3226_2FEB_6E95);
    }
}
