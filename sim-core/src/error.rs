//! What can stop a run, and what each error names.

use crate::time::Time;

/// A task that never ran, and what it still waited for when the events ran out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The task, in words a reader of the scenario understands.
    pub task: String,
    /// What is missing.
    pub missing: String,
}

/// Why a simulation stopped before its end. All of these are defects of a model, not of the user's input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// An actor tried to act on the past.
    #[error("{actor} sent a message at {now} to be delivered at {at}: an event in the past")]
    EventInPast {
        /// The sender.
        actor: String,
        /// When it sent.
        now: Time,
        /// When the message was to arrive.
        at: Time,
    },
    /// Law 6: a message would arrive sooner than its channel allows.
    #[error("law 6: {actor} sent a message at {now} to be delivered at {at}, but the channel takes at least {least}")]
    TooEarly {
        /// The sender.
        actor: String,
        /// When it sent.
        now: Time,
        /// When the message was to arrive.
        at: Time,
        /// The least latency of the channel.
        least: Time,
    },
    /// Messages without delay that never let time go on.
    #[error("{actor} is in an endless loop of messages without delay at {now}")]
    EndlessZeroTime {
        /// The actor whose message was one too many.
        actor: String,
        /// The time that never passed.
        now: Time,
    },
    /// The events ran out while tasks were waiting.
    #[error("deadlock at {now}: {}", describe(waiting))]
    Deadlock {
        /// When the last event was.
        now: Time,
        /// (actor, task, what it waits for).
        waiting: Vec<(String, Waiting)>,
    },
    /// Simulated time went past its 213 days.
    #[error("simulated time of {actor} overflows 64 bits of picoseconds (213 days)")]
    TimeOverflow {
        /// The sender of the message that would arrive later.
        actor: String,
    },
    /// An actor sent more messages than the counter in the event key can tell apart.
    #[error("{actor} sent its last possible message before {now}: 36 bits of its message counter are used up")]
    TooManyMessages {
        /// The sender.
        actor: String,
        /// When it sent the one too many.
        now: Time,
    },
    /// A message reached an actor that has no use for it.
    #[error("{actor} was sent a message that it does not accept: {message}")]
    Misaddressed {
        /// The receiver.
        actor: String,
        /// The message, printed.
        message: String,
    },
    /// An actor was reserved but never placed.
    #[error("{actor} was announced but is missing from the system")]
    Unplaced {
        /// The name under which it was reserved.
        actor: String,
    },
    /// A model found one of the laws of docs/ARCHITECTURE.md broken.
    #[error("law {law} is broken by {actor} at {now}: {what}")]
    LawBroken {
        /// The number of the law.
        law: u8,
        /// Who broke it.
        actor: String,
        /// When.
        now: Time,
        /// What was seen.
        what: String,
    },
}

fn describe(waiting: &[(String, Waiting)]) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<String> = waiting
        .iter()
        .take(SHOWN)
        .map(|(actor, w)| format!("{actor} waits with {} for {}", w.task, w.missing))
        .collect();
    if waiting.len() > SHOWN {
        text.push(format!("and {} more", waiting.len() - SHOWN));
    }
    text.join("; ")
}
