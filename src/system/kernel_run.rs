//! One kernel on a PIM device, as a system of its own: the device's actors and a mark of the end.
//!
//! ```text
//!   pim.channels0x15, pim.channels1x1 (HBM3: channels with the same programs)  \
//!   pim.device (HBM-PIM, GDDR6-AiM: all channels)                             --> end: token
//! ```
//! Everything begins at once and there is no host: what a host adds (launch, vector, results) is no part of the kernel. The
//! mark is a job without duration, so that the one step of the run ends with the kernel.

use std::sync::Arc;

use host_gpu::{Driver, HostJob};
use pim_device::aim::block::{AimBlock, AimGemv, BlockShape};
use pim_device::aim::{AimError, AimProgram, AimSpec};
use pim_device::controller::mixed::Precedence;
use pim_device::dram::traffic::Pattern;
use pim_device::hbm2_pim::{Hbm2Pim, Hbm2PimError, Kernel, Mode, Operation};
use pim_device::kernel::attention::{AttentionPart, attention_of_parts, split};
use pim_device::kernel::gemv::{Gemv, gemv};
use pim_device::kernel::ordinary;
use pim_device::{
    AttentionUnit, Command, DeviceKernel, DeviceSpec, ExecutionMode, KernelDevice, Layout, Organisation, Program,
    Served, Traced, TracedCommand, Traffic, TrafficError, energy,
};
use reports::commands::{CommandRow, Commands, ranges};
use reports::{Assumption, Memory, SystemInput, Use};
use sim_core::{
    ActorId, Bytes, ClockDomain, Cycles, End, Inspect, Plan, Progress, Rate, Signal, Simulation, SimulationError,
    SpanId, Tag, Time, Watch,
};

use super::machine::{MOST_COMMANDS, class_name, place};
use super::node::Node;
use super::{Conduct, Outcome, SystemError, figures};
use crate::scenario::{
    Execution, First, KernelName, KernelSplit, KernelSystem, KernelTraffic, KernelWork, TrafficPattern, Words,
};
use crate::threads;

/// Why a device cannot run a kernel: the key that says so, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A key of `workload`.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// A program of one HBM3 channel, and the channels that have it.
type Classes = Vec<(Vec<u32>, Program)>;

/// A kernel and its device, ready to be run.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// A program for each class of channels.
    Hbm3 {
        /// The device.
        device: Arc<DeviceSpec>,
        /// The programs.
        classes: Classes,
        /// How often each is run, one after the other.
        times: u64,
        /// How the programs are executed.
        mode: ExecutionMode,
        /// Bytes that the data take in the banks, padding included.
        used: Bytes,
    },
    /// A kernel of Samsung's HBM-PIM.
    Hbm2 {
        /// The device.
        device: Box<Hbm2Pim>,
        /// The kernel.
        kernel: Kernel,
    },
    /// A program of GDDR6-AiM.
    Aim {
        /// The device.
        device: Box<AimSpec>,
        /// The program.
        program: AimProgram,
    },
}

impl Prepared {
    /// Prepares a kernel; what its device cannot hold or do is refused.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn new(system: &KernelSystem, work: &KernelWork) -> Result<Self, Refused> {
        match system.entry.name.as_str() {
            "hbm2-pim" => hbm2(system, work),
            "gddr6-aim" => aim(work),
            _ => hbm3(system, work),
        }
    }
}

fn hbm2(system: &KernelSystem, work: &KernelWork) -> Result<Prepared, Refused> {
    let device = Hbm2Pim::new();
    let operation = match work.kernel {
        KernelName::GemvTree => Operation::GemvTree,
        KernelName::Add => Operation::Add,
        KernelName::Mul => Operation::Mul,
        KernelName::Relu => Operation::Relu,
        _ => Operation::Gemv,
    };
    let kernel = Kernel {
        operation,
        pim: true,
        outputs: if operation.is_gemv() { work.outputs } else { work.elements },
        inputs: work.inputs,
        batch: work.batch,
        channels: device.organisation.channels * system.stacks,
    };
    let refused = |error: Hbm2PimError| {
        let key = match &error {
            Hbm2PimError::Dimension { dimension: "in_dim", .. } => "inputs",
            Hbm2PimError::Dimension { dimension: "batch", .. } => "batch",
            _ if operation.is_gemv() => "outputs",
            _ => "elements",
        };
        let message = match error {
            Hbm2PimError::Dimension { value, problem, .. } => format!("`{key}` is {value}: {problem}"),
            other => other.to_string(),
        };
        Refused { key, message, remedy: "choose another size, or more stacks".to_owned() }
    };
    kernel.classes(&device).map_err(refused)?;
    Ok(Prepared::Hbm2 { device: Box::new(device), kernel })
}

