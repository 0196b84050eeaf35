//! A host and a GPU joined by a link, with engines that copy both ways.

use interconnect::{
    Arrived, Chunk, Copy, DmaEngine, DmaSpec, Endpoint, Framing, HostPort, HostPortSpec, Link, LinkSpec, Routes, SetUp,
    Stage, Switch, Topology,
};
use sim_core::{Category, Context, Handle, Inspect, Meter, Port, Rate, Request, Served, Signal, Simulation, Tag, Time};

/// A memory that serves each request alone, at its rate.
#[derive(Debug)]
pub(crate) struct Memory {
    rate: Rate,
    free_at: Time,
}

impl Inspect for Memory {}
impl<M: From<Served>> Handle<Request, M> for Memory {
    fn handle(&mut self, request: Request, context: &mut Context<'_, M>) {
        self.free_at = self.free_at.max(context.now()) + self.rate.time_for(request.amount);
        let wait = self.free_at.since(context.now());
        context.send(request.reply, wait, Served { tag: request.tag });
    }
}

sim_core::system! {
    pub(crate) enum Node {
        Link(Link) accepts Chunk,
        Switch(Switch) accepts Chunk,
        HostPort(HostPort) accepts Chunk,
        Dma(DmaEngine) accepts Signal | SetUp | Arrived | Served,
        Memory(Memory) accepts Request,
    }
    pub(crate) enum Message {
        Signal(Signal), SetUp(SetUp), Arrived(Arrived), Served(Served), Chunk(Chunk), Request(Request),
    }
}

/// Puts a stage's actor in its place once the routes are known.
type Put = Box<dyn FnOnce(&mut Simulation<Node>, &Routes)>;

/// One byte per nanosecond.
pub(crate) const RATE: Rate = Rate(1_000_000_000);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bench {
    pub(crate) set_up: Time,
    pub(crate) link: LinkSpec,
    pub(crate) port: Option<Rate>,
    pub(crate) memory: Option<Rate>,
    pub(crate) window: u64,
    pub(crate) chunk: u64,
}

impl Default for Bench {
    fn default() -> Self {
        let (category, latency) = (Category::CommunicationPcie, Time::from_ns(500));
        let link = LinkSpec { category, rate: RATE, framing: Framing::Plain, latency };
        Self { set_up: Time::from_us(2), link, port: None, memory: None, window: 1 << 20, chunk: 64 << 10 }
    }
}

/// One job of an engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// Which engine.
    pub(crate) engine: usize,
    pub(crate) to_gpu: bool,
    /// Whether the engine asks for the data from its destination.
    pub(crate) pull: bool,
    pub(crate) bytes: u64,
    pub(crate) copies: u32,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Done {
    /// (start, end) of each span by (end, actor).
    pub(crate) spans: Vec<(Time, Time)>,
    pub(crate) meters: Vec<(String, Meter)>,
    pub(crate) end: Time,
}

impl Bench {
    pub(crate) fn run(self, orders: &[Order]) -> Done {
        let mut simulation = Simulation::<Node>::new(1);
        let mut topology = Topology::default();
        let (host, gpu) = (topology.endpoint("host"), topology.endpoint("gpu"));
        if let Some(rate) = self.port {
            let port = topology.host_port("port", HostPortSpec { rate, latency: Time::ZERO });
            topology.join(host, port);
            topology.link(port, gpu, self.link);
        } else {
            topology.link(host, gpu, self.link);
        }
        let down = topology.route(host, gpu).unwrap();
        let up = topology.route(gpu, host).unwrap();
        let names: Vec<(String, Stage)> = topology.stages().map(|(n, s)| (n.to_owned(), s.clone())).collect();
        let mut ports: Vec<Port<Chunk>> = Vec::new();
        let mut place: Vec<Put> = Vec::new();
        for (name, stage) in names {
            match stage {
                Stage::Link(spec) => {
                    let key = simulation.reserve::<Link>(name);
                    ports.push(key.port(Time::ZERO));
                    place.push(Box::new(move |s, r| s.place(key, Link::new(spec, r.clone()))));
                }
                Stage::HostPort(spec) => {
                    let key = simulation.reserve::<HostPort>(name);
                    ports.push(key.port(Time::ZERO));
                    place.push(Box::new(move |s, r| s.place(key, HostPort::new(&spec, r.clone()))));
                }
                Stage::Switch(latency) => {
                    let key = simulation.reserve::<Switch>(name);
                    ports.push(key.port(Time::ZERO));
                    place.push(Box::new(move |s, r| s.place(key, Switch::new(latency, r.clone()))));
                }
            }
        }
        let routes = Routes::new(topology.routes().map(|r| r.iter().map(|s| ports[s.0]).collect()).collect());
        for put in place {
            put(&mut simulation, &routes);
        }
        let end = |simulation: &mut Simulation<Node>, name: &str| Endpoint {
            memory: self.memory.map(|rate| simulation.add(name, Memory { rate, free_at: Time::ZERO }).port(Time::ZERO)),
        };
        let host_end = end(&mut simulation, "host memory");
        let gpu_end = end(&mut simulation, "gpu memory");
        let engines = orders.iter().map(|order| order.engine).max().unwrap_or(0) + 1;
        for index in 0..engines {
            let key = simulation.reserve::<DmaEngine>(format!("dma{index}"));
            let spec = DmaSpec { set_up: self.set_up, window: self.window, chunk: self.chunk };
            let mut engine = DmaEngine::new(spec, routes.clone(), (key.port(Time::ZERO), key.port(Time::ZERO)));
            for order in orders.iter().filter(|order| order.engine == index) {
                let (route, back) = if order.to_gpu { (down, up) } else { (up, down) };
                let (source, destination) = if order.to_gpu { (host_end, gpu_end) } else { (gpu_end, host_end) };
                let task = engine.board_mut().add(Copy {
                    kind: "copy",
                    tag: Tag::default(),
                    category: self.link.category,
                    bytes: order.bytes,
                    copies: order.copies,
                    route,
                    requests: order.pull.then_some(back),
                    source,
                    destination,
                });
                engine.board_mut().expect(task);
                let signal = Signal { task, cause: None, latency: Time::ZERO };
                simulation.start(key.port(Time::ZERO), Time::ZERO, signal);
            }
            simulation.place(key, engine);
        }
        let end = simulation.run().unwrap();
        let meters = simulation.meters();
        let spans = simulation.take_spans().into_sorted();
        Done { spans: spans.iter().map(|span| (span.start, span.end)).collect(), meters, end }
    }
}
