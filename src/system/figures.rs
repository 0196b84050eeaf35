//! What a system's machines can do, read from the catalogue's entries once.

use std::sync::Arc;

use interconnect::{Framing, HostPortSpec, LinkSpec, protocol};
use pim_device::timing::hbm3;
use pim_device::{
    DeviceSpec, EnergyFigures, ExecutionMode, GqaPolicy, MultiBankActivation, PowerBudget, PowerLimit, PqFigures,
    PqMapping, PqReduction, PqValues,
};
use reports::Assumption;
use sim_core::{Bytes, Category, Rate, Time};

use super::SystemError;
use crate::catalogue::{Entry, FigureKind};
use crate::scenario::{Dispatch, Execution, Placement as PimPlacement, SystemSpec};

/// A GPU.
#[derive(Clone, Debug)]
pub struct GpuFigures {
    /// Name in the catalogue.
    pub name: String,
    /// Bytes of the plain stacks that are left to it.
    pub capacity: Bytes,
    /// Bytes per second that streaming kernels reach on those stacks.
    pub bandwidth: Rate,
    /// The peak of those stacks, for the report.
    pub peak_bandwidth: Rate,
    /// Bytes per second that decode attention reaches.
    pub attention_bandwidth: Rate,
    /// Operations per second that large matrix products reach.
    pub operations: Rate,
    /// Table look-ups per second.
    pub lookups: Rate,
    /// What each kernel costs before it runs.
    pub start_cost: Time,
    /// What a launch costs the host thread.
    pub launch: Time,
    /// Whether each kernel and copy is launched by the host, or a whole step at once.
    pub dispatch: Dispatch,
    /// Fixed cost of a copy.
    pub copy_set_up: Time,
    /// Whether one engine copies both ways, one copy after the other.
    pub one_copy_engine: bool,
    /// What it takes.
    pub energy: GpuEnergy,
}

/// What a GPU takes. Power in uW, energy in fJ.
#[derive(Clone, Copy, Debug)]
pub struct GpuEnergy {
    /// At all times.
    pub idle: u64,
    /// More while a kernel runs, besides its bits and multiply-adds: what the design power leaves when memory and cores are at
    /// their peak.
    pub active: u64,
    /// A bit of memory.
    pub bit: u64,
    /// A multiply-add.
    pub mac: u64,
    /// Standby of the plain stacks that are left to it.
    pub standby: u64,
    /// Their refresh.
    pub refresh: u64,
}

/// What a host takes. Power in uW, energy in fJ.
#[derive(Clone, Copy, Debug)]
pub struct HostEnergy {
    /// All sockets at all times.
    pub idle: u64,
    /// More while cores work.
    pub active: u64,
    /// A bit of DRAM.
    pub bit: u64,
    /// Standby of the whole DRAM.
    pub standby: u64,
    /// Its refresh.
    pub refresh: u64,
}

/// A host and the link to it.
#[derive(Clone, Debug)]
pub struct HostFigures {
    /// Name in the catalogue.
    pub name: String,
    /// Bytes of DRAM.
    pub capacity: Bytes,
    /// Bytes per second that its DRAM channels reach together.
    pub bandwidth: Rate,
    /// Operations per second of all cores.
    pub operations: Rate,
    /// From an event on one side of the link to the other side's seeing it.
    pub flag: Time,
    /// From a launch to the GPU's seeing it.
    pub post: Time,
    /// The link to the GPU.
    pub link: LinkSpec,
    /// Its name.
    pub link_name: String,
    /// What both directions share; `None` where the link has no such limit.
    pub port: Option<HostPortSpec>,
    /// What it takes.
    pub energy: HostEnergy,
}

/// PIM stacks and the links to them.
#[derive(Clone, Debug)]
pub struct PimFigures {
    /// The device.
    pub device: Arc<DeviceSpec>,
    /// How many stacks.
    pub stacks: u32,
    /// From the GPU's data being there to the program's start, and from its end to the GPU's going on.
    pub hand_over: Time,
    /// The link: of each stack where it is on the package, of all of them otherwise.
    pub link: LinkSpec,
    /// Its name.
    pub link_name: String,
    /// Latency of the switch between the GPU's link and one link for each stack.
    pub switch: Option<Time>,
    /// Latency of the controller in front of the stacks, on a card.
    pub controller: Option<Time>,
    /// How programs are executed.
    pub execution: ExecutionMode,
}

