//! Connecting: one shared connection for the scripts, and pools for waits. Whether a cluster is on the other side is
//! asked, not configured.

use std::{path::PathBuf, sync::Arc, time::Duration};

use redis::{
    ConnectionInfo, ErrorKind, RedisResult,
    aio::ConnectionManagerConfig,
    cluster::ClusterClient,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use super::{
    Keys, Payloads, Result, Store, StoreError,
    address::{self, Access, Address},
    connection::Connection,
    followed::Followed,
    mended::Mended,
    queue::Known,
    wait::Waits,
};
use crate::{
    config::{Config, redact_url},
    model::{Durability, Namespace},
};

/// How to reach Redis.
#[derive(Clone)]
pub struct Connect {
    /// `redis://`, `rediss://`, `redis+unix://` or `redis+sentinel://`; with several hosts if they are a cluster.
    pub url: String,
    /// Put into the URL where it has none.
    pub password: Option<String>,
    /// Whom to be to the Sentinels.
    pub sentinel: SentinelLogin,
    /// What to trust and to show, with TLS.
    pub tls: Tls,
    /// First part of every key.
    pub namespace: Namespace,
    /// How long an answer may take. Waits have their own bound.
    pub response_timeout: Duration,
    /// How often a lost connection is tried again before a call fails.
    pub retries: usize,
    /// What must have a submission or a result before it counts.
    pub durability: Durability,
    /// How long that may take.
    pub durability_timeout: Duration,
    /// How what people wrote or got is stored.
    pub payloads: Payloads,
}

/// The Sentinels' own user and password, which are not those of the servers.
#[derive(Debug, Clone, Default)]
pub struct SentinelLogin {
    /// The user, unless it is the default one.
    pub user: Option<String>,
    /// The password, if one is needed.
    pub password: Option<String>,
}

/// Files with certificates, in PEM.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Authorities to trust instead of those of the system.
    pub ca: Option<PathBuf>,
    /// What we show, if the server wants to know us.
    pub cert: Option<PathBuf>,
    /// The private key of `cert`.
    pub key: Option<PathBuf>,
}

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A node that lost Redis tries again at least this often, so that it extends its leases as soon as Redis is back.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// A call to a cluster follows so many hints at where its slot went, whatever else is tried again.
const REDIRECTIONS: u32 = 4;

impl Connect {
    /// To a Redis, with all else as usual.
    pub fn to(url: impl Into<String>, namespace: Namespace) -> Self {
        Self {
            url: url.into(),
            password: None,
            sentinel: SentinelLogin::default(),
            tls: Tls::default(),
            namespace,
            response_timeout: Duration::from_secs(10),
            retries: 3,
            durability: Durability::None,
            durability_timeout: Duration::from_secs(5),
            payloads: Payloads::default(),
        }
    }

    /// As the configuration says.
    pub fn configured(config: &Config) -> Self {
        let redis = &config.redis;
        let exposed = |secret: &Option<crate::config::Secret>| secret.as_ref().map(|s| s.expose().to_owned());
        Self {
            password: exposed(&redis.password),
            sentinel: SentinelLogin {
                user: redis.sentinel_user.clone(),
                password: exposed(&redis.sentinel_password),
            },
            tls: Tls { ca: redis.tls_ca.clone(), cert: redis.tls_cert.clone(), key: redis.tls_key.clone() },
            response_timeout: redis.response_timeout,
            durability: redis.durability,
            durability_timeout: redis.durability_timeout,
            payloads: Payloads::new(&config.sealing, &config.claim_check),
            ..Self::to(redis.url.expose(), config.namespace.clone())
        }
    }

    /// Connects, and fails if Redis does not answer.
    pub async fn open(&self) -> Result<Store> {
        let shown = redact_url(&self.url);
        let unreachable =
            |e: redis::RedisError| StoreError::Unreachable { url: shown.clone(), why: e.to_string() };
        let access = Access { password: self.password.as_deref(), sentinel: &self.sentinel, tls: &self.tls };
        let address = address::read(&self.url, &access).map_err(unreachable)?;
        let (connection, info) =
            self.shared(address).await.map_err(|error| StoreError::new(&error, &shown))?;
        Ok(Store {
            connection,
            waits: Arc::new(Waits::new(info)),
            keys: Arc::new(Keys::new(self.namespace.clone())),
            known: Known::default(),
            payloads: self.payloads.clone(),
            durability: self.durability,
            durability_timeout: self.durability_timeout,
            response_timeout: self.response_timeout,
            url: shown.into(),
        })
    }

    async fn shared(&self, address: Address) -> RedisResult<(Connection, ConnectionInfo)> {
        let servers = match address {
            Address::Servers(servers) => servers,
            Address::Sentinels(sentinels) => {
                let followed = Followed::open(*sentinels, self.manager()).await?;
                let info = followed.info();
                return Ok((Connection::Followed(followed), info));
            }
        };
        let (single, info) = self.first(&servers).await?;
        if is_cluster(&single).await? {
            return Ok((Connection::Cluster(self.cluster(servers).await?), info));
        }
        if servers.len() > 1 {
            let why = "of several hosts, but they are not a cluster; for Sentinels write redis+sentinel://HOSTS/NAME";
            return Err((ErrorKind::InvalidClientConfig, "the URL", why.into()).into());
        }
        Ok((Connection::Single(single), info))
    }

    /// The first of the servers that answers.
    async fn first(&self, servers: &[ConnectionInfo]) -> RedisResult<(Mended, ConnectionInfo)> {
        let mut failed = (ErrorKind::InvalidClientConfig, "the URL names no host").into();
        for info in servers {
            let client = redis::Client::open(info.clone())?;
            match Mended::open(client, self.manager()).await {
                Ok(connection) => return Ok((connection, info.clone())),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn cluster(
        &self,
        seeds: Vec<ConnectionInfo>,
    ) -> RedisResult<redis::cluster_async::ClusterConnection> {
        let pause = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut client = ClusterClient::builder(seeds)
            .tcp_settings(tcp())
            .response_timeout(self.response_timeout)
            .connection_timeout(CONNECT_TIMEOUT)
            .min_retry_wait(pause(SHORTEST_PAUSE))
            .max_retry_wait(pause(LONGEST_PAUSE))
            .retries(u32::try_from(self.retries).unwrap_or(u32::MAX).max(REDIRECTIONS));
        if let Some(certificates) = self.tls.certificates()? {
            client = client.certs(certificates);
        }
        client.build()?.get_async_connection().await
    }

    fn manager(&self) -> ConnectionManagerConfig {
        ConnectionManagerConfig::new()
            .set_response_timeout(Some(self.response_timeout))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_min_delay(SHORTEST_PAUSE)
            .set_max_delay(LONGEST_PAUSE)
            .set_number_of_retries(self.retries)
    }
}

/// A peer that is gone and does not say so: it acknowledges nothing that we send, and no probe when we are silent.
const SILENT: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// How each connection is made, so that the system notices soon that one is dead. Small requests are sent at once.
pub(super) fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(SILENT).with_interval(PROBE_EVERY);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(SILENT);
    settings
}

/// Every user may ask this; a server of a cluster says that it is one.
async fn is_cluster(server: &Mended) -> RedisResult<bool> {
    let hello = server.send(async |c| redis::cmd("HELLO").query_async(c).await);
    let facts: std::collections::HashMap<String, redis::Value> = hello.await?;
    Ok(matches!(facts.get("mode"), Some(redis::Value::BulkString(mode)) if mode == b"cluster"))
}
