//! The models, without an engine.

// With their paths, because `sim-core/benches/kernel.rs` takes this file in by its path.
#[path = "model/hold.rs"]
mod hold;
#[path = "model/phold.rs"]
mod phold;
#[path = "model/ring.rs"]
mod ring;
#[path = "model/tandem.rs"]
mod tandem;

use std::fmt::Debug;

pub use hold::Hold;
pub use phold::Phold;
pub use ring::Ring;
pub use tandem::Tandem;

/// Sends for an actor while it handles a message.
pub trait Outbox<M> {
    /// A message to the actor with this number, `delay` ticks from now.
    fn send(&mut self, to: u32, delay: u64, message: M);
}

/// One actor: a state and what it does on a message. Past its end time it does nothing, so a run ends.
pub trait Actor: Debug + Send + 'static {
    /// At most 4 bytes, so that an entry of the plain loop has 24.
    type Message: Copy + Debug + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static;

    /// Handles a message at the time `now`. Inlined, so that the call between model and engine is nobody's cost.
    fn handle(&mut self, now: u64, message: Self::Message, outbox: &mut impl Outbox<Self::Message>);

    /// How many messages were handled.
    fn events(&self) -> u64;

    /// A digest of the state.
    fn digest(&self) -> u64;
}

/// A model ready to run: its actors, and (receiver, time, message) of the messages that start it.
#[derive(Debug)]
pub struct System<A: Actor> {
    /// The actors, by number.
    pub actors: Vec<A>,
    /// What starts them.
    pub starts: Vec<(u32, u64, A::Message)>,
}

/// The events and the checksum of a run, from its actors in their order.
pub fn sum_up<'a, A: Actor>(actors: impl Iterator<Item = &'a A>) -> (u64, u64) {
    actors.fold((0, 0), |(events, checksum), actor| (events + actor.events(), mix(checksum ^ actor.digest())))
}

/// A model by name and size, `ticks` long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spec {
    /// Actors that send every message on to any actor after a random time.
    Phold {
        /// How many; a power of two.
        actors: u32,
        /// Messages per actor.
        population: u32,
    },
    /// Tokens that go round 1,000 actors.
    Ring {
        /// How many.
        tokens: u32,
    },
    /// 16 stages with buffers of four and credits.
    Tandem,
    /// Timers that are set again as they expire.
    Hold {
        /// How many.
        pending: u32,
    },
}

impl Spec {
    /// All that are measured.
    pub const ALL: [Self; 12] = [
        Self::Phold { actors: 1_024, population: 1 },
        Self::Phold { actors: 1_024, population: 16 },
        Self::Phold { actors: 65_536, population: 1 },
        Self::Phold { actors: 65_536, population: 16 },
        Self::Ring { tokens: 1 },
        Self::Ring { tokens: 1_000 },
        Self::Tandem,
        Self::Hold { pending: 100 },
        Self::Hold { pending: 1_000 },
        Self::Hold { pending: 10_000 },
        Self::Hold { pending: 100_000 },
        Self::Hold { pending: 1_000_000 },
    ];

    /// The name by which the command line knows it.
    pub fn name(self) -> String {
        match self {
            Self::Phold { actors, population } => format!("phold-{actors}x{population}"),
            Self::Ring { tokens } => format!("ring-{tokens}"),
            Self::Tandem => "tandem-16".to_owned(),
            Self::Hold { pending } => format!("hold-{pending}"),
        }
    }

    /// The simulated time in which about `events` messages are handled.
    pub fn ticks_for(self, events: u64) -> u64 {
        match self {
            Self::Phold { actors, population } => events * MEAN / u64::from(actors * population),
            Self::Ring { tokens } => events * ring::HOP / u64::from(tokens),
            Self::Tandem => events * tandem::TICKS_PER_EVENT,
            Self::Hold { pending } => events * MEAN / u64::from(pending),
        }
    }
}

/// The mean delay of PHOLD and of the hold model, in ticks.
const MEAN: u64 = 1_000_000;

/// One plus an exponential of mean [`MEAN`], by 4,096 equally likely values.
fn delays() -> &'static [u64; 4_096] {
    // Leaked once per run: engines ask for actors that borrow nothing.
    let value = |i: usize| 1 - (MEAN as f64 * ((i as f64 + 0.5) / 4_096.0).ln()).round() as i64;
    let table: Vec<u64> = (0..4_096).map(|i| value(i).unsigned_abs()).collect();
    let Ok(table) = table.into_boxed_slice().try_into() else { unreachable!("4,096 values were made") };
    Box::leak(table)
}

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mix(*state)
}

/// The finaliser of `SplitMix64`.
fn mix(z: u64) -> u64 {
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
