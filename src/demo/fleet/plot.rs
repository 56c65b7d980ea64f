//! The plot: what was offered, answered, refused and lost over the whole play.

use anyhow::Result;
use plotters::prelude::*;

use super::super::plot::{Area, Drawn, FONT, GRID, INK, OFF, OFFERED, ON, REFUSED, TEXT_PX, css, svg};
use super::figures::{Curves, Results};
use super::plan::BUCKET;

/// Buckets that are averaged: a second's worth is calm enough to be read.
const SMOOTHED: usize = 5;

/// The legend: colours as in CSS, and what they mean.
pub(crate) fn legend() -> [(String, &'static str); 5] {
    [
        (css(OFFERED), "calls offered (peaks are cut)"),
        (css(ON), "answered"),
        (css(REFUSED), "refused (peaks are cut)"),
        (css(OFF), "lost"),
        (css(INK), "capacity of the store (dashed)"),
    ]
}

/// The whole play over time.
pub(crate) fn over_time(results: &Results) -> Result<String> {
    svg((940, 380), |area| draw(area, &results.curves, results.capacity_per_s))
}

fn draw(area: &Area<'_>, curves: &Curves, capacity_per_s: f64) -> Drawn {
    let bucket_s = BUCKET.as_secs_f64();
    // The library never returns from an empty range.
    let end_s = (curves.offered_per_s.len() as f64 * bucket_s).max(bucket_s);
    let highest = (1.5 * capacity_per_s).max(1.0);
    let line = |values: &[f64]| -> Vec<(f64, f64)> {
        let means = values.chunks(SMOOTHED).map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64);
        means.enumerate().map(|(n, mean)| ((n as f64 + 0.5) * SMOOTHED as f64 * bucket_s, mean.min(highest))).collect()
    };
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(16)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end_s, 0.0..highest * 1.35)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .disable_x_mesh()
        .axis_style(INK)
        .label_style((FONT, TEXT_PX, &INK))
        .x_label_formatter(&|s| format!("{s:.0} s"))
        .y_label_formatter(&|rate| format!("{rate:.0}"))
        .y_desc("calls per second")
        .draw()?;
    chart.draw_series(AreaSeries::new(line(&curves.offered_per_s), 0.0, OFFERED))?;
    for (n, (at_s, name)) in curves.marks.iter().enumerate() {
        chart.draw_series([PathElement::new(vec![(*at_s, 0.0), (*at_s, highest * 1.35)], GRID.stroke_width(2))])?;
        // Neighbours in rows of their own, so that none writes over another.
        let (x, y) = chart.backend_coord(&(*at_s, highest * 1.33));
        let (left, top) = area.get_base_pixel();
        let style = (FONT, TEXT_PX - 3, &INK).into_text_style(area);
        area.draw(&Text::new(name.clone(), (x - left + 3, y - top + 13 * (n as i32 % 4)), style))?;
    }
    chart.draw_series(LineSeries::new(line(&curves.ok_per_s), ON.stroke_width(2)))?;
    chart.draw_series(LineSeries::new(line(&curves.refused_per_s), REFUSED.stroke_width(1)))?;
    chart.draw_series(LineSeries::new(line(&curves.lost_per_s), OFF.stroke_width(2)))?;
    let capacity = [(0.0, capacity_per_s), (end_s, capacity_per_s)];
    chart.draw_series(DashedLineSeries::new(capacity, 6, 4, INK.stroke_width(1)))?;
    Ok(())
}
