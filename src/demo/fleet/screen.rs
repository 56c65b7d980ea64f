//! What is seen while the play goes on: a live view in a terminal, otherwise one plain line per scene.

use std::io::{IsTerminal as _, Stdout, stdout};
use std::time::Duration;

use anyhow::{Context, Result};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Sparkline, Table};
use ratatui::{Frame, Terminal};

use super::cast::{State, States};
use super::figures::SceneFigures;
use super::plan::{Scene, Tier};
use super::report;
use super::users::{Counts, End, Record};

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// Where it is shown.
pub(crate) enum Screen {
    Live(Live),
    Plain,
}

/// A terminal that is ours until this is dropped. It stays in its ordinary mode: Ctrl-C is a signal.
pub(crate) struct Live(Terminal<CrosstermBackend<Stdout>>);

impl Drop for Live {
    fn drop(&mut self) {
        // After that nobody would see an error.
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    }
}

/// What is to be seen at a moment.
pub(crate) struct Sight<'s> {
    pub(crate) scene: Scene,
    pub(crate) elapsed: Duration,
    pub(crate) total: Duration,
    pub(crate) states: &'s States,
    pub(crate) record: &'s Record,
    pub(crate) not_sent: u64,
    pub(crate) done: &'s [SceneFigures],
}

impl Screen {
    pub(crate) fn new() -> Result<Screen> {
        if !stdout().is_terminal() {
            return Ok(Screen::Plain);
        }
        execute!(stdout(), EnterAlternateScreen).context("the terminal cannot be set up")?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()));
        Ok(Screen::Live(Live(terminal.context("the terminal cannot be set up")?)))
    }

    /// Shows the present.
    pub(crate) fn show(&mut self, sight: &Sight<'_>) -> Result<()> {
        if let Screen::Live(Live(terminal)) = self {
            terminal.draw(|frame| draw(frame, sight)).context("the terminal is gone")?;
        }
        Ok(())
    }

    /// What a scene came to. A live view has it in its table.
    pub(crate) fn note(&self, figures: &SceneFigures, number: usize, of: usize) {
        if let Screen::Plain = self {
            let SceneFigures { name, seconds, success, refused, held, failed, not_sent, .. } = figures;
            eprintln!(
                "[{number:>2}/{of}] {name}, {seconds:.0} s: {:.2} % of {:.0} calls/s answered; {refused} refused, {held} held, {failed} \
                 failed, {not_sent} not sent",
                100.0 * success,
                figures.offered_per_s
            );
        }
    }
}

fn draw(frame: &mut Frame<'_>, sight: &Sight<'_>) {
    let rows = sight.done.len() as u16 + 1;
    let heights = [3, 4, 5, 4, rows].map(Constraint::Length);
    let [head, instances, answered, refused, table] = Layout::vertical(heights).spacing(1).areas(frame.area());
    let title =
        format!("mcrpc demo fleet   {:.0} of about {:.0} s", sight.elapsed.as_secs_f64(), sight.total.as_secs_f64());
    let lines = vec![
        Line::styled(title, BOLD),
        Line::from(vec![
            Span::styled(sight.scene.name(), BOLD.fg(Color::Yellow)),
            Span::raw(format!(": {}", sight.scene.meaning())),
        ]),
        Line::styled(format!("{} calls were never sent to the store; Ctrl-C ends the demo", sight.not_sent), DIM),
    ];
    frame.render_widget(Paragraph::new(lines), head);
    draw_instances(frame, instances, sight.states);
    draw_rate(frame, answered, sight, ("answered", Color::Green), |bucket| bucket.get(End::Ok));
    draw_rate(frame, refused, sight, ("refused", Color::Yellow), |bucket| bucket.get(End::Refused));
    draw_done(frame, table, sight.done);
}

fn draw_instances(frame: &mut Frame<'_>, area: Rect, states: &States) {
    let mut lines = vec![Line::styled("instances", BOLD.fg(Color::Cyan))];
    for tier in Tier::ALL {
        let mut spans = vec![Span::raw(format!("{:<9}{:<5}", tier.name(), tier.language()))];
        for (number, state) in states.of(tier).into_iter().enumerate() {
            let (text, style) = match state {
                State::Running => ("running", Style::new().fg(Color::Green)),
                State::Slow => ("slow", Style::new().fg(Color::Yellow)),
                State::Draining => ("draining", Style::new().fg(Color::Yellow)),
                State::Down => ("down", BOLD.fg(Color::Red)),
            };
            spans.push(Span::styled(format!("  {number} {text:<9}"), style));
        }
        lines.push(Line::from(spans));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// The last buckets of a count, as many as fit.
fn draw_rate(frame: &mut Frame<'_>, area: Rect, sight: &Sight<'_>, what: (&str, Color), of: fn(&Counts) -> u64) {
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let buckets = sight.record.buckets();
    let last_second = &buckets[buckets.len().saturating_sub(11)..buckets.len().saturating_sub(1)];
    let per_s: u64 = last_second.iter().map(of).sum();
    frame.render_widget(Line::styled(format!("{} {per_s}/s", what.0), BOLD.fg(Color::Cyan)), head);
    let shown: Vec<u64> = buckets[buckets.len().saturating_sub(body.width.into())..].iter().map(of).collect();
    frame.render_widget(Sparkline::default().data(&shown).style(Style::new().fg(what.1)), body);
}

fn draw_done(frame: &mut Frame<'_>, area: Rect, done: &[SceneFigures]) {
    let widths = report::COLUMNS.map(|column| Constraint::Length((column.len() as u16).max(9)));
    let rows = done.iter().map(|scene| Row::new(report::row(scene)));
    let table = Table::new(rows, [Constraint::Length(17)].into_iter().chain(widths.into_iter().skip(1)));
    frame.render_widget(table.header(Row::new(report::COLUMNS).style(BOLD)).column_spacing(1), area);
}

#[cfg(test)]
mod tests {
    use ratatui::backend::TestBackend;

    use super::super::figures::tests::figures;
    use super::*;

    #[test]
    fn scene_instances_and_what_is_done_are_seen_on_terminals_of_any_size() {
        let done = [figures(Scene::Steady, 0, 0, 0)];
        let (states, record) = (States::default(), Record::default());
        let sight = Sight {
            scene: Scene::Kill(Tier::Front),
            elapsed: Duration::from_secs(3),
            total: Duration::from_secs(50),
            states: &states,
            record: &record,
            not_sent: 77,
            done: &done,
        };
        for (width, height) in [(1, 1), (20, 5), (120, 40)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &sight)).unwrap();
            let text = terminal.backend().to_string();
            let wanted = ["kill -9 front", "77 calls", "timeline C++    0 down", "100.00 %"];
            assert!(height < 40 || wanted.iter().all(|wanted| text.contains(wanted)), "{text}");
        }
    }
}
