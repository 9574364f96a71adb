//! The loop: keys, readings and what became of acts come in, the screen goes out.

use std::{
    io::{self, Stdout},
    time::{Duration, Instant},
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        event::{self, DisableBracketedPaste, EnableBracketedPaste, Event},
        execute,
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
};
use windlass_shared::{config::redact_url, store::Store};

use super::{
    act::Act,
    feed,
    state::{Effect, State},
    view,
};
use crate::{
    context::Context,
    exit::{Done, Failure},
    operator,
    output::say,
};

/// So often it is drawn although nothing happened: ages go on.
const TICK: Duration = Duration::from_secs(1);
/// What is still being done when the person quits is waited for, but not for longer.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Runs until the person quits.
pub(super) async fn run(context: &Context, store: Store, interval: Duration) -> Done {
    let redis = redact_url(&context.connect().url);
    let state = State::new(redis, interval, Instant::now());
    let (want, wanted) = watch::channel(state.wanted());
    let (send, updates) = mpsc::channel(4);
    let screen = Screen::open()?;
    tokio::spawn(feed::run(store.clone(), interval, wanted, send));
    let doer = Doer { store, by: operator::name(context), going: JoinSet::new() };
    let mut all = Loop { screen, state, want, updates, keys: keys(), doer };
    let ended = all.run().await;
    let Loop { screen, doer, .. } = all;
    drop(screen);
    doer.finish().await;
    ended
}

struct Loop {
    screen: Screen,
    state: State,
    want: watch::Sender<feed::Wanted>,
    updates: mpsc::Receiver<feed::Update>,
    keys: mpsc::Receiver<io::Result<Event>>,
    doer: Doer,
}

impl Loop {
    async fn run(&mut self) -> Done {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.screen.draw(&mut self.state)?;
            tokio::select! {
                biased;
                _ = terminate.recv() => return interrupted(),
                _ = interrupt.recv() => return interrupted(),
                _ = hang_up.recv() => return interrupted(),
                event = self.keys.recv() => {
                    if let Some(done) = self.typed(event)? { return done }
                }
                Some(how) = self.doer.going.join_next() => self.state.acted(told(how), Instant::now()),
                update = self.updates.recv() => match update {
                    Some(update) => self.state.take(update, Instant::now()),
                    None => return Err(Failure::NotDone("reading the fleet ended: this is a bug".into())),
                },
                _ = tick.tick() => {}
            }
            let wanted = self.state.wanted();
            self.want.send_if_modified(|want| std::mem::replace(want, wanted.clone()) != wanted);
        }
    }

    /// Takes a key and those that came with it, before anything is drawn: what is pasted or repeated costs one drawing.
    fn typed(&mut self, event: Option<io::Result<Event>>) -> Done<Option<Done>> {
        let mut next = event;
        loop {
            let Some(event) = next else {
                return Err(Failure::NotDone("the terminal gives no more keys".into()));
            };
            match event? {
                Event::Key(key) => match self.state.key(key, Instant::now()) {
                    Effect::None => {}
                    Effect::Do(act) => self.doer.start(act),
                    Effect::Quit => return Ok(Some(Ok(()))),
                    Effect::Interrupt => return Ok(Some(interrupted())),
                },
                Event::Paste(text) => self.state.paste(&text),
                _ => {}
            }
            match self.keys.try_recv() {
                Ok(event) => next = Some(event),
                Err(_) => return Ok(None),
            }
        }
    }
}

fn interrupted() -> Done {
    Err(Failure::Interrupted(String::new()))
}

/// Does what the person said yes to, beside the loop.
struct Doer {
    store: Store,
    by: String,
    going: JoinSet<How>,
}

/// How an act went, in words.
type How = Result<String, String>;

impl Doer {
    fn start(&mut self, act: Act) {
        let (store, by) = (self.store.clone(), self.by.clone());
        self.going.spawn(async move { act.perform(&store, by).await.map_err(|failure| failure.message()) });
    }

    /// What was begun is not broken off because the person leaves.
    async fn finish(mut self) {
        let all = async {
            while let Some(how) = self.going.join_next().await {
                match told(how) {
                    Ok(text) => say!("{text}"),
                    Err(text) => say!("windlass: {text}"),
                }
            }
        };
        if tokio::time::timeout(LAST_WAIT, all).await.is_err() {
            say!("windlass: not everything was done yet: look at `windlass audit`");
        }
    }
}

fn told(how: Result<How, JoinError>) -> How {
    how.unwrap_or_else(|_| Err("doing it ended: this is a bug".to_owned()))
}

/// Keys, and changes of the screen's size. The thread that waits for them ends with the process.
fn keys() -> mpsc::Receiver<io::Result<Event>> {
    let (send, keys) = mpsc::channel(64);
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let ended = event.is_err();
            if send.blocking_send(event).is_err() || ended {
                return;
            }
        }
    });
    keys
}

/// The terminal, while it is ours. It is given back as it was, however this ends: the hook that `ratatui` sets does it
/// before a panic is printed.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    colours: bool,
}

impl Screen {
    fn open() -> io::Result<Self> {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        // Half of it may be done when the other half fails.
        let terminal = ratatui::try_init().inspect_err(|_| _ = ratatui::try_restore())?;
        let screen = Self { terminal, colours };
        // What is pasted by mistake comes as one piece, not as keys that drain nodes.
        execute!(io::stdout(), EnableBracketedPaste)?;
        Ok(screen)
    }

    fn draw(&mut self, state: &mut State) -> io::Result<()> {
        let colours = self.colours;
        self.terminal.draw(|frame| {
            view::draw(frame, state, Instant::now());
            if !colours {
                view::without_colours(frame.buffer_mut());
            }
        })?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone cannot be given back.
        _ = execute!(io::stdout(), DisableBracketedPaste);
        _ = ratatui::try_restore();
    }
}
