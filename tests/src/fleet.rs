//! A fleet for a test: a Redis of its own and real `windlass-worker` processes, steered by the real `windlass`.

mod ask;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;
use windlass_shared::{model::Namespace, store::Keys};

use crate::{
    cluster,
    process::{Process, behind, until},
    redis::{self, RedisServer},
    sentinel::{self, Sentinels},
};

/// No command of a test takes longer, unless it says so.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// A worker that was started is registered by then, however busy the machine.
const START: Duration = Duration::from_secs(20);
/// The file of the configuration.
const CONFIG: &str = "windlass.toml";
/// Lines of each log that a failed test shows.
const SHOWN: usize = 40;

/// How a fleet is made.
#[derive(Debug, Clone)]
pub struct FleetOptions<'a> {
    /// Workers that are started with it.
    pub workers: usize,
    /// Slots of each worker.
    pub concurrency: usize,
    /// The lease; empty for the default.
    pub lease: &'a str,
    /// Further arguments of each worker.
    pub args: &'a [&'a str],
    /// Text of the configuration file that workers and `windlass` read.
    pub config: &'a str,
    /// Further variables of each worker.
    pub env: &'a [(&'a str, &'a str)],
    /// Further arguments of the Redis server.
    pub redis: &'a [&'a str],
    /// Another server than the one under test.
    pub server: Option<&'a Path>,
    /// What the Redis server is started through: a program that does something to its own process and becomes it.
    pub redis_through: &'a [&'a str],
    /// A cluster of so many primaries instead of one server.
    pub primaries: usize,
    /// Replicas of each primary, or of the one that Sentinels watch.
    pub replicas: usize,
    /// Where workers and `windlass` find the server, if not at its usual port.
    pub url: Option<&'a str>,
    /// Whom the test itself is to the server: `user:password`.
    pub user: &'a str,
    /// What the workers run, if not `windlass-worker`.
    pub program: &'a str,
    /// Sentinels watch the primary, and fail it over when it is silent for so long.
    pub sentinels: Option<Duration>,
}

impl Default for FleetOptions<'_> {
    fn default() -> Self {
        Self {
            workers: 1,
            concurrency: 4,
            lease: "3s",
            args: &[],
            config: "",
            env: &[],
            redis: &[],
            server: None,
            redis_through: &[],
            primaries: 0,
            replicas: 0,
            url: None,
            user: "",
            program: "windlass-worker",
            sentinels: None,
        }
    }
}

/// A Redis and some workers. Everything ends with it.
#[derive(Debug)]
pub struct Fleet {
    /// Its Redis; of a cluster, the first primary.
    pub redis: RedisServer,
    /// The other primaries of a cluster, then the replicas.
    pub others: Vec<RedisServer>,
    /// Those that watch the primary.
    pub sentinels: Option<Sentinels>,
    url: String,
    user: String,
    program: String,
    workers: Vec<Process>,
    concurrency: usize,
    lease: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    dir: TempDir,
    /// Apart from the test's own files, since commands may not see it.
    configuration: TempDir,
    commands: std::cell::Cell<usize>,
}

