//! TLS: the certificate and its key, read again when they change.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use axum_server::tls_rustls::RustlsConfig;
use windlass_shared::config::ServeSettings;

use crate::exit::{Done, Failure};

pub(super) type Config = RustlsConfig;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The configured certificate; none if there is to be no TLS.
pub(super) async fn load(settings: &ServeSettings) -> Done<Option<Config>> {
    let (cert, key) = match (&settings.tls_cert, &settings.tls_key) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert.clone(), key.clone()),
        _ => return Err(Failure::Usage("serve.tls_cert, serve.tls_key: give both, or none".into())),
    };
    _ = rustls::crypto::ring::default_provider().install_default();
    let config = RustlsConfig::from_pem_file(&cert, &key).await.map_err(|error| {
        Failure::Usage(format!("serve.tls_cert {}, serve.tls_key {}: {error}", cert.display(), key.display()))
    })?;
    tokio::spawn(follow(config.clone(), cert, key));
    Ok(Some(config))
}

/// New connections get the new certificate. One that cannot be read changes nothing.
async fn follow(config: Config, cert: PathBuf, key: PathBuf) {
    let stamp = |path: &Path| -> Option<SystemTime> { std::fs::metadata(path).ok()?.modified().ok() };
    let both = || (stamp(&cert), stamp(&key));
    let mut seen = both();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = both();
        if now == seen {
            continue;
        }
        match config.reload_from_pem_file(&cert, &key).await {
            Ok(()) => {
                seen = now;
                tracing::info!("the certificate was read again");
            }
            // Perhaps only one of the two is there yet: look again.
            Err(error) => tracing::warn!(%error, "the new certificate cannot be used: the old one stays"),
        }
    }
}
