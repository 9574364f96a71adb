//! A real terminal for a program: it types what a person would, and sees what a person would see.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    os::unix::process::ExitStatusExt,
    process::Child,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::{
    fleet::{Fleet, binary},
    process::{behind, spawn, until},
};

/// Rows and columns.
const SIZE: (u16, u16) = (24, 80);

/// A pseudo-terminal of 80 columns and 24 rows in which `windlass` runs. It ends with the test.
pub struct Terminal {
    child: Child,
    master: File,
    /// Held open, so that the terminal can be looked at when the program is gone.
    line: OwnedFd,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    /// Runs `windlass` with these arguments and further variables, as the leader of a session whose terminal this is.
    pub fn start(fleet: &Fleet, args: &[&str], env: &[(&str, &str)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a pseudo-terminal can be had");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("our own terminal can be opened");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line = rustix::fs::open(name, flags, Mode::empty()).expect("the other end can be opened");
        let end = || line.try_clone().expect("a descriptor can be doubled");
        let mut command = fleet.at_home(behind(&["setsid", "--ctty"], &binary("windlass")));
        command.args(args).env("TERM", "xterm-256color").envs(env.iter().copied());
        command.stdin(end()).stdout(end()).stderr(end());
        let (rows, columns) = SIZE;
        let master = File::from(master);
        let seen = Seen { parser: vt100::Parser::new(rows, columns, 0), bytes: Vec::new() };
        let seen = Arc::new(Mutex::new(seen));
        resize(&master, rows, columns);
        watch(master.try_clone().expect("a descriptor can be doubled"), Arc::clone(&seen));
        let child = spawn(&mut command);
        drop(command);
        Self { child, master, line, seen }
    }

    /// What is on the screen, line by line.
    pub fn screen(&self) -> String {
        locked(&self.seen).parser.screen().contents()
    }

    /// All that was ever written to it.
    pub fn bytes(&self) -> Vec<u8> {
        locked(&self.seen).bytes.clone()
    }

    /// Whether a program has taken the whole screen, and whether it sees each key at once.
    pub fn is_taken(&self) -> (bool, bool) {
        let modes = tcgetattr(&self.line).expect("a terminal has modes").local_modes;
        let raw = !modes.contains(LocalModes::ICANON | LocalModes::ECHO);
        (locked(&self.seen).parser.screen().alternate_screen(), raw)
    }

    /// Whether the cursor is to be seen.
    pub fn has_cursor(&self) -> bool {
        !locked(&self.seen).parser.screen().hide_cursor()
    }

    /// Types.
    pub fn send(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Makes the window another size.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        locked(&self.seen).parser.screen_mut().set_size(rows, columns);
        resize(&self.master, rows, columns);
    }

    /// Waits until something is on the screen, and gives the screen.
    pub fn shows(&self, what: &str, deadline: Duration) -> String {
        self.shows_all(&[what], deadline)
    }

    /// Waits until all of it is on the screen at once.
    pub fn shows_all(&self, all: &[&str], deadline: Duration) -> String {
        let start = std::time::Instant::now();
        loop {
            let screen = self.screen();
            if all.iter().all(|what| screen.contains(what)) {
                return screen;
            }
            assert!(
                start.elapsed() < deadline,
                "the screen does not show {all:?} within {deadline:?}:\n{screen}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The program's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("our own child can be signalled");
    }

    /// Waits for the program's end; gives its exit code, or minus the signal that ended it.
    pub fn wait(&mut self, deadline: Duration) -> i32 {
        let status = until("the program in the terminal ends", deadline, || {
            self.child.try_wait().expect("our own child can be asked")
        });
        status.code().or(status.signal().map(|signal| -signal)).unwrap_or(i32::MIN)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn resize(master: &impl AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).expect("a terminal has a size");
}

/// Reads what the program writes, until the terminal is gone.
fn watch(mut master: File, seen: Arc<Mutex<Seen>>) {
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = master.read(&mut piece) {
            let mut seen = locked(&seen);
            seen.parser.process(&piece[..length]);
            seen.bytes.extend_from_slice(&piece[..length]);
        }
    });
}
