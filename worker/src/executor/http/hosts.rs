//! Which hosts may be called, checked before the call and at every redirect.

use std::error::Error;

use reqwest::{Url, redirect::Policy};

/// A chain of redirects longer than this goes nowhere.
const MAX_REDIRECTS: usize = 5;

/// The hosts that may be called; any if none are named.
#[derive(Debug, Clone)]
pub(super) struct Hosts(Option<Vec<String>>);

/// Why an address is not called.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("only http and https addresses can be called")]
    Scheme,
    #[error("host {0:?} is not among the allowed hosts of the configuration")]
    Host(String),
    #[error("more than {MAX_REDIRECTS} redirects")]
    Redirects,
}

impl Hosts {
    pub(super) fn new(allowed: Option<Vec<String>>) -> Self {
        Self(allowed.map(|hosts| hosts.iter().map(|host| host.trim().to_ascii_lowercase()).collect()))
    }

    pub(super) fn check(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme);
        }
        // An address has its host in lower case; a dot at the end names the same host.
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        let allowed =
            self.0.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, host)));
        if allowed { Ok(()) } else { Err(Refused::Host(host.to_owned())) }
    }

    /// Follows redirects to allowed hosts only.
    pub(super) fn redirects(&self) -> Policy {
        let hosts = self.clone();
        Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                return attempt.error(Refused::Redirects);
            }
            match hosts.check(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(refused) => attempt.error(refused),
            }
        })
    }
}

fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => host == pattern,
    }
}

/// Whether a call broke off because of a redirect that was refused.
pub(super) fn refused(error: &reqwest::Error) -> Option<&Refused> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_allowed_by_name_or_by_its_domain() {
        let hosts = Hosts::new(Some(vec!["API.example.com".into(), "*.internal".into(), "[::1]".into()]));
        let allowed = |url: &str| hosts.check(&Url::parse(url).unwrap()).is_ok();
        for url in [
            "http://api.example.com",
            "https://API.example.com.:8443/x",
            "http://a.b.internal",
            "http://[::1]:1",
        ] {
            assert!(allowed(url), "{url}");
        }
        for url in [
            "http://example.com",
            "http://xapi.example.com",
            "http://internal",
            "http://.internal",
            "http://evil-internal",
            "http://api.example.com.evil.org",
            "http://api.example.com@evil.org",
            "ftp://api.example.com",
            "file:///etc/passwd",
        ] {
            assert!(!allowed(url), "{url}");
        }
    }

    #[test]
    fn any_host_is_allowed_if_none_are_named_and_none_if_the_list_is_empty() {
        let url = Url::parse("http://anywhere.test").unwrap();
        assert!(Hosts::new(None).check(&url).is_ok() && Hosts::new(Some(vec![])).check(&url).is_err());
    }
}
