//! The actors of a system and the ways between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use host_gpu::{Driver, Ports, Shared, Stream, Worker};
use interconnect::topology::Place;
use interconnect::{Chunk, DmaEngine, DmaSpec, Endpoint, HostPort, Link, RouteId, Routes, Stage, Switch, Topology};
use pim_device::controller::engine::Issued;
use pim_device::energy::{self, Energy, Parts};
use pim_device::{Command, Controller, DeviceSpec, Learnt};
use reports::commands::{self, CommandRow, Commands};
use sim_core::{
    ActorKey, Board, Category, End, Limits, Meter, ParallelReport, Plan, Port, Progress, Signal, Simulation,
    SimulationError, Span, Stop, TaskIndex, Time, Watch,
};

use super::deal::{self, OneThread};
use super::dispatch::{Site, Tasks, Work};
use super::node::{Message, Node};
use super::{Figures, Job, Placement, SystemError};
use crate::scenario::Gather;
use crate::threads;

/// The most bytes that a DMA engine keeps under way: more than bandwidth times round trip of any link of the catalogue
/// (900 GB/s x 2 us). Assumption.
pub const DMA_WINDOW: u64 = 4 << 20;
/// The largest chunk of a copy. Assumption: finer chunks change a layer's fetch by less than 1 %.
pub const DMA_CHUNK: u64 = 1 << 20;
/// Commands of a system that are kept where they are traced: some 60 MB of memory and of commands.csv.
pub(super) const MOST_COMMANDS: usize = 1_000_000;

type Key<A> = ActorKey<A, Message>;

/// An actor that has its place, and is itself put there when all tasks are on its board.
#[derive(Debug)]
struct Seat<A> {
    key: Key<A>,
    actor: A,
}

/// The stages and routes of the system's links.
#[derive(Debug)]
struct Fabric {
    host_to_gpu: RouteId,
    gpu_to_host: RouteId,
    /// By stack.
    gpu_to_pim: Vec<RouteId>,
    pim_to_gpu: Vec<RouteId>,
    host_category: Category,
    pim_category: Category,
}

/// The assembled system.
#[derive(Debug)]
pub struct Machine {
    simulation: Simulation<Node>,
    stream: Seat<Stream>,
    worker: Seat<Worker>,
    driver: Seat<Driver>,
    copy_in: Seat<DmaEngine>,
    copy_out: Seat<DmaEngine>,
    /// Where kernels load from host memory.
    host_load: Option<Seat<DmaEngine>>,
    stores: Vec<Seat<DmaEngine>>,
    loads: Vec<Seat<DmaEngine>>,
    pim: Vec<Seat<Controller>>,
    /// The channels that each of them stands for.
    members: Vec<Vec<u32>>,
    fabric: Fabric,
    gpu_memory: Endpoint,
    host_memory: Endpoint,
    /// From the end of a task at one site to a task's being told at another.
    news: News,
    /// The PIM device and all of its channels, where there are any.
    channels: Option<(Arc<DeviceSpec>, u64)>,
    /// What there is to do, as far as the first thread has to do it, and how soon PIM channels hear of others.
    work: deal::Work,
}

/// What it takes to tell one kind of processor of another's end.
#[derive(Clone, Copy, Debug)]
struct News {
    flag: Time,
    post: Time,
    hand_over: Time,
}

/// Everything that a finished run leaves.
#[derive(Debug)]
pub struct Run {
    /// Actors by index.
    pub names: Vec<String>,
    /// Ordered by (end, actor, number).
    pub spans: Vec<Span>,
    /// Those still open, ordered by (actor, number); none where the run was not stopped.
    pub open: Vec<Span>,
    /// When and why the run was stopped; `None` for a whole run.
    pub stopped: Option<(Time, Stop)>,
    /// Totals of the resources.
    pub meters: Vec<(String, Meter)>,
    /// Commands of the PIM channels, where they were recorded.
    pub commands: Commands,
    /// When it ended.
    pub end: Time,
    /// What the PIM stacks took; `None` where there are none.
    pub pim_energy: Option<PimEnergy>,
    /// Messages delivered.
    pub events: u64,
    /// What the threads did.
    pub threads: ParallelReport,
    /// Why it was one thread, where more were asked for.
    pub one_thread: Option<OneThread>,
}

