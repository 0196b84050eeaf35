//! Reads the columns `model` and `params`: which network a row is about.

use super::network::{Law, Network, Population, StationModel};

/// What is wrong in a field, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The column of the table.
    pub(super) column: &'static str,
    /// Characters from the beginning of the field.
    pub(super) offset: u64,
    /// What is wrong.
    pub(super) problem: String,
    /// What to write.
    pub(super) remedy: String,
}

impl Wrong {
    /// Of a field as a whole.
    pub(super) fn field(column: &'static str, problem: String, remedy: &str) -> Self {
        Self { column, offset: 0, problem, remedy: remedy.to_owned() }
    }
}

const MODELS: &str = "models are A/S/c or A/S/c/K (A, S one of M, D, G, E2, E3, ...; c and K a number, or the letter \
                      and a parameter), with -PS for processor sharing, such as M/M/1, M/G/1, M/M/c, M/M/1/K, M/D/1-PS; \
                      Jackson tandem; Jackson feedback; Closed exponential. What follows in round brackets is a remark";

/// The most servers, customers, places and stages that a row may ask for: what fits in memory many times over.
const MOST: f64 = 1_000_000.0;
/// The most visits to stations of one customer, so that a row ends within minutes.
const MOST_VISITS: f64 = 1_000.0;

/// One `name=value`.
#[derive(Clone, Copy, Debug)]
struct Parameter<'a> {
    name: &'a str,
    value: &'a str,
    /// Characters from the beginning of the field.
    offset: u64,
}

impl Parameter<'_> {
    fn wrong(&self, problem: &str, remedy: &str) -> Wrong {
        let problem = format!("`{}` is \"{}\": {problem}", self.name, self.value);
        Wrong { column: "params", offset: self.offset, problem, remedy: remedy.to_owned() }
    }

    fn number(&self, text: &str) -> Result<f64, Wrong> {
        text.trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| self.wrong("this is not a number", "write a finite number such as 0.8"))
    }

    /// A number in a range that excludes its lower end.
    fn positive(&self, text: &str) -> Result<f64, Wrong> {
        let number = self.number(text)?;
        // Far inside of what a double can divide and multiply without overflow.
        if number > 1e-100 && number < 1e100 {
            Ok(number)
        } else {
            Err(self.wrong("it must be more than zero", "write a number between 1e-100 and 1e100"))
        }
    }

    fn whole(&self) -> Result<u32, Wrong> {
        let number = self.number(self.value)?;
        if (1.0..=MOST).contains(&number) && number.fract() == 0.0 {
            Ok(number as u32)
        } else {
            Err(self.wrong("it must be a whole number of at least 1", "write a whole number from 1 to 1000000"))
        }
    }

    fn list(&self) -> Result<Vec<f64>, Wrong> {
        let numbers: Vec<f64> = self.value.split('/').map(|text| self.positive(text)).collect::<Result<_, _>>()?;
        if numbers.len() as f64 > MOST_VISITS {
            return Err(self.wrong("too many stations", "write at most 1000 stations"));
        }
        Ok(numbers)
    }
}

/// The parameters of a row that have not been asked for yet.
struct Parameters<'a> {
    left: Vec<Parameter<'a>>,
}

impl<'a> Parameters<'a> {
    fn parse(text: &'a str) -> Result<Self, Wrong> {
        let mut left: Vec<Parameter<'a>> = Vec::new();
        let mut offset = 0;
        for part in text.split(';') {
            let here = offset;
            offset += part.chars().count() as u64 + 1;
            if part.trim().is_empty() {
                continue;
            }
            let Some((name, value)) = part.split_once('=') else {
                let (problem, remedy) = (format!("\"{part}\" has no value"), "write name=value;name=value".to_owned());
                return Err(Wrong { column: "params", offset: here, problem, remedy });
            };
            let parameter = Parameter { name: name.trim(), value: value.trim(), offset: here };
            if left.iter().any(|other| other.name == parameter.name) {
                return Err(parameter.wrong("it stands there twice", "take one of them away"));
            }
            left.push(parameter);
        }
        Ok(Self { left })
    }

    fn find(&mut self, name: &str) -> Option<Parameter<'a>> {
        let index = self.left.iter().position(|parameter| parameter.name == name)?;
        Some(self.left.remove(index))
    }

    fn take(&mut self, name: &str) -> Result<Parameter<'a>, Wrong> {
        self.find(name).ok_or_else(|| {
            let problem = format!("parameter `{name}` is missing");
            Wrong::field("params", problem, &format!("write {name}=... among the parameters, separated by semicolons"))
        })
    }

    fn positive(&mut self, name: &str) -> Result<f64, Wrong> {
        let parameter = self.take(name)?;
        parameter.positive(parameter.value)
    }

    fn end(self) -> Result<(), Wrong> {
        match self.left.first() {
            None => Ok(()),
            Some(parameter) => {
                Err(parameter.wrong("this model has no such parameter", "take it away, or name another model"))
            }
        }
    }
}

