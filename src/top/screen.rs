//! The terminal: keys, ticks, and the history from which rates are computed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::Sight;
use super::draw::{Choice, draw};
use super::panes::Pane;
use super::snapshot::Snapshot;
use crate::host::place::Place;

/// Rates reach back this far: processes report once a second, so at least two reports are in it.
const HISTORY: Duration = Duration::from_secs(3);
/// Rows of a page.
const PAGE: usize = 10;

/// Shows the host until the person quits. The terminal is restored then, and when this panics.
pub(super) fn run(place: &Place, interval: Duration) -> Result<()> {
    // `try_init` also hooks a restore before the panic's message.
    let mut terminal = ratatui::try_init().context("the terminal cannot be set up; --once works without one")?;
    let mut screen = Screen::new(place, interval);
    let result = loop {
        let sight = screen.sight();
        let mut choice = screen.choice;
        let drawn = terminal.draw(|frame| choice = draw(frame, sight, choice));
        screen.choice = choice;
        match drawn.and_then(|_| screen.wait()) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error).context("the terminal is gone"),
        }
    };
    ratatui::restore();
    result
}

struct Screen<'a> {
    place: &'a Place,
    interval: Duration,
    next_look: Instant,
    history: VecDeque<(Instant, Snapshot)>,
    sight: Sight,
    choice: Choice,
}

impl<'a> Screen<'a> {
    fn new(place: &'a Place, interval: Duration) -> Screen<'a> {
        let now = Instant::now();
        let first = Snapshot::take(place);
        Screen {
            place,
            interval,
            next_look: now + interval,
            history: VecDeque::from([(now, first.clone())]),
            sight: Sight::new(first, None),
            choice: Choice { pane: Pane::Processes, scrolled: 0 },
        }
    }

    fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Waits for a key, another size or the next look; whether to go on.
    fn wait(&mut self) -> std::io::Result<bool> {
        if event::poll(self.next_look.saturating_duration_since(Instant::now()))? {
            if let Event::Key(key) = event::read()? {
                return Ok(self.press(key));
            }
            return Ok(true);
        }
        self.look();
        Ok(true)
    }

    fn look(&mut self) {
        let now = Instant::now();
        self.next_look = now + self.interval;
        let reach = HISTORY.max(self.interval);
        // The oldest one that is kept is at least as old as the rates reach back, if there is one.
        while self.history.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= reach) {
            self.history.pop_front();
        }
        let snapshot = Snapshot::take(self.place);
        self.sight = Sight::new(snapshot.clone(), self.history.front().map(|(_, older)| older));
        self.history.push_back((now, snapshot));
    }

    /// Whether to go on.
    fn press(&mut self, key: KeyEvent) -> bool {
        if key.kind == KeyEventKind::Release {
            return true;
        }
        let interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
        let scrolled = self.choice.scrolled;
        match key.code {
            _ if interrupt => return false,
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(Pane::ALL.len() - 1),
            KeyCode::Down => self.choice.scrolled = scrolled.saturating_add(1),
            KeyCode::Up => self.choice.scrolled = scrolled.saturating_sub(1),
            KeyCode::PageDown => self.choice.scrolled = scrolled.saturating_add(PAGE),
            KeyCode::PageUp => self.choice.scrolled = scrolled.saturating_sub(PAGE),
            KeyCode::Home => self.choice.scrolled = 0,
            // Drawing takes back what is too much.
            KeyCode::End => self.choice.scrolled = usize::MAX,
            _ => {}
        }
        true
    }

    fn turn(&mut self, by: usize) {
        let index = Pane::ALL.iter().position(|pane| *pane == self.choice.pane).unwrap_or(0);
        self.choice = Choice { pane: Pane::ALL[(index + by) % Pane::ALL.len()], scrolled: 0 };
    }
}