/// What the PIM stacks took.
#[derive(Clone, Debug, Default)]
pub struct PimEnergy {
    /// By what took it.
    pub parts: Parts,
    /// By command: how many, and picojoules.
    pub commands: Vec<(String, u64, f64)>,
}

impl Machine {
    /// Makes the actors.
    pub fn build(figures: &Figures, placement: &Placement, job: &Job<'_>, seed: u64) -> Result<Self, SystemError> {
        let mut simulation = Simulation::<Node>::new(seed);
        let Figures { gpu, host, pim } = figures;

        let stream = simulation.reserve::<Stream>("gpu0.stream");
        let copy_in = simulation.reserve::<DmaEngine>("gpu0.copy-in");
        let copy_out = simulation.reserve::<DmaEngine>("gpu0.copy-out");
        let driver = simulation.reserve::<Driver>("host.driver");
        let worker = simulation.reserve::<Worker>("host.worker");
        let gpu_memory = simulation.add("gpu0.memory", Shared::new(gpu.bandwidth));
        let gpu_cores = simulation.add("gpu0.cores", Shared::new(gpu.operations));
        let host_memory = simulation.add("host.memory", Shared::new(host.bandwidth));
        let host_cores = simulation.add("host.cores", Shared::new(host.operations));

        let (fabric, routes) = fabric(figures, &mut simulation)?;
        let engine = |key: Key<DmaEngine>, set_up| {
            let spec = DmaSpec { set_up, window: DMA_WINDOW, chunk: DMA_CHUNK };
            let this = (key.port(Time::ZERO), key.port(Time::ZERO));
            Seat { key, actor: DmaEngine::new(spec, routes.clone(), this) }
        };
        let stacks = fabric.gpu_to_pim.len();
        let mut per_stack = |what: &str| -> Vec<Seat<DmaEngine>> {
            // Stores and loads of kernels: no engine has to be set up.
            (0..stacks)
                .map(|stack| engine(simulation.reserve(format!("gpu0.{what}.stack{stack}")), Time::ZERO))
                .collect()
        };
        let (stores, loads) = (per_stack("store"), per_stack("load"));
        // Only where a codec chooses what it fetches. Such loads are a kernel's, so they cost what a kernel does.
        let loads_from_host = placement.cache.chooses() && placement.choice.gather == Gather::Loads;
        let host_load = loads_from_host.then(|| engine(simulation.reserve("gpu0.load.host"), gpu.start_cost));
        let mut seats = Vec::new();
        if let Some(pim) = pim {
            let learnt = Learnt::new(&pim.device);
            for (index, class) in placement.classes.iter().enumerate() {
                let key = simulation.reserve::<Controller>(class_name(index, class.channels));
                let actor = Controller::sharing(&learnt, pim.device.clone(), class.channels)
                    .with_execution(pim.execution)
                    .with_access(fabric.pim_category);
                seats.push(Seat { key, actor });
            }
        }
        tracing::debug!(model = job.model.name, actors = simulation.names().len(), "machine built");
        let ports = |key: Key<Shared>, cores: Key<Shared>, reply| Ports {
            memory: key.port(Time::ZERO),
            cores: cores.port(Time::ZERO),
            reply,
        };
        let stream_ports = ports(gpu_memory, gpu_cores, stream.port(Time::ZERO));
        let worker_ports = ports(host_memory, host_cores, worker.port(Time::ZERO));
        Ok(Self {
            stream: Seat { key: stream, actor: Stream::new(gpu.start_cost, stream_ports) },
            // Its threads spin on the flag, whose latency is counted on the way.
            worker: Seat { key: worker, actor: Worker::new(Time::ZERO, worker_ports) },
            driver: Seat { key: driver, actor: Driver::default() },
            copy_in: engine(copy_in, gpu.copy_set_up),
            copy_out: engine(copy_out, gpu.copy_set_up),
            host_load,
            stores,
            loads,
            pim: seats,
            members: placement.classes.iter().map(|class| class.members.clone()).collect(),
            fabric,
            gpu_memory: Endpoint { memory: Some(gpu_memory.port(Time::ZERO)) },
            host_memory: Endpoint { memory: Some(host_memory.port(Time::ZERO)) },
            news: News {
                flag: host.flag,
                post: host.post,
                hand_over: pim.as_ref().map_or(Time::ZERO, |pim| pim.hand_over),
            },
            channels: pim
                .as_ref()
                .map(|pim| (pim.device.clone(), u64::from(pim.stacks) * u64::from(pim.device.channels_per_stack()))),
            work: deal::Work { lookahead: Time::MAX, ..deal::Work::default() },
            simulation,
        })
    }

