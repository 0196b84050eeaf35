//! Do the segments of the critical path tile the token's latency, and is it noticed when they cannot?

use proptest::prelude::*;
use reports::{Category, Part, ReportError, SpanId, SystemInput, Time, analyse};

use crate::made_up::{Builder, Job};

fn job(launch: u64, body: u64) -> Job {
    Job { launch, body, ..Job::default() }
}

/// The kind, part, category and length of each segment of the first token.
#[track_caller]
fn check(builder: Builder, expected: &[(&str, Part, Category, u64)]) {
    let report = analyse(&builder.finish()).unwrap();
    let found: Vec<_> =
        report.critical_path[0].iter().map(|s| (s.kind, s.part, s.category, s.duration().ps())).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_does_an_unhindered_job_consist_of() {
    let mut b = Builder::new("s", &["cpu", "gpu"]);
    let dispatch = b.job(0, "dispatch", Category::Launch, &[], 0, job(0, 5));
    let kernel = b.job(1, "qkv", Category::ComputeGpu, &[dispatch], 7, job(3, 40));
    b.token(0, kernel);
    check(
        b,
        &[
            ("dispatch", Part::Body, Category::Launch, 5),
            ("qkv", Part::Signal, Category::Launch, 7),
            ("qkv", Part::Launch, Category::Launch, 3),
            ("qkv", Part::Body, Category::ComputeGpu, 40),
        ],
    );
}

/// A copy of 10 ps (3 of them launch) holds the link until 10; another was ready at 2.
fn contended() -> Builder {
    let mut b = Builder::new("s", &["cpu", "link"]);
    let dispatch = b.job(0, "dispatch", Category::Launch, &[], 0, job(0, 1));
    b.job(1, "first", Category::CommunicationPcie, &[], 0, job(3, 7));
    let second = b.job(1, "second", Category::CommunicationPcie, &[dispatch], 1, job(2, 8));
    b.token(0, second);
    b
}

#[test]
fn does_the_path_of_a_job_that_waited_go_on_with_the_holder() {
    check(
        contended(),
        &[
            ("first", Part::Launch, Category::Launch, 3),
            ("first", Part::Body, Category::CommunicationPcie, 7),
            ("second", Part::Launch, Category::Launch, 2),
            ("second", Part::Body, Category::CommunicationPcie, 8),
        ],
    );
}

#[test]
fn is_waiting_without_a_holder_queue() {
    let mut b = contended();
    // The holder leaves at 8; nobody is named for 8..10.
    let first = b.input.spans.iter_mut().find(|span| span.kind == "first").unwrap();
    first.end = Time::from_ps(8);
    check(
        b,
        &[
            ("first", Part::Launch, Category::Launch, 3),
            ("first", Part::Body, Category::CommunicationPcie, 5),
            ("second", Part::Waiting, Category::Queue, 2),
            ("second", Part::Launch, Category::Launch, 2),
            ("second", Part::Body, Category::CommunicationPcie, 8),
        ],
    );
}

#[test]
fn does_a_job_begun_before_the_token_count_from_the_token_on() {
    let mut b = Builder::new("s", &["gpu", "link"]);
    let first = b.job(0, "ffn", Category::ComputeGpu, &[], 0, job(0, 10));
    b.token(0, first);
    let fetch = b.job(1, "prefetch", Category::CommunicationPcie, &[], 0, job(4, 20));
    let second = b.job(0, "ffn", Category::ComputeGpu, &[fetch], 0, job(0, 10));
    b.token(0, second);
    let report = analyse(&b.finish()).unwrap();
    assert_eq!(report.step_latency, [Time::from_ps(10), Time::from_ps(24)]);
    assert_eq!(report.step_breakdown[1].get(Category::CommunicationPcie), Time::from_ps(14));
    // Busy is all of the transfer, launch aside; exposed what lies on the path.
    assert_eq!(report.communication_busy, Time::from_ps(20));
    assert_eq!(report.busy, [("gpu".to_owned(), Time::from_ps(20)), ("link".to_owned(), Time::from_ps(24))]);
}

#[track_caller]
fn check_broken(input: &SystemInput, expected: &str) {
    let error = analyse(input).unwrap_err();
    assert!(matches!(error, ReportError::LawBroken { law: 1, .. }), "{error}");
    assert_eq!(error.to_string(), expected);
}

fn broken(kind: &str, change: impl Fn(&mut reports::Span)) -> SystemInput {
    let mut input = contended().finish();
    change(input.spans.iter_mut().find(|span| span.kind == kind).unwrap());
    input
}

#[test]
fn is_a_job_noticed_that_was_ready_at_another_time_than_its_cause_says() {
    check_broken(
        &broken("second", |span| span.ready = Time::from_ps(3)),
        "law 1 is broken by link of s at 10 ps, span 1:1 (second): its cause 0:0 ended at 1 ps and the signal took 1 ps, \
         but it was ready at 3 ps",
    );
}

#[test]
fn is_a_missing_cause_noticed() {
    let missing = |input: &SystemInput| SpanId { number: 99, ..input.spans[0].id };
    let id = missing(&contended().finish());
    check_broken(
        &broken("second", |span| span.cause = Some(id)),
        "law 1 is broken by link of s at 10 ps, span 1:1 (second): its cause 0:99 is not among the spans",
    );
    check_broken(
        &broken("second", |span| span.held_by = Some(id)),
        "law 1 is broken by link of s at 10 ps, span 1:1 (second): the span 0:99 that held its resource is not among the spans",
    );
    check_broken(
        &broken("second", |span| (span.cause, span.held_by) = (None, None)),
        "law 1 is broken by link of s at 10 ps, span 1:1 (second): it was ready at 2 ps without a cause",
    );
}

#[test]
fn is_a_resource_noticed_that_two_jobs_hold_at_once() {
    check_broken(
        &broken("first", |span| span.end = Time::from_ps(11)),
        "law 1 is broken by link of s at 10 ps, span 1:1 (second): it started at 10 ps, while 1:0 held its resource \
         until 11 ps",
    );
}

#[test]
fn are_times_out_of_order_noticed() {
    check_broken(
        &broken("second", |span| span.launch = Time::from_ps(11)),
        "law 1 is broken by link of s at 10 ps, span 1:1 (second): its launch of 11 ps is longer than the 10 ps from start \
         to end",
    );
    check_broken(
        &broken("second", |span| span.start = Time::from_ps(1)),
        "law 1 is broken by link of s at 1 ps, span 1:1 (second): ready 2 ps, start 1 ps and end 20 ps are not in this order",
    );
}

#[test]
fn is_a_circle_noticed() {
    let mut input = contended().finish();
    let token = input.spans.iter().position(|span| span.kind == "token").unwrap();
    input.spans[token].cause = Some(input.spans[token].id);
    check_broken(&input, "law 1 is broken by cpu of s at 20 ps, span 0:1 (token): its causes go in a circle");
}

#[test]
fn is_a_missing_token_noticed() {
    check_broken(
        &broken("token", |span| span.tag.step = 2),
        "law 1 is broken by cpu of s at 20 ps, span 0:1 (token): it marks the end of token 2 where token 1 was due",
    );
    let mut input = contended().finish();
    input.spans.retain(|span| span.kind != "token");
    insta::assert_snapshot!(analyse(&input).unwrap_err());
}

#[derive(Clone, Debug)]
struct Step {
    actor: usize,
    after: Vec<prop::sample::Index>,
    signal: u64,
    job: Job,
    category: usize,
    token: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let after = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    (0..4_usize, after, 0..5_u64, (0..4_u64, 0..20_u64), 0..9_usize, prop::bool::weighted(0.1)).prop_map(
        |(actor, after, signal, (launch, body), category, token)| Step {
            actor,
            after,
            signal,
            job: job(launch, body),
            category,
            token,
        },
    )
}

fn random_system(steps: &[Step]) -> SystemInput {
    let mut b = Builder::new("random", &["a", "b", "c", "d", "token"]);
    let mut jobs: Vec<SpanId> = Vec::new();
    for step in steps {
        let after: Vec<SpanId> =
            if jobs.is_empty() { Vec::new() } else { step.after.iter().map(|index| *index.get(&jobs)).collect() };
        let id = b.job(step.actor, "job", Category::ALL[step.category], &after, step.signal, step.job);
        jobs.push(id);
        if step.token {
            b.token(4, id);
        }
    }
    // The last job to end, so that marks never run backwards.
    let last = b.input.spans.iter().max_by_key(|span| (span.end, span.id)).map(|span| span.id);
    if let Some(last) = last {
        b.token(4, last);
    }
    b.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn do_the_segments_tile_every_token(steps in prop::collection::vec(step(), 1..80)) {
        let input = random_system(&steps);
        let marks_in_order = input.spans.iter().filter(|span| span.kind == "token").is_sorted_by_key(|span| span.tag.step);
        prop_assume!(marks_in_order);
        let report = analyse(&input).unwrap();
        let mut at = Time::ZERO;
        for (i, path) in report.critical_path.iter().enumerate() {
            let begin = at;
            for segment in path {
                prop_assert_eq!(segment.from, at);
                prop_assert!(segment.to > segment.from);
                at = segment.to;
            }
            let mark = input.spans.iter().find(|span| span.kind == "token" && span.tag.step == i as u32 + 1).unwrap();
            prop_assert_eq!(at, mark.end);
            prop_assert_eq!(report.step_breakdown[i].total(), at - begin);
        }
        prop_assert_eq!(report.latency(), at);
        // Nothing is exposed that is not busy.
        let exposed: Time = report.breakdown.iter().filter(|(c, _)| c.is_communication()).map(|(_, time)| time).sum();
        prop_assert!(exposed <= report.communication_busy);
        prop_assert!(report.communication_busy <= report.latency());
    }

    #[test]
    fn is_any_shifted_job_noticed(steps in prop::collection::vec(step(), 2..40), which: prop::sample::Index) {
        let mut input = random_system(&steps);
        let caused: Vec<usize> = (0..input.spans.len()).filter(|&i| input.spans[i].cause.is_some()).collect();
        let span = &mut input.spans[*which.get(&caused)];
        span.signal += Time::from_ps(1);
        let noticed = matches!(analyse(&input), Err(ReportError::LawBroken { law: 1, .. }));
        prop_assert!(noticed);
    }
}
