use std::fs;
use std::path::Path;

use mcrpc_agent::generator::rules::{RulesFile, built_in};

use super::*;

fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.json")).unwrap()
}

/// Renamed into place, so another inode each time: the clock of a file system may be coarse.
fn write(path: &Path, text: &str) {
    fs::write(path.with_extension("new"), text).unwrap();
    fs::rename(path.with_extension("new"), path).unwrap();
}

fn parse(text: &str) -> Result<RulesFile, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.json");
    write(&path, text);
    RulesFile::open(&path).map_err(|error| {
        let text = error.to_string();
        text.strip_prefix(&format!("{}:", path.display())).unwrap_or_else(|| panic!("{text}")).to_owned()
    })
}

#[test]
fn the_documented_file_holds_the_built_in_rules() {
    assert_eq!(parse(&example()).unwrap().rules(), &built_in());
}

#[test]
fn numbers_may_have_decimals_and_the_restart_may_be_left_out() {
    let file = parse(
        r#"{"rules":[{"requests":1e3,"steps":[{"success_percent":99.95,"change_percent":-100},
           {"success_percent":100.0,"change_percent":10000}]}]}"#,
    );
    let rules = file.unwrap().rules().clone();
    let rule = |requests, success| rules.rule(requests, per_10k(success)).unwrap().change_percent;
    assert_eq!([rule(1_000, 9_995), rule(1_000, 9_996), rule(9_999, 0)], [-100, 10_000, -100]);
}

#[test]
fn a_bad_file_is_told_with_line_key_value_and_what_was_expected() {
    let percent = "is not a number from 0 to 100 with at most two decimals";
    // What is replaced in the documented file, by what, and what is said about it.
    for (old, new, said) in [
        (
            "\"success_percent\": 70",
            "\"success_percent\": 130",
            &*format!("25: rules[2].steps[0].success_percent: 130 {percent}"),
        ),
        ("\"success_percent\": 70", "\"success_percent\": -1", "25: rules[2].steps[0].success_percent: -1 is not"),
        ("\"success_percent\": 70", "\"success_percent\": 70.001", "25: rules[2].steps[0].success_percent: 70.001 is"),
        ("\"success_percent\": 70", "\"success_percent\": \"70\"", "25: rules[2].steps[0].success_percent: \"70\" is"),
        ("\"success_percent\": 70", "\"success_percent\": null", "25: rules[2].steps[0].success_percent: null is"),
        ("\"success_percent\": 70", "\"success_percent\": 1e999", "25: "),
        (
            "\"success_percent\": 70",
            "\"success_percent\": [\n\"a text that is longer than what is shown of it\"]",
            "25: rules[2].steps[0].success_percent: [ \"a text that is longer than what is sh… is not a number",
        ),
        (
            "\"success_percent\": 70",
            "\"success_percent\": 99",
            "26: rules[2].steps[1].success_percent: 98 is not above 99, that of the step before",
        ),
        ("\"success_percent\": 70, ", "", "25: rules[2].steps[0]: missing field `success_percent`"),
        (
            "\"success_percent\": 70",
            "\"success\": 70",
            "25: rules[2].steps[0].success: unknown field `success`, expected `success_percent` or `change_percent`",
        ),
        (
            "\"success_percent\": 70",
            "\"change_percent\": 1, \"success_percent\": 70",
            "25: rules[2].steps[0]: duplicate field `change_percent`",
        ),
        (
            "\"requests\": 1000,",
            "\"requests\": 500,",
            "23: rules[2].requests: 500 is not above 500, that of the rule before",
        ),
        (
            "\"requests\": 1000,",
            "\"requests\": 0.5,",
            "23: rules[2].requests: 0.5 is not a whole number from 1 to 4294967295",
        ),
        ("\"requests\": 1000,", "\"requests\": 4294967296,", "23: rules[2].requests: 4294967296 is not"),
        (
            "{ \"success_percent\": 100, \"change_percent\": 50 }",
            "{ \"success_percent\": 99, \"change_percent\": 50 }",
            "27: rules[2].steps[2].success_percent: 99 is not 100: the last step is for all that is above the others",
        ),
        (
            "\"change_percent\": 50 ",
            "\"change_percent\": 0 ",
            "27: rules[2].steps[2].change_percent: 0 is not above 0: an endpoint would never come back",
        ),
        (
            "\"change_percent\": 50 ",
            "\"change_percent\": 10001 ",
            "27: rules[2].steps[2].change_percent: 10001 is not a whole number from -100 to 10000",
        ),
        ("\"change_percent\": -20", "\"change_percent\": -101", "26: rules[2].steps[1].change_percent: -101 is not"),
        ("\"pass_percent\": 15", "\"pass_percent\": 1", "2: restart.pass_percent: 1 is not above 1"),
        ("\"above_success_percent\": 80", "\"above_success_percent\": 100", "2: restart.above_success_percent: 100 is"),
        ("\"restart\"", "\"colour\"", "2: colour: unknown field `colour`, expected `restart` or `rules`"),
    ] {
        let text = example();
        assert_eq!(text.matches(old).count(), 1, "{old}");
        let error = parse(&text.replace(old, new)).unwrap_err();
        assert!(error.starts_with(said), "{error}\nfor\n{said}");
    }
}

