//! Scenarios and policies by their names.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use mcrpc_sim::policy::{self, Mcrpc, Part, Policy};
use mcrpc_sim::scenario::{self, Extent, Scenario};

/// The scenarios of these names; all, if there are none.
pub(crate) fn scenarios(names: &[String], extent: Extent) -> Result<Vec<Scenario>> {
    let mut all = scenario::all(extent);
    let known: Vec<_> = all.iter().map(|scenario| scenario.name).collect();
    require_known("scenario", names, &known)?;
    all.retain(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name));
    Ok(all)
}

/// The policies of these names; if there are none, those that are compared, with ours without its parts if that is asked for.
pub(crate) fn policies(names: &[String], with_ablations: bool) -> Result<Vec<Box<dyn Policy>>> {
    let compared = policy::all();
    let compared_count = compared.len();
    let without = Part::ALL.into_iter().map(|part| Box::new(Mcrpc::without(part)) as Box<dyn Policy>);
    let mut all: Vec<_> = compared.into_iter().chain(without).collect();
    let known: Vec<_> = all.iter().map(|policy| policy.name()).collect();
    let names = split(names, &known);
    require_known("policy", &names, &known)?;
    let is_chosen = |place: usize, policy: &dyn Policy| {
        let is_ablation = place >= compared_count;
        let is_default = names.is_empty() && !is_ablation;
        is_default || with_ablations && is_ablation || names.iter().any(|name| name == policy.name())
    };
    let mut place = 0;
    all.retain(|policy| {
        place += 1;
        is_chosen(place - 1, &**policy)
    });
    Ok(all)
}

/// Splits at commas what is no name as a whole: some names have one.
fn split(names: &[String], known: &[&str]) -> Vec<String> {
    let parts = |name: &String| match known.contains(&&**name) {
        true => vec![name.clone()],
        false => name.split(',').map(|part| part.trim().to_owned()).collect(),
    };
    names.iter().flat_map(parts).collect()
}

fn require_known(what: &str, names: &[String], known: &[&str]) -> Result<()> {
    match names.iter().find(|name| !known.contains(&&***name)) {
        Some(name) => bail!("there is no {what} {name:?}; there are: {}", known.join("; ")),
        None => Ok(()),
    }
}

/// All of them, one on each line.
pub(crate) fn list(scenarios: &[Scenario], policies: &[Box<dyn Policy>]) -> String {
    let mut text = "Scenarios:\n".to_owned();
    for scenario in scenarios {
        let _ = writeln!(text, "  {:24} {} ({} cases)", scenario.name, scenario.about, scenario.cases.len());
    }
    text += "Policies:\n";
    for policy in policies {
        let _ = writeln!(text, "  {}", policy.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[&str]) -> Vec<String> {
        given.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn unknown_names_are_answered_with_the_known_ones() {
        let error = scenarios(&names(&["stedy"]), Extent::Quick).err().unwrap().to_string();
        assert!(error.starts_with("there is no scenario \"stedy\"; there are: steady; step; "), "{error}");
        assert!(policies(&names(&["none,other"]), false).is_err());
    }

    #[test]
    fn names_choose_and_no_name_chooses_all_but_the_ablations() {
        let chosen = |given: &[&str], ablation| {
            let policies = policies(&names(given), ablation).unwrap();
            policies.iter().map(|policy| policy.name()).collect::<Vec<_>>()
        };
        assert_eq!(chosen(&["mcrpc,none"], false), ["none", "mcrpc"]);
        let with_comma = Part::ALL.map(Part::without).into_iter().find(|name| name.contains(',')).unwrap();
        assert_eq!(chosen(&[with_comma], false), [with_comma]);
        assert_eq!(chosen(&["mcrpc"], true).len(), 1 + Part::ALL.len());
        assert_eq!(chosen(&[], false).len(), policy::all().len());
    }
}
