use std::{collections::BTreeMap, thread};

use proptest::prelude::*;

use super::*;

fn only(meter: &Meter) -> v1::MetricFamily {
    let mut families = meter.families();
    assert_eq!(families.len(), 1);
    families.remove(0)
}

fn sum(family: &v1::MetricFamily) -> f64 {
    family.series.iter().map(|series| series.value).sum()
}

#[test]
fn a_family_tells_its_name_labels_and_series() {
    let meter = Meter::new(true);
    let calls = meter.counters("calls", "How many", ["task", "code"]);
    calls.inc(["embed", "OK"]);
    calls.add(["embed", "OK"], 2);
    calls.inc(["rerank", "OK"]);
    let family = only(&meter);
    assert_eq!((family.name.as_str(), family.help.as_str()), ("calls", "How many"));
    assert_eq!((family.r#type(), family.labels), (MetricType::Counter, vec!["task".to_string(), "code".into()]));
    let told: BTreeMap<_, _> = family.series.iter().map(|series| (series.values.join(" "), series.value)).collect();
    assert_eq!(told, BTreeMap::from([("embed OK".into(), 3.0), ("rerank OK".into(), 1.0)]));
    assert!(family.series.iter().all(|series| series.created.is_some()));
}

#[test]
fn what_has_no_series_is_not_told() {
    let meter = Meter::new(true);
    let _unused = meter.gauges("level", "", []);
    assert!(meter.families().is_empty());
}

#[test]
fn a_meter_that_is_off_records_nothing() {
    let meter = Meter::new(false);
    meter.counters("a", "", []).inc([]);
    meter.amounts("b", "", []).add([], 1.0);
    meter.gauges("c", "", []).set([], 1.0);
    meter.histograms("d", "", [], CALLS).observe([], 1.0, Some(7));
    assert!(!meter.is_enabled() && meter.families().is_empty());
}

#[test]
fn beyond_the_bound_all_count_as_other_and_the_sum_stays_right() {
    let meter = Meter::new(true);
    let calls = meter.counters("calls", "", ["model", "code"]);
    for _ in 0..3 {
        (0..5000).for_each(|model| calls.inc([&format!("m{model}"), "OK"]));
    }
    let family = only(&meter);
    assert_eq!((family.series.len(), sum(&family)), (SERIES, 15_000.0));
    let other = family.series.iter().find(|series| series.values == ["other", "other"]).expect("takes the rest");
    assert_eq!(other.value, 3.0 * (5000 - (SERIES - 1)) as f64);
}

#[test]
fn labels_that_read_the_same_in_a_row_are_not_the_same() {
    let meter = Meter::new(true);
    let calls = meter.counters("calls", "", ["a", "b"]);
    [["a", "bc"], ["ab", "c"], ["", "abc"], ["abc", ""]].into_iter().for_each(|values| calls.inc(values));
    assert_eq!(only(&meter).series.len(), 4);
}

#[test]
fn nothing_is_lost_among_many_threads_that_make_and_count_the_same_series() {
    let meter = Meter::new(true);
    let calls = meter.counters("calls", "", ["model"]);
    let costs = meter.amounts("cost", "", ["model"]);
    let times = meter.histograms("seconds", "", ["model"], CALLS);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for round in 0..20_000 {
                    let model = format!("m{}", round % 1500);
                    calls.inc([&model]);
                    costs.add([&model], 0.25);
                    times.observe([&model], 0.25, (round % 64 == 0).then_some(7));
                }
            });
        }
    });
    let [calls, costs, times] = meter.families().try_into().expect("are three");
    assert_eq!((sum(&calls), sum(&costs), sum(&times)), (160_000.0, 40_000.0, 40_000.0));
    assert_eq!(times.series.iter().flat_map(|series| &series.buckets).sum::<u64>(), 160_000);
    // Of those who raced for the last places one may have left its own to the rest.
    assert!([calls, costs, times].iter().all(|family| (SERIES - 8..=SERIES).contains(&family.series.len())));
}