#[test]
fn what_is_no_rule_file_is_told_with_its_line() {
    for (text, said) in [
        ("", "1: EOF while parsing a value"),
        ("{\n", "2: EOF while parsing an object"),
        ("[]", "1: "),
        ("{\"rules\": [\n{", "2: rules[0]: EOF while parsing an object"),
        ("7", "1: invalid type: integer `7`"),
        ("{\n}", "2: missing field `rules`"),
        ("{\n\"rules\": {}\n}", "2: rules: invalid type: map, expected a sequence"),
        ("{\n\"rules\":\n[]\n\n}", "2: rules: there must be at least one"),
        ("{\n\"rules\": [{\"requests\": 1,\n\"steps\": []}]}", "2: rules[0].steps: there must be at least one"),
        ("{\n\"rules\": [],\n}", "3: trailing comma"),
        ("{\"rules\": []}\n\n{}", "3: trailing characters"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with(said), "{error}\nfor\n{said}");
    }
}

#[test]
fn a_changed_file_is_in_force_at_once_and_a_bad_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.json");
    let rules = |change: &str| {
        format!(
            r#"{{"rules":[{{"requests":1,"steps":[{{"success_percent":50,"change_percent":{change}}},
               {{"success_percent":100,"change_percent":10}}]}}]}}"#
        )
    };
    let choice = format!("table:{}", path.display());
    assert!(Generator::open(&choice.parse().unwrap()).is_err());
    write(&path, &rules("-10"));
    let mut host = Host::new(open(&choice), 1);
    assert_eq!(host.rates(&[(100, 100)]), [9_000]);
    assert!(!host.generator.poll().unwrap());

    write(&path, &rules("-50"));
    assert!(host.generator.poll().unwrap());
    assert_eq!(host.rates(&[(100, 100)]), [4_500]);

    write(&path, &rules("-500"));
    let error = host.generator.poll().unwrap_err().to_string();
    assert!(error.contains(":1: rules[0].steps[0].change_percent: -500 is not"), "{error}");
    assert!(!host.generator.poll().unwrap(), "it is said once");
    assert_eq!(host.rates(&[(100, 100)]), [2_250]);

    fs::remove_file(&path).unwrap();
    assert!(host.generator.poll().is_err());
    assert_eq!(host.rates(&[(100, 100)]), [1_125]);

    write(&path, &example());
    assert!(host.generator.poll().unwrap());
    assert_eq!(host.rates(&[(100, 100)]), [225]);
}
