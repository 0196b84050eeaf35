//! The channel controller: the actor that runs PIM programs one after the other.

mod channel;
mod course;
mod cursor;
pub mod engine;
pub mod fast_forward;
pub mod fifo_pim;
pub mod mixed;
mod moves;
mod readiness;
mod record;
mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;

use sim_core::{
    Ahead, Board, Category, Context, Cycles, Handle, Inspect, Meter, Signal, SpanDraft, SpanId, Spans, Tag, TaskIndex,
    Time, Waiting, log_span,
};

use crate::command::{Command, CommandCounts};
use crate::device::DeviceSpec;
use crate::energy::{self, Energy};
use crate::error::ProgramError;
use crate::kernel::ordinary;
use crate::program::Program;

use channel::Channel;
use engine::{Engine, Execution, ExecutionMode, Issued};
use fast_forward::Learnt;

/// A program to run.
#[derive(Clone, Debug)]
pub struct ProgramTask {
    /// What.
    pub program: Arc<Program>,
    /// The kind of its span.
    pub kind: &'static str,
    /// Which part of the workload it belongs to.
    pub tag: Tag,
}

/// The controller's message to itself: the program at hand has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramDone {
    task: TaskIndex,
    span: SpanId,
}

/// The program at hand, whose commands count when it has ended.
#[derive(Clone, Debug)]
struct Running {
    span: SpanId,
    begun: Time,
    bytes_read: u64,
    /// Nothing while it is handed over.
    executed: Option<Executed>,
}

/// What the execution of the program at hand came to.
#[derive(Clone, Debug)]
struct Executed {
    duration: Time,
    commands: CommandCounts,
}

/// Programs of so many cycles at least are handed over where they are executed command by command; others are not worth
/// a message.
const LONG: u64 = 256;

/// One channel that stands for `copies` channels that run the same programs from the same state.
///
/// Ready programs run one at a time in the order of (ready, task). The span of a program is `compute.pim`; its mode
/// switches are the span's launch. Ordinary accesses are programs too ([`ordinary::access`]): they
/// wait while another program has the channel, and their spans are of the link that carries the data.
#[derive(Debug)]
pub struct Controller {
    /// Configuration.
    device: Arc<DeviceSpec>,
    copies: u32,
    /// Configuration: what the spans of ordinary accesses are.
    access: Category,
    board: Board<ProgramTask>,
    /// State.
    channel: Arc<Channel>,
    ready: BTreeSet<(Time, TaskIndex)>,
    running: Option<Running>,
    /// State: the span before and when it ended.
    before: Option<(SpanId, Time)>,
    /// Statistics of one channel, of programs that have ended.
    counts: CommandCounts,
    bytes_read: u64,
    busy: Time,
    /// State: the commands so far, where they are recorded.
    record: Option<Record>,
}

/// The commands of a channel.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The job, and what was issued for it, in the order of jobs and cycles.
    pub commands: Vec<(SpanId, Issued)>,
    /// Configuration: how many are kept.
    most: usize,
    /// State: how many of those that the engine recorded are not kept.
    more: u64,
    /// How many more there were.
    pub left_out: u64,
}

impl Controller {
    /// An idle channel that stands for `copies`.
    pub fn new(device: Arc<DeviceSpec>, copies: u32) -> Self {
        Self::from_engine(Engine::new(&device), device, copies)
    }

    /// The same, sharing what is learnt about loops with other channels of the device.
    pub fn sharing(learnt: &Arc<Learnt>, device: Arc<DeviceSpec>, copies: u32) -> Self {
        Self::from_engine(learnt.engine(), device, copies)
    }

    fn from_engine(engine: Engine, device: Arc<DeviceSpec>, copies: u32) -> Self {
        Self {
            channel: Channel::new(engine),
            device,
            copies,
            access: Category::CommunicationHbm,
            board: Board::default(),
            ready: BTreeSet::new(),
            running: None,
            before: None,
            counts: CommandCounts::default(),
            bytes_read: 0,
            busy: Time::ZERO,
            record: None,
        }
    }

    /// The same, which keeps the first `most` commands that one of its channels issues and counts the others. Execution
    /// is command by command then.
    pub fn with_record(mut self, most: usize) -> Self {
        self.channel.lock().engine.record_most(most);
        self.record = Some(Record { most, ..Record::default() });
        self
    }

    /// When a cycle of its clock begins.
    pub fn time_of(&self, cycle: u64) -> Time {
        self.device.timing.clock.edge(Cycles(cycle))
    }

