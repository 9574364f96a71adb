//! Processes that a test starts: their output goes to files, every wait has an end, and they end with the test.

use std::{
    fmt,
    fs::File,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `look` finds something; fails the test, naming `what`, when that takes longer than `deadline`.
pub fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Waits until `holds`; fails the test, naming `what`, when that takes longer than `deadline`.
pub fn eventually(what: &str, deadline: Duration, mut holds: impl FnMut() -> bool) {
    until(what, deadline, || holds().then_some(()));
}

/// Whether a process is there and runs. A zombie does not.
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything; the state follows it.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// What a program wrote, and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Its exit code; minus the signal that ended it.
    pub code: i32,
    /// What it wrote.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, code, stdout, stderr } = self;
        let head = |text: &str| text.chars().take(4000).collect::<String>();
        write!(f, "`{command}` ended with {code}\n--- stdout\n{}\n--- stderr\n{}", head(stdout), head(stderr))
    }
}

impl Output {
    /// Fails the test unless it ended with `code`.
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Fails the test unless it ended well.
    pub fn ok(self) -> Self {
        self.expect_code(0)
    }

    /// What it wrote, as one JSON value.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }

    /// What it wrote, as JSON Lines.
    pub fn jsonl(&self) -> Vec<Value> {
        let line = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON: {error}: {line}\n{self}"))
        };
        self.stdout.lines().map(line).collect()
    }
}

/// A process of a test. Killed when it goes out of scope.
#[derive(Debug)]
pub struct Process {
    child: Child,
    command: String,
    out: PathBuf,
    err: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` with its output in `DIR/NAME.out` and `DIR/NAME.err`. Its standard input is empty unless set.
    pub fn start(mut command: Command, dir: &Path, name: &str) -> Self {
        let (out, err) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.err")));
        let file = |path: &Path| File::create(path).expect("a file for output can be made");
        command.stdout(file(&out)).stderr(file(&err));
        Self { child: spawn(&mut command), command: shown(&command), out, err, ended: None }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, unless it was seen to end.
    pub fn signal(&mut self, signal: Signal) {
        if self.has_ended() {
            return;
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("our own child can be signalled");
    }

    /// Whether it ended.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("our own child can be asked");
        }
        self.ended.is_some()
    }

    /// Waits for its end; fails the test if that takes longer than `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> Output {
        let start = Instant::now();
        while !self.has_ended() {
            assert!(
                start.elapsed() < deadline,
                "`{}` still runs after {deadline:?}\n--- stdout\n{}\n--- stderr\n{}",
                self.command,
                self.stdout(),
                self.stderr()
            );
            thread::sleep(LOOK_EVERY);
        }
        let status = self.ended.expect("it ended");
        let code = status.code().or(status.signal().map(|signal| -signal)).unwrap_or(i32::MIN);
        Output { command: self.command.clone(), code, stdout: self.stdout(), stderr: self.stderr() }
    }

    /// What it wrote so far.
    pub fn stdout(&self) -> String {
        read(&self.out)
    }

    /// What it complained about so far.
    pub fn stderr(&self) -> String {
        read(&self.err)
    }

    /// Takes its standard input, if it was piped.
    pub fn stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // It may end this very moment; then there is nothing left to kill.
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

/// A program behind others that change their own process and become the next: `env`, `prlimit`, `unshare`.
pub fn behind(through: &[&str], program: &Path) -> Command {
    let Some((first, args)) = through.split_first() else { return Command::new(program) };
    let mut command = Command::new(first);
    command.args(args).arg(program);
    command
}

/// Starts a program, with an empty standard input unless the command says otherwise.
pub fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| panic!("{} cannot be started: {error}", shown(command)))
}

/// Runs a program to its end, which must come within `deadline`.
pub fn run(mut command: Command, dir: &Path, name: &str, deadline: Duration) -> Output {
    command.stdin(Stdio::null());
    Process::start(command, dir, name).wait(deadline)
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    // A huge argument helps nobody who reads a failure.
    let args =
        command.get_args().map(|arg| arg.to_string_lossy().chars().take(200).collect::<String>().into());
    std::iter::once(program).chain(args).collect::<Vec<_>>().join(" ")
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
