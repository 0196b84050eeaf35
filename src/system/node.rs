//! The closed set of actors and messages of pimscope.

use host_gpu::{Driver, JobDone, Shared, Started, Stream, Tick, Worker};
use interconnect::{Arrived, Chunk, DmaEngine, HostPort, Link, SetUp, Switch};
use pim_device::{Controller, KernelDevice, KernelDone, ProgramDone};
use sim_core::{Request, Served, Signal};

sim_core::system! {
    /// Every kind of actor.
    pub enum Node {
        /// A GPU stream.
        Stream(Stream) accepts Signal | Started | Served,
        /// The host's cores as one worker.
        Worker(Worker) accepts Signal | Started | Served,
        /// The host thread that launches.
        Driver(Driver) accepts Signal | JobDone,
        /// A memory or a set of cores.
        Shared(Shared) accepts Request | Tick,
        /// A copy engine, or the stores and loads of kernels.
        Dma(DmaEngine) accepts Signal | SetUp | Arrived | Served,
        /// One direction of a link.
        Link(Link) accepts Chunk,
        /// A switch or device controller.
        Switch(Switch) accepts Chunk,
        /// The host's root complex.
        HostPort(HostPort) accepts Chunk,
        /// A PIM channel that stands for all channels with the same programs.
        Pim(Controller) accepts Signal | ProgramDone,
        /// A PIM device, or some of its channels, with a kernel of its own.
        Kernel(KernelDevice) accepts Signal | KernelDone,
    }
    /// Every kind of message.
    pub enum Message {
        /// A predecessor has ended.
        Signal(Signal),
        /// A kernel's start cost has passed.
        Started(Started),
        /// A resource has served a request.
        Served(Served),
        /// A host job is done.
        JobDone(JobDone),
        /// A resource is asked.
        Request(Request),
        /// A resource looks whether a job has ended.
        Tick(Tick),
        /// A copy's fixed cost has passed.
        SetUp(SetUp),
        /// A chunk has come to the end of its route.
        Arrived(Arrived),
        /// A chunk comes to a stage.
        Chunk(Chunk),
        /// A PIM program is done.
        ProgramDone(ProgramDone),
        /// A kernel of a PIM device is done.
        KernelDone(KernelDone),
    }
}