    /// A copy from host to GPU memory, pulled by the GPU's engine.
    pub fn from_host(&self, kind: &'static str, tag: sim_core::Tag, bytes: u64, copies: u32) -> interconnect::Copy {
        interconnect::Copy {
            kind,
            tag,
            category: self.fabric.host_category,
            bytes,
            copies,
            route: self.fabric.host_to_gpu,
            requests: Some(self.fabric.gpu_to_host),
            source: self.host_memory,
            destination: self.gpu_memory,
        }
    }

    /// A copy from GPU to host memory, pushed by the GPU's engine.
    pub fn to_host(&self, kind: &'static str, tag: sim_core::Tag, bytes: u64) -> interconnect::Copy {
        interconnect::Copy {
            kind,
            tag,
            category: self.fabric.host_category,
            bytes,
            copies: 1,
            route: self.fabric.gpu_to_host,
            requests: None,
            source: self.gpu_memory,
            destination: self.host_memory,
        }
    }

    /// Stores of a GPU kernel to a PIM stack; the data comes from the registers and waits on the buffer die.
    pub fn to_stack(&self, kind: &'static str, tag: sim_core::Tag, bytes: u64, stack: usize) -> interconnect::Copy {
        interconnect::Copy {
            kind,
            tag,
            category: self.fabric.pim_category,
            bytes,
            copies: 1,
            route: self.fabric.gpu_to_pim[stack],
            requests: None,
            source: Endpoint::default(),
            destination: Endpoint::default(),
        }
    }

    /// Loads of a GPU kernel from a PIM stack.
    pub fn from_stack(&self, kind: &'static str, tag: sim_core::Tag, bytes: u64, stack: usize) -> interconnect::Copy {
        interconnect::Copy {
            route: self.fabric.pim_to_gpu[stack],
            requests: Some(self.fabric.gpu_to_pim[stack]),
            ..self.to_stack(kind, tag, bytes, stack)
        }
    }

    fn board(&mut self, site: Site) -> &mut dyn Edges {
        match site {
            Site::Stream => self.stream.actor.board_mut(),
            Site::CopyIn => self.copy_in.actor.board_mut(),
            Site::CopyOut => self.copy_out.actor.board_mut(),
            Site::HostLoad => self.host_load.as_mut().unwrap_or(&mut self.copy_in).actor.board_mut(),
            Site::Store(stack) => self.stores[stack].actor.board_mut(),
            Site::Load(stack) => self.loads[stack].actor.board_mut(),
            Site::Pim(class) => self.pim[class].actor.board_mut(),
            Site::Worker => self.worker.actor.board_mut(),
            Site::Driver => self.driver.actor.board_mut(),
        }
    }

    fn port(&self, site: Site, least: Time) -> Port<Signal> {
        match site {
            Site::Stream => self.stream.key.port(least),
            Site::CopyIn => self.copy_in.key.port(least),
            Site::CopyOut => self.copy_out.key.port(least),
            Site::HostLoad => self.host_load.as_ref().unwrap_or(&self.copy_in).key.port(least),
            Site::Store(stack) => self.stores[stack].key.port(least),
            Site::Load(stack) => self.loads[stack].key.port(least),
            Site::Pim(class) => self.pim[class].key.port(least),
            Site::Worker => self.worker.key.port(least),
            Site::Driver => self.driver.key.port(least),
        }
    }

