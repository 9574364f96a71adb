//! URLs: printed without their password, and checked.
//!
//! Works on text instead of a parsed URL, because a URL that does not parse is the one that gets into a message.

/// What stands in the place of a secret.
pub(super) const HIDDEN: &str = "***";

/// Parts of the names of query parameters whose values are hidden (`redis+unix:///run/redis.sock?pass=…`).
const SECRET_PARAMETERS: [&str; 8] = ["pass", "pwd", "secret", "token", "key", "auth", "sig", "cred"];

/// `url` with `***` for its password.
///
/// Where it is not clear what the password is, more is hidden rather than less: a name without a password may be
/// a token and is hidden too, and a text that does not begin with `scheme://` is hidden altogether.
pub fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = split_scheme(url) else { return HIDDEN.to_owned() };
    let hidden = hide_parameters(rest);
    // Where a hidden parameter swallowed the `@`, it may have been the end of a password.
    let lost_at = rest.contains('@') && !hidden.contains('@');
    format!("{scheme}://{}", hide_password(&hidden, lost_at))
}

fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain))
        .then_some((scheme, rest))
}

/// The last `@` ends the password, even in a place where no valid URL has it: a password may hold any character.
fn hide_password(rest: &str, lost_at: bool) -> String {
    match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, password)) if !password.is_empty() => format!("{name}:{HIDDEN}@{host}"),
            _ => format!("{HIDDEN}@{host}"),
        },
        None if !lost_at && authority(rest).split(',').all(is_host) => rest.to_owned(),
        None => match split_port(authority(rest)) {
            (_, None) => rest.to_owned(),
            // `redis://:password` or `redis://name:password`, where the host was forgotten.
            (host, Some(_)) => format!("{host}:{HIDDEN}"),
        },
    }
}

fn hide_parameters(rest: &str) -> String {
    let Some((path, query)) = rest.split_once('?') else { return rest.to_owned() };
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(hide).collect::<Vec<_>>().join("&"))
}

fn is_secret(parameter: &str) -> bool {
    let name = parameter.to_ascii_lowercase();
    SECRET_PARAMETERS.iter().any(|part| name.contains(part))
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Host and port; the colons within `[::1]` are part of the host.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_ipv6 = authority.find(']').map_or(0, |end| end + 1);
    match authority[after_ipv6..].find(':') {
        Some(colon) => {
            let colon = after_ipv6 + colon;
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        None => (authority, None),
    }
}

/// A host with its port, or without one.
fn is_host(text: &str) -> bool {
    let (host, port) = split_port(text);
    !host.is_empty() && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Schemes of Redis; those with `unix` name a socket and no host.
const REDIS_SCHEMES: [&str; 9] = [
    "redis",
    "rediss",
    "valkey",
    "valkeys",
    "unix",
    "redis+unix",
    "valkey+unix",
    "redis+sentinel",
    "rediss+sentinel",
];

/// Checks a URL of Redis.
pub(super) fn check_redis_url(url: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("{} is not the URL of a Redis: {why}", redact_url(url)));
    match split_scheme(url) {
        Some((scheme, _)) if !REDIS_SCHEMES.contains(&scheme) => {
            bad(&format!("the scheme must be one of {}", REDIS_SCHEMES.join(", ")))
        }
        Some((scheme, rest)) if scheme.ends_with("unix") => {
            if rest.starts_with('/') {
                Ok(())
            } else {
                bad("use unix:///run/redis.sock")
            }
        }
        Some((scheme, rest)) if scheme.ends_with("+sentinel") && !names_a_primary(rest) => bad(
            "use redis+sentinel://HOST:PORT,HOST:PORT/NAME, with the name under which the Sentinels watch it",
        ),
        Some((_, rest)) => check_host(url, rest).or_else(|why| bad(&why)),
        None => bad("use redis://HOST:PORT, or rediss://HOST:PORT with TLS"),
    }
}

fn names_a_primary(rest: &str) -> bool {
    rest.split_once('/').is_some_and(|(_, path)| path.starts_with(|c: char| !"/?#".contains(c)))
}

/// Checks the URL of a service. A password in it is refused, since it would be printed with the URL.
pub(super) fn check_http_url(url: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("{} is not the URL of a service: {why}", redact_url(url)));
    match split_scheme(url) {
        Some(("http" | "https", rest)) if authority(rest).contains('@') => {
            bad("it holds a name or a password; give a key as api_key or api_key_file")
        }
        Some(("http" | "https", rest)) if rest.contains(['?', '#']) => {
            bad("paths are put after it, so it must not hold '?' or '#'")
        }
        Some(("http" | "https", rest)) => check_host(url, rest).or_else(|why| bad(&why)),
        _ => bad("use https://HOST/PATH or http://HOST:PORT/PATH"),
    }
}