impl Fleet {
    /// Starts a fleet and waits until its workers are active.
    pub fn start(options: &FleetOptions) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let configuration = tempfile::tempdir().expect("a temporary directory can be made");
        if !options.config.is_empty() {
            fs::write(configuration.path().join(CONFIG), options.config).expect("a file can be written");
        }
        let (mut others, sentinels) = servers(options);
        let mut fleet = Self {
            url: options.url.map_or_else(
                || sentinels.as_ref().map_or_else(|| url_of(&others, options.user), Sentinels::url),
                str::to_owned,
            ),
            user: options.user.to_owned(),
            program: options.program.to_owned(),
            sentinels,
            redis: others.remove(0),
            others,
            workers: Vec::new(),
            concurrency: options.concurrency,
            lease: options.lease.to_owned(),
            args: options.args.iter().map(ToString::to_string).collect(),
            env: options.env.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
            dir,
            configuration,
            commands: std::cell::Cell::new(0),
        };
        for _ in 0..options.workers {
            fleet.launch(&[]);
        }
        for index in 0..options.workers {
            fleet.wait_until_active(index);
        }
        fleet
    }

    /// A fleet of one worker.
    pub fn of_one() -> Self {
        Self::start(&FleetOptions::default())
    }

    /// A Redis without any worker.
    pub fn without_workers() -> Self {
        Self::start(&FleetOptions { workers: 0, ..FleetOptions::default() })
    }

    /// A directory for the test's own files. `windlass` runs in it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration file, if the fleet has one.
    pub fn configuration(&self) -> PathBuf {
        self.configuration.path().join(CONFIG)
    }

    /// Writes a file of the test.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir().join(name);
        fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Starts another worker, waits until it is active, and gives its index.
    pub fn spawn_worker(&mut self) -> usize {
        self.spawn_worker_with(&[])
    }

    /// The same with further arguments; flags win over what the fleet gives by variables.
    pub fn spawn_worker_with(&mut self, args: &[&str]) -> usize {
        let index = self.launch(args);
        self.wait_until_active(index);
        index
    }

    /// Starts another worker and does not wait.
    pub fn launch(&mut self, args: &[&str]) -> usize {
        let program = self.program.clone();
        self.launch_program(&program, args)
    }

    /// The same with another program than the fleet's.
    pub fn launch_program(&mut self, program: &str, args: &[&str]) -> usize {
        self.launch_through(&[], program, args)
    }

    /// The same, and waits until the worker is active.
    pub fn spawn_through(&mut self, through: &[&str], program: &str, args: &[&str]) -> usize {
        let index = self.launch_through(through, program, args);
        self.wait_until_active(index);
        index
    }

    /// The same as [`launch_program`](Self::launch_program), started through another program, as
    /// [`command_through`](Self::command_through) says.
    pub fn launch_through(&mut self, through: &[&str], program: &str, args: &[&str]) -> usize {
        let index = self.workers.len();
        let mut command = self.command_through(through, program);
        command.stdin(Stdio::null());
        if program.ends_with("windlass-worker") {
            command.args(&self.args).args(args);
        } else if let [flag, value] = args {
            // A program of its own has no flags, but the same variables.
            let name = flag.trim_start_matches("--").to_uppercase().replace('-', "_");
            command.env(format!("WINDLASS_{name}"), value);
        }
        command.env("WINDLASS_CONCURRENCY", self.concurrency.to_string());
        command.env("WINDLASS_WORKSPACE", self.workspaces());
        // Tests look at the process ids of commands, which mean nothing in a namespace of their own.
        command.env("WINDLASS_SANDBOX_BUBBLEWRAP", "off");
        // Where tasks write down what they did; unless the test says otherwise.
        command.env("WINDLASS_SANDBOX_WRITE", self.dir());
        if !self.lease.is_empty() {
            command.env("WINDLASS_LEASE", &self.lease);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        self.workers.push(Process::start(command, self.dir(), &format!("worker-{index}")));
        index
    }

    /// Where the workers make the workspaces of attempts.
    pub fn workspaces(&self) -> PathBuf {
        self.dir().join("work")
    }

    fn wait_until_active(&mut self, index: usize) {
        until(&format!("worker {index} is active"), START, || {
            let worker = &mut self.workers[index];
            assert!(!worker.has_ended(), "worker {index} ended: {}", worker.wait(Duration::ZERO));
            self.state_of(index).filter(|state| state == "active")
        });
    }

    /// One of our programs, [at home](Self::at_home).
    pub fn command(&self, program: &str) -> Command {
        self.command_through(&[], program)
    }

    /// The same, started through a program that changes its own process and becomes ours: `env`, `prlimit`, `ip netns
    /// exec`. The process id stays the same.
    pub fn command_through(&self, through: &[&str], program: &str) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = self.at_home(behind(through, &binary(program)));
        command.process_group(0);
        command
    }

    /// In the fleet's directory, with its Redis and its configuration, and nothing of this process's environment but the
    /// path.
    pub fn at_home(&self, mut command: Command) -> Command {
        command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("WINDLASS_REDIS_URL", &self.url);
        if self.configuration.path().join(CONFIG).exists() {
            command.env("WINDLASS_CONFIG", self.configuration.path().join(CONFIG));
        }
        command.current_dir(self.dir());
        command
    }

    /// A worker's process.
    pub fn worker(&mut self, index: usize) -> &mut Process {
        &mut self.workers[index]
    }

    /// Kills a worker as a power cut would, and waits until it is gone.
    pub fn kill9(&mut self, index: usize) {
        self.workers[index].signal(Signal::KILL);
        assert_eq!(self.exit_code(index, PATIENCE), -9);
    }

    /// Freezes a worker.
    pub fn stop(&mut self, index: usize) {
        self.workers[index].signal(Signal::STOP);
    }

    /// Lets a frozen worker go on.
    pub fn cont(&mut self, index: usize) {
        self.workers[index].signal(Signal::CONT);
    }

    /// Asks a worker to end.
    pub fn term(&mut self, index: usize) {
        self.workers[index].signal(Signal::TERM);
    }

    /// Waits for a worker's end and gives its exit code, or minus the signal.
    pub fn exit_code(&mut self, index: usize, deadline: Duration) -> i32 {
        self.workers[index].wait(deadline).code
    }

    /// What a worker logged.
    pub fn log(&self, index: usize) -> String {
        self.workers[index].stderr()
    }
}

