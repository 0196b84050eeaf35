//! What came of an iteration of a loop, for the next one that begins from the same state.
//!
//! At the begin of each iteration of a loop of the row stream the channel's state is written down relative to
//! the present cycle: where both streams are, what of the history can still hold back a command, bus slots, tokens on their
//! way. Equal states have equal futures, but for one thing: when the next refresh is due. So an iteration is kept with the
//! interval of the refresh's phase in which each of its decisions comes out the same. The states seen and the iterations
//! between them make a graph; a loop that is in a known state walks through the graph, a step or a whole run of equal steps at
//! a time, refreshes included, and the engine's state is put in place once, at the end.
//!
//! An iteration that has a long run of MACs is looked at before and behind it, too. A refresh with rows open mostly falls into such a
//! run, anywhere in it, so that what comes of the whole iteration is hardly ever known; but what is before the run goes on as it does
//! without a refresh, and so does what is behind it where the run was long enough after the refresh.
//!
//! Loops in loops are watched at once: what an inner iteration, or a jump over some, asks of the refresh is asked of the outer one,
//! too. The move stream's loops go with those of the row stream at the same depth.
//!
//! Bodies of loops are compared by content, rows aside: the heads of a program, and programs of one engine, share what is
//! learnt.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::command::{Address, Command, CommandCounts};
use crate::device::DeviceSpec;
use crate::program::{DEPTH, Instruction, Program};

use super::cursor::{Cursor, Frame, Stop};
use super::engine::{Engine, Slots};
use super::rows::LONG_RUN;

/// More moves than this of a run at hand are as good as any number.
const MANY: u32 = 256;
/// States that are kept at once; 100 B to 1 KB each.
const STATES: usize = 4_096;
/// Tokens or slots on their way, beyond which a state does not come back.
const PENDING: usize = 32;

/// State: what an iteration asks of `due`, the cycle at which the oldest refresh not done was due when it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    low: i64,
    high: i64,
    /// By how much `due` has grown since.
    shift: i64,
    /// More depends on the refresh than an interval can say.
    spoilt: bool,
}

impl Default for Watch {
    fn default() -> Self {
        Self { low: i64::MIN, high: i64::MAX, shift: 0, spoilt: false }
    }
}

impl Watch {
    /// The refresh was due after this cycle.
    #[inline]
    pub(super) fn due_after(&mut self, cycle: i64) {
        self.low = self.low.max(cycle + 1 - self.shift);
    }

    /// The refresh was due at this cycle or before.
    #[inline]
    pub(super) fn due_until(&mut self, cycle: i64) {
        self.high = self.high.min(cycle - self.shift);
    }

    /// A refresh that is possible from one cycle on and due at another.
    pub(super) fn refreshes_at(&mut self, possible: i64, due: i64) {
        self.due_until(possible.max(due));
        if due > possible {
            self.due_after(due - 1);
        }
    }

    pub(super) fn shift(&mut self, interval: i64) {
        self.shift += interval;
    }

    pub(super) fn spoil(&mut self) {
        self.spoilt = true;
    }

    /// What came next asks for this, too.
    fn absorb(&mut self, next: Self) {
        self.low = self.low.max(next.low.saturating_sub(self.shift));
        self.high = self.high.min(next.high.saturating_sub(self.shift));
        self.shift += next.shift;
        self.spoilt |= next.spoilt;
    }
}

