//! From a checked document to a [`Scenario`]: devices with their overridden figures, defaults that depend on other
//! fields, and the rules that hold between fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use sim_core::Bytes;
use workloads::{Lengths, ModelConfig};

use crate::catalogue::{Catalogue, Entry, FigureField, FigureKind, Kind, LinkKind};
use crate::scenario::check::{Checked, Setting};
use crate::scenario::codec;
use crate::scenario::error::{Fault, Problem};
use crate::scenario::models::Models;
use crate::scenario::quantity::Quantity;
use crate::scenario::words::{Attention, Gather, Home, Placement, Words, WorkloadKind};
use crate::scenario::{
    AccuracyChoice, GpuChoice, HostChoice, KvChoice, ModelSource, PimChoice, Scenario, SystemSpec, Workload,
};

/// Who can compute attention over a cache that lives there; the first is the default.
const ATTENTION: &[(Home, &[Attention])] =
    &[(Home::Gpu, &[Attention::Gpu]), (Home::Host, &[Attention::Gpu, Attention::Cpu]), (Home::Pim, &[Attention::Pim])];

/// Makes the scenario of one point.
pub(super) fn resolve(root: &Checked, stem: &str, models: &mut Models) -> Result<Scenario, Fault> {
    let model = root.need("model")?;
    let source = models
        .find(model.text("config").unwrap_or_default())
        .map_err(|problem| Fault::new(problem, model.origin_of("config")))?;
    let workload = workload(root.need("workload")?, model, &source)?;
    // A configuration that cannot be used is refused with its own place when it is run.
    let config = ModelConfig::from_json(&source.text).ok();
    let layers = model.maybe_integer("layers").map(|_| model.small("layers")).transpose()?;
    if let (Some(layers), Some(config)) = (layers, &config)
        && layers > config.layers
    {
        return Err(contradiction(
            model,
            "layers",
            format!("`layers` is {layers}, and the model has {}", config.layers),
            format!("at most {}, or leave `layers` out", config.layers),
        ));
    }
    let mut systems = Vec::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, spec) in root.sections("system").enumerate() {
        let name = spec.text("name").unwrap_or_default();
        if let Some(first) = names.insert(name, index) {
            return Err(contradiction(
                spec,
                "name",
                format!("systems {first} and {index} are both called `{name}`"),
                "give every system a name of its own".to_owned(),
            ));
        }
        systems.push(system(spec, &workload, config.as_ref())?);
    }
    let mut scenario = Scenario {
        name: root.text("name").unwrap_or(stem).to_owned(),
        seed: root.integer("seed")?,
        model: source,
        layers,
        dtype: model.word("dtype")?,
        workload,
        systems,
        accuracy: root.section("accuracy").map(accuracy).transpose()?,
        sweep: Vec::new(),
        sha256: String::new(),
    };
    scenario.sha256 = digest(&canonical(&scenario));
    Ok(scenario)
}

fn accuracy(section: &Checked) -> Result<AccuracyChoice, Fault> {
    let tensors = section.text("tensors").unwrap_or_default();
    // Said here, where the place is known; what is in the file is said with its name.
    crate::tensors::check(tensors)
        .map_err(|error| contradiction(section, "tensors", error.to_string(), error.remedy()))?;
    Ok(AccuracyChoice {
        tensors: tensors.to_owned(),
        context: section.maybe_integer("context").and_then(|tokens| usize::try_from(tokens).ok()),
    })
}

pub(super) fn contradiction(section: &Checked, key: &str, message: String, remedy: String) -> Fault {
    Fault::new(Problem::Contradiction { message, remedy }, section.origin_of(key))
}