fn check_host(url: &str, rest: &str) -> Result<(), String> {
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it holds a space or a control character".into());
    }
    let hosts = authority(rest).rsplit('@').next().unwrap_or_default();
    let each = || hosts.split(',').map(split_port);
    if each().any(|(host, _)| host.is_empty()) {
        return Err("a host is missing".into());
    }
    match each().find_map(|(_, port)| port.filter(|port| !is_port(port))) {
        Some(_) => Err("the port must be a number from 0 to 65535 \
            (in a password write '/' as %2F, '?' as %3F, '#' as %23 and '@' as %40)"
            .into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_and_the_rest_is_kept() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("rediss://[::1]:6380/2?protocol=resp3", "rediss://[::1]:6380/2?protocol=resp3"),
            ("https://host/v1/x:y", "https://host/v1/x:y"),
            ("redis://:hunter2@db:6379/1", "redis://:***@db:6379/1"),
            ("redis+sentinel://a:1,b:2,c/main/0", "redis+sentinel://a:1,b:2,c/main/0"),
            ("redis+sentinel://app:hunter2@a:1,b:2/main", "redis+sentinel://app:***@a:1,b:2/main"),
            ("rediss://app:hunter2@db", "rediss://app:***@db"),
            (
                "unix:///run/redis.sock?db=1&pass=hunter2&user=app",
                "unix:///run/redis.sock?db=1&pass=***&user=app",
            ),
            ("https://api/v1?api_key=hunter2", "https://api/v1?api_key=***"),
        ] {
            assert_eq!(redact_url(url), shown);
        }
    }

    #[test]
    fn whatever_is_not_clear_is_hidden() {
        for (url, shown) in [
            ("hunter2", "***"),
            ("", "***"),
            ("app:hunter2@db:6379", "***"),
            ("redis:/app:hunter2@db", "***"),
            ("http s://app:hunter2@db", "***"),
            ("redis://hunter2@db", "redis://***@db"),
            ("https://hunter2:@db", "https://***@db"),
            ("redis://:hunter2", "redis://:***"),
            ("redis://app:hunter2/0", "redis://app:***"),
            ("redis://app:hun,ter2/0", "redis://app:***"),
            ("redis://:70000", "redis://:***"),
            ("redis://:hun/ter2@db", "redis://:***@db"),
            ("redis://:hun@ter2@db", "redis://:***@db"),
            ("redis://:hun?ter#2@db", "redis://:***@db"),
            ("redis://:hun?pass=ter2@db", "redis://:***"),
            ("redis://app:123?key=hunter2@db", "redis://app:***"),
            ("unix:///s?pass=hun@ter2", "unix:///s?pass=***"),
            ("redis://:hün\nter2@dß", "redis://:***@dß"),
        ] {
            assert_eq!(redact_url(url), shown);
        }
    }

    #[test]
    fn urls_are_checked() {
        for good in [
            "redis://localhost",
            "rediss://a:b%2Fc@[::1]:6380/0",
            "valkey://h/1",
            "redis+unix:///s?db=1",
            "redis://a:1,b:2",
            "rediss+sentinel://u:p@a,b:2/main/1",
        ] {
            assert_eq!(check_redis_url(good), Ok(()), "{good}");
        }
        for bad in [
            "localhost:6379",
            "http://h",
            "redis://",
            "redis://:secret@",
            "redis://h:x",
            "redis://h h",
            "unix://s",
            "redis://a,:2",
            "redis://a:1,b:x",
            "redis+sentinel://a,b",
            "redis+sentinel://a,b/",
        ] {
            let why = check_redis_url(bad).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
        assert_eq!(check_http_url("https://openrouter.ai/api/v1"), Ok(()));
        for bad in
            ["openrouter.ai", "redis://h", "https://", "http://a:secret@h/v1", "http://h/v1?key=secret"]
        {
            assert!(!check_http_url(bad).unwrap_err().contains("secret"), "{bad}");
        }
    }
}