/// What an iteration does, and the state that it leads to.
#[derive(Clone, Debug)]
struct Step {
    /// Iterations that it ends: 1, or 0 where it leads to a place within one.
    iterations: u32,
    /// The refresh was due so many cycles after its begin.
    low: i64,
    high: i64,
    next: u32,
    cycles: i64,
    /// By how much `due` grows.
    due: i64,
    counts: Vec<(Command, u64)>,
    mac_queries: u64,
    mode_switch: i64,
    row: RowRegister,
    /// Repetitions of its counted loop that the move stream ends, or moves of the run at hand that it issues.
    repetitions: u32,
    moves: u32,
    /// When the move stream's last result is there, relative to the end; `None` where it has issued nothing.
    result: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
enum RowRegister {
    Grows(u32),
    Becomes(u32),
}

/// An iteration that is being watched.
#[derive(Clone, Debug)]
struct Recording {
    from: u32,
    frame: Frame,
    /// How far it was in the loop's body.
    position: usize,
    begin: i64,
    counts: CommandCounts,
    mode_switch: i64,
    row: u32,
    moves_loops: [Frame; DEPTH],
    /// Which of the move stream's loops is counted.
    counted: Option<usize>,
    moves_place: usize,
    moves_left: u32,
    watch: Watch,
}

/// The body of a loop.
#[derive(Clone, Debug)]
struct Body {
    /// All rows are 0: time does not depend on them.
    code: Vec<Instruction>,
    /// It has no loop in it.
    innermost: bool,
    /// It sets the row register.
    sets_row: bool,
    /// It is looked at before and behind long runs of MACs, too: the places of the first and of the last.
    parts: Option<(usize, usize)>,
}

impl Body {
    const fn without_row(instruction: Instruction) -> Instruction {
        match instruction {
            Instruction::OpenAt(_) => Instruction::OpenAt(0),
            Instruction::Ordinary(command, address) => Instruction::Ordinary(command, Address { row: 0, ..address }),
            other => other,
        }
    }

    fn is(&self, code: &[Instruction]) -> bool {
        use Instruction::{Close, Mac, Open};
        self.code.len() == code.len()
            && self.code.iter().zip(code).all(|(known, other)| match (*known, *other) {
                // Most are of these kinds, and programs are long.
                (Open(a), Open(b)) | (Close(a), Close(b)) => a == b,
                (Mac { set: a, sets: b, count: c, queries: d }, Mac { set, sets, count, queries }) => {
                    (a, b, c, d) == (set, sets, count, queries)
                }
                (known, other) => known == Self::without_row(other),
            })
    }

    fn of(code: &[Instruction]) -> Self {
        let is_long = |instruction: &Instruction| matches!(instruction, Instruction::Mac { count: LONG_RUN.., .. });
        let any = |of: fn(&Instruction) -> bool| code.iter().any(of);
        Self {
            code: code.iter().map(|instruction| Self::without_row(*instruction)).collect(),
            innermost: !any(|instruction| matches!(instruction, Instruction::Loop { .. })),
            sets_row: any(|instruction| matches!(instruction, Instruction::Row(_))),
            parts: code.iter().position(is_long).zip(code.iter().rposition(is_long)),
        }
    }
}

/// State: bodies of loops, states seen and iterations from each.
#[derive(Clone, Debug, Default)]
pub(super) struct Memo {
    bodies: Vec<Body>,
    numbers: BTreeMap<Arc<[i32]>, u32>,
    states: Vec<(Arc<[i32]>, Vec<Step>)>,
    /// By depth of the row stream's loop. Not in place: actors are moved, and this would be most of one.
    recordings: Vec<Option<Recording>>,
    /// The same from the place last looked at on, in bodies that are looked at in parts.
    parts: Vec<Option<Recording>>,
    key: Vec<i32>,
    /// Places of the history that states speak of and that an engine knows only when it has needed them.
    bank_places: Vec<u32>,
    /// By depth, states in a row that were new, and iterations to go on without looking.
    new: [u32; DEPTH],
    pause: [u32; DEPTH],
    /// A fault that a test puts in, to see that other tests find it.
    #[cfg(test)]
    pub(super) fault: Option<Fault>,
}

/// What channels of one device have in common: the constraint table, resolved, and what they have learnt about loops of programs.
/// A channel takes the latter for the time of a program; where another has it, on another thread, it begins anew. So there are
/// as many as there are threads, and none waits for another's program.
///
/// It shortens the work and changes no result.
#[derive(Debug)]
pub struct Learnt {
    idle: Engine,
    free: Mutex<Vec<Memo>>,
}

impl Learnt {
    /// Nothing yet, for channels of this device.
    pub fn new(device: &DeviceSpec) -> Arc<Self> {
        Arc::new(Self { idle: Engine::new(device), free: Mutex::default() })
    }