fn aim(work: &KernelWork) -> Result<Prepared, Refused> {
    let device = AimSpec::gddr6_aim();
    let program = if work.kernel == KernelName::Block {
        let shape = BlockShape {
            hidden: work.hidden,
            ffn: work.ffn,
            heads: work.heads,
            kv_heads: work.kv_heads,
            head_dim: work.head_dim,
        };
        let channels = work.block_channels.unwrap_or_else(|| u64::from(device.organisation.channels));
        AimBlock::new(shape, work.context, channels).program(&device)
    } else {
        AimGemv { outputs: work.outputs, inputs: work.inputs, batch: work.batch }.program(&device)
    };
    let refused = |error: AimError| {
        let key = match &error {
            AimError::Shape { what, .. } => match *what {
                "the number of channels" => "block_channels",
                "the size of a head" => "head_dim",
                "the number of KV heads" | "the width of K (KV heads x size of a head)" => "kv_heads",
                "the hidden width" => "hidden",
                "the FFN width" => "ffn",
                "the number of heads" => "heads",
                "the context" => "context",
                "the number of inputs" => "inputs",
                "the batch" => "batch",
                _ => "outputs",
            },
            _ if work.kernel == KernelName::Block => "context",
            _ => "outputs",
        };
        Refused { key, message: error.to_string(), remedy: "choose a size that the device can hold".to_owned() }
    };
    Ok(Prepared::Aim { program: program.map_err(refused)?, device: Box::new(device) })
}

fn hbm3(system: &KernelSystem, work: &KernelWork) -> Result<Prepared, Refused> {
    let base = figures::device(&system.entry).map_err(|error| Refused {
        key: "kernel",
        message: error.to_string(),
        remedy: "choose another device, or give the figure in the scenario".to_owned(),
    })?;
    let device = base.with_element(system.dtype.bytes());
    let channels = device.channels_per_stack() * system.stacks;
    let (classes, rows) = match work.kernel {
        KernelName::Gemv => {
            let inputs = u32::try_from(work.inputs).unwrap_or(u32::MAX);
            let matrix = Gemv { outputs: work.outputs, inputs, first_row: 0 };
            // The first channel is the fullest.
            fits(&device, matrix.part(0, channels).rows(&device), "outputs")?;
            let parts = counted((0..channels).map(|channel| matrix.part(channel, channels)));
            let rows = parts.iter().map(|(members, part)| members.len() as u64 * part.rows(&device)).sum();
            (parts.into_iter().map(|(members, part)| (members, gemv(&device, &part))).collect(), rows)
        }
        KernelName::Attention => attention(&device, work, channels)?,
        _ => {
            let each = device.row_bytes().0.saturating_mul(u64::from(channels)).max(1);
            let rows = work.bytes.div_ceil(each);
            fits(&device, rows, "bytes")?;
            let range = 0..u32::try_from(rows).unwrap_or(u32::MAX);
            let program = if work.kernel == KernelName::Write {
                ordinary::write_rows(&device, range)
            } else {
                ordinary::read_rows(&device, range)
            };
            (vec![((0..channels).collect(), program)], rows * u64::from(channels))
        }
    };
    let times = if work.kernel == KernelName::Gemv { work.batch } else { 1 };
    let mode = match system.execution {
        Execution::Fast => ExecutionMode::FastForward,
        Execution::Commands => ExecutionMode::CommandByCommand,
    };
    let used = Bytes(rows.saturating_mul(device.row_bytes().0));
    Ok(Prepared::Hbm3 { device: Arc::new(device), classes, times, mode, used })
}

/// Refuses what needs more rows than a channel has.
fn fits(device: &DeviceSpec, rows: u64, key: &'static str) -> Result<(), Refused> {
    let there = device.channel_rows();
    if rows <= there {
        return Ok(());
    }
    let message = format!("a channel would need {rows} rows of all banks, and has {there}");
    Err(Refused { key, message, remedy: "take more stacks, or less data".to_owned() })
}

/// Equal items in the order of their first, with the places that have them.
fn counted<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<(Vec<u32>, T)> {
    let mut all: Vec<(Vec<u32>, T)> = Vec::new();
    for (place, item) in (0..).zip(items) {
        match all.iter_mut().find(|(_, known)| *known == item) {
            Some((places, _)) => places.push(place),
            None => all.push((vec![place], item)),
        }
    }
    all
}