/// All machines of a system.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The GPU.
    pub gpu: GpuFigures,
    /// The host.
    pub host: HostFigures,
    /// The PIM stacks, where there are any.
    pub pim: Option<PimFigures>,
}

impl Figures {
    /// Tells the PIM devices how many query heads share a KV head, which decides what a MAC of a shared pass takes.
    pub fn serve(&mut self, query_heads: u32) {
        if let Some(pim) = &mut self.pim {
            let device = Arc::make_mut(&mut pim.device);
            if let (Some(power), GqaPolicy::SharedPass) = (&mut device.power, device.gqa) {
                power.queries = query_heads;
            }
        }
    }

    /// Figures of the scenario that do not go together, and what is made of them.
    pub fn notes(spec: &SystemSpec) -> Result<Vec<String>, SystemError> {
        let (gpu, cpu) = (&spec.gpu.entry, &spec.host.cpu);
        let watts = |microwatts: u64| format!("{:.1} W", microwatts as f64 / 1e6);
        let mut notes = Vec::new();
        let given = |key| gpu.get(key).is_some_and(|figure| figure.kind == FigureKind::Scenario);
        let (attention, stream) = (gpu.fraction("attention_fraction")?, gpu.fraction("stream_fraction")?);
        if attention > stream && (given("attention_fraction") || given("stream_fraction")) {
            notes.push(format!(
                "gpu.attention_fraction is {attention:.3} and gpu.stream_fraction {stream:.3}: attention reaches no more of \
                 the bandwidth than other kernels, {stream:.3}."
            ));
        }
        let (tdp, counted) = (gpu.power("tdp")?, counted_power(gpu, gpu.integer("hbm_stacks")?.max(1))?);
        if counted > tdp {
            notes.push(format!(
                "gpu.tdp is {}, and idle power, stacks, and memory and multiply-adds at their peak take {}: nothing is left \
                 for gpu.active, and a busy GPU may take more than gpu.tdp.",
                watts(tdp),
                watts(counted)
            ));
        }
        let (tdp, idle) = (cpu.power("tdp")?, cpu.power("idle_power")?);
        if idle > tdp {
            notes.push(format!(
                "host.tdp is {} and host.idle_power {}: nothing is left for host.cpu.active, and cores at work take what they \
                 take at rest.",
                watts(tdp),
                watts(idle)
            ));
        }
        Ok(notes)
    }

    /// Reads the figures, and lists those that no source gives.
    pub fn read(spec: &SystemSpec) -> Result<(Self, Vec<Assumption>), SystemError> {
        let replaced = match &spec.pim {
            Some(pim) if pim.placement == PimPlacement::Replaces => pim.stacks,
            _ => 0,
        };
        let gpu = gpu(spec, replaced)?;
        let host = host(spec)?;
        let mut pim = spec.pim.as_ref().map(pim).transpose()?;
        if let Some(pim) = pim.as_mut().filter(|pim| spec.kv.gqa_blind && pim.device.gqa != GqaPolicy::Serial) {
            pim.device = Arc::new(DeviceSpec { gqa: GqaPolicy::Serial, ..(*pim.device).clone() });
        }
        let mut entries = vec![("gpu", &spec.gpu.entry), ("host", &spec.host.cpu), ("host.link", &spec.host.link)];
        if let Some(pim) = &spec.pim {
            entries.push(("pim", &pim.entry));
            entries.push(("pim.link", &pim.link));
        }
        let mut assumptions = Vec::new();
        for (place, entry) in entries {
            for found in entry.assumptions() {
                let key = format!("{place}.{}", found.key);
                let why = format!("{}: {}", entry.name, found.why);
                assumptions.push(Assumption { key, value: found.value, why });
            }
        }
        Ok((Self { gpu, host, pim }, assumptions))
    }
}