fn workload(section: &Checked, model: &Checked, source: &ModelSource) -> Result<Workload, Fault> {
    let lengths = lengths(section)?;
    let kind: WorkloadKind = section.word("kind")?;
    let given = |key| section.maybe_integer(key);
    let small = |key| given(key).map(|_| section.small(key)).transpose();
    let workload = Workload {
        kind,
        prefill_chunk: given("prefill_chunk"),
        prefill_batch: small("prefill_batch")?,
        batch: lengths.sequences(),
        context: lengths.longest(),
        new_tokens: if kind == WorkloadKind::Prefill { 0 } else { section.small("new_tokens")? },
        beyond_trained_length: section.flag("beyond_trained_length")?,
        lengths,
    };
    prefill(section, &workload)?;
    let listed = section.lengths("context").unwrap_or_default();
    let shortest = workload.lengths.shortest();
    if u64::from(workload.new_tokens) > shortest && listed.len() > 1 {
        let index = listed.iter().position(|(length, _)| *length == shortest).unwrap_or(0);
        return Err(contradiction(
            section,
            "new_tokens",
            format!(
                "`new_tokens` is {} and `context[{index}]` {shortest}: the context counts the new tokens too",
                workload.new_tokens
            ),
            format!("at most {shortest} new tokens, or longer sequences"),
        ));
    }
    if u64::from(workload.new_tokens) > workload.context {
        return Err(contradiction(
            section,
            "new_tokens",
            format!(
                "`new_tokens` is {} and `context` {}: the context counts the new tokens too",
                workload.new_tokens, workload.context
            ),
            format!("at most {} new tokens, or a longer context", workload.context),
        ));
    }
    let trained = source.trained_length().map_err(|message| {
        let message = format!("{}: {message}", source.path_shown);
        Fault::new(Problem::Model { message }, model.origin_of("config"))
    })?;
    match trained {
        Some(trained) if workload.context > trained && !workload.beyond_trained_length => {
            let first = listed.iter().find(|(length, _)| *length > trained);
            let (context, origin) = first.cloned().unwrap_or_else(|| (workload.context, section.origin_of("context")));
            Err(Fault::new(Problem::BeyondTrainedLength { context, trained }, origin))
        }
        _ => Ok(workload),
    }
}

/// The rules of the keys that have to do with prompts.
fn prefill(section: &Checked, workload: &Workload) -> Result<(), Fault> {
    let kind = workload.kind;
    if kind.has_prefill() {
        let shortest = workload.lengths.shortest();
        if u64::from(workload.new_tokens) == shortest {
            return Err(contradiction(
                section,
                "new_tokens",
                format!("`new_tokens` is {shortest}, as many as the context: no prompt is left to be processed"),
                format!("at most {} new tokens, or longer sequences", shortest - 1),
            ));
        }
        if kind == WorkloadKind::Prefill && section.is_given("new_tokens") {
            return Err(contradiction(
                section,
                "new_tokens",
                "a prefill alone has no decode steps".to_owned(),
                "leave `new_tokens` out, or set kind = \"prefill+decode\"".to_owned(),
            ));
        }
        return Ok(());
    }
    for key in ["prefill_chunk", "prefill_batch"] {
        if section.is_given(key) {
            return Err(contradiction(
                section,
                key,
                format!("`{key}` means nothing with kind = \"{kind}\": no prompt is processed"),
                format!("leave `{key}` out, or set kind = \"prefill+decode\""),
            ));
        }
    }
    Ok(())
}

/// Of every sequence: those of the list, or the one number `batch` times.
fn lengths(section: &Checked) -> Result<Lengths, Fault> {
    let batch = section.maybe_integer("batch").map(|_| section.small("batch")).transpose()?;
    let Some(listed) = section.lengths("context") else {
        return Ok(Lengths::equal(batch.unwrap_or(1), section.integer("context")?));
    };
    match batch {
        Some(batch) if batch as usize != listed.len() => Err(contradiction(
            section,
            "batch",
            format!("`batch` is {batch} and `context` lists {} sequences", listed.len()),
            format!("leave `batch` out, set it to {}, or list {batch} lengths", listed.len()),
        )),
        _ => Ok(listed.iter().map(|(length, _)| *length).collect()),
    }
}

fn system(section: &Checked, workload: &Workload, model: Option<&ModelConfig>) -> Result<SystemSpec, Fault> {
    let gpu = section.need("gpu")?;
    let gpu_entry = with_overrides(gpu.device("device")?, gpu)?;
    let own_stacks = whole(&gpu_entry, "hbm_stacks");
    let gpu_choice = GpuChoice {
        hbm_stacks: gpu.maybe_integer("hbm_stacks").and_then(|stacks| u32::try_from(stacks).ok()).unwrap_or(own_stacks),
        count: gpu.small("count")?,
        entry: gpu_entry,
    };
    let host = host(section.need("host")?, &gpu_choice)?;
    let pim = section.section("pim").map(|pim| pim_choice(pim, &gpu_choice)).transpose()?;
    let kv = kv(section.need("kv")?, pim.as_ref(), workload, model)?;
    let group = match section.maybe_integer("pipeline_group") {
        Some(_) => section.small("pipeline_group")?.min(workload.batch),
        None if kv.home == Home::Pim && !kv.codec.is_plain() => workload.batch.div_ceil(2),
        None => workload.batch,
    };
    Ok(SystemSpec {
        name: section.text("name").unwrap_or_default().to_owned(),
        dispatch: section.word("dispatch")?,
        pipeline_group: group,
        pipeline: section.word("pipeline")?,
        gpu: gpu_choice,
        host,
        pim,
        kv,
    })
}

