//! `mcrpc skip`: lets a share of the users go without a service or method that the host can live without.
//!
//! The same users are hit by every call and on every host with the same salt; a larger share only adds some. A rotation
//! hits others.

use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};
use mcrpc_core::host::control::{Operator, Target};
use mcrpc_core::id::Per10k;
use mcrpc_core::wire::header::method_id;

use super::session::Session;
use super::{refuse_json, show};
use crate::host::control::Orders;
use crate::host::listings;
use crate::host::output::print;
use crate::host::place::Place;
use crate::host::text::{parse_id, parse_percent, percent};

/// The options of `mcrpc skip`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The service, and the method if not all of them: numbers (0x for hex) or the method's full name, as in
    /// 7:demo.Echo.Get. Without it, or with `list`, the skips are listed
    #[arg(value_name = "SERVICE[:METHOD]")]
    target: Option<String>,
    /// The share of the users to skip, as 5%, or off
    #[arg(value_name = "RATIO%|off", value_parser = ratio)]
    ratio: Option<Per10k>,
    /// Hit other users from now on
    #[arg(long, conflicts_with = "target")]
    rotate: bool,
    #[command(flatten)]
    place: Place,
    /// Write the list as JSON
    #[arg(long)]
    json: bool,
}

fn ratio(text: &str) -> Result<Per10k> {
    if text == "off" { Ok(Per10k::NONE) } else { parse_percent(text) }
}

/// A target as it is said.
#[derive(Debug)]
struct Said {
    target: Target,
    text: String,
}

impl FromStr for Said {
    type Err = Error;

    fn from_str(text: &str) -> Result<Said> {
        let (service, method) = text.split_once(':').map_or((text, None), |(service, method)| (service, Some(method)));
        let service_id = parse_id(service).context("the service is named by its number")?;
        let (method_id, text) = match method {
            None => (0, format!("service {service_id}")),
            Some(number) if number.starts_with(|first: char| first.is_ascii_digit()) => {
                let id = parse_id(number).context("the method")?;
                (id, format!("service {service_id}, method {id:#010x}"))
            }
            Some("") => bail!("which method? Say its number or full name behind the colon, or leave the colon out"),
            Some(name) => {
                let id = method_id(name.as_bytes());
                (id, format!("service {service_id}, method {name} ({id:#010x})"))
            }
        };
        if method.is_some() && method_id == 0 {
            bail!("method 0 means the whole service: leave it out to skip that");
        }
        Ok(Said { target: Target { service_id, method_id }, text })
    }
}

/// Sets, ends or lists skips, or changes who is hit.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let Some(text) = options.target.as_deref().filter(|text| *text != "list") else {
        if options.rotate {
            refuse_json(options.json)?;
            rotate(options)?;
        } else {
            let of = |orders: &Orders| serde_json::json!({ "rotation": orders.rotation, "skips": orders.skips });
            show(&options.place, options.json, of, listings::skips)?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    refuse_json(options.json)?;
    let said: Said = text.parse()?;
    let ratio = options.ratio.with_context(|| format!("how much of {text}? Say a share of the users as 5%, or off"))?;
    let session = match ratio {
        Per10k::NONE => Session::open_existing(&options.place)?,
        _ => Some(Session::open(&options.place)?),
    };
    let Some(session) = session else { return Ok(ExitCode::SUCCESS) };
    let operator = session.operator();
    let before = of(&operator, said.target);
    let done = operator.skip(said.target, ratio, session.now().monotonic(), session.author());
    done.with_context(|| format!("cannot skip {}: `mcrpc skip list` shows what is skipped", said.text))?;
    session.say_unless_killed(&format!(
        "Skip of {}: {} -> {} of the users.",
        said.text,
        percent(before),
        percent(ratio)
    ))?;
    let whole = of(&operator, Target { method_id: 0, ..said.target });
    if said.target.method_id != 0 && ratio == Per10k::NONE && whole != Per10k::NONE {
        print(format_args!("The service as a whole is skipped for {} of the users all the same.", percent(whole)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is said of exactly this target.
fn of(operator: &Operator<'_>, target: Target) -> Per10k {
    let found = operator.control().skips().find(|(of, _, _)| *of == target);
    found.map_or(Per10k::NONE, |(_, ratio, _)| ratio)
}

fn rotate(options: &Options) -> Result<()> {
    let session = Session::open(&options.place)?;
    let operator = session.operator();
    let before = operator.control().rotation();
    let after = before.wrapping_add(1);
    operator.set_rotation(after);
    session.say_unless_killed(&format!("Rotation: {before} -> {after}. Shares and skips hit other users."))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_service_or_one_of_its_methods() {
        let target = |text: &str| text.parse::<Said>().unwrap().target;
        assert_eq!(target("7"), Target { service_id: 7, method_id: 0 });
        assert_eq!(target("0x10:0x20"), Target { service_id: 16, method_id: 32 });
        let by_name = target("7:demo.Echo.Get");
        assert_eq!(by_name, Target { service_id: 7, method_id: method_id(b"demo.Echo.Get") });
        for text in ["", "demo", "7:0", "7:", "7:1x", "4294967296"] {
            assert!(text.parse::<Said>().is_err(), "{text}");
        }
    }
}