fn gpu(spec: &SystemSpec, replaced: u32) -> Result<GpuFigures, SystemError> {
    let entry = &spec.gpu.entry;
    let stacks = u64::from(spec.gpu.hbm_stacks.max(1));
    let left = stacks.saturating_sub(u64::from(replaced));
    // The figures are those of the device as sold; a GPU with other stacks has as much more or less of both.
    let sold = entry.integer("hbm_stacks")?.max(1);
    // A figure that the scenario gives is of the stacks that it gives.
    let of = |key| entry.get(key).map_or(sold, |f| if f.kind == FigureKind::Scenario { stacks } else { sold });
    let peak = entry.bandwidth("mem_bw_peak")?.scaled(left, of("mem_bw_peak"));
    let capacity = Rate(entry.bytes("mem_capacity")?.0).scaled(left, of("mem_capacity"));
    let usable = entry.fraction("usable_fraction")?;
    let stream = entry.fraction("stream_fraction")?;
    Ok(GpuFigures {
        name: entry.name.clone(),
        capacity: Bytes(capacity.times(usable).0),
        bandwidth: peak.times(stream),
        peak_bandwidth: peak,
        attention_bandwidth: peak.times(entry.fraction("attention_fraction")?.min(stream)),
        operations: entry.operations_per_second("fp16_dense")?.times(entry.fraction("gemm_fraction")?),
        lookups: entry.operations_per_second("lookup_rate")?,
        start_cost: entry.time("launch_interval_graph")?,
        launch: entry.time("launch_interval_stream")?,
        dispatch: spec.dispatch,
        copy_set_up: entry.time("copy_setup")?,
        one_copy_engine: entry.integer("copy_engines")? < 2,
        energy: gpu_energy(entry, left, sold)?,
    })
}

/// What is counted by itself when memory and cores of a GPU as sold are at their peak.
fn counted_power(entry: &Entry, sold: u64) -> Result<u64, SystemError> {
    let (bit, mac) = (entry.energy("mem_energy")?, entry.energy("mac_energy")?);
    let (standby, refresh) = (entry.power("mem_standby")?, entry.power("mem_refresh")?);
    // 1 fJ a second is 10^-9 uW.
    let at_peak = |each: u64, rate: u128| u64::try_from(u128::from(each) * rate / 1_000_000_000).unwrap_or(u64::MAX);
    let memory = at_peak(bit, 8 * u128::from(entry.bandwidth("mem_bw_peak")?.0));
    let cores = at_peak(mac, u128::from(entry.operations_per_second("fp16_dense")?.0) / 2);
    let idle = entry.power("idle_power")?;
    let counted = [idle, memory, cores, standby.saturating_mul(sold), refresh.saturating_mul(sold)];
    Ok(counted.into_iter().fold(0_u64, u64::saturating_add))
}

fn gpu_energy(entry: &Entry, left: u64, sold: u64) -> Result<GpuEnergy, SystemError> {
    Ok(GpuEnergy {
        idle: entry.power("idle_power")?,
        active: entry.power("tdp")?.saturating_sub(counted_power(entry, sold)?),
        bit: entry.energy("mem_energy")?,
        mac: entry.energy("mac_energy")?,
        standby: entry.power("mem_standby")?.saturating_mul(left),
        refresh: entry.power("mem_refresh")?.saturating_mul(left),
    })
}