    fn add(&mut self, site: Site, work: Work) -> TaskIndex {
        match (site, work) {
            (Site::Worker, Work::Kernel(kernel)) => self.worker.actor.board_mut().add(kernel),
            (_, Work::Kernel(kernel)) => self.stream.actor.board_mut().add(kernel),
            (Site::CopyOut, Work::Copy(copy)) => self.copy_out.actor.board_mut().add(copy),
            (Site::HostLoad, Work::Copy(copy)) => {
                self.host_load.as_mut().unwrap_or(&mut self.copy_in).actor.board_mut().add(copy)
            }
            (Site::Store(stack), Work::Copy(copy)) => self.stores[stack].actor.board_mut().add(copy),
            (Site::Load(stack), Work::Copy(copy)) => self.loads[stack].actor.board_mut().add(copy),
            (_, Work::Copy(copy)) => self.copy_in.actor.board_mut().add(copy),
            (Site::Pim(class), Work::Program(program)) => self.pim[class].actor.board_mut().add(program),
            (_, Work::Program(program)) => self.pim[0].actor.board_mut().add(program),
            (_, Work::Host(job)) => self.driver.actor.board_mut().add(job),
        }
    }

    /// How long the news of an end at `from` takes to `to`.
    fn latency(&self, from: Site, to: Site) -> Time {
        use Group::{Cpu, Gpu, Host, Pim};
        let News { flag, post, hand_over } = self.news;
        match (from.group(), to.group()) {
            (Gpu, Gpu) | (Pim, Pim) | (Host | Cpu, Host | Cpu) => Time::ZERO,
            (Host, Gpu) => post,
            (Gpu, Host | Cpu) | (Cpu, Gpu) => flag,
            (Gpu, Pim) | (Pim, Gpu) => hand_over,
            (Host | Cpu, Pim) | (Pim, Host | Cpu) => flag + hand_over,
        }
    }

    /// Puts the tasks on the boards and tells each whom to tell.
    pub fn bind(&mut self, tasks: Tasks, job: &Job<'_>) {
        self.work.attentions = u64::from(job.model.layers) * u64::from(job.workload.new_tokens);
        let (nodes, edges) = tasks.graph.into_nodes_edges();
        let mut places = Vec::with_capacity(nodes.len());
        let mut has_cause = vec![false; nodes.len()];
        for node in nodes {
            let site = node.weight.site;
            let messages = match &node.weight.work {
                // Each chunk goes through a few stages and is asked for and acknowledged.
                Work::Copy(copy) => 8 * copy.bytes.div_ceil(DMA_CHUNK).max(u64::from(copy.copies)),
                Work::Kernel(_) => 8,
                Work::Program(_) | Work::Host(_) => 1,
            };
            self.work.rest += messages * deal::MESSAGE + deal::TASK;
            places.push((site, self.add(site, node.weight.work)));
        }
        for edge in edges {
            let (from, from_task) = places[edge.source().index()];
            let (to, to_task) = places[edge.target().index()];
            has_cause[edge.target().index()] = true;
            let latency = self.latency(from, to);
            if from != to && (matches!(from, Site::Pim(_)) || matches!(to, Site::Pim(_))) {
                self.work.lookahead = self.work.lookahead.min(latency);
            }
            if !matches!(to, Site::Pim(_)) {
                self.work.rest += deal::MESSAGE;
            }
            let port = self.port(to, latency);
            self.board(from).tell(from_task, port, to_task);
            self.board(to).expect(to_task);
        }
        for (&(site, task), _) in places.iter().zip(has_cause).filter(|(_, has)| !has) {
            self.board(site).expect(task);
            let start = Signal { task, cause: None, latency: Time::ZERO };
            self.simulation.start(self.port(site, Time::ZERO), Time::ZERO, start);
        }
    }

    /// How to deal the actors to threads.
    fn deal(&self, limits: &Limits, threads: usize) -> Result<Plan, OneThread> {
        if limits.max_events.is_some() {
            return Err(OneThread::MaxEvents);
        }
        let classes = self.pim.iter().filter(|seat| seat.actor.steps() > 0);
        let work = deal::Work {
            actors: self.simulation.names().len(),
            classes: classes.map(|seat| (seat.key.id(), seat.actor.steps())).collect(),
            ..self.work.clone()
        };
        deal::deal(&work, threads)
    }

