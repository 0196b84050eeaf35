//! Is the order that of a sorted list, whatever the structure? And what does an event cost?

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::random::draw;

const HERE: ActorId = ActorId::from_index(7);

fn key(time: u64, delta: u64, sender: usize, counter: u64) -> Key {
    let order = Tie(Tie::first(ActorId::from_index(sender)).0 + counter);
    Key::new(Time::from_ps(time), order.with_delta(delta))
}

#[test]
fn a_key_gives_back_its_time_and_delta() {
    let key = key(u64::MAX, 255, OUTSIDE.index(), (1 << COUNTER_BITS) - 1);
    assert_eq!((key.time(), key.tie().delta()), (Time::MAX, 255));
    assert!(Key::new(Time::MAX, Tie::first(OUTSIDE)).before(Key::NEVER));
}

#[test]
fn keys_order_by_time_then_delta_then_sender_then_counter() {
    let ordered = [key(0, 0, 0, 9), key(0, 0, 1, 0), key(0, 1, 0, 0), key(1, 0, 0, 0), key(1, 0, 0, 1)];
    assert!(ordered.is_sorted());
}

#[test]
fn a_counter_ends_before_it_reaches_the_sender() {
    assert_eq!(Tie((1 << COUNTER_BITS) - 1).next(), None);
    assert_eq!(Tie(5).next(), Some(Tie(6)));
}

/// The bound of the kernel's memory per pending event, apart from the message.
#[test]
fn a_pending_event_costs_at_most_32_bytes_besides_its_message() {
    // A reference has a spare value for "free", as the messages of a system have.
    let slot = slab::bytes_per_slot::<&u64>() - size_of::<&u64>();
    assert!(heap::BYTES_PER_ENTRY + slot <= 32, "{} + {slot}", heap::BYTES_PER_ENTRY);
    let far = radix::bytes_per_entry::<&u64>() - size_of::<&u64>();
    assert!(far <= 32, "{far}");
}

/// The same of a whole large set, with all that is not in use at the moment. The message has a spare value, too.
#[test]
fn a_large_set_takes_32_bytes_for_each_besides_the_messages() {
    for pending in [200_000_u64, 1_000_000] {
        let mut queue = Queue::<NonZeroU32>::new();
        let delay = |sent: u64| {
            let uniform = (draw(5, 0, sent) >> 11) as f64 / (1_u64 << 53) as f64;
            1 + (-1e6 * (1.0 - uniform).ln()) as u64
        };
        let order = |now: u64, sent: u64| key(now + delay(sent), 0, 0, sent);
        for sent in 0..pending {
            queue.push(order(0, sent), HERE, NonZeroU32::MIN);
        }
        for sent in pending..3 * pending {
            let (first, _, message) = queue.pop_until(Time::MAX).unwrap();
            queue.push(order(first.time().ps(), sent), HERE, message);
        }
        let far = queue.far.as_ref().unwrap();
        let bytes = far.bytes() + queue.front.bytes() + queue.slab.bytes();
        let each = bytes as f64 / pending as f64 - size_of::<u32>() as f64;
        assert!(each <= 32.0, "{pending}: {each}");
    }
}

/// What a test does to the set.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Sends so many messages with such a delay each.
    Push { count: u8, delay: Delay },
    /// Takes so many messages, each answered with another one where there is a delay.
    Pop { count: u8, answer: Option<Delay> },
    /// Takes all messages until so many ps from now.
    PopUntil(u16),
    /// Cancels one of the pending ones.
    Cancel(u16),
    /// Re-times one.
    Reschedule(u16, Delay),
    /// A message from outside at time zero, whenever it is now.
    PushEarly,
}

/// Delays of each kind that a structure could take badly.
#[derive(Clone, Copy, Debug)]
enum Delay {
    None,
    Fixed(u64),
    Short,
    Long,
    /// Over all magnitudes up to the end of time.
    AnyMagnitude,
}

fn delay() -> impl Strategy<Value = Delay> {
    prop_oneof![
        Just(Delay::None),
        (0_u64..100).prop_map(Delay::Fixed),
        Just(Delay::Short),
        Just(Delay::Long),
        Just(Delay::AnyMagnitude),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any::<u8>(), delay()).prop_map(|(count, delay)| Step::Push { count, delay }),
        3 => (any::<u8>(), prop::option::of(delay())).prop_map(|(count, answer)| Step::Pop { count, answer }),
        1 => any::<u16>().prop_map(Step::PopUntil),
        2 => any::<u16>().prop_map(Step::Cancel),
        2 => (any::<u16>(), delay()).prop_map(|(which, delay)| Step::Reschedule(which, delay)),
        1 => Just(Step::PushEarly),
    ]
}

/// The set under test beside a sorted list.
struct Pair {
    queue: Queue<u64>,
    sorted: BTreeMap<Key, u64>,
    handles: Vec<(Key, EventHandle)>,
    now: u64,
    sent: u64,
    /// How often the set became large and small again.
    switches: u32,
}

impl Pair {
    fn new(limits: Limits) -> Self {
        let queue = Queue::with_limits(limits);
        Self { queue, sorted: BTreeMap::new(), handles: Vec::new(), now: 0, sent: 0, switches: 0 }
    }

