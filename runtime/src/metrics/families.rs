//! Metrics with their values, and their text.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::definitions::{Definition, Kind};
use crate::stats::Histogram;
use crate::stats::histogram::Counts;

/// The bounds of buckets: from 1 us to 17 s, each twice the one before. The counters know eight times as many.
const POWERS: RangeInclusive<u32> = 10..=34;

/// Metrics with their values. What is added twice with the same labels is added up: two clients of one process, for instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Families(Vec<Family>);

/// A metric with its values.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) definition: &'static Definition,
    pub(crate) samples: BTreeMap<Labels, Value>,
}

/// The values of the labels that the definition names.
pub(crate) type Labels = Vec<String>;

/// What a metric says, for certain labels.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Whole(u64),
    Real(f64),
    Durations { sum_s: f64, counts: Counts },
}

impl Family {
    /// As it stands in the text, but for what counters and histograms have behind it.
    pub(crate) fn name(&self) -> String {
        let Definition { name, unit, .. } = self.definition;
        unit.as_ref().map_or_else(|| (*name).to_owned(), |unit| format!("{name}_{}", unit.as_str()))
    }
}

impl Families {
    /// Makes a metric known, even if nothing is said with it.
    pub(super) fn declare(&mut self, definition: &'static Definition) -> &mut BTreeMap<Labels, Value> {
        let known = self.0.iter().position(|family| std::ptr::eq(family.definition, definition));
        let place = known.unwrap_or_else(|| {
            self.0.push(Family { definition, samples: BTreeMap::new() });
            self.0.len() - 1
        });
        &mut self.0[place].samples
    }

    pub(super) fn add<const N: usize>(&mut self, definition: &'static Definition, labels: [&str; N], value: Value) {
        debug_assert_eq!(definition.labels.len(), N, "{}", definition.name);
        let labels = labels.map(str::to_owned).into();
        self.declare(definition).entry(labels).and_modify(|known| known.add(&value)).or_insert(value);
    }

    pub(super) fn whole<const N: usize>(&mut self, of: &'static Definition, labels: [&str; N], value: u64) {
        self.add(of, labels, Value::Whole(value));
    }

    pub(super) fn durations<const N: usize>(
        &mut self,
        of: &'static Definition,
        labels: [&str; N],
        of_what: &Histogram,
    ) {
        self.add(of, labels, Value::Durations { sum_s: of_what.sum().as_secs_f64(), counts: of_what.counts() });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Family> {
        self.0.iter()
    }
}

impl Value {
    fn add(&mut self, other: &Value) {
        match (self, other) {
            (Value::Whole(mine), Value::Whole(theirs)) => *mine = mine.wrapping_add(*theirs),
            (Value::Real(mine), Value::Real(theirs)) => *mine += theirs,
            (Value::Durations { sum_s, counts }, Value::Durations { sum_s: more_s, counts: more }) => {
                *sum_s += more_s;
                counts.add(more);
            }
            _ => debug_assert!(false, "a metric has values of one kind"),
        }
    }
}

/// The text of OpenMetrics 1.0.
pub(crate) fn text(families: &Families) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(families.clone()));
    let mut text = String::new();
    // A string takes what it is given.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

impl Family {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Definition { name, unit, kind, labels, help } = self.definition;
        let kind = match kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let mut encoder = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (values, value) in &self.samples {
            let labels: Vec<(&str, &str)> = labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
            if labels.is_empty() {
                self.encode_value(value, &mut encoder)?;
            } else {
                self.encode_value(value, &mut encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn encode_value(&self, value: &Value, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match (self.definition.kind, value) {
            (Kind::Counter, Value::Whole(count)) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
            (Kind::Counter, Value::Real(sum)) => encoder.encode_counter::<NoLabelSet, _, u64>(sum, None),
            (_, Value::Whole(now)) => encoder.encode_gauge(now),
            (_, Value::Real(now)) => encoder.encode_gauge(now),
            (_, Value::Durations { sum_s, counts }) => {
                let bounds_s = POWERS.map(|power| (1u64 << power) as f64 / 1e9).chain([f64::INFINITY]);
                let buckets: Vec<(f64, u64)> = bounds_s.zip(counts.by_powers(POWERS)).collect();
                encoder.encode_histogram::<NoLabelSet>(*sum_s, counts.total(), &buckets, None)
            }
        }
    }
}
