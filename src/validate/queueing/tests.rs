//! Does the suite find what is right, and what is wrong?

use super::*;

/// Enough for lightly loaded queues.
const SMALL: Effort = Effort { arrivals: 30_000, most_within: 3.5, all_within: 6.0 };

fn table(rows: &str) -> Table {
    Table::parse("t.csv", format!("model,params,metric,value\n{rows}").as_bytes(), &COLUMNS).unwrap()
}

fn small(rows: &str, alter: &(dyn Fn(&mut Network) + Sync)) -> Outcome {
    validate(&table(rows), SMALL, 2, alter).unwrap()
}

/// A few rows of every model of the shipped table; each queue forgets within a thousandth of the run.
const SAMPLE: &str = "\
M/M/1,lambda=0.5;mu=1,W_mean_sojourn,2
M/M/1,lambda=0.5;mu=1,Wq_mean_wait,1
M/M/1,lambda=0.5;mu=1,L_mean_number,1
M/M/1,lambda=0.5;mu=1,Lq_mean_queue,0.5
M/M/1,lambda=0.5;mu=1,sojourn_p99,9.210340371976182
M/M/1,lambda=0.5;mu=1,P(N>=5),0.03125
M/M/1,lambda=0.5;mu=1,P(N=0),0.5
M/M/1,lambda=0.5;mu=1,utilization,0.5
M/D/1,lambda=0.5;mu=1,Wq_mean_wait,0.5
M/D/1,lambda=0.5;mu=1,L_mean_number,0.75
M/G/1 (Pollaczek-Khinchine),lambda=0.5;mu=1;cs2=0.25,Wq_mean_wait,0.625
M/G/1 (Pollaczek-Khinchine),lambda=0.5;mu=1;cs2=4,Wq_mean_wait,2.5
M/E2/1,lambda=0.5;mu=1,Wq_mean_wait,0.75
M/M/c,lambda=1.2;mu=1;c=4,P_wait_ErlangC,0.03704974271012008
M/M/c,lambda=1.2;mu=1;c=4,Wq_mean_wait,0.013232050967900028
M/M/c,lambda=1.2;mu=1;c=4,W_mean_sojourn,1.0132320509679
M/M/inf,lambda=2;mu=1,L_mean_number,2
M/M/1/K,lambda=0.8;mu=1;K=8,P_block,0.03875620128197775
M/M/2/2,lambda=1;mu=1,P_block,0.2
M/M/1-PS,lambda=0.5;mu=1,W_mean_sojourn,2
M/D/1-PS,lambda=0.5;mu=1,W_mean_sojourn,2
Jackson tandem,lambda=0.5;mu=1/1.25/2,W_total_mean_sojourn,4
Jackson tandem,lambda=0.5;mu=1/1.25/2,L_station2,0.3333333333333333
Jackson feedback,lambda=0.15;mu=1;p_return=0.7,W_total_mean_sojourn,6.666666666666666
Closed exponential (exact MVA),N=2;Z=0;S=1/1,throughput_X,0.6666666666666666
Closed exponential (exact MVA),N=2;Z=0;S=1/1,response_R,3
Closed exponential (exact MVA),N=1;Z=4;S=1,throughput_X,0.2
";

#[test]
fn do_actors_agree_with_theory() {
    let outcome = small(SAMPLE, &|_| {});
    assert!(outcome.passed, "{:#?}", outcome.notes);
    assert_eq!(outcome.cases.len(), SAMPLE.lines().count());
}

/// Companion of the test above: with every service a tenth longer than the table says, most of it is out of bounds.
#[test]
fn is_a_wrong_service_rate_found() {
    let slow = |network: &mut Network| {
        for station in &mut network.stations {
            station.service = station.service.stretched(1.1);
        }
    };
    let outcome = small(SAMPLE, &slow);
    assert!(!outcome.passed);
    let beyond = outcome.cases.iter().filter(|case| case.extra[1].parse::<f64>().unwrap() > 5.0).count();
    assert!(beyond * 2 > outcome.cases.len(), "{beyond} of {}", outcome.cases.len());
}

/// The same in one station of a network, and for each mechanism on its own.
#[test]
fn is_each_wrong_mechanism_found() {
    let wrong = |row: &str, alter: &(dyn Fn(&mut Network) + Sync)| {
        assert!(small(row, &|_| {}).passed, "{row}");
        assert!(!small(row, alter).passed, "{row}");
    };
    let last = |network: &mut Network| {
        if let Some(station) = network.stations.last_mut() {
            station.service = station.service.stretched(1.1);
        }
    };
    wrong("Jackson tandem,lambda=0.5;mu=1/2,L_station1,0.3333333333333333", &last);
    wrong("M/D/1-PS,lambda=0.5;mu=1,W_mean_sojourn,2", &|network| network.stations[0].sharing = false);
    wrong("M/M/c,lambda=1.4;mu=1;c=2,P_wait,0.576470588235294", &|network| network.stations[0].servers = 3);
    wrong("M/M/1/K,lambda=0.8;mu=1;K=8,P_block,0.03875620128197775", &|network| {
        network.stations[0].capacity = Some(7);
    });
    wrong("D/D/1,lambda=0.5;mu=1,W_mean_sojourn,1", &last);
}