/// The network that a row is about.
///
/// # Errors
/// [`Wrong`], in the column `model` or `params`.
pub(super) fn parse(model: &str, params: &str) -> Result<Network, Wrong> {
    let mut parameters = Parameters::parse(params)?;
    let name = model.split('(').next().unwrap_or_default().trim().to_lowercase();
    let network = match name.as_str() {
        "jackson tandem" => {
            let interval = Law::Exponential { mean: 1.0 / parameters.positive("lambda")? };
            open(interval, row(&rates(&mut parameters)?), 0.0)
        }
        "jackson feedback" => {
            let interval = Law::Exponential { mean: 1.0 / parameters.positive("lambda")? };
            let stations = row(&rates(&mut parameters)?);
            let back = parameters.take("p_return")?;
            let again = back.number(back.value)?;
            if !(0.0..1.0).contains(&again) {
                return Err(back.wrong("a probability below one is wanted", "write a number from 0 to below 1"));
            }
            if stations.len() as f64 / (1.0 - again) > MOST_VISITS {
                return Err(back.wrong("customers would hardly ever leave", "at most 1000 visits of a customer"));
            }
            open(interval, stations, again)
        }
        "closed exponential" => {
            let customers = parameters.take("N")?.whole()?;
            let think = parameters.take("Z")?;
            let think = if think.number(think.value)? == 0.0 { 0.0 } else { think.positive(think.value)? };
            let stations = row(&parameters.take("S")?.list()?);
            Network { stations, population: Population::Closed { customers, think } }
        }
        name => kendall(name, &mut parameters)
            .ok_or_else(|| Wrong::field("model", format!("there is no model `{}`", model.trim()), MODELS))??,
    };
    parameters.end()?;
    Ok(network)
}

/// Single exponential servers of these mean service times.
fn row(means: &[f64]) -> Vec<StationModel> {
    means.iter().map(|&mean| StationModel::single(Law::Exponential { mean })).collect()
}

/// The mean service times of `mu`, a list of rates.
fn rates(parameters: &mut Parameters<'_>) -> Result<Vec<f64>, Wrong> {
    Ok(parameters.take("mu")?.list()?.into_iter().map(|rate| 1.0 / rate).collect())
}

fn open(interval: Law, stations: Vec<StationModel>, again: f64) -> Network {
    Network { stations, population: Population::Open { interval, again } }
}

/// Kendall's notation, in lower case; `None` where it is not.
fn kendall(name: &str, parameters: &mut Parameters<'_>) -> Option<Result<Network, Wrong>> {
    let (name, sharing) = match name.strip_suffix("ps").map(|name| name.trim_end_matches(['-', ' ', '/'])) {
        Some(name) => (name, true),
        None => (name, false),
    };
    let parts: Vec<&str> = name.split('/').map(str::trim).collect();
    let (arrivals, service, servers, capacity) = match parts[..] {
        [arrivals, service, servers] => (arrivals, service, servers, None),
        [arrivals, service, servers, capacity] => (arrivals, service, servers, Some(capacity)),
        _ => return None,
    };
    let arrivals = Shape::parse(arrivals)?;
    let service = Shape::parse(service)?;
    let servers = Count::parse(servers, "c")?;
    let capacity = match capacity {
        Some(capacity) => Some(Count::parse(capacity, "k")?),
        None => None,
    };
    Some((|| {
        let interval = arrivals.law(1.0 / parameters.positive("lambda")?, "ca2", parameters)?;
        let service = service.law(1.0 / parameters.positive("mu")?, "cs2", parameters)?;
        let servers = servers.number("c", parameters)?;
        let capacity = capacity.map(|count| count.number("K", parameters)).transpose()?;
        Ok(open(interval, vec![StationModel { service, servers, capacity, sharing }], 0.0))
    })())
}

/// A letter of Kendall's notation.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Fixed,
    Exponential,
    Erlang(u32),
    General,
}

impl Shape {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "m" => Some(Self::Exponential),
            "d" => Some(Self::Fixed),
            "g" | "gi" => Some(Self::General),
            _ => {
                let stages: u32 = text.strip_prefix('e')?.parse().ok()?;
                (1..=1_000).contains(&stages).then_some(Self::Erlang(stages))
            }
        }
    }

    fn law(self, mean: f64, cs2: &str, parameters: &mut Parameters<'_>) -> Result<Law, Wrong> {
        Ok(match self {
            Self::Fixed => Law::Fixed { mean },
            Self::Exponential => Law::Exponential { mean },
            Self::Erlang(stages) => Law::Erlang { mean, stages },
            Self::General => {
                let parameter = parameters.take(cs2)?;
                let cs2 = parameter.number(parameter.value)?;
                if !(0.0..=1_000.0).contains(&cs2) {
                    return Err(parameter.wrong("it cannot be that", "write a number from 0 to 1000"));
                }
                Law::General { mean, cs2 }
            }
        })
    }
}

/// A count in a model's name: a number, or a letter that stands for a parameter.
#[derive(Clone, Copy, Debug)]
enum Count {
    Number(u32),
    Parameter,
}

