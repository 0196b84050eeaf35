//! Integer time, actors, mailboxes, scheduling, spans and random streams.
//!
//! A model is a set of *actors*. Each owns its state and acts only through its [`Context`]: it reads the simulated
//! [`Time`], sends messages through [`Port`]s, draws from its own random stream and opens and closes [`Span`]s.
//! [`Simulation`] delivers the messages in the order of (time, delta, sending actor, that actor's counter), so the
//! result never depends on the order in which messages entered a queue. This crate knows no device: a GPU or a link is
//! an actor of another crate, and the closed set of actors of one system is declared with [`system!`].
//!
//! ```
//! use sim_core::{Context, Handle, Inspect, Port, Simulation, Time};
//!
//! /// A ball that two players send to each other.
//! #[derive(Debug)]
//! struct Ball(u32);
//! #[derive(Debug)]
//! struct Player { other: Port<Ball>, seen: u32 }
//!
//! impl Inspect for Player {}
//! impl<M: From<Ball>> Handle<Ball, M> for Player {
//!     fn handle(&mut self, ball: Ball, context: &mut Context<'_, M>) {
//!         self.seen += 1;
//!         if ball.0 > 0 {
//!             context.send(self.other, Time::ZERO, Ball(ball.0 - 1));
//!         }
//!     }
//! }
//!
//! sim_core::system! {
//!     /// The actors of this example.
//!     enum Node { Player(Player) accepts Ball }
//!     /// Their messages.
//!     enum Message { Ball(Ball) }
//! }
//!
//! let mut simulation = Simulation::<Node>::new(1);
//! let left = simulation.reserve::<Player>("left");
//! let right = simulation.reserve::<Player>("right");
//! let flight = Time::from_ns(3); // No message between them arrives earlier than this.
//! simulation.place(left, Player { other: right.port(flight), seen: 0 });
//! simulation.place(right, Player { other: left.port(flight), seen: 0 });
//! simulation.start(left.port::<Ball>(Time::ZERO), Time::ZERO, Ball(4));
//! let end = simulation.run()?;
//! assert_eq!(end, Time::from_ns(12));
//! # Ok::<(), sim_core::SimulationError>(())
//! ```

pub mod actor;
pub mod ahead;
pub mod board;
pub mod clock;
pub mod error;
pub mod fair_share;
pub mod limits;
pub mod parallel;
mod partition;
pub mod queue;
pub mod random;
pub mod scheduler;
pub mod service;
pub mod span;
pub mod statistics;
pub mod time;

pub use actor::{ActorId, ActorKey, Context, Handle, Inspect, Node, Port};
pub use ahead::Ahead;
pub use board::{Board, Signal, TaskIndex};
pub use clock::{ClockDomain, Cycles};
pub use error::{SimulationError, Waiting};
pub use fair_share::FairShare;
pub use limits::{End, Limits, Progress, Stop};
pub use parallel::{CpuTime, ParallelReport, PartitionReport, Plan, Watch};
pub use queue::EventHandle;
pub use scheduler::Simulation;
pub use service::{Request, Served};
pub use span::{Category, Span, SpanDraft, SpanId, Spans, Tag};
pub use statistics::Meter;
pub use time::{Bytes, Rate, Time};

/// For [`log_span!`], so that its users need not depend on it.
#[doc(hidden)]
pub use tracing;
