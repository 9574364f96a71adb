//! Values that were read, and how they become fields.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    logging::Format,
    model::{Durability, Namespace, Priority, QueueName, retry::Wanted},
    sealing::KeyRing,
};

use super::{
    sandbox::SandboxMode,
    secret::{Secret, Url},
    types::Stdout,
};

/// What a setting holds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing: the setting has no default and none was given.
    Unset,
    Text(String),
    Flag(bool),
    Number(u64),
    Duration(Duration),
    Path(PathBuf),
    Url(Url),
    Secret(Secret),
    KeyRing(KeyRing),
    /// A file that holds the secret. Not read before it is known that no later layer has another.
    SecretFile(PathBuf),
    Queues(Vec<(QueueName, u32)>),
    Labels(BTreeMap<String, String>),
    List(Vec<String>),
    Codes(Vec<i32>),
    Classes(BTreeMap<String, Wanted>),
    Json(serde_json::Value),
}

/// What a field can be made of. `None` if the table of settings gives this key another kind.
pub(super) trait FromValue: Sized {
    fn from_value(value: &Value) -> Option<Self>;
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Unset => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

macro_rules! from_value {
    ($($type:ty: $($pattern:pat => $made:expr),+;)*) => {$(
        impl FromValue for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value { $($pattern => Some($made),)+ _ => None }
            }
        }
    )*};
}

from_value! {
    String: Value::Text(text) => text.clone();
    Namespace: Value::Text(text) => text.parse().ok()?;
    QueueName: Value::Text(text) => text.parse().ok()?;
    Priority: Value::Text(text) => text.parse().ok()?;
    SocketAddr: Value::Text(text) => text.parse().ok()?;
    Durability: Value::Text(text) => text.parse().ok()?;
    Format: Value::Text(text) => text.parse().ok()?;
    SandboxMode: Value::Text(text) => text.parse().ok()?;
    Stdout: Value::Text(text) => text.parse().ok()?;
    bool: Value::Flag(flag) => *flag;
    usize: Value::Number(number) => usize::try_from(*number).ok()?;
    u64: Value::Number(number) => *number;
    u32: Value::Number(number) => u32::try_from(*number).ok()?;
    Duration: Value::Duration(duration) => *duration;
    PathBuf: Value::Path(path) => path.clone();
    Url: Value::Url(url) => url.clone();
    Secret: Value::Secret(secret) => secret.clone();
    KeyRing: Value::KeyRing(ring) => ring.clone();
    Vec<(QueueName, u32)>: Value::Queues(queues) => queues.clone();
    BTreeMap<String, String>: Value::Labels(labels) => labels.clone(), Value::Unset => Self::new();
    BTreeMap<String, Wanted>: Value::Classes(classes) => classes.clone(), Value::Unset => Self::new();
    Vec<String>: Value::List(list) => list.clone(), Value::Unset => Self::new();
    Vec<i32>: Value::Codes(codes) => codes.clone(), Value::Unset => Self::new();
    serde_json::Value: Value::Json(json) => json.clone();
}
