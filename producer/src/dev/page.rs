//! The API and the web page of `dev`: the real `windlass serve`, as a child.

use std::{net::TcpListener, path::Path};

use super::child::Child;
use crate::{
    cli::Global,
    exit::{Done, Failure},
};

/// A server, and where it is.
pub(super) struct Page {
    pub(super) child: Child,
    pub(super) url: String,
}

/// Starts it at `wanted`, or at a free port of the loopback if that one is taken.
pub(super) fn start(wanted: &str, global: &Global, env: &[(String, String)], logs: &Path) -> Done<Page> {
    let address = match TcpListener::bind(wanted).or_else(|_| TcpListener::bind("127.0.0.1:0")) {
        Ok(listener) => listener.local_addr()?,
        Err(error) => return Err(Failure::Usage(format!("--page {wanted}: {error}"))),
    };
    let exe = std::env::current_exe()?.display().to_string();
    let pid = std::process::id().to_string();
    let mut argv =
        vec![exe.clone(), "die-with-parent".into(), pid, exe, "serve".into(), "--anonymous".into()];
    argv.extend(["--listen".into(), address.to_string()]);
    let flags = [
        ("--config", global.config.as_ref().map(|path| path.display().to_string())),
        ("--namespace", global.namespace.clone()),
    ];
    argv.extend(flags.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten());
    let child = Child::spawn(&argv, env, &logs.join("serve.log"))?;
    Ok(Page { child, url: format!("http://{address}") })
}