fn host(spec: &SystemSpec) -> Result<HostFigures, SystemError> {
    let (cpu, link) = (&spec.host.cpu, &spec.host.link);
    let sockets = cpu.integer("sockets")?;
    let peak = cpu.bandwidth("mem_bw_peak")?.scaled(sockets, 1);
    let port = match link.bandwidth("host_port") {
        Ok(rate) => Some(HostPortSpec { rate, latency: Time::ZERO }),
        Err(_) => None,
    };
    Ok(HostFigures {
        name: cpu.name.clone(),
        capacity: cpu.bytes("mem_capacity")?,
        bandwidth: peak.times(cpu.fraction("stream_fraction")?),
        operations: cpu.operations_per_second("fp16")?.scaled(sockets, 1),
        flag: cpu.time("flag_latency")?,
        post: cpu.time("post_latency")?,
        link: link_spec(link)?,
        link_name: link.name.clone(),
        port,
        energy: HostEnergy {
            idle: cpu.power("idle_power")?.saturating_mul(sockets),
            active: cpu.power("tdp")?.saturating_sub(cpu.power("idle_power")?).saturating_mul(sockets),
            bit: cpu.energy("dram_energy")?,
            standby: of_dram(cpu, "dram_standby")?,
            refresh: of_dram(cpu, "dram_refresh")?,
        },
    })
}

/// A power for each GiB of a host's DRAM, for all of it.
fn of_dram(cpu: &Entry, key: &str) -> Result<u64, SystemError> {
    let all = u128::from(cpu.power(key)?) * u128::from(cpu.bytes("mem_capacity")?.0) / (1 << 30);
    Ok(u64::try_from(all).unwrap_or(u64::MAX))
}

fn pim(choice: &crate::scenario::PimChoice) -> Result<PimFigures, SystemError> {
    let entry = &choice.entry;
    let link = link_spec(&choice.link)?;
    let on_package = link.category == Category::CommunicationHbm;
    let optional = |key| choice.link.time(key).ok();
    Ok(PimFigures {
        device: Arc::new(device(entry)?),
        stacks: choice.stacks,
        hand_over: entry.time("launch")? + entry.time("flag")?,
        link,
        link_name: choice.link.name.clone(),
        // A link without a switch figure of its own is switched without loss of time; its assumption is in the report.
        switch: choice.switch.then(|| optional("switch_latency").unwrap_or_default()),
        controller: optional("device_latency").filter(|_| !on_package),
        execution: match choice.execution {
            Execution::Fast => ExecutionMode::FastForward,
            Execution::Commands => ExecutionMode::CommandByCommand,
        },
    })
}

/// The PIM device of a catalogue entry.
pub(crate) fn device(entry: &Entry) -> Result<DeviceSpec, SystemError> {
    let unknown = |what, name: String, known: &str| SystemError::Unknown { what, name, known: known.to_owned() };
    let Some(base) = DeviceSpec::by_name(&entry.name) else {
        let known: Vec<&str> = pim_device::device::DEVICES.iter().map(|(name, _)| *name).collect();
        return Err(unknown("PIM device", entry.name.clone(), &known.join(", ")));
    };
    let power = if entry.flag("power_limit")? { PowerLimit::On } else { PowerLimit::Off };
    let activation = entry.text("multi_bank_activation")?;
    let gqa = entry.text("gqa")?;
    let own = base.energy;
    let (rows, factor) = (base.organisation.rows, entry.fraction("density_factor")?);
    let base = base.with_timing(hbm3::gbps_5_2(power)).with_density(factor);
    if base.organisation.rows == 0 {
        return Err(SystemError::NoRows { device: entry.name.clone(), factor, rows });
    }
    Ok(DeviceSpec {
        buffer_rate: entry.bandwidth("buffer_rate")?,
        softmax_passes: u32::try_from(entry.integer("softmax_passes")?).unwrap_or(u32::MAX),
        multi_bank_activation: match activation {
            "provisioned" => MultiBankActivation::Provisioned,
            "staggered" => MultiBankActivation::Staggered,
            _ => return Err(unknown("multi_bank_activation", activation.to_owned(), "provisioned, staggered")),
        },
        gqa: match gqa {
            "serial" => GqaPolicy::Serial,
            "shared" => GqaPolicy::SharedPass,
            _ => return Err(unknown("gqa", gqa.to_owned(), "serial, shared")),
        },
        energy: EnergyFigures {
            activation: entry.energy("energy_activation").unwrap_or(own.activation),
            cell: entry.energy("energy_cell").unwrap_or(own.cell),
            bank_group: entry.energy("energy_bank_group").unwrap_or(own.bank_group),
            global: entry.energy("energy_global").unwrap_or(own.global),
            tsv: entry.energy("energy_tsv").unwrap_or(own.tsv),
            mac: entry.energy("energy_mac").unwrap_or(own.mac),
            refresh: entry.energy("energy_refresh").unwrap_or(own.refresh),
            standby_open: entry.power("standby_open").unwrap_or(own.standby_open),
            standby_closed: entry.power("standby_closed").unwrap_or(own.standby_closed),
            ..own
        },
        // How many queries a MAC serves is known with the model.
        power: entry.power("power").ok().map(|stack| PowerBudget { stack, queries: 1 }),
        pq: base.pq.map(|_| pq(entry)).transpose()?,
        ..base
    })
}

