//! Draws a sight on a terminal of any size.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table, Tabs};

use super::Sight;
use super::panes::{Pane, facts, kill_switch, title};
use crate::host::listing::Listing;

/// The most complaints that are shown at the top.
const MOST_FACTS: usize = 4;
const KEYS: &str = "q quit   Tab next pane   ↑ ↓ PgUp PgDn Home scroll";

/// What the person has chosen to see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub pane: Pane,
    /// Rows scrolled away.
    pub scrolled: usize,
}

/// Draws everything; returns the choice as far as there is something to scroll.
pub(super) fn draw(frame: &mut Frame<'_>, sight: &Sight, choice: Choice) -> Choice {
    let facts: Vec<String> = facts(sight).into_iter().take(MOST_FACTS).collect();
    let heights = [2 + facts.len() as u16, 1].map(Constraint::Length);
    let [head, tabs, body, foot] =
        Layout::vertical([heights[0], heights[1], Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
    draw_head(frame, head, sight, facts);
    let selected = Pane::ALL.iter().position(|pane| *pane == choice.pane).unwrap_or(0);
    let tab_style = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
    frame.render_widget(Tabs::new(Pane::ALL.map(Pane::name)).select(selected).highlight_style(tab_style), tabs);
    let scrolled = draw_pane(frame, body, &choice.pane.listings(sight), choice.scrolled);
    frame.render_widget(Paragraph::new(KEYS).style(Style::new().add_modifier(Modifier::DIM)), foot);
    Choice { scrolled, ..choice }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, sight: &Sight, facts: Vec<String>) {
    let (killed, kill) = kill_switch(sight);
    let kill_style = match killed {
        true => Style::new().fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD),
        false => Style::new(),
    };
    let mut lines = vec![
        Line::styled(title(sight), Style::new().add_modifier(Modifier::BOLD)),
        Line::styled(if killed { format!(" {kill} ") } else { kill }, kill_style),
    ];
    let complaint = Style::new().fg(Color::Yellow);
    let styled = facts.into_iter().enumerate();
    lines.extend(styled.map(|(index, fact)| Line::styled(fact, if index == 0 { Style::new() } else { complaint })));
    frame.render_widget(Paragraph::new(Text::from(lines)), area);
}

/// The tables of a pane, one below the other, scrolled together. Returns how far they are scrolled.
fn draw_pane(frame: &mut Frame<'_>, area: Rect, listings: &[Listing], scrolled: usize) -> usize {
    if listings.is_empty() {
        let said = "The segment of this pane cannot be read; the lines at the top say why.";
        frame.render_widget(Paragraph::new(said), area);
        return 0;
    }
    let height: usize = listings.iter().map(height_of).sum();
    let scrolled = scrolled.min(height.saturating_sub(area.height.into()));
    let (mut skip, mut y) = (scrolled, area.y);
    for listing in listings {
        let all = height_of(listing);
        if skip >= all {
            skip -= all;
            continue;
        }
        let left = area.bottom().saturating_sub(y);
        let shown = u16::try_from(all - skip).unwrap_or(u16::MAX).min(left);
        draw_listing(frame, Rect { y, height: shown, ..area }, listing, skip);
        (y, skip) = (y + shown, 0);
    }
    scrolled
}

/// Title, header, rows, notes, and a free line; without rows only one line and the notes.
fn height_of(listing: &Listing) -> usize {
    listing.rows.len() + listing.notes.len() + if listing.rows.is_empty() { 2 } else { 3 }
}

/// The first rows scroll away; title and header stay with the rest.
fn draw_listing(frame: &mut Frame<'_>, area: Rect, listing: &Listing, skip: usize) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let notes = listing.notes.iter().map(|note| Line::raw(note.as_str()));
    if listing.rows.is_empty() {
        let said = Line::raw(format!("{}: {}", listing.title, listing.empty));
        frame.render_widget(Paragraph::new(Text::from_iter([said].into_iter().chain(notes))), area);
        return;
    }
    let rows = &listing.rows[skip.min(listing.rows.len())..];
    let table_height = u16::try_from(rows.len() + 1).unwrap_or(u16::MAX);
    let [title, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(table_height), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Line::styled(listing.title, bold.fg(Color::Cyan)), title);
    let header = Row::new(listing.columns.iter().enumerate().map(|(index, column)| cell(listing, index, column.name)));
    let last = listing.columns.len() - 1;
    let widths = listing.columns.iter().enumerate().map(|(index, column)| match index == last && !column.is_number {
        // A long record must not press the other columns together.
        true => Constraint::Fill(1),
        false => Constraint::Length(width_of(listing, index)),
    });
    let table_rows = rows.iter().take(body.height.into()).map(|row| {
        let cells = row.iter().enumerate().map(|(index, value)| cell(listing, index, value));
        Row::new(cells).style(row_style(listing, row))
    });
    frame.render_widget(Table::new(table_rows, widths).header(header.style(bold)).column_spacing(2), body);
    frame.render_widget(Paragraph::new(Text::from_iter(notes)), foot);
}

fn width_of(listing: &Listing, column: usize) -> u16 {
    let width = |text: &str| Line::raw(text).width();
    let header = width(listing.columns[column].name);
    let widest = listing.rows.iter().map(|row| width(&row[column])).fold(header, usize::max);
    u16::try_from(widest).unwrap_or(u16::MAX)
}

fn cell<'a>(listing: &Listing, column: usize, value: &'a str) -> Cell<'a> {
    let line = Line::raw(value);
    Cell::new(if listing.columns[column].is_number { line.right_aligned() } else { line })
}