    /// An idle channel, as [`Engine::new`] gives it.
    pub fn engine(self: &Arc<Self>) -> Engine {
        let mut engine = self.idle.clone();
        engine.learnt = Some(Arc::clone(self));
        engine
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Memo>> {
        // Nothing that could panic is done while it is locked.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a test breaks.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Jumps do not look at the refresh.
    Refresh,
    /// A jump is a cycle too long.
    Cycle,
    /// A jump counts a command too many.
    Count,
    /// States leave out what was issued last.
    History,
    /// States leave out tokens.
    Tokens,
    /// What a jump asks of the refresh is not asked of the loop around it.
    Outer,
}

impl Memo {
    /// Numbers the bodies of loops, equal ones alike: by place.
    pub(super) fn bodies(&mut self, program: &Program) -> (Vec<u16>, Vec<u16>) {
        (self.number(program.row_stream()), self.number(program.move_stream()))
    }

    fn number(&mut self, code: &[Instruction]) -> Vec<u16> {
        let mut numbers = vec![0; code.len()];
        for (place, instruction) in code.iter().enumerate() {
            let Instruction::Loop { length, .. } = *instruction else { continue };
            let Some(body) = code.get(place + 1..place + 1 + length as usize) else { continue };
            let known = self.bodies.iter().position(|known| known.is(body)).unwrap_or_else(|| {
                self.bodies.push(Body::of(body));
                self.bodies.len() - 1
            });
            numbers[place] = u16::try_from(known + 1).unwrap_or(0);
        }
        numbers
    }

    /// A program begins.
    pub(super) fn begin(&mut self) {
        self.recordings.resize_with(DEPTH, || None);
        self.parts.resize_with(DEPTH, || None);
        self.drop_recordings(0);
        (self.new, self.pause) = Default::default();
    }

    /// Gives up the recordings of loops at this depth and deeper.
    fn drop_recordings(&mut self, depth: usize) {
        self.recordings[depth..].fill_with(|| None);
        self.parts[depth..].fill_with(|| None);
    }

    /// What has come since, for all recordings of loops at this depth and around it.
    fn absorb(&mut self, depth: usize, watch: Watch) {
        for recordings in [&mut self.recordings, &mut self.parts] {
            for recording in recordings[..=depth].iter_mut().flatten() {
                recording.watch.absorb(watch);
            }
        }
    }

    /// The body of a loop that is looked at.
    fn body(&self, frame: Frame) -> Option<&Body> {
        self.bodies.get(usize::from(frame.body).checked_sub(1)?)
    }

    /// Where a loop that is looked at has its first and its last long run of MACs.
    pub(super) fn parts(&self, frame: Frame) -> Option<(usize, usize)> {
        self.body(frame)?.parts
    }

    /// Which of the move stream's loops goes with the loop of the row stream: the innermost with an innermost one, else that
    /// at the same depth.
    fn counted(&self, rows: &Cursor<'_>, moves: &Cursor<'_>) -> Option<usize> {
        let innermost = rows.frame().and_then(|frame| self.body(frame)).is_some_and(|body| body.innermost);
        if innermost { moves.depth } else { moves.depth.min(rows.depth) }.checked_sub(1)
    }

    fn forget(&mut self) {
        self.numbers.clear();
        self.states.clear();
        self.drop_recordings(0);
    }

    /// The number of the state in `key`, and whether it was seen before.
    fn intern(&mut self) -> (u32, bool) {
        if let Some(&number) = self.numbers.get(self.key.as_slice()) {
            return (number, true);
        }
        let number = self.states.len() as u32;
        let key: Arc<[i32]> = self.key.as_slice().into();
        self.numbers.insert(Arc::clone(&key), number);
        self.states.push((key, Vec::new()));
        (number, false)
    }
}

/// A small number in a key.
fn word(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Where a walk through the graph has come to.
struct Walk {
    state: u32,
    now: i64,
    due: i64,
    row: u32,
    left: u32,
    /// The move stream's loop that is counted.
    counted: Option<usize>,
    moves_frame_left: u32,
    moves_left: u32,
    result: Option<i64>,
}

impl Engine {
    /// Takes what others have learnt, before a program.
    pub(super) fn take_learnt(&mut self) {
        let Some(memo) = self.learnt.as_ref().and_then(|learnt| learnt.free().pop()) else { return };
        self.readiness.know(&memo.bank_places);
        self.memo = memo;
    }

    /// Gives it to others, after a program.
    pub(super) fn give_learnt(&mut self) {
        let Some(learnt) = &self.learnt else { return };
        let mut memo = std::mem::take(&mut self.memo);
        self.readiness.bank_places().clone_into(&mut memo.bank_places);
        learnt.free().push(memo);
    }

    /// At the begin of an iteration of a loop of the row stream; the move stream has come as far as it can.
    pub(super) fn checkpoint(&mut self, rows: &mut Cursor<'_>, moves: &mut Cursor<'_>, stop: Stop) {
        let (Some(frame), Some(depth)) = (rows.frame(), rows.depth.checked_sub(1)) else { return };
        let position = rows.place - frame.first;
        self.memo.drop_recordings(depth + 1);
        if self.memo.pause[depth] > 0 {
            if position == 0 {
                self.memo.pause[depth] -= 1;
            }
            self.memo.drop_recordings(depth);
            return;
        }
        if self.memo.states.len() > STATES {
            self.memo.forget();
        }
        self.catch_up(rows.ready);
        self.memo.absorb(depth, std::mem::take(&mut self.watch));
        if self.describe(rows, moves, stop).is_none() {
            self.memo.parts[depth] = None;
            if position == 0 {
                self.memo.recordings[depth] = None;
            }
            return;
        }
        let (state, seen) = self.memo.intern();
        if position == 0 {
            let recording = self.memo.recordings[depth].take();
            self.finish(rows, moves, recording, state);
            let new = &mut self.memo.new[depth];
            *new = if seen { 0 } else { *new + 1 };
            if *new > 8 {
                self.memo.pause[depth] = (*new).min(256);
            }
        }
        let part = self.memo.parts[depth].take();
        // From begin to begin it is the iteration.
        self.finish(rows, moves, part.filter(|part| part.position.max(position) > 0), state);
        let counted = self.memo.counted(rows, moves);
        let state = self.walk(rows, moves, frame, state, counted);
        let Some(now) = rows.frame().filter(|_| rows.depth == depth + 1) else {
            self.memo.drop_recordings(depth);
            return;
        };
        let (before, frame, position) = ((frame, position), now, rows.place - now.first);
        if (frame, position) != before {
            // Of an iteration only what was executed is kept as a whole.
            self.memo.recordings[depth] = None;
        }
        let parts = self.memo.parts(frame).is_some();
        let whole = position == 0 && frame.left > 1;
        if whole || parts {
            let recording = Recording {
                from: state,
                position,
                frame,
                begin: rows.ready,
                counts: self.counts,
                mode_switch: self.mode_switch,
                row: self.row,
                moves_loops: moves.loops,
                counted,
                moves_place: moves.place,
                moves_left: moves.left,
                watch: Watch::default(),
            };
            if whole {
                self.memo.recordings[depth] = Some(recording.clone());
            }
            self.memo.parts[depth] = parts.then_some(recording);
        }
    }

    /// Ends a recording at `state`.
    fn finish(&mut self, rows: &Cursor<'_>, moves: &Cursor<'_>, recording: Option<Recording>, state: u32) {
        let (Some(recording), Some(frame)) = (recording, rows.frame()) else { return };
        let position = rows.place - frame.first;
        let iterations = u32::from(position == 0);
        let expected = Frame { left: frame.left + iterations, ..frame };
        let on = position == 0 || recording.position < position;
        if recording.watch.spoilt || recording.frame != expected || !on {
            return;
        }
        // The move stream is still in the loop, or at the instruction, where it was.
        let counted = self.memo.counted(rows, moves);
        if recording.counted != counted {
            return;
        }
        let repetitions = match counted {
            Some(counted) => {
                let (before, after) = (recording.moves_loops[counted], moves.loops[counted]);
                let outer = recording.moves_loops[..counted] == moves.loops[..counted];
                if !outer || before != (Frame { left: before.left, ..after }) || before.left < after.left {
                    return;
                }
                before.left - after.left
            }
            None if recording.moves_place != moves.place => return,
            None => 0,
        };
        let many = |left: u32| left > MANY;
        let in_hand = match (many(recording.moves_left), many(moves.left)) {
            (true, true) if repetitions == 0 && recording.moves_place == moves.place => {
                recording.moves_left - moves.left
            }
            (false, false) => 0,
            _ => return,
        };
        let watch = recording.watch;
        let counts =
            Command::ALL.into_iter().map(|command| (command, self.counts[command] - recording.counts[command]));
        let sets_row = self.memo.body(frame).is_some_and(|body| body.sets_row);
        let data =
            [Command::WrGb, Command::MvSb, Command::MvGb, Command::Sfm, Command::MvSum, Command::MvBc, Command::Bpe];
        let issued = data.into_iter().any(|command| self.counts[command] > recording.counts[command]);
        let step = Step {
            iterations,
            low: watch.low.saturating_sub(recording.begin),
            high: watch.high.saturating_sub(recording.begin),
            next: state,
            cycles: rows.ready - recording.begin,
            due: watch.shift,
            counts: counts.filter(|&(_, count)| count > 0).collect(),
            mac_queries: self.counts.mac_queries - recording.counts.mac_queries,
            mode_switch: self.mode_switch - recording.mode_switch,
            row: if sets_row {
                RowRegister::Becomes(self.row)
            } else {
                RowRegister::Grows(self.row.wrapping_sub(recording.row))
            },
            repetitions,
            moves: in_hand,
            result: issued.then_some(moves.result - rows.ready),
        };
        self.memo.states[recording.from as usize].1.push(step);
    }

    /// Goes on from `state` as far as known iterations lead; the state that it ends in.
    fn walk(
        &mut self,
        rows: &mut Cursor<'_>,
        moves: &mut Cursor<'_>,
        frame: Frame,
        state: u32,
        counted: Option<usize>,
    ) -> u32 {
        let mut at = Walk {
            state,
            now: rows.ready,
            due: self.due,
            row: self.row,
            left: frame.left,
            counted,
            moves_frame_left: counted.map_or(0, |counted| moves.loops[counted].left),
            moves_left: moves.left,
            result: None,
        };
        let mut walked = false;
        while at.left > 0 {
            let phase = at.due - at.now;
            let steps = &self.memo.states[at.state as usize].1;
            let known = |iterations| {
                let fits = |step: &&Step| step.iterations == iterations && (step.low..=step.high).contains(&phase);
                steps.iter().find(fits)
            };
            let step = known(1).or_else(|| known(0));
            #[cfg(test)]
            let step = if self.memo.fault == Some(Fault::Refresh) { steps.first() } else { step };
            let Some(step) = step else { break };
            let mut times = i64::from(at.left);
            let most = |left: u32, each: u32| left.checked_div(each).map_or(i64::MAX, i64::from);
            times = times.min(most(at.moves_frame_left.saturating_sub(1), step.repetitions));
            times = times.min(most(at.moves_left.saturating_sub(MANY + 1), step.moves));
            if step.next != at.state {
                times = times.min(1);
            }
            let drift = step.due - step.cycles;
            if drift < 0 {
                times = times.min((phase.saturating_sub(step.low) / -drift).saturating_add(1));
            } else if drift > 0 {
                times = times.min((step.high.saturating_sub(phase) / drift).saturating_add(1));
            }
            if times <= 0 {
                break;
            }
            let (n, repeated) = (times as u32, times.unsigned_abs());
            // The first and the last of them ask most.
            let (before, drifted) = ((times - 1) * step.due, (times - 1) * drift);
            let asked = |bound: i64| bound.saturating_add(at.now);
            let watch = Watch {
                low: asked(step.low).max(asked(step.low.saturating_sub(drifted))),
                high: asked(step.high).min(asked(step.high.saturating_sub(drifted))),
                shift: before + step.due,
                spoilt: false,
            };
            #[cfg(test)]
            let watch = if self.memo.fault == Some(Fault::Outer) {
                Watch { shift: watch.shift, ..Watch::default() }
            } else {
                watch
            };
            for recordings in [&mut self.memo.recordings, &mut self.memo.parts] {
                for recording in recordings[..rows.depth - 1].iter_mut().flatten() {
                    recording.watch.absorb(watch);
                }
            }
            at.now += times * step.cycles;
            at.due += times * step.due;
            at.left -= n * step.iterations;
            walked = true;
            at.moves_frame_left -= n * step.repetitions;
            at.moves_left -= n * step.moves;
            at.row = match step.row {
                RowRegister::Grows(rows) => at.row.wrapping_add(rows.wrapping_mul(n)),
                RowRegister::Becomes(row) => row,
            };
            at.result = step.result.map(|result| at.now + result).or(at.result);
            at.state = step.next;
            for &(command, count) in &step.counts {
                self.counts[command] += repeated * count;
            }
            self.counts.mac_queries += repeated * step.mac_queries;
            self.mode_switch += times * step.mode_switch;
        }
        if walked {
            #[cfg(test)]
            match self.memo.fault {
                Some(Fault::Cycle) => at.now += 1,
                Some(Fault::Count) => self.counts[Command::RefAb] += 1,
                _ => {}
            }
            rows.skip(frame.left - at.left);
            if let Some(counted) = at.counted {
                moves.loops[counted].left = at.moves_frame_left;
            }
            self.put(rows, moves, &at);
            if at.left == 0 {
                rows.leave();
            }
        }
        at.state
    }

    /// Writes the state into the memo's key, relative to the row stream's cycle. `None` where it cannot come back.
    ///
    /// What is so long ago that nothing depends on it is left out, so that equal futures have equal keys.
    fn describe(&mut self, rows: &Cursor<'_>, moves: &mut Cursor<'_>, stop: Stop) -> Option<()> {
        let now = rows.ready;
        // No move comes before this cycle: what the move stream waits for is posted now or later.
        let horizon = match stop {
            Stop::Done => now,
            _ => moves.ready.max(now),
        };
        while self.blackouts.front().is_some_and(|&(_, until)| until <= horizon) {
            self.blackouts.pop_front();
        }
        while self.slots.front().is_some_and(|slots| slots.last < horizon) {
            self.slots.pop_front();
        }
        let pending: usize = self.tokens.iter().map(std::collections::VecDeque::len).sum();
        if !self.blackouts.is_empty() || self.ordinary != 0 || pending + self.slots.len() > PENDING {
            return None;
        }
        let counted = self.memo.counted(rows, moves);
        let key = &mut self.memo.key;
        key.clear();
        let mut fits = true;
        let mut since = |cycle: i64| {
            let relative = i32::try_from(cycle - now);
            fits &= relative.is_ok();
            relative.unwrap_or(0)
        };
        let frame = counted.map(|counted| moves.loops[counted]);
        key.extend(rows.frame().map_or([0, 0], |frame| [i32::from(frame.body), word(rows.place - frame.first)]));
        // Outside of loops the move stream stays at one instruction, of which only this matters.
        key.push(match (frame, moves.peek()) {
            (Some(frame), _) => i32::from(frame.body),
            (None, None) => -1,
            (None, Some(Instruction::Wait(token))) => -2 - i32::from(token.0),
            (None, Some(Instruction::Move { command, .. })) => -300 - word(command.index()),
            (None, Some(_)) => return None,
        });
        let first = frame.map_or(0, |frame| frame.first);
        let inner = &moves.loops[counted.map_or(0, |counted| counted + 1)..moves.depth];
        key.push(word(inner.len()));
        for inner in inner {
            key.extend([
                word(inner.first - first),
                word(inner.end - first),
                i32::from(inner.body),
                inner.left.cast_signed(),
            ]);
        }
        key.extend([
            frame.map_or(0, |frame| word(moves.place - frame.first)),
            moves.at.cast_signed(),
            moves.left.min(MANY + 1).cast_signed(),
            i32::from(rows.closed),
        ]);
        key.extend([(self.open as u32).cast_signed(), ((self.open >> 32) as u32).cast_signed()]);
        key.extend([since(rows.result), since(horizon), since(moves.result.max(now))]);
        key.extend([since(self.row_bus.max(now - 1)), since(self.column_bus.max(now - 1))]);
        key.push(since(self.buffer_free.max(horizon)));
        #[cfg(test)]
        let fault = self.memo.fault;
        key.push(word(self.slots.len()));
        for slots in &self.slots {
            let gap = i64::from(slots.gap);
            let passed = ((horizon - slots.start).max(0) + gap - 1) / gap * gap;
            key.extend([since(slots.start + passed), slots.gap.cast_signed(), since(slots.last)]);
        }
        for token in &self.tokens {
            #[cfg(test)]
            if fault == Some(Fault::Tokens) {
                key.push(0);
                continue;
            }
            key.push(word(token.len()));
            key.extend(token.iter().map(|&cycle| since(cycle.max(now))));
        }
        #[cfg(test)]
        if fault == Some(Fault::History) {
            return Some(());
        }
        let all = self.readiness.live(now, |place, cycle| key.extend([place.cast_signed(), since(cycle)]));
        (fits && all).then_some(())
    }

    /// Puts the engine and both streams in the state that a walk has come to.
    fn put(&mut self, rows: &mut Cursor<'_>, moves: &mut Cursor<'_>, at: &Walk) {
        let key = Arc::clone(&self.memo.states[at.state as usize].0);
        let cycle = |relative: i32| at.now + i64::from(relative);
        let mut words = key.iter();
        let mut word = || words.next().copied().unwrap_or(0);
        let (_, position, _) = (word(), word() as usize, word());
        if let Some(frame) = rows.frame() {
            rows.place = frame.first + position;
            // Behind the begin it is a run of MACs that is next, or one that was.
            rows.passed = position > 0;
        }
        let first = at.counted.map_or(0, |counted| moves.loops[counted].first);
        let inner = word() as usize;
        moves.depth = at.counted.map_or(0, |counted| counted + 1);
        for _ in 0..inner {
            moves.loops[moves.depth] = Frame {
                first: first + word() as usize,
                end: first + word() as usize,
                body: word() as u16,
                left: word() as u32,
            };
            moves.depth += 1;
        }
        let offset = word();
        moves.at = word() as u32;
        // A run of many moves has a number of its own.
        let left = word() as u32;
        moves.left = if left > MANY { at.moves_left } else { left };
        if at.counted.is_some() {
            moves.place = first + offset as usize;
        }
        rows.closed = word() != 0;
        self.open = u64::from(word() as u32) | u64::from(word() as u32) << 32;
        rows.ready = at.now;
        rows.result = cycle(word());
        // A move stream that is done is as far as it was, and may have waited for what comes after all else.
        moves.ready = moves.ready.max(cycle(word()));
        let _ = word();
        moves.result = at.result.unwrap_or(moves.result);
        self.row_bus = cycle(word());
        self.column_bus = cycle(word());
        self.buffer_free = cycle(word());
        self.due = at.due;
        self.row = at.row;
        let slots = word();
        self.slots.clear();
        for _ in 0..slots {
            self.slots.push_back(Slots { start: cycle(word()), gap: word() as u32, last: cycle(word()) });
        }
        for token in &mut self.tokens {
            token.clear();
            token.extend((0..word()).map(|_| cycle(word())));
        }
        let rest = words.as_slice();
        self.readiness.restore(rest.chunks_exact(2).map(|pair| (pair[0] as u32, cycle(pair[1]))));
    }
}

#[cfg(test)]
mod tests;
