//! Reads the text of OpenMetrics, and refuses what a strict reader would.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashSet};

/// What was exported.
#[derive(Debug, Default)]
pub struct Exposition {
    /// Name, kind and help of each metric, in the order of the text.
    pub families: Vec<(String, String, String)>,
    samples: BTreeMap<String, f64>,
}

impl Exposition {
    /// # Panics
    ///
    /// If it is no OpenMetrics text.
    pub fn parse(text: &str) -> Exposition {
        let body = text.strip_suffix("# EOF\n").expect("the text ends with EOF");
        let mut all = Exposition::default();
        let mut seen = HashSet::new();
        for line in body.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(seen.insert(name.to_owned()), "{name} is there twice");
                all.families.push((name.to_owned(), String::new(), help.to_owned()));
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                let last = all.families.last_mut().unwrap();
                assert_eq!(last.0, name);
                kind.clone_into(&mut last.1);
            } else if let Some(unit) = line.strip_prefix("# UNIT ") {
                let (name, unit) = unit.split_once(' ').unwrap();
                assert!(name.ends_with(&format!("_{unit}")), "{line}");
            } else {
                all.add_sample(line);
            }
        }
        all.check_histograms();
        all
    }

    fn add_sample(&mut self, line: &str) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} has no value"));
        let (name, labels) = series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest));
        let (family, kind, _) = self.families.last().unwrap();
        let suffixes: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_sum", "_count", "_bucket"],
            kind => panic!("{kind} is no kind of a metric"),
        };
        let suffix = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line:?} stands below {family}"));
        assert!(suffixes.contains(&suffix), "{line}");
        if !labels.is_empty() {
            let mut rest = labels;
            while rest != "}" {
                let (label, behind) = rest.split_once("=\"").unwrap();
                assert!(label.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{line}");
                assert_ne!(label, "uin");
                let end = end_of_value(behind).unwrap_or_else(|| panic!("{line:?}: a label does not end"));
                rest = &behind[end + 1..];
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
        }
        let number: f64 = value.parse().unwrap_or_else(|_| panic!("{line:?}: no number"));
        assert!(kind == "gauge" || number >= 0.0, "{line}");
        assert!(self.samples.insert(series.to_owned(), number).is_none(), "{series} is there twice");
    }

    /// Buckets grow, and the last one has all.
    fn check_histograms(&self) {
        for (series, &count) in self.samples.iter().filter(|(series, _)| series.contains("_count{")) {
            let prefix = series[..=series.find('{').unwrap()].replacen("_count{", "_bucket{le=\"", 1);
            let labels = &series[series.find('{').unwrap() + 1..];
            let of_labels = |(series, &count): (&String, &f64)| {
                let (bound, rest) = series.strip_prefix(&prefix)?.split_once("\",")?;
                (rest == labels).then(|| (bound.replace("+Inf", "inf").parse().unwrap(), count))
            };
            let mut buckets: Vec<(f64, f64)> = self.samples.iter().filter_map(of_labels).collect();
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{series}: {buckets:?}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{series}");
        }
    }

    /// The value of a series as it stands in the text.
    pub fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("there is no {series} in {:#?}", self.samples))
    }

    pub fn has(&self, series: &str) -> bool {
        self.samples.contains_key(series)
    }

    /// The series of a metric.
    pub fn series(&self, name: &str) -> Vec<&str> {
        let is_it =
            |series: &&String| series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
        self.samples.keys().filter(is_it).map(String::as_str).collect()
    }
}

/// Where the quotation mark stands that ends a value.
fn end_of_value(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let ends = letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        ends.then_some(at)
    })
}