/// What needs a person's eye, by its first word. Names that processes give themselves are not looked at.
fn row_style(listing: &Listing, row: &[String]) -> Style {
    let verdicts =
        || listing.columns.iter().zip(row).filter(|(column, _)| ["state", "kind", ""].contains(&column.name));
    let says =
        |wanted: &[&str]| verdicts().any(|(_, value)| wanted.contains(&value.split(' ').next().unwrap_or_default()));
    match () {
        () if says(&["dead", "shielded", "full"]) => Style::new().fg(Color::Red),
        () if says(&["hung", "probe", "due", "probing", "recovering"]) => Style::new().fg(Color::Yellow),
        () => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::snapshot::{Judged, Snapshot};
    use super::*;
    use crate::host::control::Orders;
    use crate::host::health::Health;
    use crate::host::stat::{Counter, Stat};
    use crate::host::trace::{TraceRecord, Traces};

    fn sight(killed: bool) -> Sight {
        let counter = |id| Counter { id, key: 1, kind: "sum", value: Some(7) };
        let record = |position| TraceRecord {
            seat: 1,
            position,
            time_ns: position,
            age_ms: 5,
            kind: 1,
            len: 200,
            text: Some(format!("record {position} {}", "long ".repeat(40))),
            hex: None,
        };
        let unreadable = Health::Unreadable { text: "it is not there".to_owned() };
        let snapshot = Snapshot {
            directory: "/run/mcrpc".to_owned(),
            segments: vec![Judged { segment: "fail", health: unreadable }],
            control: Some(Orders { killed, ..Orders::nothing() }),
            stat: Some(Stat { counters: (0..100).map(counter).collect(), ..Stat::default() }),
            trace: Some(Traces { records: (0..3).map(record).collect(), ..Traces::default() }),
            ..Snapshot::default()
        };
        Sight::new(snapshot, None)
    }

    /// What is on a terminal of this size, and the choice as it was corrected.
    fn drawn(sight: &Sight, choice: Choice, (width, height): (u16, u16)) -> (String, Choice) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut corrected = choice;
        terminal.draw(|frame| corrected = draw(frame, sight, choice)).unwrap();
        (terminal.backend().to_string(), corrected)
    }

    #[test]
    fn the_kill_switch_and_what_is_wrong_stand_at_the_top() {
        let (text, _) = drawn(&sight(true), Choice { pane: Pane::Processes, scrolled: 0 }, (100, 24));
        for wanted in ["KILL SWITCH IS ON", "/run/mcrpc", "fail: it is not there", "no process has a seat", "q quit"] {
            assert!(text.contains(wanted), "{wanted}:\n{text}");
        }
    }

    #[test]
    fn a_pane_scrolls_as_far_as_it_reaches() {
        let sight = sight(false);
        let choice = Choice { pane: Pane::Counters, scrolled: 0 };
        let (top, _) = drawn(&sight, choice, (80, 20));
        assert!(top.contains("per second") && top.contains(" 0 ") && !top.contains("99"), "{top}");
        let (end, corrected) = drawn(&sight, Choice { scrolled: usize::MAX, ..choice }, (80, 20));
        assert!(end.contains("99") && end.contains("per second"), "{end}");
        assert!((80..100).contains(&corrected.scrolled));
    }

    #[test]
    fn a_long_record_leaves_the_other_columns_alone() {
        let (text, _) = drawn(&sight(false), Choice { pane: Pane::Trace, scrolled: 0 }, (80, 24));
        assert!(text.contains("5ms") && text.find("record 2") < text.find("record 0"), "{text}");
    }

    #[test]
    fn every_pane_fits_every_terminal() {
        for pane in Pane::ALL {
            for size in [(1, 1), (3, 40), (300, 3), (20, 8), (200, 60)] {
                for scrolled in [0, 5, usize::MAX] {
                    drawn(&sight(true), Choice { pane, scrolled }, size);
                }
            }
        }
    }
}
