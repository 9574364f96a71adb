//! A real primary with replicas, watched by real Sentinels.

use std::{fs, time::Duration};

use tempfile::TempDir;

use crate::{
    process::eventually,
    redis::{RedisServer, info_of},
};

/// The name under which the Sentinels watch the primary.
pub const NAME: &str = "main";
/// Everybody has heard of everybody by then, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);
const SENTINELS: usize = 3;

/// The Sentinels of a primary and its replicas.
#[derive(Debug)]
pub struct Sentinels {
    sentinels: Vec<RedisServer>,
    _dir: TempDir,
}

/// Starts a primary, its replicas, and Sentinels; `args` go to the servers, of which the primary is the first. One that is
/// silent for `down_after` is failed over.
pub fn start(replicas: usize, down_after: Duration, args: &[&str]) -> (Vec<RedisServer>, Sentinels) {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let primary = RedisServer::with_args(args);
    let port = primary.port().to_string();
    let mut servers = vec![primary];
    for _ in 0..replicas {
        servers.push(RedisServer::with_args(&[args, &["--replicaof", "127.0.0.1", &port]].concat()));
    }
    eventually("the replicas are in step", PATIENCE, || {
        servers[1..].iter().all(|replica| info_of(replica).contains("master_link_status:up"))
    });
    let sentinel = |index: usize| {
        let (quorum, down) = (SENTINELS / 2 + 1, down_after.as_millis());
        let text = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} {quorum}\nsentinel down-after-milliseconds {NAME} {down}\nsentinel failover-timeout {NAME} 5000\n"
        );
        // A Sentinel writes what it learns into its file.
        let file = dir.path().join(format!("sentinel-{index}.conf"));
        fs::write(&file, text).expect("a file can be written");
        RedisServer::sentinel(&file)
    };
    let sentinels: Vec<RedisServer> = (0..SENTINELS).map(sentinel).collect();
    let (others, replicas) = (format!("sentinels={SENTINELS}"), format!("slaves={replicas}"));
    eventually("the Sentinels know each other", PATIENCE, || {
        let knows = |sentinel| info_of(sentinel).contains(&others) && info_of(sentinel).contains(&replicas);
        sentinels.iter().all(knows)
    });
    (servers, Sentinels { sentinels, _dir: dir })
}

impl Sentinels {
    /// The URL that names the Sentinels.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(|s| format!("127.0.0.1:{}", s.port())).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// The port of the primary, as most Sentinels say.
    pub fn primary(&self) -> Option<u16> {
        let named = |sentinel: &RedisServer| -> Option<u16> {
            let mut connection = redis::Client::open(sentinel.url()).ok()?.get_connection().ok()?;
            let mut ask = redis::cmd("SENTINEL");
            let (_, port): (String, u16) =
                ask.arg("GET-MASTER-ADDR-BY-NAME").arg(NAME).query(&mut connection).ok()?;
            Some(port)
        };
        let named: Vec<u16> = self.sentinels.iter().filter_map(named).collect();
        let most = |port: &&u16| named.iter().filter(|n| n == port).count() > SENTINELS / 2;
        named.iter().find(most).copied()
    }
}