    /// What was recorded; nothing without [`Self::with_record`].
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The same, executing programs as `mode` says.
    pub fn with_execution(self, mode: ExecutionMode) -> Self {
        self.channel.lock().engine.mode = mode;
        self
    }

    /// The same, with another category for the spans of ordinary accesses than `communication.hbm`.
    pub fn with_access(self, access: Category) -> Self {
        Self { access, ..self }
    }

    /// The steps of all its programs, see [`Engine::steps`].
    pub fn steps(&self) -> u64 {
        let tasks = 0..self.board.len() as TaskIndex;
        let engine = &self.channel.lock().engine;
        tasks.map(|task| engine.steps(&self.board.work(task).program)).sum()
    }

    /// Its programs, to be added and wired.
    pub fn board_mut(&mut self) -> &mut Board<ProgramTask> {
        &mut self.board
    }

    /// Commands issued by all copies, refreshes up to the begin of the last program's idle time included.
    pub fn command_counts(&self) -> CommandCounts {
        self.counts.times(u64::from(self.copies))
    }

    /// Energy of all copies, see [`energy::energy`] for what is counted.
    pub fn energy(&self) -> Energy {
        energy::energy(&self.device, &self.command_counts())
    }

    /// Commands of all copies up to `end`, the refreshes of idle time included.
    pub fn command_counts_until(&self, end: Time) -> CommandCounts {
        let cycle = self.device.timing.clock.cycle_at_or_after(end).0;
        let mut counts = self.counts;
        // A program that was stopped has done its refreshes itself, and counts for nothing.
        if self.running.is_none() {
            counts[Command::RefAb] +=
                self.channel.lock().engine.refreshes_until(i64::try_from(cycle).unwrap_or(i64::MAX));
        }
        counts.times(u64::from(self.copies))
    }

    /// Energy of all copies up to `end`, by part. Standby is that of open rows while a program runs and of closed rows
    /// otherwise (assumption: rows are open for most of a program).
    pub fn energy_until(&self, end: Time) -> energy::Parts {
        let mut parts = energy::parts(&self.device, &self.command_counts_until(end));
        let standby = energy::background(&self.device, self.busy.min(end), end.since(self.busy.min(end)));
        parts.standby = standby.times(u64::from(self.copies));
        parts
    }

    /// The same commands up to `end` with what each kind takes, standby left out.
    pub fn energy_by_command(&self, end: Time) -> Vec<(Command, u64, Energy)> {
        energy::by_command(&self.device, &self.command_counts_until(end))
    }

    /// Channels that it stands for.
    pub const fn copies(&self) -> u32 {
        self.copies
    }

    fn start_next<M: From<Signal> + From<ProgramDone>>(&mut self, context: &mut Context<'_, M>) {
        if self.running.is_some() {
            return;
        }
        let Some((_, task)) = self.ready.pop_first() else {
            return;
        };
        let clock = self.device.timing.clock;
        let (now, arrival) = (context.now(), self.board.arrival(task));
        let ProgramTask { program, kind, tag } = self.board.work(task).clone();
        let begin = clock.cycle_at_or_after(now).0;
        let mut channel = self.channel.lock();
        let least = if channel.engine.is_slow() { channel.engine.least(&program) } else { 0 };
        let (after, launch, executed) = if least >= LONG {
            channel.begin(Arc::clone(&program), begin);
            let after = clock.edge(Cycles(begin + least)).since(now);
            context.hand_over(now + after, Arc::clone(&self.channel) as Arc<dyn Ahead>);
            (after, Time::ZERO, None)
        } else {
            let execution = match channel.engine.run(&program, begin) {
                Ok(execution) => execution,
                Err(error) => return self.fails(task, &error, context),
            };
            // An empty program takes no time, not even to the next clock edge.
            let empty = program.commands().total() == 0;
            let (duration, launch) = if empty { (Time::ZERO, Time::ZERO) } else { self.times(now, &execution) };
            (duration, launch, Some(Executed { duration, commands: execution.commands }))
        };
        let copies = u64::from(self.copies);
        let span = context.open(SpanDraft {
            kind,
            category: if ordinary::is_access(&program) { self.access } else { Category::ComputePim },
            tag,
            ready: arrival.ready,
            signal: arrival.latency,
            launch,
            bytes: program.bytes_read() * copies,
            operations: program.operations() * copies,
            cause: arrival.cause,
            held_by: self.before.filter(|_| arrival.ready < now).map(|(span, _)| span),
        });
        if let Some(record) = &mut self.record {
            let issued = channel.engine.take_trace();
            let kept = issued.len().min(record.most.saturating_sub(record.commands.len()));
            record.more += (issued.len() - kept) as u64;
            record.left_out = record.more + channel.engine.left_out();
            record.commands.extend(issued.into_iter().take(kept).map(|issued| (span, issued)));
            channel.engine.record_most(record.most - record.commands.len());
        }
        self.running = Some(Running { span, begun: now, bytes_read: program.bytes_read(), executed });
        context.wake(after, ProgramDone { task, span });
    }

