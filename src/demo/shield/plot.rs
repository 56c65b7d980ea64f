//! The plots: success and the share of the faulty machines over time.
//!
//! Blue is the share of the calls that are answered, red the share of the attempts at the faulty machines, the dashed line
//! what that is while all is well; the time of the fault is grey.

use anyhow::Result;
use plotters::prelude::*;

use super::super::plot::{Area, Drawn, FONT, GRID, INK, OFF, OFFERED, ON, TEXT_PX, TITLE_PX, css, svg};
use super::figures::{Curves, Results, RunFigures};
use super::plan::{BUCKET_MS, Fault};

/// The legend: colours as in CSS, and what they mean.
pub(crate) fn legend() -> [(String, &'static str); 4] {
    [
        (css(OFFERED), "the fault"),
        (css(ON), "calls answered"),
        (css(OFF), "attempts at the faulty machines"),
        (css(INK), "their usual share (dashed)"),
    ]
}

/// A run over time, small.
pub(crate) fn run(run: &RunFigures) -> Result<String> {
    svg((260, 140), |area| over_time(area, &run.curves, false))
}

/// The picture for a README: one fault with each of the protections.
pub(crate) fn protections(results: &Results, fault: Fault) -> Result<String> {
    const PANEL: (u32, u32) = (470, 220);
    let runs: Vec<_> = results.runs.iter().filter(|run| run.fault == fault).collect();
    let rows = runs.len().div_ceil(2) as u32;
    svg((2 * PANEL.0, rows * PANEL.1 + 34), |area| {
        let (panels, foot) = area.split_vertically((rows * PANEL.1) as i32);
        for (panel, run) in panels.split_evenly((rows as usize, 2)).iter().zip(&runs) {
            let (head, body) = panel.split_vertically(34);
            let title = format!("{}: {:.1} % answered", run.protection.name(), 100.0 * run.success);
            head.draw(&Text::new(title, (56, 12), (FONT, TITLE_PX, FontStyle::Bold, &INK).into_text_style(&head)))?;
            over_time(&body, &run.curves, true)?;
        }
        draw_legend(&foot)
    })
}

fn draw_legend(area: &Area<'_>) -> Drawn {
    let mut x = 56;
    for (colour, (_, name)) in [OFFERED, ON, OFF, INK].into_iter().zip(legend()) {
        area.draw(&Rectangle::new([(x, 9), (x + 14, 21)], colour.filled()))?;
        area.draw(&Text::new(name, (x + 20, 10), (FONT, TEXT_PX, &INK).into_text_style(area)))?;
        x += 48 + 8 * name.len() as i32;
    }
    Ok(())
}

fn over_time(area: &Area<'_>, curves: &Curves, is_large: bool) -> Drawn {
    let bucket_s = BUCKET_MS as f64 / 1_000.0;
    // The library never returns from an empty range.
    let end_s = (curves.success.len() as f64 * bucket_s).max(bucket_s);
    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        values.iter().enumerate().map(|(index, &value)| ((index as f64 + 0.5) * bucket_s, value)).collect()
    };
    let (label_width, label_height, margin) = if is_large { (48, 28, 8) } else { (38, 20, 4) };
    let (text_px, line_px) = if is_large { (TEXT_PX, 2) } else { (TEXT_PX - 3, 1) };
    let mut chart = ChartBuilder::on(area)
        .margin(margin)
        .margin_right(2 * margin)
        .x_label_area_size(label_height)
        .y_label_area_size(label_width)
        .build_cartesian_2d(0.0..end_s, 0.0..1.04)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .disable_x_mesh()
        .axis_style(INK)
        .label_style((FONT, text_px, &INK))
        .x_labels(6)
        .y_labels(if is_large { 6 } else { 3 })
        .x_label_formatter(&|s| format!("{s:.0} s"))
        .y_label_formatter(&|share: &f64| format!("{:.0} %", share * 100.0))
        .draw()?;
    let [from, to] = curves.fault_s;
    chart.draw_series([Rectangle::new([(from, 0.0), (to, 1.04)], OFFERED.filled())])?;
    let usual = [(0.0, curves.usual_share), (end_s, curves.usual_share)];
    chart.draw_series(DashedLineSeries::new(usual, 4, 4, INK.stroke_width(1)))?;
    chart.draw_series(LineSeries::new(points(&curves.share_to_faulty), OFF.stroke_width(line_px)))?;
    chart.draw_series(LineSeries::new(points(&curves.success), ON.stroke_width(line_px)))?;
    Ok(())
}
