//! What each key does.

use std::time::Instant;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{Kind, Mode, Page, Place, State, View};
use crate::top::act::Act;

/// What is to be done about a key, beyond the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::top) enum Effect {
    None,
    Do(Act),
    Quit,
    /// Ctrl-C.
    Interrupt,
}

impl State {
    /// Takes a key.
    pub(in crate::top) fn key(&mut self, key: KeyEvent, now: Instant) -> Effect {
        if key.kind == KeyEventKind::Release {
            return Effect::None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return Effect::Interrupt,
                KeyCode::Char('f') => self.go(|place| place.at.saturating_add(place.height)),
                KeyCode::Char('b') => self.go(|place| place.at.saturating_sub(place.height)),
                _ => {}
            }
            return Effect::None;
        }
        match self.mode.clone() {
            Mode::Help => self.mode = Mode::Looking,
            Mode::Filtering => self.filtering(key.code),
            Mode::Asking(act) => return self.asking(act, key.code, now),
            Mode::Looking => return self.looking(key.code, now),
        }
        Effect::None
    }

    /// Takes what was pasted: it belongs into a filter, or nowhere.
    pub(in crate::top) fn paste(&mut self, text: &str) {
        if self.mode == Mode::Filtering {
            self.place_mut().filter.extend(text.chars().filter(|letter| !letter.is_control()));
            self.settle();
        }
    }

    fn asking(&mut self, act: Act, key: KeyCode, now: Instant) -> Effect {
        match key {
            KeyCode::Char('y' | 'Y') => {
                self.mode = Mode::Looking;
                self.tell(Kind::Going, format!("{} {} …", act.name(), act.on()), now);
                Effect::Do(act)
            }
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {
                self.mode = Mode::Looking;
                Effect::None
            }
            _ => Effect::None,
        }
    }

    fn filtering(&mut self, key: KeyCode) {
        let place = self.place_mut();
        match key {
            KeyCode::Char(letter) if !letter.is_control() => place.filter.push(letter),
            KeyCode::Backspace => _ = place.filter.pop(),
            KeyCode::Esc => {
                place.filter.clear();
                self.mode = Mode::Looking;
            }
            KeyCode::Enter => self.mode = Mode::Looking,
            KeyCode::Down => return self.go(|place| place.at.saturating_add(1)),
            KeyCode::Up => return self.go(|place| place.at.saturating_sub(1)),
            _ => return,
        }
        self.settle();
    }

    fn looking(&mut self, key: KeyCode, now: Instant) -> Effect {
        match key {
            KeyCode::Char('q') => return Effect::Quit,
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('/') if self.place().page.lists().is_some() => self.mode = Mode::Filtering,
            KeyCode::Char('s') => self.sort_by_next(),
            KeyCode::Char('S') => self.sort_the_other_way(),
            KeyCode::Char(digit @ '1'..='4') => self.open_list(digit as usize - '1' as usize),
            KeyCode::Tab | KeyCode::Right => self.open_list((self.view as usize + 1) % 4),
            KeyCode::BackTab | KeyCode::Left => self.open_list((self.view as usize + 3) % 4),
            KeyCode::Enter => self.open(),
            KeyCode::Esc => self.back(),
            KeyCode::Down | KeyCode::Char('j') => self.go(|place| place.at.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.go(|place| place.at.saturating_sub(1)),
            KeyCode::PageDown => self.go(|place| place.at.saturating_add(place.height)),
            KeyCode::PageUp => self.go(|place| place.at.saturating_sub(place.height)),
            KeyCode::Home | KeyCode::Char('g') => self.go(|_| 0),
            KeyCode::End | KeyCode::Char('G') => self.go(|_| usize::MAX),
            KeyCode::Char(letter) => match self.act(letter) {
                Some(Ok(act)) => self.mode = Mode::Asking(act),
                Some(Err(why)) => self.tell(Kind::Bad, why, now),
                None => {}
            },
            _ => {}
        }
        Effect::None
    }

    /// Moves the cursor, or scrolls. Of a page of text, what is too far is put right when it is drawn.
    fn go(&mut self, to: impl Fn(&Place) -> usize) {
        let place = self.place_mut();
        place.at = to(place);
        if place.page.lists().is_some() {
            place.at = place.at.min(place.rows.len().saturating_sub(1));
            self.remember();
        }
    }

    /// The cursor stays with what it is on now.
    fn remember(&mut self) {
        let (Some(reading), place) = (self.reading.as_deref(), self.place()) else { return };
        let row = place.rows.get(place.at);
        let key = row.map(|row| super::key(reading, &place.page, *row)).unwrap_or_default().to_owned();
        self.place_mut().key = key;
    }

    fn sort_by_next(&mut self) {
        let columns = self.columns();
        if columns == 0 {
            return;
        }
        let place = self.place_mut();
        place.sort.column = (place.sort.column + 1) % columns;
        place.sort.reversed = false;
        self.settle();
    }

    fn sort_the_other_way(&mut self) {
        let place = self.place_mut();
        place.sort.reversed = !place.sort.reversed;
        self.settle();
    }

    fn open_list(&mut self, number: usize) {
        self.view = View::ALL[number];
        self.opened.clear();
        self.settle();
    }

    fn open(&mut self) {
        if let Some(page) = self.opens() {
            self.story = None;
            self.opened.push(Place::new(page));
            self.settle();
        }
    }

    /// Out of what was opened, or out of the filter.
    fn back(&mut self) {
        if self.opened.pop().is_none() {
            self.place_mut().filter.clear();
        } else if matches!(self.place().page, Page::Task(_)) {
            self.story = None;
        }
        self.settle();
    }
}
