//! A kernel from beginning to end.

use super::channel::{Channel, Issued, Observer};
use super::effect::{Effect, RankProgram};
use super::error::Hbm2PimError;
use super::kernel::Kernel;
use super::mode::{Mode, is_memory};
use super::request::Requests;
use super::trace::Trace;
use crate::command::CommandCounts;
use crate::device::hbm2_pim::Hbm2Pim;

/// Statistics of a kernel over all of its channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelRun {
    /// Cycles until the last request of all channels is complete.
    pub cycles: u64,
    /// Cycles of the first of two phases; 0 for kernels of one.
    pub first_phase: u64,
    /// Bursts read, in all channels.
    pub reads: u64,
    /// Bursts written, in all channels.
    pub writes: u64,
    /// Commands of all channels.
    pub commands: CommandCounts,
    /// Commands of the channels that were simulated: one of each class.
    pub simulated_commands: u64,
}

/// Statistics: what banks and PIM blocks do in a kernel, all channels together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that banks give and take: of each bank that a command works on.
    pub bytes: u64,
    /// Additions and multiplications of the lanes.
    pub operations: u64,
}

/// The first commands of a channel, and how many more there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Configuration: how many are wanted.
    most: usize,
    /// How many channels it stands for.
    pub channels: u64,
    /// In their order.
    pub issued: Vec<Issued>,
    /// How many more.
    pub left_out: u64,
}

impl Kept {
    #[cold]
    fn keep(&mut self, issued: &Issued) {
        if self.issued.len() < self.most {
            self.issued.push(*issued);
        } else {
            self.left_out += 1;
        }
    }
}

/// Counts the traffic of one channel.
#[derive(Clone, Debug)]
struct Counter {
    /// Bytes of a burst, lanes of a block, blocks of a channel.
    burst: u64,
    lanes: u64,
    blocks: u64,
    /// By rank.
    programs: Vec<RankProgram>,
    traffic: Traffic,
    /// The commands, where they are wanted.
    kept: Option<Kept>,
}

impl Observer for Counter {
    fn issued(&mut self, issued: &Issued, requests: &Requests) -> Result<(), Hbm2PimError> {
        if let Some(kept) = &mut self.kept {
            kept.keep(issued);
        }
        let Some(program) = self.programs.get_mut(usize::from(issued.rank)) else { return Ok(()) };
        let Some(effect) = program.effect(issued, requests)? else { return Ok(()) };
        // Registers are no banks.
        let banks = match issued.mode {
            _ if !is_memory(issued.row) => 0,
            Mode::SingleBank => 1,
            Mode::AllBank | Mode::Pim => self.blocks,
        };
        self.traffic.bytes += banks * self.burst;
        if let Effect::Execute { placed: (_, instruction), .. } = effect {
            self.traffic.operations += instruction.operations() * self.lanes * self.blocks;
        }
        Ok(())
    }
}

/// Runs a kernel. Channels that are sent the same do the same, so one of each class is simulated.
///
/// # Errors
/// [`Hbm2PimError`] for dimensions that the kernel cannot have.
pub fn run(device: &Hbm2Pim, kernel: &Kernel) -> Result<KernelRun, Hbm2PimError> {
    run_observed(device, kernel, &()).map(|(run, _)| run)
}

/// The same, with what banks and blocks do.
///
/// # Errors
/// As [`run`].
pub fn run_counted(device: &Hbm2Pim, kernel: &Kernel) -> Result<(KernelRun, Traffic), Hbm2PimError> {
    run_kept(device, kernel, None).map(|(run, traffic, _)| (run, traffic))
}

/// The same, with the first `most` commands of one channel of each class. The classes are in the order of their channels: the first one
/// begins with channel 0.
///
/// # Errors
/// As [`run`].
pub fn run_kept(
    device: &Hbm2Pim,
    kernel: &Kernel,
    most: Option<usize>,
) -> Result<(KernelRun, Traffic, Vec<Kept>), Hbm2PimError> {
    let organisation = &device.organisation;
    let counter = Counter {
        burst: u64::from(organisation.granule),
        lanes: u64::from(device.lanes),
        blocks: u64::from(device.blocks()),
        programs: vec![RankProgram::default(); organisation.ranks.max(1) as usize],
        traffic: Traffic::default(),
        kept: most.map(|most| Kept { most, ..Kept::default() }),
    };
    let (run, counters) = run_observed(device, kernel, &counter)?;
    let mut sum = Traffic::default();
    let mut all = Vec::new();
    for (channels, counter) in counters {
        sum.bytes += channels * counter.traffic.bytes;
        sum.operations += channels * counter.traffic.operations;
        all.extend(counter.kept.map(|kept| Kept { channels, ..kept }));
    }
    Ok((run, sum, all))
}

/// Runs a kernel with an observer of one channel of each class, and gives how many channels each stands for.
fn run_observed<O: Observer + Clone>(
    device: &Hbm2Pim,
    kernel: &Kernel,
    observer: &O,
) -> Result<(KernelRun, Vec<(u64, O)>), Hbm2PimError> {
    let classes = kernel.classes(device)?;
    let mut observers: Vec<(u64, O)> = classes.iter().map(|class| (class.channels, observer.clone())).collect();
    let mut channels = vec![Channel::new(device); classes.len()];
    let phases = classes.iter().map(|class| class.phases.len()).max().unwrap_or_default();
    let mut run = KernelRun::default();
    for phase in 0..phases {
        for ((class, channel), (_, observer)) in classes.iter().zip(&mut channels).zip(&mut observers) {
            // A phase begins when all channels have ended the one before.
            channel.idle_until(run.cycles, observer)?;
            if let Some(requests) = class.phases.get(phase) {
                channel.run(device, requests, observer)?;
                let (reads, writes) = requests.totals();
                run.reads += reads * class.channels;
                run.writes += writes * class.channels;
            }
        }
        run.cycles = channels.iter().map(Channel::now).max().unwrap_or_default();
        if phase == 0 && phases > 1 {
            run.first_phase = run.cycles;
        }
    }
    for (class, channel) in classes.iter().zip(&channels) {
        run.commands += channel.counts().times(class.channels);
        run.simulated_commands += channel.counts().total();
    }
    Ok((run, observers))
}

/// The trace of the first channel of a kernel.
///
/// # Errors
/// [`Hbm2PimError`] for dimensions that the kernel cannot have.
pub fn trace(device: &Hbm2Pim, kernel: &Kernel) -> Result<Trace, Hbm2PimError> {
    let mut trace = Trace::new(device);
    let mut channel = Channel::new(device);
    if let Some(class) = kernel.classes(device)?.first() {
        for requests in &class.phases {
            channel.run(device, requests, &mut trace)?;
        }
    }
    Ok(trace)
}