impl Count {
    fn parse(text: &str, letter: &str) -> Option<Self> {
        match text {
            "inf" if letter == "c" => Some(Self::Number(u32::MAX)),
            _ if text == letter => Some(Self::Parameter),
            _ => {
                let number: u32 = text.parse().ok()?;
                (1..=MOST as u32).contains(&number).then_some(Self::Number(number))
            }
        }
    }

    fn number(self, name: &str, parameters: &mut Parameters<'_>) -> Result<u32, Wrong> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Parameter => parameters.take(name)?.whole(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(model: &str, params: &str, expected: &str) {
        assert_eq!(parse(model, params).unwrap().to_string(), expected);
    }

    #[track_caller]
    fn check_refused(model: &str, params: &str, column: &str, offset: u64, problem: &str) {
        let wrong = parse(model, params).unwrap_err();
        assert_eq!((wrong.column, wrong.offset), (column, offset), "{wrong:?}");
        assert!(wrong.problem.contains(problem) && !wrong.remedy.is_empty(), "{wrong:?}");
    }

    #[test]
    fn is_every_model_read() {
        check("M/M/1", "lambda=0.5;mu=2", "open M 2 again 0 (M 0.5 x1)");
        check("M/M/1 (a remark)", " mu = 2 ; lambda=0.5;", "open M 2 again 0 (M 0.5 x1)");
        check("M/D/1", "lambda=0.5;mu=2", "open M 2 again 0 (D 0.5 x1)");
        check("D/D/1", "lambda=0.5;mu=2", "open D 2 again 0 (D 0.5 x1)");
        check("M/G/1 (Pollaczek-Khinchine)", "lambda=0.5;mu=2;cs2=4", "open M 2 again 0 (G 0.5 4 x1)");
        check("M/M/c", "lambda=0.5;mu=1;c=4", "open M 2 again 0 (M 1 x4)");
        check("M/E2/3", "lambda=0.5;mu=1", "open M 2 again 0 (E2 1 x3)");
        check("GI/M/1", "lambda=0.5;mu=1;ca2=0.5", "open G 2 0.5 again 0 (M 1 x1)");
        check("M/M/1/K", "lambda=0.5;mu=1;K=8", "open M 2 again 0 (M 1 x1 K8)");
        check("M/M/2/5", "lambda=0.5;mu=1", "open M 2 again 0 (M 1 x2 K5)");
        check("M/M/inf", "lambda=0.5;mu=1", "open M 2 again 0 (M 1 x4294967295)");
        check("M/D/1-PS", "lambda=0.5;mu=1", "open M 2 again 0 (D 1 x1 PS)");
        check("Jackson tandem", "lambda=0.5;mu=1/2", "open M 2 again 0 (M 1 x1) (M 0.5 x1)");
        check("Jackson feedback", "lambda=0.5;mu=4;p_return=0.75", "open M 2 again 0.75 (M 0.25 x1)");
        check("Closed exponential (exact MVA)", "N=3;Z=4;S=1/0.5", "closed 3 think 4 (M 1 x1) (M 0.5 x1)");
        check("Closed exponential (exact MVA)", "N=3;Z=0;S=1", "closed 3 think 0 (M 1 x1)");
    }

    #[test]
    fn is_what_is_wrong_found_where_it_stands() {
        check_refused("M/X/1", "lambda=0.5;mu=1", "model", 0, "there is no model `M/X/1`");
        check_refused("", "lambda=0.5;mu=1", "model", 0, "there is no model");
        check_refused("M/M/0", "lambda=0.5;mu=1", "model", 0, "there is no model");
        check_refused("M/M/1", "lambda=0.5", "params", 0, "`mu` is missing");
        check_refused("M/M/1", "lambda=0.5;mu=fast", "params", 11, "not a number");
        check_refused("M/M/1", "lambda=0.5;mu=0", "params", 11, "more than zero");
        check_refused("M/M/1", "lambda=0.5;mu=1e300", "params", 11, "more than zero");
        check_refused("M/M/1", "lambda=0.5;mu=NaN", "params", 11, "not a number");
        check_refused("M/M/1", "lambda=0.5;mu=1;c=2", "params", 16, "no such parameter");
        check_refused("M/M/1", "lambda=0.5;mu", "params", 11, "has no value");
        check_refused("M/M/1", "lambda=0.5;lambda=1", "params", 11, "twice");
        check_refused("M/M/c", "lambda=0.5;mu=1;c=1.5", "params", 16, "whole number");
        check_refused("M/M/1/K", "lambda=0.5;mu=1;K=0", "params", 16, "whole number");
        check_refused("M/G/1", "lambda=0.5;mu=1;cs2=-1", "params", 16, "cannot be");
        check_refused("Jackson tandem", "lambda=0.5;mu=1//2", "params", 11, "not a number");
        check_refused("Jackson feedback", "lambda=0.5;mu=1;p_return=1", "params", 16, "below one");
        check_refused("Jackson feedback", "lambda=0.5;mu=1;p_return=0.99999", "params", 16, "hardly ever");
        check_refused("Closed exponential", "N=1;Z=-1;S=1", "params", 4, "more than zero");
    }
}
