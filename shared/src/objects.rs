//! The object store: large payloads, results and ledgers are kept there, and Redis holds a reference. A folder, or a
//! service that speaks S3. `docs/payloads.md` describes it for people.
//!
//! Nothing is decided here about what goes there; [`crate::store`] does that.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt};
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, aws::AmazonS3Builder,
    local::LocalFileSystem, path::Path as Key,
};
use tokio::sync::OnceCell;

use crate::config::{ClaimCheckSettings, Secret};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long one request is tried again before the caller hears of it. Callers have patience of their own.
const PATIENCE: Duration = Duration::from_secs(10);

/// An error of the object store, in words.
#[derive(Debug, thiserror::Error)]
#[error("the object store ({url}) cannot be used: {why}")]
pub struct ObjectsError {
    url: String,
    why: String,
}

/// An object of a listing.
#[derive(Debug)]
pub struct Listed {
    /// Its path below that of the URL.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, seconds since 1970, by the clock of the object store.
    pub written: i64,
}

/// Where objects go. Opened with the first use, since most commands need none.
pub struct Objects {
    settings: ClaimCheckSettings,
    url: String,
    opened: OnceCell<(Arc<dyn ObjectStore>, Key)>,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Objects {
    /// The configured place; none if there is none.
    pub fn new(settings: &ClaimCheckSettings) -> Option<Self> {
        let url = settings.url.clone()?;
        Some(Self { settings: settings.clone(), url, opened: OnceCell::new() })
    }

    /// Texts of more bytes go there.
    pub fn above(&self) -> usize {
        self.settings.above
    }

    fn error(&self, why: &impl ToString) -> ObjectsError {
        ObjectsError { url: self.url.clone(), why: why.to_string() }
    }

    async fn opened(&self) -> Result<&(Arc<dyn ObjectStore>, Key), ObjectsError> {
        self.opened.get_or_try_init(async || self.open()).await
    }

    fn open(&self) -> Result<(Arc<dyn ObjectStore>, Key), ObjectsError> {
        if let Some(folder) = self.url.strip_prefix("file://") {
            return self.folder(Path::new(folder)).map(|store| (store, Key::default()));
        }
        let rest = self.url.strip_prefix("s3://").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = Key::parse(prefix.trim_matches('/')).map_err(|error| self.error(&error))?;
        self.s3(bucket).map(|store| (store, prefix))
    }

    fn folder(&self, folder: &Path) -> Result<Arc<dyn ObjectStore>, ObjectsError> {
        std::fs::create_dir_all(folder).map_err(|error| self.error(&error))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| self.error(&error))?;
        // What refers to a file must not outlive it in a power cut.
        Ok(Arc::new(store.with_fsync(true).with_automatic_cleanup(true)))
    }

    /// Keys come from the settings, else from where AWS's own programs find them.
    fn s3(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>, ObjectsError> {
        // No other one was built in; whoever was first, installed the same.
        _ = rustls::crypto::ring::default_provider().install_default();
        let settings = &self.settings;
        let client = ClientOptions::new().with_timeout(TIMEOUT).with_connect_timeout(Duration::from_secs(5));
        let retry = RetryConfig { max_retries: 3, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::from_env()
            .with_client_options(client)
            .with_retry(retry)
            .with_bucket_name(bucket)
            .with_disable_bulk_delete(true)
            .with_region(&settings.region);
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let exposed = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        if let (Some(id), Some(key)) =
            (exposed(&settings.access_key_id), exposed(&settings.secret_access_key))
        {
            builder = builder.with_access_key_id(id).with_secret_access_key(key);
        }
        if let Some(token) = exposed(&settings.session_token) {
            builder = builder.with_token(token);
        }
        builder
            .build()
            .map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
            .map_err(|error| self.error(&error))
    }

    async fn at(&self, path: &str) -> Result<(&dyn ObjectStore, Key), ObjectsError> {
        let (store, prefix) = self.opened().await?;
        let mut key = prefix.clone();
        for part in path.split('/') {
            key = key.join(part);
        }
        Ok((store.as_ref(), key))
    }

    /// Writes an object. Writing it again is the same.
    pub async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), ObjectsError> {
        let (store, key) = self.at(path).await?;
        store.put(&key, PutPayload::from(bytes)).await.map(drop).map_err(|error| self.error(&error))
    }

    /// Reads an object; none if it is not there, or has more bytes than `most`.
    pub async fn get(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, ObjectsError> {
        let (store, key) = self.at(path).await?;
        let found = match store.get(&key).await {
            Ok(found) if found.meta.size > most => return Ok(None),
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.error(&error)),
        };
        found.bytes().await.map(|bytes| Some(bytes.to_vec())).map_err(|error| self.error(&error))
    }

    /// Gives the objects below a folder to `each`, some at a time.
    pub async fn list<E: From<ObjectsError>>(
        &self,
        folder: &str,
        mut each: impl AsyncFnMut(Vec<Listed>) -> Result<(), E>,
    ) -> Result<(), E> {
        const PAGE: usize = 500;
        let (store, key) = self.at(folder).await?;
        let (_, prefix) = self.opened().await?;
        let below = |location: &Key| {
            let parts = location.prefix_match(prefix)?;
            Some(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
        };
        let mut pages = store.list(Some(&key)).try_chunks(PAGE).boxed();
        loop {
            let page = match pages.next().await {
                None => return Ok(()),
                Some(Err(error)) => return Err(self.error(&error.1).into()),
                Some(Ok(page)) => page,
            };
            let listed = page.into_iter().filter_map(|meta| {
                let path = below(&meta.location)?;
                Some(Listed { path, size: meta.size, written: meta.last_modified.timestamp() })
            });
            each(listed.collect()).await?;
        }
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, path: &str) -> Result<(), ObjectsError> {
        let (store, key) = self.at(path).await?;
        match store.delete(&key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(&error)),
        }
    }
}