    /// Keeps the commands of all PIM channels; of very many the first ones of each.
    pub fn record(&mut self) {
        let each = MOST_COMMANDS / self.pim.len().max(1);
        let with = |seat: Seat<Controller>| Seat { actor: seat.actor.with_record(each), ..seat };
        self.pim = std::mem::take(&mut self.pim).into_iter().map(with).collect();
    }

    /// Runs to the end, or until a limit stops it, on at most so many threads, the first of which works so long `besides`.
    /// Their number does not change the result.
    pub fn run(
        self,
        limits: &Limits,
        threads: usize,
        besides: Duration,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Run, SimulationError> {
        let dealt = (threads > 1).then(|| self.deal(limits, threads)).transpose();
        let (plan, one_thread) = match dealt {
            Ok(plan) => (plan.unwrap_or_default(), None),
            Err(why) => (Plan::default(), Some(why)),
        };
        tracing::info!(
            threads = plan.count(),
            lookahead = %plan.lookahead,
            one_thread = one_thread.map(tracing::field::display),
            "dealt"
        );
        let Self {
            mut simulation,
            stream,
            worker,
            driver,
            copy_in,
            copy_out,
            stores,
            loads,
            host_load,
            pim,
            members,
            channels,
            ..
        } = self;
        // Only the channels' own counts know their energy, and the actors are inside the simulation afterwards.
        simulation.place(stream.key, stream.actor);
        simulation.place(worker.key, worker.actor);
        simulation.place(driver.key, driver.actor);
        for seat in [copy_in, copy_out].into_iter().chain(host_load).chain(stores).chain(loads) {
            simulation.place(seat.key, seat.actor);
        }
        for seat in pim {
            simulation.place(seat.key, seat.actor);
        }
        let watch = Watch { besides, ..Watch::new(progress, &threads::cpu_time) };
        let (end, threads) = simulation.run_parallel_with(&plan, limits, watch)?;
        let (end, stopped, meters) = match end {
            End::Done(at) => (at, None, simulation.meters()),
            End::Stopped { at, why } => (at, Some((at, why)), simulation.meters_at(at)),
        };
        let pim_energy = channels.map(|channels| pim_energy(simulation.nodes(), channels, end));
        let commands = commands(simulation.nodes(), &members, end);
        let names = simulation.names().to_vec();
        let spans = simulation.take_spans();
        let mut open = if stopped.is_some() { spans.unfinished().to_vec() } else { Vec::new() };
        open.sort_unstable_by_key(|span| span.id);
        Ok(Run {
            names,
            spans: spans.into_sorted(),
            open,
            stopped,
            meters,
            commands,
            end,
            pim_energy,
            events: simulation.events(),
            threads,
            one_thread,
        })
    }
}

/// The commands that were recorded, up to `end`: a program's are known at its begin. `members` are the channels of each class.
fn commands<'a>(nodes: impl Iterator<Item = &'a Node>, members: &[Vec<u32>], end: Time) -> Commands {
    let mut all =
        Commands { channels: members.iter().map(|class| commands::ranges(class)).collect(), ..Commands::default() };
    let controllers = nodes.filter_map(|node| match node {
        Node::Pim(controller) => Some(controller),
        _ => None,
    });
    for (channels, controller) in (0..).zip(controllers) {
        let Some(record) = controller.record() else { continue };
        all.left_out += record.left_out;
        let rows = record.commands.iter().map(|&(span, issued)| CommandRow {
            span,
            cycle: issued.cycle,
            at: controller.time_of(issued.cycle),
            command: issued.command.mnemonic(),
            channels,
            place: place(issued),
            mode: "",
        });
        all.rows.extend(rows.filter(|row| row.at <= end));
    }
    all
}

