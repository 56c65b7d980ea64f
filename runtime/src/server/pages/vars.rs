//! Every counter: `name : value` lines, as brpc shows its own.

use std::fmt::Write as _;

use super::ms;
use crate::metrics::{Families, Value};

pub(super) fn text(families: &Families) -> String {
    let mut text = String::new();
    for family in families.iter() {
        let name = family.name();
        for (values, value) in &family.samples {
            let labels: Vec<String> =
                family.definition.labels.iter().zip(values).map(|(label, value)| format!("{label}={value}")).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = match value {
                Value::Whole(value) => writeln!(text, "{name}{labels} : {value}"),
                Value::Real(value) => writeln!(text, "{name}{labels} : {value}"),
                Value::Durations { sum_s, counts } => {
                    let quantile = |share| ms(counts.quantile(share));
                    writeln!(
                        text,
                        "{name}{labels} : count {} sum_s {sum_s:.6} p50_ms {:.3} p90_ms {:.3} p99_ms {:.3} p999_ms {:.3}",
                        counts.total(),
                        quantile(0.5),
                        quantile(0.9),
                        quantile(0.99),
                        quantile(0.999)
                    )
                }
            };
        }
    }
    text
}