/// What the device has for a product-quantised KV cache.
fn pq(entry: &Entry) -> Result<PqFigures, SystemError> {
    let number = |key| Ok::<u32, SystemError>(u32::try_from(entry.integer(key)?).unwrap_or(u32::MAX));
    let unknown = |what, key: &str, known: &str| SystemError::Unknown {
        what,
        name: entry.text(key).unwrap_or_default().to_owned(),
        known: known.to_owned(),
    };
    Ok(PqFigures {
        lookups_per_column: number("lookups_per_column")?,
        reduction: match entry.text("reduction")? {
            "buffer" => PqReduction::Buffer,
            "bank-group" => PqReduction::BankGroup,
            "in-bank" => PqReduction::InBank,
            _ => return Err(unknown("reduction", "reduction", "buffer, bank-group, in-bank")),
        },
        register_file: number("register_file")?,
        result_registers: number("result_registers")?,
        value_passes: number("value_passes")?,
        values: match entry.text("values")? {
            "reconstruct" => PqValues::Reconstruct,
            "accumulate" => PqValues::Accumulate,
            _ => return Err(unknown("values", "values", "reconstruct, accumulate")),
        },
        mapping: match entry.text("mapping")? {
            "together" => PqMapping::Together,
            "apart" => PqMapping::Apart,
            _ => return Err(unknown("mapping", "mapping", "together, apart")),
        },
        buffer_operations: entry.operations_per_second("buffer_operations")?,
        broadcast: entry.flag("mv_bf_broadcast")?,
    })
}

/// A link of the catalogue.
fn link_spec(entry: &Entry) -> Result<LinkSpec, SystemError> {
    let kind = entry.text("link_kind")?;
    let raw = entry.bandwidth("raw_bw")?;
    let size = |key| entry.bytes(key).map(|bytes| bytes.0);
    Ok(match kind {
        "pcie" => LinkSpec {
            category: Category::CommunicationPcie,
            rate: raw.times(entry.fraction("link_efficiency")?),
            framing: Framing::Pcie(protocol::pcie::Packets {
                max_payload: size("mps")?.max(1),
                max_read_request: size("mrrs")?.max(1),
                write_header: size("header_write")?,
                completion_header: size("header_completion")?,
                request_header: size("header_request")?,
            }),
            latency: entry.time("latency")?,
        },
        "cxl" => LinkSpec {
            category: Category::CommunicationCxl,
            rate: raw,
            framing: Framing::Cxl(protocol::cxl::Flits {
                flit: size("flit_bytes")?.max(1),
                payload: size("flit_payload")?.max(1),
                // Assumption: as PCIe's usual read requests.
                max_read_request: protocol::pcie::Packets::USUAL.max_read_request,
            }),
            // A port and the physical layer at each end of the way.
            latency: entry.time("port_latency")? + entry.time("phy_latency")?,
        },
        "nvlink" | "on-package" => LinkSpec {
            category: if kind == "nvlink" { Category::CommunicationNvlink } else { Category::CommunicationHbm },
            rate: raw.times(entry.fraction("link_efficiency")?),
            framing: Framing::Plain,
            latency: entry.time("latency")?,
        },
        _ => {
            let known = "pcie, cxl, nvlink, on-package".to_owned();
            return Err(SystemError::Unknown { what: "link kind", name: kind.to_owned(), known });
        }
    })
}