#[test]
fn is_what_is_not_random_exact() {
    let rows = "D/D/1,lambda=0.3;mu=1,Wq_mean_wait,0
D/D/1,lambda=0.3;mu=1,W_mean_sojourn,1
D/D/1,lambda=0.3;mu=1,L_mean_number,0.3
D/D/1,lambda=1;mu=1,Wq_mean_wait,0
D/D/1,lambda=0.3;mu=1,throughput,0.3
D/D/1,lambda=2;mu=1,throughput,1
D/D/1,lambda=1e4;mu=1,utilization,1
D/D/1,lambda=0.9;mu=1,P(N=0),0.1
D/D/1,lambda=0.5;mu=1,sojourn_p99,1
";
    let outcome = small(rows, &|_| {});
    assert!(outcome.passed, "{:#?}", outcome.notes);
    assert_eq!(outcome.exact(), outcome.cases.len(), "{:#?}", outcome.cases);
    let off = small("D/D/1,lambda=0.5;mu=1,W_mean_sojourn,1.00000001", &|_| {});
    assert!(!off.passed);
}

/// An event of 1e-8 is not seen in 3e4 arrivals, which is no error; that nobody of a tenth is seen would be one.
#[test]
fn are_rare_events_judged_by_how_many_are_expected() {
    let rare = small("M/M/1/K,lambda=0.1;mu=1.0;K=8,P_block,9.000000009000004e-09", &|_| {});
    assert!(rare.passed);
    assert!(rare.cases[0].extra[2].contains("expected"));
    let wrong = small("M/M/1/K,lambda=0.1;mu=1.0;K=8,P_block,0.01", &|_| {});
    assert!(!wrong.passed);
    let wait = small("M/M/c,lambda=1.6;mu=1;c=16,Wq_mean_wait,1.3734851117557435e-12", &|_| {});
    assert!(wait.passed && wait.cases[0].extra[2].contains("expected"));
    assert!(!small("M/M/c,lambda=1.6;mu=1;c=16,Wq_mean_wait,0.01", &|_| {}).passed);
}

#[test]
fn does_a_result_depend_on_threads_order_or_neighbours() {
    let rows = "M/M/1,lambda=0.5;mu=1,W_mean_sojourn,2\nM/M/1-PS,lambda=0.3;mu=1,W_mean_sojourn,1.4285714285714286\n";
    let reversed: String = rows.lines().rev().flat_map(|line| [line, "\n"]).collect();
    let one = validate(&table(rows), SMALL, 1, &|_| {}).unwrap();
    let many = validate(&table(rows), SMALL, 8, &|_| {}).unwrap();
    assert_eq!(one, many);
    let other = validate(&table(&reversed), SMALL, 1, &|_| {}).unwrap();
    assert_eq!(one.cases[0].ours.to_bits(), other.cases[1].ours.to_bits());
    let alone = validate(&table(rows.lines().next().unwrap()), SMALL, 1, &|_| {}).unwrap();
    assert_eq!(one.cases[0].ours.to_bits(), alone.cases[0].ours.to_bits());
    // The same network under another name is the same run.
    let renamed = validate(&table("M/M/c,mu=1.0;c=1;lambda=0.50,W,2"), SMALL, 1, &|_| {}).unwrap();
    assert_eq!(one.cases[0].ours.to_bits(), renamed.cases[0].ours.to_bits());
}

#[test]
fn can_every_shipped_row_be_asked() {
    let shipped = Table::parse(SHIPPED_PATH, SHIPPED.as_bytes(), &COLUMNS).unwrap();
    let (rows, jobs) = read(&shipped, Effort::FULL).unwrap();
    assert_eq!(rows.len(), shipped.rows().len());
    assert!(jobs.len() < rows.len());
    // No time is rounded by more than 1e-7 of the shortest mean.
    assert!(jobs.iter().all(|job| job.scale * job.network.shortest() >= 1e7), "{jobs:?}");
}

#[track_caller]
fn check_refused(rows: &str, message: &str) {
    let error = validate(&table(rows), SMALL, 1, &|_| {}).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert!(error.is_input() && !error.remedy().is_empty());
}

#[test]
fn is_a_bad_row_refused_where_it_is_bad() {
    check_refused("M/Q/1,lambda=0.5;mu=1,W,2", "t.csv:2:1: there is no model `M/Q/1`");
    check_refused("M/M/1,lambda=0.5;mu=x,W,2", "t.csv:2:18: `mu` is \"x\": this is not a number");
    check_refused("M/M/1,lambda=0.5;mu=1,V,2", "t.csv:2:23: there is no metric `V`");
    check_refused("M/M/1,lambda=0.5;mu=1,W,two", "t.csv:2:25: `value` is \"two\", which is not a number");
    let steady = "customers come faster than they are served, so there is no steady state";
    check_refused("M/M/1,lambda=2;mu=1,W,2", &format!("t.csv:2:7: {steady}"));
    let apart = "the shortest and the longest time are too far apart";
    check_refused("M/M/1,lambda=1e-12;mu=1,W,1", &format!("t.csv:2:7: {apart}"));
}