    /// How long a program that has begun at `begun` takes, and its launch.
    fn times(&self, begun: Time, execution: &Execution) -> (Time, Time) {
        let clock = self.device.timing.clock;
        let duration = clock.edge(Cycles(execution.end)).since(begun);
        (duration, clock.edge(Cycles(execution.mode_switch)).min(duration))
    }

    /// Executes what is left of a program that was handed over, and adds its launch to its span. Nothing is left of others.
    fn finish(&mut self, add_launch: impl FnOnce(SpanId, Time)) -> Result<(), ProgramError> {
        let Some(&Running { span, begun, executed: None, .. }) = self.running.as_ref() else { return Ok(()) };
        let Some(execution) = self.channel.lock().end() else { return Ok(()) };
        let execution = execution?;
        let (duration, launch) = self.times(begun, &execution);
        add_launch(span, launch);
        if let Some(running) = &mut self.running {
            running.executed = Some(Executed { duration, commands: execution.commands });
        }
        Ok(())
    }

    /// The program's builder is wrong, not the user: a broken law stops the run.
    fn fails<M>(&self, task: TaskIndex, error: &ProgramError, context: &mut Context<'_, M>) {
        let ProgramTask { kind, tag, .. } = self.board.work(task);
        context.law_broken(4, format!("the program {kind} of {tag} cannot be run: {error}"));
    }
}

impl<M: From<Signal> + From<ProgramDone>> Handle<Signal, M> for Controller {
    fn handle(&mut self, signal: Signal, context: &mut Context<'_, M>) {
        if self.board.signal(signal, context) {
            self.ready.insert((context.now(), signal.task));
            self.start_next(context);
        }
    }
}

impl<M: From<Signal> + From<ProgramDone>> Handle<ProgramDone, M> for Controller {
    fn handle(&mut self, done: ProgramDone, context: &mut Context<'_, M>) {
        if let Err(error) = self.finish(|span, launch| context.add_launch(span, launch)) {
            return self.fails(done.task, &error, context);
        }
        let Some(Running { begun, bytes_read, executed: Some(executed), .. }) = &self.running else { return };
        let (&bytes_read, Executed { duration, commands }) = (bytes_read, executed.clone());
        let (now, end) = (context.now(), *begun + duration);
        if end > now {
            // It could have ended by now.
            context.wake(end.since(now), done);
            return;
        }
        if end < now {
            context.law_broken(4, format!("a program ended {} before it could have", now.since(end)));
            return;
        }
        log_span!(context, done.span);
        self.running = None;
        self.counts += commands;
        self.bytes_read += bytes_read;
        self.busy += duration;
        self.before = Some((done.span, context.now()));
        self.board.complete(done.task, done.span, context);
        self.start_next(context);
    }
}

impl Inspect for Controller {
    fn waiting(&self) -> Vec<Waiting> {
        self.board.waiting(|task| format!("{} of {}", task.kind, task.tag))
    }

    fn settle(&mut self, spans: &mut Spans) {
        // What is wrong with the program is found out again where the run goes on.
        let _ = self.finish(|span, launch| spans.add_launch(span, launch));
    }

    fn meter(&self) -> Option<Meter> {
        let copies = u64::from(self.copies);
        Some(Meter {
            amount: self.bytes_read * copies,
            peak: self.device.channel_peak().scaled(copies, 1),
            busy: self.busy,
        })
    }

    /// The program at hand counts by the time that it has run.
    fn meter_at(&self, at: Time) -> Option<Meter> {
        let mut meter = self.meter()?;
        if let Some(&Running { begun, bytes_read, executed: Some(Executed { duration, .. }), .. }) =
            self.running.as_ref()
            && duration > Time::ZERO
        {
            let run = at.since(begun).min(duration);
            let read = u128::from(bytes_read) * u128::from(run.ps()) / u128::from(duration.ps());
            meter.amount += u64::try_from(read).unwrap_or(u64::MAX).saturating_mul(u64::from(self.copies));
            meter.busy += run;
        }
        Some(meter)
    }
}
