//! A kernel from beginning to end.

use super::channel::Channel;
use super::error::Hbm2PimError;
use super::kernel::Kernel;
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
}

/// Runs a kernel. Channels that are sent the same do the same, so one of each class is simulated.
///
/// # Errors
/// [`Hbm2PimError`] for dimensions that the kernel cannot have.
pub fn run(device: &Hbm2Pim, kernel: &Kernel) -> Result<KernelRun, Hbm2PimError> {
    let classes = kernel.classes(device)?;
    let mut channels = vec![Channel::new(device); classes.len()];
    let phases = classes.iter().map(|class| class.phases.len()).max().unwrap_or_default();
    let mut run = KernelRun::default();
    for phase in 0..phases {
        for (class, channel) in classes.iter().zip(&mut channels) {
            // A phase begins when all channels have ended the one before.
            channel.idle_until(run.cycles, &mut ())?;
            if let Some(requests) = class.phases.get(phase) {
                channel.run(device, requests, &mut ())?;
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
    }
    Ok(run)
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