/// Where a command goes, as far as it is about one of each: what goes to all of a level has none of that level.
pub(super) fn place(issued: Issued) -> commands::Place {
    use Command::{
        Act, ActAb, ActPb, ActSb, Af, EwMul, MacAb, MacPb, MacSb, MvGb, MvSb, MvSum, Pre, PrePb, PreSb, Rd, RdCp,
        RdReg, Ret, Wr, WrAb, WrCp, WrGb, WrReg,
    };
    let Issued { command, address, column, .. } = issued;
    let rank = Some(address.rank);
    let (bank_group, bank, row) = (Some(address.bank_group), Some(address.bank), Some(address.row));
    let nowhere = commands::Place::default();
    match command {
        ActAb | MacAb | Ret | RdReg | WrReg | EwMul | Af | WrAb => commands::Place { row, column, ..nowhere },
        ActSb | MacSb => commands::Place { bank, row, column, ..nowhere },
        PreSb => commands::Place { bank, ..nowhere },
        ActPb | MacPb => commands::Place { rank, bank_group, bank, row, column, ..nowhere },
        PrePb => commands::Place { rank, bank_group, bank, ..nowhere },
        MvSb | MvGb | MvSum => commands::Place { rank, bank_group, ..nowhere },
        WrGb => commands::Place { column, ..nowhere },
        Act | Rd | Wr | RdCp | WrCp | Pre => {
            let pseudo_channel = Some(address.pseudo_channel);
            let row = row.filter(|_| command != Pre);
            commands::Place { pseudo_channel, rank, bank_group, bank, row, column }
        }
        _ => nowhere,
    }
}

/// What the channels with programs took up to `end`, and those without.
fn pim_energy<'a>(
    nodes: impl Iterator<Item = &'a Node>,
    (device, channels): (Arc<DeviceSpec>, u64),
    end: Time,
) -> PimEnergy {
    let mut energy = PimEnergy::default();
    let mut commands: BTreeMap<Command, (u64, Energy)> = BTreeMap::new();
    let mut add = |(command, count, taken): (Command, u64, Energy)| {
        let sum = commands.entry(command).or_default();
        *sum = (sum.0 + count, sum.1 + taken);
    };
    let mut without = channels;
    for node in nodes {
        if let Node::Pim(controller) = node {
            energy.parts += controller.energy_until(end);
            controller.energy_by_command(end).into_iter().for_each(&mut add);
            without = without.saturating_sub(u64::from(controller.copies()));
        }
    }
    let idle = energy::idle(&device, end).times(without);
    if idle.refresh > Energy::default() {
        let each = energy::command_energy(&device, Command::RefAb).0.max(1);
        add((Command::RefAb, u64::try_from(idle.refresh.0 / each).unwrap_or(u64::MAX), idle.refresh));
    }
    energy.parts += idle;
    energy.commands =
        commands.into_iter().map(|(command, (count, taken))| (command.to_string(), count, taken.pj())).collect();
    energy
}

pub(super) fn class_name(index: usize, channels: u32) -> String {
    format!("pim.channels{index}x{channels}")
}

/// Which kind of processor sees a site's news.
#[derive(Clone, Copy)]
enum Group {
    Gpu,
    /// The thread that launches.
    Host,
    /// The cores that compute.
    Cpu,
    Pim,
}

impl Site {
    fn group(self) -> Group {
        match self {
            Self::Stream | Self::CopyIn | Self::CopyOut | Self::HostLoad | Self::Store(_) | Self::Load(_) => Group::Gpu,
            Self::Pim(_) => Group::Pim,
            Self::Worker => Group::Cpu,
            Self::Driver => Group::Host,
        }
    }
}

/// The part of a board that does not depend on what its tasks are.
trait Edges {
    fn expect(&mut self, task: TaskIndex);
    fn tell(&mut self, task: TaskIndex, port: Port<Signal>, successor: TaskIndex);
}

impl<W> Edges for Board<W> {
    fn expect(&mut self, task: TaskIndex) {
        Self::expect(self, task);
    }
    fn tell(&mut self, task: TaskIndex, port: Port<Signal>, successor: TaskIndex) {
        Self::tell(self, task, port, successor);
    }
}

