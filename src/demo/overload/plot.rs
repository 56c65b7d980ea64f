//! The plots: tasks over time under each policy.
//!
//! Grey is what the users ask for, blue what is answered in time with this library and red with its rivals, the dashed line
//! what the servers can do.

use anyhow::Result;
use plotters::prelude::*;

use super::super::plot::{Area, Drawn, FONT, GRID, INK, OFF, OFFERED, ON, TEXT_PX, TITLE_PX, css, svg};
use super::figures::{Cell, Curves, Results};
use super::plan::{BUCKET, Policy, Scenario};

/// What is asked for beyond so many times the usual capacity is cut off.
const HEIGHT: f64 = 2.2;

/// The legend: colours as in CSS, and what they mean.
pub(crate) fn legend() -> [(String, &'static str); 4] {
    [
        (css(OFFERED), "asked for (cut off)"),
        (css(OFF), "answered in time, a rival"),
        (css(ON), "answered in time, mcrpc"),
        (css(INK), "what the servers can do (dashed)"),
    ]
}

/// A cell over time, small.
pub(crate) fn cell(cell: &Cell) -> Result<String> {
    svg((260, 140), |area| over_time(area, &cell.curves, colour(cell.policy), false))
}

/// The picture for a README: one scenario under all policies.
pub(crate) fn policies(results: &Results, scenario: Scenario) -> Result<String> {
    const PANEL: (u32, u32) = (470, 220);
    let cells: Vec<_> = results.cells.iter().filter(|cell| cell.scenario == scenario).collect();
    let rows = cells.len().div_ceil(2) as u32;
    svg((2 * PANEL.0, rows * PANEL.1 + 34), |area| {
        let (panels, foot) = area.split_vertically((rows * PANEL.1) as i32);
        for (panel, cell) in panels.split_evenly((rows as usize, 2)).iter().zip(&cells) {
            let (head, body) = panel.split_vertically(34);
            let share = 100.0 * cell.figures.optimum_share;
            let title = format!("{}: {share:.0} % of the optimum", cell.policy.name());
            head.draw(&Text::new(title, (56, 12), (FONT, TITLE_PX, FontStyle::Bold, &INK).into_text_style(&head)))?;
            over_time(&body, &cell.curves, colour(cell.policy), true)?;
        }
        draw_legend(&foot)
    })
}

const fn colour(policy: Policy) -> RGBColor {
    match policy {
        Policy::Mcrpc => ON,
        _ => OFF,
    }
}

fn draw_legend(area: &Area<'_>) -> Drawn {
    let mut x = 56;
    for (colour, (_, name)) in [OFFERED, OFF, ON, INK].into_iter().zip(legend()) {
        area.draw(&Rectangle::new([(x, 9), (x + 14, 21)], colour.filled()))?;
        area.draw(&Text::new(name, (x + 20, 10), (FONT, TEXT_PX, &INK).into_text_style(area)))?;
        x += 48 + 7 * name.len() as i32;
    }
    Ok(())
}

fn over_time(area: &Area<'_>, curves: &Curves, good: RGBColor, is_large: bool) -> Drawn {
    let bucket_s = BUCKET.as_secs_f64();
    // The library never returns from an empty range.
    let end_s = (curves.good_per_s.len() as f64 * bucket_s).max(bucket_s);
    let highest = HEIGHT * curves.capacity_per_s.iter().copied().fold(1.0, f64::max);
    // A bucket's value holds for the whole bucket.
    let stairs = |values: &[f64]| -> Vec<(f64, f64)> {
        let bucket = |(index, &value): (usize, &f64)| {
            let from = index as f64 * bucket_s;
            [(from, value.min(highest)), (from + bucket_s, value.min(highest))]
        };
        values.iter().enumerate().flat_map(bucket).collect()
    };
    let (label_width, label_height, margin) = if is_large { (48, 28, 8) } else { (38, 20, 4) };
    let (text_px, line_px) = if is_large { (TEXT_PX, 2) } else { (TEXT_PX - 3, 1) };
    let mut chart = ChartBuilder::on(area)
        .margin(margin)
        .margin_right(2 * margin)
        .x_label_area_size(label_height)
        .y_label_area_size(label_width)
        .build_cartesian_2d(0.0..end_s, 0.0..highest)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .disable_x_mesh()
        .axis_style(INK)
        .label_style((FONT, text_px, &INK))
        .x_labels(if is_large { 9 } else { 4 })
        .y_labels(if is_large { 6 } else { 3 })
        .x_label_formatter(&|s| format!("{s} s"))
        .y_label_formatter(&|rate| format!("{rate:.0}"))
        .draw()?;
    chart.draw_series(AreaSeries::new(stairs(&curves.tries_per_s), 0.0, OFFERED))?;
    let answered = AreaSeries::new(stairs(&curves.good_per_s), 0.0, good.mix(0.55));
    chart.draw_series(answered.border_style(good.stroke_width(line_px)))?;
    chart.draw_series(DashedLineSeries::new(stairs(&curves.capacity_per_s), 6, 4, INK.stroke_width(line_px)))?;
    Ok(())
}
