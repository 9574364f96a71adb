//! One child process and everything that it starts, from spawn to the last of its group.
//!
//! The child leads a process group of its own. [`Group`] kills all of it, with SIGKILL, when the attempt is over:
//! because the leader ended, because it wrote too much, or because the future was dropped. So no grandchild outlives
//! an attempt, and none that holds a pipe open can hold the attempt up. (A process that moves to another session
//! leaves the group; the pipes are let go all the same. Within the [sandbox](crate::sandbox) it is ended too; without,
//! it goes on.)

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{Error, ErrorKind},
    path::Path,
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    time::timeout,
};
use windlass_shared::model::ErrorClass;

use super::{Failure, Progress, stderr::Stderr};
use crate::sandbox::{self, Order, Policy};

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
    /// What it may do; `None`: all that the worker may.
    pub(crate) sandbox: Option<Policy>,
}

/// What is left of a process that ended by itself.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// What a limit of the sandbox seems to have to do with its end.
    pub(crate) hint: Option<String>,
}

/// Runs a program to its end. Dropping the future kills it and all that it started.
pub(crate) async fn run(program: &Program<'_>, progress: &Progress) -> Result<Ended, Failure> {
    let order = order(program)?;
    let (mut child, group) = spawn(program)?;
    let (mut stdout, mut stderr) = (Vec::new(), Stderr::new(program.max_output, progress));
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let status = {
        let mut talk = pin!(async {
            let feed = async {
                feed(pipes.0, &[&order, program.stdin]).await;
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
    let stderr = stderr.finish();
    let Some(policy) = &program.sandbox else { return Ok(Ended { status, stdout, stderr, hint: None }) };
    if let Some(failure) = sandbox::taken(&stderr) {
        return Err(failure);
    }
    let hint = sandbox::explain(policy, status, &stderr);
    Ok(Ended { status, stdout, stderr, hint })
}

/// What the helper of the sandbox is told before the program's own input.
fn order(program: &Program) -> Result<Vec<u8>, Failure> {
    let Some(policy) = &program.sandbox else { return Ok(Vec::new()) };
    let order = Order {
        worker: std::process::id(),
        argv: program.argv.to_vec(),
        env: program.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        policy: policy.clone(),
    };
    order.encode()
}

fn spawn(program: &Program) -> Result<(Child, Group), Failure> {
    let [name, arguments @ ..] = program.argv else {
        return Err(Failure::bad_request("`argv` is empty: it needs at least the program's name"));
    };
    let mut command = if program.sandbox.is_some() {
        let mut helper = Command::new(sandbox::PROGRAM);
        helper.arg(sandbox::EXEC).env_clear();
        helper
    } else {
        let mut command = Command::new(name);
        command.args(arguments).env_clear().envs(&program.env);
        command
    };
    let child = command
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

/// Why a program did not start, and whose fault that is.
pub(crate) fn not_started(name: &str, error: &Error) -> Failure {
    let class = match error.kind() {
        // An argument holds a NUL, or they are too long together.
        ErrorKind::InvalidInput | ErrorKind::ArgumentListTooLong => ErrorClass::BadRequest,
        // No process or no memory is left just now.
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory => ErrorClass::Internal,
        _ => ErrorClass::Spawn,
    };
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => {
            " (if it is executable, the sandbox keeps it off: add its folder to the setting sandbox.read)"
        }
        _ => "",
    };
    Failure::new(class, format!("{name:?} cannot be started: {error}{hint}"))
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
            // What left the group is below its helper still, unless that has ended it and is gone.
            let left = sandbox::descendants(leader.as_raw_nonzero().get(), usize::MAX);
            let _ = kill_process_group(leader, Signal::KILL);
            for process in left.into_iter().filter_map(Pid::from_raw) {
                let _ = kill_process(process, Signal::KILL);
            }
        }
    }
}

/// A child need not read its input: a broken pipe is no error.
async fn feed(stdin: Option<ChildStdin>, inputs: &[&[u8]]) {
    let Some(mut stdin) = stdin else { return };
    for input in inputs {
        if stdin.write_all(input).await.is_err() {
            return;
        }
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
