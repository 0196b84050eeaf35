//! Which links join what, and the shortest way between two endpoints.

use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;
use sim_core::{Category, Time};

use crate::chunk::RouteId;
use crate::host_port::HostPortSpec;
use crate::link::LinkSpec;

/// Names an endpoint, switch or host port of a topology.
pub type Place = NodeIndex;

/// Names a stage: the actor behind a link direction, a switch or a host port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageId(pub usize);

/// What has to be an actor.
#[derive(Clone, Debug)]
pub enum Stage {
    /// One direction of a link.
    Link(LinkSpec),
    /// A switch or a device controller.
    Switch(Time),
    /// A host port.
    HostPort(HostPortSpec),
}

impl Stage {
    /// What it adds to the latency of an unloaded route.
    pub const fn latency(&self) -> Time {
        match self {
            Self::Link(spec) => spec.latency,
            Self::Switch(latency) => *latency,
            Self::HostPort(spec) => spec.latency,
        }
    }
}

/// There is no way from one place to another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no route from {from} to {to}: no chain of links joins them")]
pub struct NoRoute {
    /// Where the route was to begin.
    pub from: String,
    /// Where it was to end.
    pub to: String,
}

#[derive(Debug)]
struct PlaceData {
    name: String,
    stage: Option<StageId>,
}

/// A graph of places and directed links.
#[derive(Debug, Default)]
pub struct Topology {
    graph: DiGraph<PlaceData, Option<StageId>>,
    stages: Vec<(String, Stage)>,
    routes: Vec<(Place, Place, Vec<StageId>)>,
}

impl Topology {
    fn stage(&mut self, name: String, stage: Stage) -> StageId {
        self.stages.push((name, stage));
        StageId(self.stages.len() - 1)
    }

    /// A memory or device where routes begin and end.
    pub fn endpoint(&mut self, name: impl Into<String>) -> Place {
        self.graph.add_node(PlaceData { name: name.into(), stage: None })
    }

    /// A switch, or the controller of a device on the way to its memory.
    pub fn switch(&mut self, name: impl Into<String>, latency: Time) -> Place {
        let name = name.into();
        let stage = Some(self.stage(name.clone(), Stage::Switch(latency)));
        self.graph.add_node(PlaceData { name, stage })
    }

    /// A host port.
    pub fn host_port(&mut self, name: impl Into<String>, spec: HostPortSpec) -> Place {
        let name = name.into();
        let stage = Some(self.stage(name.clone(), Stage::HostPort(spec)));
        self.graph.add_node(PlaceData { name, stage })
    }

    /// Joins two places by a link with two independent directions.
    pub fn link(&mut self, a: Place, b: Place, spec: LinkSpec) {
        for (from, to) in [(a, b), (b, a)] {
            let name = format!("{}->{}", self.graph[from].name, self.graph[to].name);
            let stage = self.stage(name, Stage::Link(spec));
            self.graph.add_edge(from, to, Some(stage));
        }
    }

    /// Joins two places of one chip: no link, no time.
    pub fn join(&mut self, a: Place, b: Place) {
        self.graph.add_edge(a, b, None);
        self.graph.add_edge(b, a, None);
    }

    /// The way of least latency between two places; the same pair gives the same route.
    pub fn route(&mut self, from: Place, to: Place) -> Result<RouteId, NoRoute> {
        if let Some(known) = self.routes.iter().position(|(a, b, _)| (*a, *b) == (from, to)) {
            return Ok(RouteId(known as u32));
        }
        let latency = |stage: Option<StageId>| stage.map_or(Time::ZERO, |stage| self.stages[stage.0].1.latency()).ps();
        // One picosecond an edge, so that of equally fast ways the one with fewer links is taken.
        let cost = |edge: petgraph::graph::EdgeReference<'_, Option<StageId>>| {
            1 + latency(*edge.weight()) + latency(self.graph[edge.target()].stage)
        };
        let path = petgraph::algo::astar(&self.graph, from, |place| place == to, cost, |_| 0);
        let Some((_, path)) = path else {
            let name = |place: Place| self.graph[place].name.clone();
            return Err(NoRoute { from: name(from), to: name(to) });
        };
        let mut stages = Vec::new();
        for pair in path.windows(2) {
            let edge: Option<EdgeIndex> = self.graph.find_edge(pair[0], pair[1]);
            stages.extend(edge.and_then(|edge| self.graph[edge]));
            stages.extend(self.graph[pair[1]].stage);
        }
        self.routes.push((from, to, stages));
        Ok(RouteId((self.routes.len() - 1) as u32))
    }

    /// Every stage with its name, in the order of their ids.
    pub fn stages(&self) -> impl Iterator<Item = (&str, &Stage)> {
        self.stages.iter().map(|(name, stage)| (name.as_str(), stage))
    }

    /// The stages of a route, in order.
    pub fn stages_of(&self, route: RouteId) -> &[StageId] {
        &self.routes[route.0 as usize].2
    }

    /// The stages of all routes, in the order of their ids.
    pub fn routes(&self) -> impl Iterator<Item = &[StageId]> {
        self.routes.iter().map(|(_, _, stages)| stages.as_slice())
    }

    /// The latency of an unloaded route, without serialisation.
    pub fn latency(&self, route: RouteId) -> Time {
        self.stages_of(route).iter().map(|stage| self.stages[stage.0].1.latency()).sum()
    }

    /// What a transfer over a route counts as: the kind of its slowest link. `None` on one chip.
    pub fn category(&self, route: RouteId) -> Option<Category> {
        let links = self.stages_of(route).iter().filter_map(|stage| match &self.stages[stage.0].1 {
            Stage::Link(spec) => Some(spec),
            Stage::Switch(_) | Stage::HostPort(_) => None,
        });
        links.min_by_key(|spec| spec.rate).map(|spec| spec.category)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Framing;
    use sim_core::Rate;

    fn link(gbps: u64, ns: u64, category: Category) -> LinkSpec {
        LinkSpec { category, rate: Rate(gbps * 1_000_000_000), framing: Framing::Plain, latency: Time::from_ns(ns) }
    }

    #[test]
    fn the_way_of_least_latency_is_taken() {
        let mut topology = Topology::default();
        let a = topology.endpoint("a");
        let b = topology.endpoint("b");
        let far = topology.switch("far", Time::from_ns(1_000));
        let near = topology.switch("near", Time::from_ns(10));
        for switch in [far, near] {
            topology.link(a, switch, link(1, 5, Category::CommunicationCxl));
            topology.link(switch, b, link(2, 5, Category::CommunicationPcie));
        }
        let route = topology.route(a, b).unwrap();
        assert_eq!(topology.latency(route), Time::from_ns(20));
        assert_eq!(topology.category(route), Some(Category::CommunicationCxl));
        assert_eq!(topology.route(a, b), Ok(route));
    }

    #[test]
    fn places_without_links_between_them_have_no_route() {
        let mut topology = Topology::default();
        let a = topology.endpoint("gpu");
        let b = topology.endpoint("host");
        let error = topology.route(a, b).unwrap_err();
        assert_eq!(error.to_string(), "there is no route from gpu to host: no chain of links joins them");
    }
}
