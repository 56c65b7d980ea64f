//! The plots, as SVG text on white: shares over load, curves over time, and the one for the README.
//!
//! Colours mean the same in all of them: blue is with admission control, red without, grey is what was offered,
//! amber what was refused, the dashed line is the server's capacity.

use std::error::Error;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::figures::{Curves, Results, RunFigures, StepFigures};
use super::plan::{Mode, on_off};

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Drawn = Result<(), Box<dyn Error>>;

pub(crate) const ON: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
pub(crate) const OFF: RGBColor = RGBColor(0xc8, 0x3e, 0x4d);
pub(crate) const OFFERED: RGBColor = RGBColor(0xdd, 0xe1, 0xe6);
pub(crate) const REFUSED: RGBColor = RGBColor(0xd9, 0x8e, 0x04);
pub(crate) const INK: RGBColor = RGBColor(0x33, 0x3a, 0x44);
pub(crate) const GRID: RGBColor = RGBColor(0xec, 0xee, 0xf1);
pub(crate) const FONT: &str = "sans-serif";
pub(crate) const TEXT_PX: i32 = 13;
pub(crate) const TITLE_PX: i32 = 17;

/// Good answers with admission control are blue, without red.
pub(crate) const fn good_colour(admission: bool) -> RGBColor {
    if admission { ON } else { OFF }
}

/// The legend for curves over time: colours as in CSS, and what they mean.
pub(crate) fn legend() -> [(String, &'static str); 5] {
    [
        (css(OFFERED), "tasks offered"),
        (css(OFF), "good, without admission control"),
        (css(ON), "good, with admission control"),
        (css(REFUSED), "tasks refused (peaks are cut)"),
        (css(INK), "capacity (dashed)"),
    ]
}

/// A colour as in CSS.
pub(crate) fn css(RGBColor(r, g, b): RGBColor) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A plot of this size, on white.
pub(crate) fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = area.fill(&WHITE).map_err(Into::into).and_then(|()| draw(&area));
        drawn
            .and_then(|()| area.present().map_err(Into::into))
            .map_err(|error| anyhow!("cannot draw a plot: {error}"))?;
    }
    Ok(text)
}

/// Share of the optimum over load for one mode and number of calls, without and with admission control.
pub(crate) fn share_over_load(runs: &[&RunFigures]) -> Result<String> {
    // The library never returns from an empty range, so there are bounds even for no run.
    let range = runs
        .iter()
        .fold((0.0, 0.0), |(low, high): (f64, f64), run| (low.min(run.load.log2()), high.max(run.load.log2())));
    svg((460, 260), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .x_label_area_size(42)
            .y_label_area_size(48)
            .build_cartesian_2d(range.0 - 0.15..range.1 + 0.15, 0.0..1.08)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style((FONT, TEXT_PX, &INK))
            .x_labels(4)
            .y_labels(6)
            .x_label_formatter(&|log| format!("{}×", log.exp2()))
            .y_label_formatter(&|share: &f64| format!("{:.0} %", share * 100.0))
            .x_desc("offered load, as a multiple of the capacity")
            .draw()?;
        for admission in [false, true] {
            let points: Vec<(f64, f64)> = runs
                .iter()
                .filter(|run| run.admission == admission)
                .map(|run| (run.load.log2(), run.optimum_share))
                .collect();
            let colour = good_colour(admission);
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(3)))?;
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 5, colour.filled())))?;
        }
        Ok(())
    })
}

/// A step run over time.
pub(crate) fn step(step: &StepFigures) -> Result<String> {
    svg((940, 300), |area| {
        over_time(area, &step.curves, step.capacity_per_s, good_colour(step.admission), highest(&[step]), true)
    })
}

/// A run over time, small.
pub(crate) fn run_over_time(run: &RunFigures) -> Result<String> {
    let capacity_per_s = run.capacity_per_s / f64::from(run.calls_per_task);
    let highest = run.curves.highest_offer().max(capacity_per_s);
    svg((250, 130), |area| over_time(area, &run.curves, capacity_per_s, good_colour(run.admission), highest, false))
}

/// The picture for a README: the step in both settings, or if there are no steps, good answers per load.
pub(crate) fn most_telling(results: &Results) -> Result<String> {
    let steps: Vec<_> = results.steps.iter().filter(|step| step.mode == Mode::Threads).collect();
    if steps.is_empty() { good_per_load(results) } else { steps_compared(&steps) }
}

fn steps_compared(steps: &[&StepFigures]) -> Result<String> {
    const PANEL: i32 = 290;
    svg((940, (PANEL * steps.len() as i32 + 34) as u32), |area| {
        let (panels, foot) = area.split_vertically(PANEL * steps.len() as i32);
        for (panel, step) in panels.split_evenly((steps.len(), 1)).iter().zip(steps) {
            let title = format!(
                "Admission {}: good answers at {:.0} % of the capacity after the first second of overload",
                on_off(step.admission),
                100.0 * step.share_after_1s
            );
            let colour = good_colour(step.admission);
            let (head, body) = panel.split_vertically(36);
            head.draw(&Text::new(title, (64, 14), (FONT, TITLE_PX, FontStyle::Bold, &colour).into_text_style(&head)))?;
            over_time(&body, &step.curves, step.capacity_per_s, colour, highest(steps), true)?;
        }
        draw_legend(&foot)
    })
}

