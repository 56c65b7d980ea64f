//! The plots, as SVG text: shares of the optimum over load, and goodput over time.
//!
//! Ours is blue and thick, rivals have colours of their own; the grey ground is what was offered, the dashed line the capacity.

use anyhow::Result;
use mcrpc_sim::campaign::{Cell, Curve};
use mcrpc_sim::metric::Metric;
use mcrpc_sim::required::OURS;
use plotters::prelude::*;

use crate::demo::plot::{FONT, GRID, INK, OFF, OFFERED, ON, TEXT_PX, css, svg};

/// The colours of policies, in their order.
pub(crate) struct Palette<'a> {
    policies: Vec<&'a str>,
}

impl<'a> Palette<'a> {
    /// For the policies of these cells.
    pub(crate) fn new(cells: &'a [Cell]) -> Palette<'a> {
        let mut policies = Vec::new();
        for cell in cells {
            if !policies.contains(&cell.policy) {
                policies.push(cell.policy);
            }
        }
        Palette { policies }
    }

    fn colour(&self, policy: &str) -> RGBColor {
        if policy == OURS {
            return ON;
        }
        // Steps by the golden ratio keep neighbours apart; the blue part of the circle is left to ours.
        let place = self.policies.iter().position(|&other| other == policy).unwrap_or(0);
        let hue = match 0.85 * (place as f64 * 0.618_034).fract() {
            before if before < 0.52 => before,
            after => after + 0.15,
        };
        let (r, g, b) = HSLColor(hue, 0.5, if place % 2 == 0 { 0.42 } else { 0.6 }).rgb();
        RGBColor(r, g, b)
    }

    /// The legend: colours as in CSS, and the policies.
    pub(crate) fn legend(&self) -> Vec<(String, &'a str)> {
        self.policies.iter().map(|policy| (css(self.colour(policy)), *policy)).collect()
    }
}

/// Shares of the optimum over load, a line for each policy.
pub(crate) fn share_over_load(cells: &[&Cell], palette: &Palette<'_>) -> Result<String> {
    let logs = || cells.iter().map(|cell| cell.load.log2());
    let (low, high) = (logs().fold(0.0, f64::min), logs().fold(0.0, f64::max));
    svg((460, 280), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .x_label_area_size(42)
            .y_label_area_size(48)
            .build_cartesian_2d(low - 0.15..high + 0.15, 0.0..1.08)?;
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
        // Ours last, on top of all.
        let (ours, rivals): (Vec<_>, Vec<_>) = palette.policies.iter().partition(|&&policy| policy == OURS);
        for policy in rivals.into_iter().chain(ours) {
            let of_policy = cells.iter().filter(|cell| cell.policy == policy);
            let points: Vec<_> =
                of_policy.filter_map(|cell| Some((cell.load.log2(), cell.median(Metric::OptimumShare)?))).collect();
            let colour = palette.colour(policy);
            let (width, radius) = if policy == OURS { (4, 5) } else { (2, 3) };
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(width)))?;
            chart.draw_series(points.iter().map(|&point| Circle::new(point, radius, colour.filled())))?;
        }
        Ok(())
    })
}

/// The legend of plots over time.
pub(crate) fn over_time_legend() -> Vec<(String, &'static str)> {
    vec![
        (css(OFFERED), "tasks offered (cut at 1.5 times the capacity)"),
        (css(ON), "good tasks, mcrpc"),
        (css(OFF), "good tasks, others"),
        (css(INK), "capacity (dashed)"),
    ]
}

/// Goodput over time.
pub(crate) fn over_time(curve: &Curve) -> Result<String> {
    const POINTS: usize = 240;
    let bins = curve.good_per_s.len().div_ceil(POINTS).max(1);
    let step_s = (bins as u64 * curve.bin_ms) as f64 / 1e3;
    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        let mean = |(place, part): (usize, &[f64])| {
            ((place as f64 + 0.5) * step_s, part.iter().sum::<f64>() / part.len() as f64)
        };
        values.chunks(bins).enumerate().map(mean).collect()
    };
    // The library never returns from an empty range.
    let highest = curve.capacity_per_s.iter().copied().fold(1.0, f64::max) * 1.5;
    let end_s = (curve.good_per_s.len() as u64 * curve.bin_ms).max(1) as f64 / 1e3;
    let good = if curve.policy == OURS { ON } else { OFF };
    svg((300, 150), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(4)
            .margin_right(10)
            .x_label_area_size(20)
            .y_label_area_size(38)
            .build_cartesian_2d(0.0..end_s, 0.0..highest)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .disable_x_mesh()
            .axis_style(INK)
            .label_style((FONT, TEXT_PX - 3, &INK))
            .x_labels(5)
            .y_labels(4)
            .x_label_formatter(&|s| format!("{s} s"))
            .y_label_formatter(&|rate| format!("{rate:.0}"))
            .draw()?;
        let offered = points(&curve.offered_per_s).into_iter().map(|(at_s, rate)| (at_s, rate.min(highest)));
        chart.draw_series(AreaSeries::new(offered, 0.0, OFFERED))?;
        let good_line = AreaSeries::new(points(&curve.good_per_s), 0.0, good.mix(0.5));
        chart.draw_series(good_line.border_style(good.stroke_width(2)))?;
        chart.draw_series(DashedLineSeries::new(points(&curve.capacity_per_s), 5, 3, INK.stroke_width(1)))?;
        Ok(())
    })
}
