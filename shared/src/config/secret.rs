//! Values that must not be printed by accident: keys, passwords, and URLs that may hold one.

use std::fmt;

use serde::{Serialize, Serializer};

use super::redact::{HIDDEN, redact_url};

macro_rules! guarded {
    ($(#[$doc:meta])* $name:ident, $print:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// Takes the text.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            /// The whole text, for the one place that needs it.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let print: fn(&str) -> String = $print;
                f.pad(&print(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

guarded!(/// A key or a password. Prints and serialises as `***`.
    Secret, |_| HIDDEN.to_owned());
guarded!(/// A URL that may hold a password. Prints and serialises as [`redact_url`] makes it.
    Url, redact_url);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_expose_gives_a_secret() {
        let secret = Secret::new("hunter2");
        let url = Url::new("redis://:hunter2@db");
        for text in [format!("{secret} {secret:?} {secret:#?}"), serde_json::to_string(&secret).unwrap()] {
            assert!(text.contains("***") && !text.contains("hunter2"), "{text}");
        }
        for text in [format!("{url} {url:?}"), serde_json::to_string(&url).unwrap()] {
            assert!(text.contains("redis://:***@db") && !text.contains("hunter2"), "{text}");
        }
        assert_eq!((secret.expose(), url.expose()), ("hunter2", "redis://:hunter2@db"));
    }
}