/// Lays the links, makes their actors and finds the routes.
fn fabric(figures: &Figures, simulation: &mut Simulation<Node>) -> Result<(Fabric, Routes), SystemError> {
    let Figures { host, pim, .. } = figures;
    let mut topology = Topology::default();
    let gpu_place = topology.endpoint("gpu0");
    let host_place = topology.endpoint("host");
    match host.port {
        Some(spec) => {
            let port = topology.host_port("host.port", spec);
            topology.join(host_place, port);
            topology.link(port, gpu_place, host.link);
        }
        None => topology.link(host_place, gpu_place, host.link),
    }
    let mut stacks: Vec<Place> = Vec::new();
    if let Some(pim) = pim {
        let on_package = pim.link.category == Category::CommunicationHbm;
        let hub = match pim.switch {
            Some(latency) => {
                let switch = topology.switch("pim.switch", latency);
                topology.link(gpu_place, switch, pim.link);
                switch
            }
            None => gpu_place,
        };
        let controller = pim.controller.unwrap_or_default();
        // One link and one controller for all stacks of a card; one for each behind a switch or on the package.
        let card = (pim.switch.is_none() && !on_package).then(|| {
            let card = topology.switch("pim.card", controller);
            topology.link(hub, card, pim.link);
            card
        });
        for stack in 0..pim.stacks {
            let place = topology.endpoint(format!("pim.stack{stack}"));
            if let Some(card) = card {
                topology.join(card, place);
            } else if on_package {
                topology.link(hub, place, pim.link);
            } else {
                let own = topology.switch(format!("pim.card{stack}"), controller);
                topology.link(hub, own, pim.link);
                topology.join(own, place);
            }
            stacks.push(place);
        }
    }
    let host_to_gpu = topology.route(host_place, gpu_place)?;
    let gpu_to_host = topology.route(gpu_place, host_place)?;
    let mut gpu_to_pim = Vec::new();
    let mut pim_to_gpu = Vec::new();
    for &stack in &stacks {
        gpu_to_pim.push(topology.route(gpu_place, stack)?);
        pim_to_gpu.push(topology.route(stack, gpu_place)?);
    }
    let category = |route: Option<&RouteId>| route.and_then(|&route| topology.category(route));
    let fabric = Fabric {
        host_category: category(Some(&host_to_gpu)).unwrap_or(host.link.category),
        pim_category: category(gpu_to_pim.first()).unwrap_or(Category::CommunicationHbm),
        host_to_gpu,
        gpu_to_host,
        gpu_to_pim,
        pim_to_gpu,
    };
    let routes = place_stages(&topology, simulation);
    Ok((fabric, routes))
}

/// One actor for each stage, wired into the routes.
fn place_stages(topology: &Topology, simulation: &mut Simulation<Node>) -> Routes {
    enum Reserved {
        Link(Key<Link>, interconnect::LinkSpec),
        Switch(Key<Switch>, Time),
        HostPort(Key<HostPort>, interconnect::HostPortSpec),
    }
    let reserved: Vec<Reserved> = topology
        .stages()
        .map(|(name, stage)| match *stage {
            Stage::Link(spec) => Reserved::Link(simulation.reserve(name), spec),
            Stage::Switch(latency) => Reserved::Switch(simulation.reserve(name), latency),
            Stage::HostPort(spec) => Reserved::HostPort(simulation.reserve(name), spec),
        })
        .collect();
    let port = |stage: &Reserved| -> Port<Chunk> {
        match stage {
            Reserved::Link(key, _) => key.port(Time::ZERO),
            Reserved::Switch(key, _) => key.port(Time::ZERO),
            Reserved::HostPort(key, _) => key.port(Time::ZERO),
        }
    };
    let ports = |stages: &[interconnect::StageId]| stages.iter().map(|stage| port(&reserved[stage.0])).collect();
    let routes = Routes::new(topology.routes().map(ports).collect());
    for stage in reserved {
        match stage {
            Reserved::Link(key, spec) => simulation.place(key, Link::new(spec, routes.clone())),
            Reserved::Switch(key, latency) => simulation.place(key, Switch::new(latency, routes.clone())),
            Reserved::HostPort(key, spec) => simulation.place(key, HostPort::new(&spec, routes.clone())),
        }
    }
    routes
}