/// A whole number of the catalogue, which a unit test has found to be there.
fn whole(entry: &Entry, key: &str) -> u32 {
    entry.integer(key).ok().and_then(|number| u32::try_from(number).ok()).unwrap_or(1)
}

fn host(section: &Checked, gpu: &GpuChoice) -> Result<HostChoice, Fault> {
    let cpu = with_overrides(section.device("cpu")?, section)?;
    let link = link(section, gpu.entry.text("host_link").unwrap_or_default())?;
    if link.link_kind() == Some(LinkKind::OnPackage) {
        return Err(contradiction(
            section.section("link").unwrap_or(section),
            "name",
            format!("`{}` joins a GPU and the stacks of its package, not a host", link.name),
            "take a PCIe, CXL or NVLink-C2C link".to_owned(),
        ));
    }
    Ok(HostChoice { cpu, link })
}

fn pim_choice(section: &Checked, gpu: &GpuChoice) -> Result<PimChoice, Fault> {
    let entry = with_overrides(section.device("device")?, section)?;
    let link = link(section, entry.text("link").unwrap_or_default())?;
    let choice = PimChoice {
        stacks: section.small("stacks")?,
        placement: section.word("placement")?,
        switch: section.flag("switch")?,
        execution: section.word("execution")?,
        entry,
        link,
    };
    if choice.placement == Placement::Replaces && choice.stacks >= gpu.hbm_stacks {
        let remedy = match gpu.hbm_stacks {
            1 => "the GPU has a single stack: use placement = \"adds\"".to_owned(),
            stacks => format!("replace at most {}, or use placement = \"adds\"", stacks - 1),
        };
        let message = format!(
            "{} PIM stacks cannot replace {} of the {} stacks of `{}`: the weights need at least one",
            choice.stacks,
            if choice.stacks == gpu.hbm_stacks { "all".to_owned() } else { choice.stacks.to_string() },
            gpu.hbm_stacks,
            gpu.entry.name
        );
        return Err(contradiction(section, "stacks", message, remedy));
    }
    if choice.switch && choice.link.link_kind() != Some(LinkKind::Cxl) {
        return Err(contradiction(
            section,
            "switch",
            format!("a switch is modelled for CXL; `{}` is not CXL", choice.link.name),
            "set pim.link to a CXL link, or switch = false".to_owned(),
        ));
    }
    least_power(section, &choice.entry)?;
    Ok(choice)
}

/// A limit of power leaves room for what a stack takes without doing anything.
fn least_power(section: &Checked, entry: &Entry) -> Result<(), Fault> {
    let Ok(device) = crate::system::figures::device(entry) else { return Ok(()) };
    let (Some(power), least) = (device.power, pim_device::PowerBudget::least(&device)) else { return Ok(()) };
    if power.stack >= least {
        return Ok(());
    }
    let watts = |microwatts: u64| microwatts as f64 / 1e6;
    let message = format!(
        "a stack of `{}` cannot be kept to {} W: standby and refresh take {:.2} W",
        entry.name,
        watts(power.stack),
        watts(least)
    );
    Err(contradiction(
        section,
        "power",
        message,
        format!("allow at least {:.1} W", (watts(least) * 10.0).ceil() / 10.0),
    ))
}

/// The link of a section that names one, or else the one called `default`; with the figures that the section overrides.
fn link(section: &Checked, default: &str) -> Result<Entry, Fault> {
    let own = section.section("link");
    let named = own.and_then(|link| link.maybe_device("name"));
    let entry = match named {
        Some(entry) => entry,
        None => Catalogue::embedded()
            .find(Kind::Link, default)
            .map_err(|unknown| Fault::new(Problem::UnknownDevice { unknown }, section.origin.clone()))?,
    };
    let Some(own) = own else { return Ok(entry.clone()) };
    let entry = with_overrides(entry, own)?;
    flits(own, &entry)?;
    Ok(entry)
}