fn draw_legend(area: &Area<'_>) -> Drawn {
    let entries = [
        (OFFERED, "offered"),
        (OFF, "good, admission off"),
        (ON, "good, admission on"),
        (REFUSED, "refused (peaks are cut)"),
        (INK, "capacity (dashed)"),
    ];
    let mut x = 64;
    for (colour, name) in entries {
        area.draw(&Rectangle::new([(x, 9), (x + 14, 21)], colour.filled()))?;
        area.draw(&Text::new(name, (x + 20, 10), (FONT, TEXT_PX, &INK).into_text_style(area)))?;
        x += 48 + 8 * name.len() as i32;
    }
    Ok(())
}

fn highest(steps: &[&StepFigures]) -> f64 {
    steps.iter().map(|step| step.curves.highest_offer()).fold(0.0, f64::max)
}

/// Tasks per second over time: offered as a grey ground, good as an area, refused as a line.
fn over_time(area: &Area<'_>, curves: &Curves, capacity: f64, good: RGBColor, highest: f64, axes: bool) -> Drawn {
    let bucket_s = curves.bucket_ms as f64 / 1000.0;
    // The library never returns from an empty range.
    let end_s = (curves.offered_per_s.len() as f64 * bucket_s).max(0.1);
    let highest = highest.max(1.0);
    // A bucket's value holds for the whole bucket.
    let stairs = |values: &[f64]| -> Vec<(f64, f64)> {
        let bucket = |(index, &value): (usize, &f64)| {
            let from = index as f64 * bucket_s;
            [(from, value), (from + bucket_s, value)]
        };
        values.iter().enumerate().flat_map(bucket).collect()
    };
    let (label_width, label_height, margin) = if axes { (56, 28, 8) } else { (34, 20, 4) };
    let mut chart = ChartBuilder::on(area)
        .margin(margin)
        .margin_right(2 * margin)
        .x_label_area_size(label_height)
        .y_label_area_size(label_width)
        .build_cartesian_2d(0.0..end_s, 0.0..highest * 1.1)?;
    let text_px = if axes { TEXT_PX } else { TEXT_PX - 3 };
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .disable_x_mesh()
        .axis_style(INK)
        .label_style((FONT, text_px, &INK))
        .x_labels(if axes { 9 } else { 4 })
        .y_labels(if axes { 6 } else { 3 })
        .x_label_formatter(&|s| format!("{s} s"))
        .y_label_formatter(&|rate| format!("{rate:.0}"));
    if axes {
        mesh.y_desc("tasks per second");
    }
    mesh.draw()?;
    chart.draw_series(AreaSeries::new(stairs(&curves.offered_per_s), 0.0, OFFERED))?;
    chart.draw_series(
        AreaSeries::new(stairs(&curves.good_per_s), 0.0, good.mix(0.55)).border_style(good.stroke_width(2)),
    )?;
    chart
        .draw_series(LineSeries::new(stairs(&curves.refused_per_s), REFUSED.stroke_width(if axes { 2 } else { 1 })))?;
    chart.draw_series(DashedLineSeries::new(
        [(0.0, capacity), (end_s, capacity)],
        6,
        4,
        INK.stroke_width(if axes { 2 } else { 1 }),
    ))?;
    Ok(())
}

/// Bars: good answers per second at each load, without and with admission control.
fn good_per_load(results: &Results) -> Result<String> {
    let runs: Vec<_> = results.runs.iter().filter(|run| run.mode == Mode::Threads && run.calls_per_task == 1).collect();
    let capacity = results.capacity_per_s;
    svg((720, 360), |area| {
        let title = (FONT, TITLE_PX, FontStyle::Bold, &INK).into_text_style(area);
        area.draw(&Text::new(
            "Good answers per second: admission off (red), on (blue), and the capacity (dashed)",
            (64, 14),
            title,
        ))?;
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .margin_top(44)
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..runs.len() as f64 / 2.0, 0.0..capacity * 1.15)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style((FONT, TEXT_PX, &INK))
            .x_labels(1)
            .x_label_formatter(&|_| String::new())
            .y_label_formatter(&|rate| format!("{rate:.0}"))
            .draw()?;
        let centred = Pos::new(HPos::Center, VPos::Bottom);
        for (index, run) in runs.iter().enumerate() {
            let left = (index / 2) as f64 + if run.admission { 0.52 } else { 0.18 };
            let colour = good_colour(run.admission);
            let bar = Rectangle::new([(left, 0.0), (left + 0.3, run.good_per_s)], colour.filled());
            chart.draw_series([bar])?;
            let label = (FONT, TEXT_PX, &colour).into_text_style(area).pos(centred);
            let text = format!("{:.0}", run.good_per_s);
            chart.draw_series([Text::new(text, (left + 0.15, run.good_per_s + capacity * 0.01), label)])?;
            if run.admission {
                let below = (FONT, TEXT_PX, &INK).into_text_style(area).pos(Pos::new(HPos::Center, VPos::Top));
                let at = chart.backend_coord(&((index / 2) as f64 + 0.5, 0.0));
                area.draw(&Text::new(format!("load {}×", run.load), (at.0, at.1 + 10), below))?;
            }
        }
        chart.draw_series(DashedLineSeries::new(
            [(0.0, capacity), (runs.len() as f64 / 2.0, capacity)],
            6,
            4,
            INK.stroke_width(2),
        ))?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::run;
    use super::*;

    #[test]
    fn without_steps_the_picture_is_the_bars() {
        let runs = vec![run(false, 1, 4.0, 0.1), run(true, 1, 4.0, 0.97)];
        let results = Results { capacity_per_s: 800.0, deadline_ms: 500, runs, steps: Vec::new() };
        let text = most_telling(&results).unwrap();
        assert!(text.starts_with("<svg") && text.contains("776") && text.contains("load 4×"), "{text}");
    }
}
