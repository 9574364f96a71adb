//! Where Redis is: one server, the first nodes of a cluster, or Sentinels that know the primary.

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError,
    RedisResult, TlsCertificates, TlsMode,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use super::connect::{SentinelLogin, Tls, tcp};

/// The port of a Sentinel that names none.
const SENTINEL_PORT: u16 = 26379;

/// What a URL stands for.
pub(super) enum Address {
    /// One server, or nodes of a cluster: any of them tells of the others.
    Servers(Vec<ConnectionInfo>),
    /// The Sentinels, and the name under which they watch the primary.
    Sentinels(Box<SentinelClient>),
}

/// What to say to a server, beside its address.
pub(super) struct Access<'a> {
    pub(super) password: Option<&'a str>,
    pub(super) sentinel: &'a SentinelLogin,
    pub(super) tls: &'a Tls,
}

fn wrong(what: &'static str, why: impl Into<String>) -> RedisError {
    (ErrorKind::InvalidClientConfig, what, why.into()).into()
}

/// Reads a URL: `redis://HOST:PORT/DB`, the same with several hosts, `redis+unix:///PATH`, or
/// `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/DB`; `rediss` is TLS.
pub(super) fn read(url: &str, access: &Access<'_>) -> RedisResult<Address> {
    let Some((scheme, rest)) = url.split_once("://") else { return Err(wrong("the URL", "has no scheme")) };
    let certificates = access.tls.certificates()?;
    if let Some(plain) = scheme.strip_suffix("+sentinel") {
        return sentinels(plain, rest, access, certificates).map(|c| Address::Sentinels(Box::new(c)));
    }
    let mut servers = Vec::new();
    for url in each_host(scheme, rest) {
        let mut info = url.as_str().into_connection_info()?;
        let settings = info.redis_settings().clone();
        if let (Some(password), None) = (access.password, settings.password()) {
            info = info.set_redis_settings(settings.set_password(password));
        }
        servers.push(secured(info, certificates.as_ref())?.set_tcp_settings(tcp()));
    }
    Ok(Address::Servers(servers))
}

/// The same with our certificates, where it speaks TLS.
fn secured(info: ConnectionInfo, certificates: Option<&TlsCertificates>) -> RedisResult<ConnectionInfo> {
    match (info.addr(), certificates) {
        (ConnectionAddr::TcpTls { .. }, Some(certificates)) => {
            Ok(Client::build_with_tls(info, certificates.clone())?.get_connection_info().clone())
        }
        _ => Ok(info),
    }
}

/// One URL for each of the hosts, which are separated by commas.
fn each_host(scheme: &str, rest: &str) -> Vec<String> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let at = if user.is_empty() { "" } else { "@" };
    hosts.split(',').map(|host| format!("{scheme}://{user}{at}{host}{after}")).collect()
}

fn sentinels(
    scheme: &str,
    rest: &str,
    access: &Access<'_>,
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let (name, db) = path.split_once('/').unwrap_or((path, "0"));
    if name.is_empty() {
        return Err(wrong("the URL", "does not name what the Sentinels watch: HOST:PORT,HOST:PORT/NAME"));
    }
    // The library reads names and passwords, which may be escaped.
    let urls = each_host(scheme, authority);
    let as_server = |url: &String| url.as_str().into_connection_info();
    let settings = as_server(&urls[0])?.redis_settings().clone();
    let hosts = urls.iter().map(|url| as_server(url).map(|info| sentinel_address(url, info.addr().clone())));
    let mut client = SentinelClientBuilder::new(
        hosts.collect::<RedisResult<Vec<_>>>()?,
        name,
        SentinelServerType::Master,
    )?;
    client = client.set_client_to_redis_tcp_settings(tcp()).set_client_to_sentinel_tcp_settings(tcp());
    client = client.set_client_to_redis_db(db.parse().map_err(|_| wrong("the database", db))?);
    if let Some(user) = settings.username() {
        client = client.set_client_to_redis_username(user);
    }
    if let Some(password) = settings.password().or(access.password) {
        client = client.set_client_to_redis_password(password);
    }
    if let Some(user) = &access.sentinel.user {
        client = client.set_client_to_sentinel_username(user);
    }
    if let Some(password) = &access.sentinel.password {
        client = client.set_client_to_sentinel_password(password);
    }
    if ["rediss", "valkeys"].contains(&scheme) {
        client = client
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure);
        if let Some(certificates) = certificates {
            client = client
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
    }
    client.build()
}

/// A server's usual port is not a Sentinel's.
fn sentinel_address(url: &str, addr: ConnectionAddr) -> ConnectionAddr {
    let host = url.rsplit(['@', '/']).next().unwrap_or_default();
    let has_port =
        host.rsplit_once(':').is_some_and(|(before, _)| !before.contains(':') || before.ends_with(']'));
    match addr {
        ConnectionAddr::Tcp(host, _) if !has_port => ConnectionAddr::Tcp(host, SENTINEL_PORT),
        ConnectionAddr::TcpTls { host, insecure, tls_params, .. } if !has_port => {
            ConnectionAddr::TcpTls { host, port: SENTINEL_PORT, insecure, tls_params }
        }
        other => other,
    }
}

impl Tls {
    /// Reads the files; none if none is named.
    pub(super) fn certificates(&self) -> RedisResult<Option<TlsCertificates>> {
        let read = |path: &std::path::PathBuf| {
            std::fs::read(path).map_err(|error| wrong("a TLS file", format!("{}: {error}", path.display())))
        };
        let client_tls = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? })
            }
            (None, None) => None,
            _ => return Err(wrong("TLS", "redis.tls_cert and redis.tls_key go together")),
        };
        let root_cert = self.ca.as_ref().map(read).transpose()?;
        Ok((client_tls.is_some() || root_cert.is_some()).then_some(TlsCertificates { client_tls, root_cert }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(url: &str) -> Vec<String> {
        let access =
            Access { password: Some("x"), sentinel: &SentinelLogin::default(), tls: &Tls::default() };
        match read(url, &access) {
            Ok(Address::Servers(servers)) => servers.iter().map(|info| info.addr().to_string()).collect(),
            Ok(Address::Sentinels(_)) => vec!["sentinels".into()],
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn a_url_may_name_several_hosts() {
        assert_eq!(servers("redis://h"), ["h:6379"]);
        assert_eq!(servers("rediss://u:p%2C@a:1,b:2,c/3"), ["a:1", "b:2", "c:6379"]);
        assert_eq!(each_host("redis", "u:p@a:1,b/3?x=1"), ["redis://u:p@a:1/3?x=1", "redis://u:p@b/3?x=1"]);
        assert_eq!(servers("redis+sentinel://u:p@a,b:2/main/1"), ["sentinels"]);
        assert_eq!(servers("rediss+sentinel://a/main"), ["sentinels"]);
        assert!(servers("redis+sentinel://a,b")[0].contains("does not name"));
    }

    #[test]
    fn a_sentinel_has_its_own_usual_port() {
        let address = |url: &str| {
            let addr = url.into_connection_info().unwrap().addr().clone();
            sentinel_address(url, addr).to_string()
        };
        assert_eq!(address("redis://a"), "a:26379");
        assert_eq!(address("redis://u:p@a"), "a:26379");
        assert_eq!(address("redis://u:p@a:7"), "a:7");
        assert_eq!(address("redis://[::1]"), "::1:26379");
        assert_eq!(address("redis://[::1]:7"), "::1:7");
    }
}