    fn next_key(&mut self, time: u64) -> Key {
        self.sent += 1;
        // Senders change from message to message, so that the order of ties is not that of pushing.
        key(time, draw(3, 1, self.sent) % 3, (draw(3, 2, self.sent) % 5) as usize, self.sent)
    }

    fn time(&self, delay: Delay) -> u64 {
        let random = draw(3, 0, self.sent);
        let ps = match delay {
            Delay::None => 0,
            Delay::Fixed(ps) => ps,
            Delay::Short => random % 50,
            Delay::Long => random % 1_000_000,
            Delay::AnyMagnitude => (random >> 6) >> (random % 58),
        };
        self.now.saturating_add(ps)
    }

    fn push(&mut self, time: u64) {
        let (large, key) = (self.is_large(), self.next_key(time));
        if self.sent.is_multiple_of(3) {
            self.handles.push((key, self.queue.push_cancellable(key, HERE, self.sent)));
        } else {
            self.queue.push(key, HERE, self.sent);
        }
        self.sorted.insert(key, self.sent);
        self.switches += u32::from(large != self.is_large());
    }

    fn is_large(&self) -> bool {
        self.queue.horizon < u64::MAX
    }

    fn pop(&mut self, last: Time) -> bool {
        let large = self.is_large();
        let expected =
            self.sorted.first_key_value().filter(|(key, _)| key.time() <= last).map(|(key, sent)| (*key, *sent));
        let found = self.queue.pop_until(last);
        assert_eq!(found, expected.map(|(key, sent)| (key, HERE, sent)));
        self.switches += u32::from(large != self.is_large());
        let Some((key, _)) = expected else { return false };
        self.sorted.remove(&key);
        self.now = key.time().ps();
        true
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Push { count, delay } => (0..count).for_each(|_| self.push(self.time(delay))),
            Step::PushEarly => self.push(0),
            Step::Pop { count, answer } => {
                for _ in 0..count {
                    if self.pop(Time::MAX)
                        && let Some(delay) = answer
                    {
                        self.push(self.time(delay));
                    }
                }
            }
            Step::PopUntil(ps) => {
                let last = Time::from_ps(self.now.saturating_add(ps.into()));
                while self.pop(last) {}
            }
            Step::Cancel(which) => {
                self.cancel(which);
            }
            Step::Reschedule(which, delay) => {
                if let Some(message) = self.cancel(which) {
                    let key = self.next_key(self.time(delay));
                    self.handles.push((key, self.queue.push_cancellable(key, HERE, message)));
                    self.sorted.insert(key, message);
                }
            }
        }
    }

    fn cancel(&mut self, which: u16) -> Option<u64> {
        if self.handles.is_empty() {
            return None;
        }
        let (key, handle) = self.handles[usize::from(which) % self.handles.len()];
        assert_eq!(self.queue.cancel(ActorId::from_index(8), handle), None, "it is another actor's");
        let message = self.queue.cancel(HERE, handle);
        assert_eq!(message, self.sorted.remove(&key));
        assert_eq!(self.queue.cancel(HERE, handle), None, "it is gone");
        message
    }
}

/// Runs the steps and empties the set. Gives how often its structure changed.
fn agrees_with_a_sorted_list(limits: Limits, steps: &[Step]) -> u32 {
    let mut pair = Pair::new(limits);
    for step in steps {
        pair.act(*step);
    }
    while pair.pop(Time::MAX) {}
    assert!(pair.sorted.is_empty());
    pair.switches
}

proptest! {
    /// With small limits, so that the structure changes often.
    #[test]
    fn messages_leave_in_the_order_of_a_sorted_list_of_their_keys(
        steps in prop::collection::vec(step(), 0..40),
        large in 16_usize..400,
        pour in 1_usize..64,
    ) {
        agrees_with_a_sorted_list(Limits { large, small: large / 4, pour }, &steps);
    }
}

#[test]
fn a_large_set_switches_and_switches_back() {
    let push = |delay| Step::Push { count: 255, delay };
    let mut steps = vec![push(Delay::Long); 40];
    steps.extend([Step::Pop { count: 255, answer: Some(Delay::Long) }; 20]);
    steps.extend([Step::Pop { count: 255, answer: None }; 36]);
    steps.extend([push(Delay::AnyMagnitude); 40]);
    assert_eq!(agrees_with_a_sorted_list(Limits::MEASURED, &steps), 4);
}

#[test]
fn a_set_of_one_time_is_in_order_too() {
    let steps = [
        [Step::Push { count: 250, delay: Delay::Fixed(9) }; 60],
        [Step::Pop { count: 200, answer: Some(Delay::None) }; 60],
    ];
    agrees_with_a_sorted_list(Limits::MEASURED, &steps.concat());
}

#[test]
fn cancelled_entries_do_not_pile_up() {
    let mut queue = Queue::new();
    let mut handle = queue.push_cancellable(key(1_000_000, 0, 0, 0), HERE, 0_u64);
    for i in 1..100_000 {
        let message = queue.cancel(HERE, handle).unwrap();
        handle = queue.push_cancellable(key(1_000_000 + i, 0, 0, i), HERE, message);
    }
    assert!(queue.entries() < 200, "{} entries", queue.entries());
    assert_eq!(queue.pop_until(Time::MAX), Some((key(1_099_999, 0, 0, 99_999), HERE, 0)));
    assert_eq!(queue.pop_until(Time::MAX), None);
}