/// Programs of attention and the rows that keys and values take in all channels.
fn attention(device: &DeviceSpec, work: &KernelWork, channels: u32) -> Result<(Classes, u64), Refused> {
    let head_dim = u32::try_from(work.head_dim).unwrap_or(u32::MAX);
    let query_heads = u32::try_from(work.heads / work.kv_heads.max(1)).unwrap_or(u32::MAX);
    let unit = AttentionUnit { tokens: work.context, query_heads };
    let units = work.batch.saturating_mul(work.kv_heads);
    // Keys and values take the same rows each.
    let rows_of = |tokens: u64| 2 * Layout::new(device, tokens, head_dim).rows();
    // Rows before lists: what does not fit is not written down.
    let least = match work.split {
        KernelSplit::Channels => units.div_ceil(u64::from(channels)).saturating_mul(rows_of(work.context)),
        KernelSplit::Tokens => {
            let parts = split(device, unit, channels);
            units.saturating_mul(parts.iter().map(|part| rows_of(part.unit.tokens)).max().unwrap_or(0))
        }
    };
    fits(device, least, "context")?;
    let parts: Vec<(Vec<u32>, Vec<AttentionPart>)> = match work.split {
        KernelSplit::Channels => {
            let each = |channel: u64| units / u64::from(channels) + u64::from(channel < units % u64::from(channels));
            let whole = AttentionPart { unit, appends: true };
            counted((0..u64::from(channels)).map(|channel| vec![whole; each(channel) as usize]))
        }
        KernelSplit::Tokens => {
            let parts = split(device, unit, channels);
            counted(parts.into_iter().map(|part| vec![part; units as usize]))
        }
    };
    let busy = parts.into_iter().filter(|(_, parts)| !parts.is_empty());
    let (mut classes, mut rows) = (Vec::new(), 0);
    for (members, parts) in busy {
        rows += members.len() as u64 * parts.iter().map(|part| rows_of(part.unit.tokens)).sum::<u64>();
        classes.push((members, attention_of_parts(device, head_dim, &parts)));
    }
    Ok((classes, rows))
}

