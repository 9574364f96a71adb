//! One child process and everything that it starts, from spawn to the last of its group.
//!
//! The child leads a process group of its own. [`Group`] kills all of it, with SIGKILL, when the attempt is over:
//! because the leader ended, because it wrote too much, or because the future was dropped. So no grandchild outlives
//! an attempt, and none that holds a pipe open can hold the attempt up. (A process that moves to another session
//! leaves the group; the pipes are let go all the same, but such a process goes on.)

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{Error, ErrorKind},
    path::Path,
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    time::timeout,
};
use windlass_shared::model::ErrorClass;

use super::{Failure, Progress, stderr::Stderr};

/// How long what is left in the pipes may take to read once every process of the group is dead.
const GRACE: Duration = Duration::from_secs(1);

/// What to run.
pub(crate) struct Program<'a> {
    /// The program and its arguments; no shell is involved.
    pub(crate) argv: &'a [String],
    /// The whole environment.
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) directory: &'a Path,
    pub(crate) stdin: &'a [u8],
    /// Bytes of stdout, and of stderr.
    pub(crate) max_output: usize,
}

/// What is left of a process that ended by itself.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Runs a program to its end. Dropping the future kills it and all that it started.
pub(crate) async fn run(program: &Program<'_>, progress: &Progress) -> Result<Ended, Failure> {
    let (mut child, group) = spawn(program)?;
    let (mut stdout, mut stderr) = (Vec::new(), Stderr::new(program.max_output, progress));
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let status = {
        let mut talk = pin!(async {
            let feed = async {
                feed(pipes.0, program.stdin).await;
                Ok(())
            };
            let read = read_all(pipes.1, &mut stdout, program.max_output);
            let listen = async {
                listen(pipes.2, &mut stderr).await;
                Ok(())
            };
            tokio::try_join!(feed, read, listen).map(drop)
        });
        let mut talking = true;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                done = &mut talk, if talking => { done?; talking = false; }
            }
        };
        drop(group);
        if talking {
            // What comes too late is lost; what was read so far counts.
            timeout(GRACE, talk).await.unwrap_or(Ok(()))?;
        }
        status.map_err(|error| Failure::internal(format!("a command cannot be waited for: {error}")))?
    };
    Ok(Ended { status, stdout, stderr: stderr.finish() })
}

fn spawn(program: &Program) -> Result<(Child, Group), Failure> {
    let [name, arguments @ ..] = program.argv else {
        return Err(Failure::bad_request("`argv` is empty: it needs at least the program's name"));
    };
    let child = Command::new(name)
        .args(arguments)
        .env_clear()
        .envs(&program.env)
        .current_dir(program.directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(name, &error))?;
    let group = Group::led_by(&child);
    Ok((child, group))
}

fn not_started(name: &str, error: &Error) -> Failure {
    let class = match error.kind() {
        // An argument holds a NUL, or they are too long together.
        ErrorKind::InvalidInput | ErrorKind::ArgumentListTooLong => ErrorClass::BadRequest,
        // No process or no memory is left just now.
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory => ErrorClass::Internal,
        _ => ErrorClass::Spawn,
    };
    Failure::new(class, format!("{name:?} cannot be started: {error}"))
}

/// The process group of a child. Kills every process in it when dropped.
struct Group(Option<Pid>);

impl Group {
    fn led_by(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group's number cannot have been given to another one: on a drop the leader was not waited for yet, and
        // after the wait we get here at once.
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// A child need not read its input: a broken pipe is no error.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
}

async fn read_all(
    pipe: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
    limit: usize,
) -> Result<(), Failure> {
    each_chunk(pipe, |chunk| {
        if into.len() + chunk.len() > limit {
            let message = format!("the command wrote more than {limit} bytes to stdout");
            return Err(Failure::new(ErrorClass::ResultTooLarge, message));
        }
        into.extend_from_slice(chunk);
        Ok(())
    })
    .await
}

async fn listen(pipe: Option<impl AsyncRead + Unpin>, stderr: &mut Stderr<'_>) {
    let _ = each_chunk(pipe, |chunk| {
        stderr.push(chunk);
        Ok(())
    })
    .await;
}

/// Reads to the end. A pipe that cannot be read has ended.
async fn each_chunk(
    pipe: Option<impl AsyncRead + Unpin>,
    mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        take(&buffer[..length])?;
    }
    Ok(())
}
