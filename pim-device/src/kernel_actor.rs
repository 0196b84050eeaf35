//! The actor that runs whole kernels of any PIM device.
//!
//! A [`DeviceKernel`] is a kernel with all that it does, found out by the device's own model when it is made: a device
//! begins a kernel in a known state and does nothing else meanwhile. The actor gives it a place in time and a span.
//! [`crate::Controller`] is for channels that go from program to program.

mod traced;
mod traffic;

pub use traced::{Traced, TracedCommand};
pub use traffic::{Served, Traffic, TrafficError};

use std::collections::BTreeSet;

use sim_core::{
    Board, Category, Context, Cycles, Handle, Inspect, Meter, Rate, Signal, SpanDraft, SpanId, Tag, TaskIndex, Time,
    Waiting, log_span,
};

use crate::aim::{self, AimError, AimProgram, AimSpec};
use crate::command::{Command, CommandCounts};
use crate::controller::engine::{Engine, ExecutionMode};
use crate::device::DeviceSpec;
use crate::energy;
use crate::error::ProgramError;
use crate::hbm2_pim::{self, Hbm2Pim, Hbm2PimError, Kernel};
use crate::program::Program;

/// A kernel of channels that do the same or of a whole device, and what it does there.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceKernel {
    /// The kind of its span.
    pub kind: &'static str,
    /// Which part of the workload it belongs to.
    pub tag: Tag,
    /// How long it takes, and how much of that is mode switches.
    pub duration: Time,
    /// The mode switches.
    pub launch: Time,
    /// Bytes that banks give and take: those of all banks that a command works on.
    pub bytes: u64,
    /// Additions and multiplications of the PIM lanes, padding included.
    pub operations: u64,
    /// Commands of all channels.
    pub commands: CommandCounts,
    /// Picojoules; `None` where no source says what a command costs.
    pub energy: Option<f64>,
    /// The commands, where they were asked for.
    pub traced: Option<Traced>,
}