/// Whether a flit has room for what it carries: else a link would be faster than its raw rate.
fn flits(section: &Checked, entry: &Entry) -> Result<(), Fault> {
    let (Ok(flit), Ok(payload)) = (entry.bytes("flit_bytes"), entry.bytes("flit_payload")) else { return Ok(()) };
    if payload <= flit {
        return Ok(());
    }
    let given = section.figures().iter().rfind(|given| given.field.key.starts_with("flit_"));
    let message = format!("a flit of `{}` is {flit} and would carry {payload}", entry.name);
    let remedy = "flit_payload is at most flit_bytes".to_owned();
    let origin = given.map_or_else(|| section.origin.clone(), |given| given.origin.clone());
    Err(Fault::new(Problem::Contradiction { message, remedy }, origin))
}

/// A copy of `entry` with the figures that `section` overrides.
pub(super) fn with_overrides(entry: &Entry, section: &Checked) -> Result<Entry, Fault> {
    let mut entry = entry.clone();
    for ours in section.figures() {
        if !ours.field.fits(&entry) {
            let allowed: Vec<_> = FigureField::of(entry.kind)
                .iter()
                .filter(|field| field.overridable && field.fits(&entry))
                .map(|field| field.key)
                .collect();
            let what = entry.link_kind().map_or_else(
                || "has no look-up in its bank PEs".to_owned(),
                |family| format!("is a {} link", family.word()),
            );
            let problem = Problem::Contradiction {
                message: format!(
                    "`{}` means nothing for `{}`, which {what}",
                    section.path_of(ours.field.key),
                    entry.name
                ),
                remedy: format!("its figures: {}", allowed.join(", ")),
            };
            return Err(Fault::new(problem, ours.origin.clone()));
        }
        let (value, unit) = match &ours.setting {
            Setting::Quantity(quantity) => {
                let (number, unit) = quantity.normal();
                (Json::Number(number), unit)
            }
            Setting::Integer(integer) => (Json::from(*integer), ""),
            Setting::Flag(flag) => (Json::from(*flag), ""),
            Setting::Word(word) => (Json::from(*word), ""),
            Setting::Text(text) => (Json::from(text.as_str()), ""),
            Setting::Device(device) => (Json::from(device.name.as_str()), ""),
            Setting::Lengths(lengths) => (lengths.iter().map(|(length, _)| *length).collect(), ""),
        };
        entry.set(ours.field.key, value, unit);
    }
    Ok(entry)
}

fn kv(
    section: &Checked,
    pim: Option<&PimChoice>,
    workload: &Workload,
    model: Option<&ModelConfig>,
) -> Result<KvChoice, Fault> {
    let home: Home = section.word("home")?;
    if home == Home::Pim && pim.is_none() {
        return Err(contradiction(
            section,
            "home",
            format!("`{}` is \"pim\", and the system has no `pim`", section.path_of("home")),
            "give the system pim = { device = \"hbm3-pim-bank\", stacks = 4 }, or another home".to_owned(),
        ));
    }
    let able = ATTENTION.iter().find(|(at, _)| *at == home).map_or(&[][..], |(_, able)| able);
    let default = able.first().copied().unwrap_or(Attention::Gpu);
    let attention = section.maybe_word("attention").unwrap_or(default);
    if !able.contains(&attention) {
        let able: Vec<_> = able.iter().map(|able| format!("\"{able}\"")).collect();
        return Err(contradiction(
            section,
            "attention",
            format!("attention on \"{attention}\" cannot reach a cache whose home is \"{home}\""),
            format!("with home = \"{home}\": attention = {}", able.join(" or ")),
        ));
    }
    let codec = codec::read(section, workload, model)?;
    codec::served(section, &codec, (home, attention), pim, workload, model)?;
    Ok(KvChoice {
        codec,
        home,
        attention,
        prefetch: section.small("prefetch")?,
        overflow: section.word("overflow")?,
        spill_unit: section.word("spill_unit")?,
        block: match section.quantity("block") {
            Some(Quantity::Bytes(bytes)) => Some(bytes),
            _ => None,
        },
        gather: section.word("gather")?,
        gqa_blind: section.flag("gqa_blind")?,
    })
}