fn servers(options: &FleetOptions) -> (Vec<RedisServer>, Option<Sentinels>) {
    match (options.primaries, options.sentinels) {
        (0, None) => {
            let program = options.server.map_or_else(redis::binary, Path::to_owned);
            (vec![RedisServer::of(&program, options.redis_through, options.redis)], None)
        }
        (0, Some(down_after)) => {
            let (servers, sentinels) = sentinel::start(options.replicas, down_after, options.redis);
            (servers, Some(sentinels))
        }
        (primaries, _) => (cluster::start(primaries, options.replicas), None),
    }
}

/// A URL that names them all.
fn url_of(servers: &[RedisServer], user: &str) -> String {
    let at = if user.is_empty() { "" } else { "@" };
    let hosts: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    format!("redis://{user}{at}{}", hosts.join(","))
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for index in 0..self.workers.len() {
                show(&format!("worker {index}"), &self.log(index));
            }
            show("redis", &self.redis.log());
        }
        // A worker that is asked twice stops its commands and leaves at once; what does not is killed below.
        for worker in &mut self.workers {
            for signal in [Signal::CONT, Signal::TERM, Signal::INT] {
                worker.signal(signal);
            }
        }
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_secs(2) && !self.workers.iter_mut().all(Process::has_ended) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[allow(clippy::print_stderr, reason = "this is for the person who reads a failed test")]
fn show(name: &str, log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let last = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
    eprintln!("--- the last lines of {name} ({} in all)\n{last}", lines.len());
}

/// The keys of the usual namespace.
pub fn keys() -> Keys {
    Keys::new(Namespace::new("wl").expect("a valid name"))
}

/// Where the build puts our programs: in `WINDLASS_BIN_DIR`, else where this one is, or its folder `deps`.
pub fn programs() -> PathBuf {
    env::var_os("WINDLASS_BIN_DIR").map_or_else(
        || {
            let this = env::current_exe().expect("this program has a path");
            // target/PROFILE/deps/e2e-HASH, or target/PROFILE/bench
            let folder = this.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
            folder.expect("a program stands in a folder").to_owned()
        },
        PathBuf::from,
    )
}

/// One of our programs in [`programs`]; one with a whole path is that.
pub fn binary(program: &str) -> PathBuf {
    let path = programs().join(program);
    assert!(
        path.is_file(),
        "{} is not there: run `cargo build --workspace` first (as `make test` does), or say where the programs \
         are in WINDLASS_BIN_DIR",
        path.display()
    );
    path
}