impl DeviceKernel {
    /// Programs of an HBM3 device, one after the other, each in `copies` channels. Where so many commands are `kept` all are executed
    /// one by one.
    ///
    /// # Errors
    /// [`ProgramError`] for a program that is none.
    pub fn hbm3(
        device: &DeviceSpec,
        programs: &[&Program],
        copies: u32,
        (mode, kept): (ExecutionMode, Option<usize>),
        (kind, tag): (&'static str, Tag),
    ) -> Result<Self, ProgramError> {
        let mut engine = Engine::new(device).with_execution(mode);
        if let Some(most) = kept {
            engine.record_most(most);
        }
        let (mut end, mut switches, mut counts) = (0, 0, CommandCounts::default());
        let (mut bytes, mut operations) = (0, 0);
        for program in programs {
            let execution = engine.run(program, end)?;
            (end, switches) = (execution.end, switches + execution.mode_switch);
            counts += execution.commands;
            let ordinary = program.commands()[Command::Rd] + program.commands()[Command::Wr];
            bytes += program.bytes_read() + ordinary * u64::from(device.organisation.granule);
            operations += program.operations();
        }
        let (clock, copies) = (device.timing.clock, u64::from(copies));
        let commands = counts.times(copies);
        let duration = clock.edge(Cycles(end));
        Ok(Self {
            kind,
            tag,
            duration,
            launch: clock.edge(Cycles(switches)).min(duration),
            bytes: bytes * copies,
            operations: operations * copies,
            energy: Some(energy::energy(device, &commands).pj()),
            commands,
            traced: kept.map(|most| {
                let issued = engine.take_trace();
                Traced::hbm3(issued, copies as u32, most, engine.left_out())
            }),
        })
    }

    /// A kernel of Samsung's HBM-PIM. Of its commands so many are `kept`.
    ///
    /// # Errors
    /// [`Hbm2PimError`] for dimensions that the kernel cannot have on the device.
    pub fn hbm2_pim(
        device: &Hbm2Pim,
        kernel: &Kernel,
        kept: Option<usize>,
        (kind, tag): (&'static str, Tag),
    ) -> Result<Self, Hbm2PimError> {
        let (run, traffic, classes) = hbm2_pim::run_kept(device, kernel, kept)?;
        let traced = kept.map(|most| Traced::hbm2_pim(classes, device, most));
        Ok(Self {
            kind,
            tag,
            duration: device.timing.clock.edge(Cycles(run.cycles)),
            launch: Time::ZERO,
            bytes: traffic.bytes,
            operations: traffic.operations,
            commands: run.commands,
            energy: None,
            traced,
        })
    }

    /// A program of GDDR6-AiM. Of its commands so many are `kept`.
    ///
    /// # Errors
    /// [`AimError`] where an instruction cannot be.
    pub fn aim(
        device: &AimSpec,
        program: &AimProgram,
        kept: Option<usize>,
        (kind, tag): (&'static str, Tag),
    ) -> Result<Self, AimError> {
        let (run, traced) = match kept {
            None => (aim::run(device, program)?, None),
            Some(most) => {
                let (run, record) = aim::run_recorded(device, program, most)?;
                (run, Some(Traced::aim(&record, device)))
            }
        };
        let organisation = &device.organisation;
        let (banks, groups) = (u64::from(organisation.banks_per_channel()), u64::from(organisation.bank_groups));
        let lanes = u64::from(device.elements_per_granule());
        let count = |command: Command| run.commands[command];
        // A MAC reads all banks. A product of bank groups reads two banks of each and writes a third. WRAB writes all.
        let granules = banks * (count(Command::MacAb) + count(Command::WrAb))
            + 3 * groups * count(Command::EwMul)
            + count(Command::Rd)
            + count(Command::Wr)
            + count(Command::RdCp)
            + count(Command::WrCp);
        let operations = 2 * banks * lanes * count(Command::MacAb) + groups * lanes * count(Command::EwMul);
        Ok(Self {
            kind,
            tag,
            duration: run.time,
            launch: Time::ZERO,
            bytes: granules * u64::from(organisation.granule),
            operations,
            commands: run.commands,
            energy: None,
            traced,
        })
    }
}

/// The actor's message to itself: the kernel at hand has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelDone {
    task: TaskIndex,
    span: SpanId,
}

/// Channels of a device, which run one kernel at a time in the order of (ready, task).
#[derive(Debug)]
pub struct KernelDevice {
    /// Configuration: bytes per second of all channels.
    peak: Rate,
    board: Board<DeviceKernel>,
    /// State.
    ready: BTreeSet<(Time, TaskIndex)>,
    /// State: the kernel at hand and when it began.
    running: Option<(TaskIndex, Time)>,
    /// State: the last span that has ended.
    before: Option<SpanId>,
    /// Statistics of kernels that have ended.
    counts: CommandCounts,
    energy: Option<f64>,
    bytes: u64,
    busy: Time,
}

impl KernelDevice {
    /// An idle device, whose banks give or take at most so much.
    pub fn new(peak: Rate) -> Self {
        Self {
            peak,
            board: Board::default(),
            ready: BTreeSet::new(),
            running: None,
            before: None,
            counts: CommandCounts::default(),
            energy: None,
            bytes: 0,
            busy: Time::ZERO,
        }
    }

    /// Its kernels, to be added and wired.
    pub fn board_mut(&mut self) -> &mut Board<DeviceKernel> {
        &mut self.board
    }

    /// Commands of all channels.
    pub const fn command_counts(&self) -> &CommandCounts {
        &self.counts
    }

    /// Picojoules of kernels that have ended, as far as they are known.
    pub const fn energy(&self) -> Option<f64> {
        self.energy
    }

    fn start_next<M: From<Signal> + From<KernelDone>>(&mut self, context: &mut Context<'_, M>) {
        if self.running.is_some() {
            return;
        }
        let Some((_, task)) = self.ready.pop_first() else { return };
        let (now, arrival) = (context.now(), self.board.arrival(task));
        let kernel = self.board.work(task);
        let duration = kernel.duration;
        let span = context.open(SpanDraft {
            kind: kernel.kind,
            category: Category::ComputePim,
            tag: kernel.tag,
            ready: arrival.ready,
            signal: arrival.latency,
            launch: kernel.launch,
            bytes: kernel.bytes,
            operations: kernel.operations,
            cause: arrival.cause,
            held_by: self.before.filter(|_| arrival.ready < now),
        });
        self.running = Some((task, now));
        context.wake(duration, KernelDone { task, span });
    }
}

impl<M: From<Signal> + From<KernelDone>> Handle<Signal, M> for KernelDevice {
    fn handle(&mut self, signal: Signal, context: &mut Context<'_, M>) {
        if self.board.signal(signal, context) {
            self.ready.insert((context.now(), signal.task));
            self.start_next(context);
        }
    }
}

impl<M: From<Signal> + From<KernelDone>> Handle<KernelDone, M> for KernelDevice {
    fn handle(&mut self, done: KernelDone, context: &mut Context<'_, M>) {
        log_span!(context, done.span);
        if let Some((task, _)) = self.running.take() {
            let kernel = self.board.work(task);
            self.counts += kernel.commands;
            if let Some(energy) = kernel.energy {
                self.energy = Some(self.energy.unwrap_or(0.0) + energy);
            }
            self.bytes += kernel.bytes;
            self.busy += kernel.duration;
        }
        self.before = Some(done.span);
        self.board.complete(done.task, done.span, context);
        self.start_next(context);
    }
}

impl Inspect for KernelDevice {
    fn waiting(&self) -> Vec<Waiting> {
        self.board.waiting(|kernel| format!("{} of {}", kernel.kind, kernel.tag))
    }

    fn meter(&self) -> Option<Meter> {
        Some(Meter { amount: self.bytes, peak: self.peak, busy: self.busy })
    }

    /// The kernel at hand counts by the time that it has run.
    fn meter_at(&self, at: Time) -> Option<Meter> {
        let mut meter = self.meter()?;
        if let Some((task, begun)) = self.running {
            let kernel = self.board.work(task);
            let run = at.since(begun).min(kernel.duration);
            let bytes = u128::from(kernel.bytes) * u128::from(run.ps()) / u128::from(kernel.duration.ps().max(1));
            meter.amount += u64::try_from(bytes).unwrap_or(u64::MAX);
            meter.busy += run;
        }
        Some(meter)
    }
}