#[test]
fn what_is_not_more_leaves_a_sum_as_it_is() {
    let meter = Meter::new(true);
    let cost = meter.amounts("cost", "", []);
    [1.0, -5.0, f64::NAN, 0.0].into_iter().for_each(|more| cost.add([], more));
    assert_eq!(sum(&only(&meter)), 1.0);
}

#[test]
fn a_bucket_remembers_its_latest_traced_call() {
    let meter = Meter::new(true);
    let times = meter.histograms("seconds", "", [], CALLS);
    times.observe([], 0.003, Some(1));
    times.observe([], 0.004, Some(0xabc));
    times.observe([], 0.004, None);
    times.observe([], 99.0, Some(2));
    let told = only(&meter).series.remove(0).exemplars;
    let ids: Vec<_> = told.iter().map(|each| (each.bucket, each.value, each.trace_id.as_str())).collect();
    let [low, high] = ["00000000000000000000000000000abc", "00000000000000000000000000000002"];
    assert_eq!(ids, [(3, 0.004, low), (CALLS.len() as u32, 99.0, high)]);
}

#[test]
fn families_of_several_processes_become_one() {
    let told = |instance: &str| Reading::gauge("depth", "", ["instance"]).with(&[instance], 1.0).done();
    let other = Reading::counter("depth", "", ["instance"]).with(&["odd"], 1.0).done();
    let alone = Reading::gauge("alone", "", []).with(&[], 1.0).done();
    let merged = merge([told("a"), alone, told("b"), other]);
    let names: Vec<_> = merged.iter().map(|family| (family.name.as_str(), family.series.len())).collect();
    assert_eq!(names, [("depth", 2), ("alone", 1)]);
}

proptest! {
    #[test]
    fn a_value_is_in_the_first_bucket_whose_end_is_not_below_it(values in prop::collection::vec(0.0..100.0_f64, 1..50)) {
        let meter = Meter::new(true);
        let times = meter.histograms("seconds", "", [], CALLS);
        let mut expected = vec![0; CALLS.len() + 1];
        for value in values.iter().chain(CALLS) {
            times.observe([], *value, None);
            expected[CALLS.iter().position(|end| value <= end).unwrap_or(CALLS.len())] += 1;
        }
        let series = only(&meter).series.remove(0);
        prop_assert_eq!(series.buckets, expected);
        prop_assert!((series.value - values.iter().chain(CALLS).sum::<f64>()).abs() < 1e-6);
    }

    #[test]
    fn the_same_values_are_the_same_series(calls in prop::collection::vec(("[ab]{0,2}", "[ab]{0,2}"), 0..200)) {
        let meter = Meter::new(true);
        let counters = meter.counters("calls", "", ["a", "b"]);
        let mut expected: BTreeMap<_, u64> = BTreeMap::new();
        for (a, b) in &calls {
            counters.inc([a, b]);
            *expected.entry((a.clone(), b.clone())).or_default() += 1;
        }
        let mut told = BTreeMap::new();
        counters.each(|[a, b], count| { told.insert((a.to_string(), b.to_string()), count); });
        prop_assert_eq!(told, expected);
    }
}

/// The pace on this machine, by hand: `cargo test --release -p waypost-plane recording_costs -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn recording_costs_a_few_nanoseconds() {
    let meter = Meter::new(true);
    let calls = meter.counters("calls", "", ["task", "model", "code"]);
    let times = meter.histograms("seconds", "", ["task", "model"], CALLS);
    let rounds = 10_000_000_u32;
    let pace = |what: &str, each: &dyn Fn(u32)| {
        let begun = std::time::Instant::now();
        (0..rounds).for_each(each);
        println!("{what}: {:.1} ns", begun.elapsed().as_nanos() as f64 / f64::from(rounds));
    };
    pace("a counter of 3 labels", &|_| calls.inc(std::hint::black_box(["embed", "minilm-l6-v2", "OK"])));
    pace("a histogram of 2 labels", &|n| {
        times.observe(std::hint::black_box(["embed", "minilm-l6-v2"]), f64::from(n % 100) * 1e-3, None);
    });
}