/// The resolved scenario as JSON with sorted keys, defaults filled in and quantities in base units. The scenario's own
/// name is left out: it is a label, and its default is the name of the file.
pub(super) fn canonical(scenario: &Scenario) -> Json {
    let systems: Vec<Json> =
        scenario.systems.iter().map(|system| canonical_system(system, scenario.workload.batch)).collect();
    // What the model says counts, not where it lies. A configuration that is not JSON is refused before this.
    let config: Json = serde_json::from_str(&scenario.model.text).unwrap_or_default();
    let mut canonical = json!({
        "seed": scenario.seed,
        "model": { "config": config, "dtype": scenario.dtype.word() },
        "workload": {
            "kind": scenario.workload.kind.word(),
            "batch": scenario.workload.batch,
            "context": context(&scenario.workload),
            "new_tokens": scenario.workload.new_tokens,
            "beyond_trained_length": scenario.workload.beyond_trained_length,
        },
        "system": systems,
    });
    // Only where it is asked for, so that the digests of other scenarios stay as they are.
    if let (Some(accuracy), Some(map)) = (&scenario.accuracy, canonical.as_object_mut()) {
        let AccuracyChoice { tensors, context } = accuracy;
        map.insert("accuracy".to_owned(), json!({ "tensors": tensors, "context": context }));
    }
    if let Some(layers) = scenario.layers {
        canonical["model"]["layers"] = json!(layers);
    }
    if scenario.workload.kind.has_prefill() {
        let workload = &mut canonical["workload"];
        workload["prefill_chunk"] = json!(scenario.workload.prefill_chunk);
        workload["prefill_batch"] = json!(scenario.workload.prefill_batch);
    }
    sorted(canonical)
}

/// The number, or the list where sequences differ.
fn context(workload: &Workload) -> Json {
    if workload.lengths.is_equal() {
        json!(workload.context)
    } else {
        workload.lengths.iter().map(Json::from).collect()
    }
}

fn canonical_system(system: &SystemSpec, batch: u32) -> Json {
    let pim = system.pim.as_ref().map(|pim| {
        json!({
            "device": device(&pim.entry),
            "stacks": pim.stacks,
            "placement": pim.placement.word(),
            "switch": pim.switch,
            "link": device(&pim.link),
        })
    });
    let mut canonical = json!({
        "name": system.name,
        "dispatch": system.dispatch.word(),
        "gpu": {
            "device": device(&system.gpu.entry),
            "count": system.gpu.count,
            "hbm_stacks": system.gpu.hbm_stacks,
        },
        "host": { "cpu": device(&system.host.cpu), "link": device(&system.host.link) },
        "pim": pim,
        "kv": {
            "codec": system.kv.codec.text(),
            "home": system.kv.home.word(),
            "attention": system.kv.attention.word(),
            "prefetch": system.kv.prefetch,
            "overflow": system.kv.overflow.word(),
            "spill_unit": system.kv.spill_unit.word(),
            "block": system.kv.block.map(|Bytes(bytes)| format!("{bytes} B")),
        },
    });
    // Keys that came later count where they change something, so that digests of older scenarios stay.
    if system.pipeline_group < batch {
        canonical["pipeline_group"] = json!(system.pipeline_group);
        canonical["pipeline"] = json!(system.pipeline.word());
    }
    if system.kv.gather != Gather::Loads {
        canonical["kv"]["gather"] = json!(system.kv.gather.word());
    }
    if system.kv.gqa_blind {
        canonical["kv"]["gqa_blind"] = json!(true);
    }
    canonical
}

/// A device by its name and the figures that the scenario gives it.
pub(super) fn device(entry: &Entry) -> Json {
    let figures: Map<String, Json> = entry
        .figures_of_kind(&[FigureKind::Scenario])
        .map(|figure| (figure.key.clone(), json!([figure.value, figure.unit])))
        .collect();
    json!({ "name": entry.name, "figures": figures })
}

/// With the keys of every object in order.
pub(super) fn sorted(value: Json) -> Json {
    match value {
        Json::Object(object) => {
            let mut pairs: Vec<_> = object.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(pairs.into_iter().collect())
        }
        Json::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// SHA-256 of the text of `value`, in hexadecimal.
pub(super) fn digest(value: &Json) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(value.to_string().as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