impl Prepared {
    /// The kernels that the device runs at the same time: the name of their actor, the peak of its banks, and what to do.
    fn kernels(
        &self,
        (system, work, seed): (&KernelSystem, &KernelWork, u64),
        kept: Option<usize>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<(String, Rate, DeviceKernel)>, SystemError> {
        let tag = Tag { step: 1, layer: None };
        let named = (work.kernel.word(), tag);
        match self {
            Self::Hbm3 { device, classes, times, mode, .. } => {
                let mut kernels = Vec::new();
                for (index, (members, program)) in classes.iter().enumerate() {
                    let programs = vec![program; usize::try_from(*times).unwrap_or(usize::MAX)];
                    let count = members.len() as u32;
                    let name = class_name(index, count);
                    let mut kernel = match &system.traffic {
                        None => DeviceKernel::hbm3(device, &programs, count, (*mode, kept), named)
                            .map_err(SystemError::kernel)?,
                        Some(traffic) => {
                            let channels = u64::from(device.channels_per_stack() * system.stacks);
                            let traffic = traffic_of(traffic, channels, seed);
                            let (kernel, [beside, alone]) =
                                DeviceKernel::hbm3_beside(device, &programs, count, (*mode, kept), &traffic, named)
                                    .map_err(|error| refused_beside(&name, error))?;
                            notes.push(describe_traffic(&name, &beside, &alone));
                            kernel
                        }
                    };
                    if let Some(traced) = &mut kernel.traced {
                        traced.channels = vec![members.clone()];
                    }
                    kernels.push((name, device.channel_peak().scaled(u64::from(count), 1), kernel));
                }
                Ok(kernels)
            }
            Self::Hbm2 { device, kernel } => {
                let done = DeviceKernel::hbm2_pim(device, kernel, kept, named).map_err(SystemError::kernel)?;
                let peak = device.channel_peak().scaled(u64::from(kernel.channels), 1);
                Ok(vec![("pim.device".to_owned(), peak, done)])
            }
            Self::Aim { device, program } => {
                let done = DeviceKernel::aim(device, program, kept, named).map_err(SystemError::kernel)?;
                let peak = device.channel_peak().scaled(u64::from(device.organisation.channels), 1);
                Ok(vec![("pim.device".to_owned(), peak, done)])
            }
        }
    }

    /// The clock of its channels, and what they are made of.
    fn clock(&self) -> (ClockDomain, Organisation) {
        match self {
            Self::Hbm3 { device, .. } => (device.timing.clock, device.organisation),
            Self::Hbm2 { device, .. } => (device.timing.clock, device.organisation),
            Self::Aim { device, .. } => (device.timing.clock, device.organisation),
        }
    }

    /// Bytes of one stack.
    fn stack_capacity(&self) -> Bytes {
        match self {
            Self::Hbm3 { device, .. } => device.stack_capacity(),
            Self::Hbm2 { device, .. } => device.organisation.stack_capacity(),
            Self::Aim { device, .. } => device.organisation.stack_capacity(),
        }
    }
}

/// Why a kernel cannot run beside requests.
fn refused_beside(actor: &str, error: TrafficError) -> SystemError {
    match error {
        TrafficError::Endless => SimulationError::TimeOverflow { actor: actor.to_owned() }.into(),
        TrafficError::TooMany { .. } => SystemError::Traffic(error.to_string()),
        other => SystemError::kernel(other),
    }
}

/// Bytes of operands, and of results that stay in the banks; without padding where the device's own kernels lay them out.
fn data_bytes(prepared: &Prepared, work: &KernelWork) -> Bytes {
    let matrix = work.outputs.saturating_mul(work.inputs);
    let elements = match (prepared, work.kernel) {
        (Prepared::Hbm3 { used, .. }, _) => return *used,
        (_, KernelName::Add | KernelName::Mul) => 3 * work.elements,
        (_, KernelName::Relu) => 2 * work.elements,
        (Prepared::Hbm2 { device, .. }, _) => {
            // Each output is as many lanes as the PIM blocks have.
            matrix.saturating_add(work.outputs * work.batch * u64::from(device.lanes))
        }
        (Prepared::Aim { device, .. }, KernelName::Block) => {
            let (query, kv) = (work.heads * work.head_dim, work.kv_heads * work.head_dim);
            let weights = work.hidden.saturating_mul(2 * query + 2 * kv + 3 * work.ffn);
            let channels = u64::from(device.organisation.channels);
            let blocks = channels / work.block_channels.unwrap_or(channels).max(1);
            weights.saturating_add(2 * work.context.saturating_mul(kv)).saturating_mul(blocks)
        }
        (Prepared::Aim { .. }, _) => matrix,
    };
    Bytes(elements.saturating_mul(2))
}

/// The part of the requests that a channel gets.
fn traffic_of(traffic: &KernelTraffic, channels: u64, seed: u64) -> Traffic {
    Traffic {
        pattern: match traffic.pattern {
            TrafficPattern::Stream => Pattern::StreamBgi,
            TrafficPattern::StreamWrites => Pattern::StreamBgiWr,
            TrafficPattern::StreamMix => Pattern::MixStream,
            TrafficPattern::Random => Pattern::Random,
            TrafficPattern::RandomMix => Pattern::MixRandom,
            TrafficPattern::Conflict => Pattern::Conflict,
        },
        rate: traffic.rate.scaled(1, channels.max(1)),
        precedence: match traffic.first {
            First::Kernel => Precedence::Program,
            First::Requests => Precedence::requests(),
        },
        seed,
    }
}

/// How a channel is shared, which no source says.
fn assumption_of(traffic: &KernelTraffic) -> Assumption {
    let why = match traffic.first {
        First::Kernel => "no request is begun while a program waits or runs; queues of 32 reads and 32 writes",
        First::Requests => "at most 32 requests before each program; queues of 32 reads and 32 writes",
    };
    Assumption { key: "traffic.first".to_owned(), value: traffic.first.word().into(), why: why.to_owned() }
}

/// What became of the requests to a channel, for people.
fn describe_traffic(channels: &str, beside: &Served, alone: &Served) -> String {
    let Served { requests, in_time, mean, most, longest } = beside;
    format!(
        "{channels}: {requests} requests came to each channel before the kernel's end and {in_time} of them were done by then. They took {mean} in the \
         mean, 99 of 100 at most {most}, the longest {longest}; without the kernel {}, {} and {}.",
        alone.mean, alone.most, alone.longest
    )
}

/// The commands of the kernels up to `end`, with how many each has left out. Each is the one job of its actor.
fn rows((clock, organisation): (ClockDomain, Organisation), traced: Vec<(ActorId, Traced)>, end: Time) -> Commands {
    let mut all = Commands::default();
    for (actor, Traced { commands, channels, left_out }) in traced {
        let first = all.channels.len() as u32;
        all.channels.extend(channels.iter().map(|set| ranges(set)));
        let room = MOST_COMMANDS.saturating_sub(all.rows.len());
        all.left_out += left_out + commands.len().saturating_sub(room) as u64;
        let span = SpanId { actor, number: 0 };
        let rows = commands.into_iter().take(room).map(|TracedCommand { issued, channels, mode }| {
            let mut place = place(issued);
            if mode.is_some() && issued.command == Command::RefAb {
                place.rank = Some(issued.address.rank);
            }
            // A level of which there is one says nothing.
            place.pseudo_channel = place.pseudo_channel.filter(|_| organisation.pseudo_channels > 1);
            place.rank = place.rank.filter(|_| organisation.ranks > 1);
            CommandRow {
                span,
                cycle: issued.cycle,
                at: clock.edge(Cycles(issued.cycle)),
                command: issued.command.mnemonic(),
                channels: first + channels,
                place,
                mode: mode.map_or("", Mode::text),
            }
        });
        all.rows.extend(rows.filter(|row| row.at <= end));
    }
    all
}

/// What the kernel is, for people.
fn describe(system: &KernelSystem, work: &KernelWork) -> String {
    let shape = match work.kernel {
        KernelName::Gemv | KernelName::GemvTree => {
            let batch = if work.batch > 1 { format!(" x {}", work.batch) } else { String::new() };
            format!("{} x {}{batch}", work.outputs, work.inputs)
        }
        KernelName::Attention => {
            let (heads, kv_heads, head_dim) = (work.heads, work.kv_heads, work.head_dim);
            format!("{} x {} tokens, {heads}/{kv_heads} heads of {head_dim}", work.batch, work.context)
        }
        KernelName::Add | KernelName::Mul | KernelName::Relu => work.elements.to_string(),
        KernelName::Block => format!("{} wide, {} tokens", work.hidden, work.context),
        KernelName::Write | KernelName::Read => Bytes(work.bytes).to_string(),
    };
    format!("{} {shape}, {}", work.kernel, system.dtype)
}

/// Runs a kernel on a device. `progress` hears how many tasks there are, and how far the run is.
///
/// # Errors
/// [`SystemError`].
pub fn simulate(
    system: &KernelSystem,
    work: &KernelWork,
    seed: u64,
    conduct: Conduct<'_>,
    progress: &mut dyn FnMut(u64, Progress),
) -> Result<Outcome, SystemError> {
    let prepared = Prepared::new(system, work).map_err(|refused| SystemError::kernel(refused.message))?;
    let mut notes = Vec::new();
    let kept = conduct.commands.then_some(MOST_COMMANDS);
    let kernels = prepared.kernels((system, work, seed), kept, &mut notes)?;
    let mut simulation = Simulation::<Node>::new(seed);
    let end = simulation.reserve::<Driver>("end");
    let mut driver = Driver::default();
    let token = HostJob { kind: "token", tag: Tag { step: 1, layer: None }, duration: Time::ZERO };
    let token = driver.board_mut().add(token);
    let tasks = kernels.len() as u64 + 1;
    let mut traced: Vec<(ActorId, Traced)> = Vec::new();
    for (name, peak, mut kernel) in kernels {
        let key = simulation.reserve::<KernelDevice>(name);
        traced.extend(kernel.traced.take().map(|traced| (key.id(), traced)));
        let mut device = KernelDevice::new(peak);
        let task = device.board_mut().add(kernel);
        device.board_mut().expect(task);
        device.board_mut().tell(task, end.port(Time::ZERO), token);
        driver.board_mut().expect(token);
        simulation.place(key, device);
        simulation.start(key.port(Time::ZERO), Time::ZERO, Signal { task, cause: None, latency: Time::ZERO });
    }
    simulation.place(end, driver);
    progress(tasks, Progress::default());
    let mut at = |at| progress(tasks, at);
    let watch = Watch::new(&mut at, &threads::cpu_time);
    let (ended, report) = simulation.run_parallel_with(&Plan::default(), conduct.limits, watch)?;
    let (stopped, meters) = match ended {
        End::Done(_) => (None, simulation.meters()),
        End::Stopped { at, why } => (Some((at, why)), simulation.meters_at(at)),
    };
    let devices: Vec<&KernelDevice> = simulation
        .nodes()
        .filter_map(|node| match node {
            Node::Kernel(device) => Some(device),
            _ => None,
        })
        .collect();
    let energy_pj = match &prepared {
        Prepared::Hbm3 { device, classes, .. } => {
            energy_of(device, u64::from(device.channels_per_stack() * system.stacks), classes, &devices)
        }
        Prepared::Hbm2 { .. } | Prepared::Aim { .. } => {
            let name = &system.entry.name;
            notes.push(format!("no source says what a command of {name} costs: its energy is not counted"));
            Vec::new()
        }
    };
    let commands = simulation.nodes().find_map(|node| match node {
        Node::Kernel(device) => Some(device.command_counts()),
        _ => None,
    });
    tracing::debug!(?commands, "kernel done");
    let last = stopped.map_or(Time::MAX, |(at, _)| at);
    let commands = rows(prepared.clock(), traced, last);
    let names = simulation.names().to_vec();
    let events = simulation.events();
    let spans = simulation.take_spans();
    let mut open = if stopped.is_some() { spans.unfinished().to_vec() } else { Vec::new() };
    open.sort_unstable_by_key(|span| span.id);
    let capacity = prepared.stack_capacity().0.saturating_mul(u64::from(system.stacks));
    let input = SystemInput {
        name: system.name.clone(),
        batch: u32::try_from(work.batch).unwrap_or(u32::MAX),
        context: work.context,
        kernel: Some(describe(system, work)),
        actors: names,
        spans: spans.into_sorted(),
        commands,
        open,
        stopped: stopped.map(|(at, _)| at),
        meters,
        memory: Memory {
            pim: Some(Use { used: data_bytes(&prepared, work), capacity: Bytes(capacity) }),
            ..Memory::default()
        },
        energy_pj,
        notes,
        events,
        execution: super::execution(&report, (conduct.threads > 1).then(|| ONE_THREAD.to_owned())),
        ..SystemInput::default()
    };
    let assumptions = match &prepared {
        // The devices with a model of their own take no figure from the catalogue.
        Prepared::Hbm2 { .. } | Prepared::Aim { .. } => Vec::new(),
        Prepared::Hbm3 { .. } => {
            let found = system.entry.assumptions().into_iter();
            let found = found.filter(|found| FIGURES.contains(&found.key.as_str()));
            let found = found.map(|found| Assumption {
                key: format!("pim.{}", found.key),
                value: found.value,
                why: format!("{}: {}", system.entry.name, found.why),
            });
            found.chain(system.traffic.iter().map(assumption_of)).collect()
        }
    };
    Ok(Outcome { input, assumptions, stopped: stopped.map(|(_, why)| why) })
}

/// (part, picojoules) of all channels from the begin to the end of the last kernel that has ended: the same parts as in a system.
/// None where no kernel has ended.
///
/// Rows are open while a channel's kernel runs (assumption, as in a system). Afterwards, and where it has none, a channel is idle.
fn energy_of(device: &DeviceSpec, channels: u64, classes: &Classes, ran: &[&KernelDevice]) -> Vec<(String, f64)> {
    let busy = |kernel: &KernelDevice| kernel.meter().map_or(Time::ZERO, |meter| meter.busy);
    let end = ran.iter().map(|kernel| busy(kernel)).max().unwrap_or_default();
    if end == Time::ZERO {
        return Vec::new();
    }
    let mut parts = energy::Parts::default();
    let mut without = channels;
    for ((members, _), kernel) in classes.iter().zip(ran) {
        let (count, busy) = (members.len() as u64, busy(kernel));
        without = without.saturating_sub(count);
        // One that was stopped counts for nothing.
        if busy > Time::ZERO {
            parts += energy::parts(device, kernel.command_counts());
            parts.standby += energy::background(device, busy, Time::ZERO).times(count);
            parts += energy::idle(device, end - busy).times(count);
        }
    }
    parts += energy::idle(device, end).times(without);
    parts.named().map(|(name, energy)| (format!("pim.{name}"), energy.pj())).into()
}

/// The figures of the catalogue that a kernel depends on.
const FIGURES: &[&str] = &[
    "buffer_rate",
    "softmax_passes",
    "power_limit",
    "multi_bank_activation",
    "gqa",
    "rules",
    "energy_refresh",
    "standby_open",
    "standby_closed",
];

/// Why there is one thread.
const ONE_THREAD: &str = "a kernel is one event: channels that do the same are simulated once";
