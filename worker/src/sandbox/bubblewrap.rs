//! The command line of bubblewrap that shows a command what its policy lists, in namespaces of its own.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{helper::APPLY, policy::Policy};

/// Where the helper stands within.
const HELPER: &str = "/run/windlass/helper";

/// Runs the second stage of the helper within bubblewrap.
pub(super) fn command(bubblewrap: &Path, policy: &Policy, directory: &Path) -> std::io::Result<Command> {
    let mut command = Command::new(bubblewrap);
    command.args(["--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]);
    if !policy.network {
        command.arg("--unshare-net");
    }
    command.args(["--dev", "/dev", "--tmpfs", "/tmp"]);
    let mut shown: Vec<(&PathBuf, bool)> = policy.read.iter().map(|path| (path, false)).collect();
    shown.extend(policy.write.iter().map(|path| (path, true)));
    // What lies in another comes after it.
    shown.sort_by_key(|(path, _)| path.components().count());
    for (path, changes) in
        shown.into_iter().filter(|(path, _)| !path.starts_with("/proc") && !path.starts_with("/dev"))
    {
        command.args(show(path, changes));
    }
    for hidden in policy.hide.iter().filter(|hidden| is_shown(hidden, policy)) {
        command.arg("--ro-bind").arg("/dev/null").arg(hidden);
    }
    command.arg("--ro-bind").arg(env::current_exe()?).arg(HELPER);
    command.args(["--proc", "/proc", "--chdir"]).arg(directory);
    command.args(["--", HELPER, APPLY]);
    command.env_clear();
    Ok(command)
}

fn show(path: &Path, changes: bool) -> Vec<OsString> {
    match fs::read_link(path) {
        // `/bin` is usually a link into `/usr`, and `/etc/localtime` too.
        Ok(target) if !changes && fs::metadata(path).is_ok_and(|meta| meta.is_dir()) => {
            vec!["--symlink".into(), target.into(), path.into()]
        }
        _ => vec![if changes { "--bind-try" } else { "--ro-bind-try" }.into(), path.into(), path.into()],
    }
}

fn is_shown(path: &Path, policy: &Policy) -> bool {
    path.exists() && policy.read.iter().chain(&policy.write).any(|shown| path.starts_with(shown))
}

/// The program, where `PATH` leads to one.
pub(super) fn find() -> Option<PathBuf> {
    let search = env::var_os("PATH")?;
    env::split_paths(&search).map(|folder| folder.join("bwrap")).find(|path| path.is_file())
}
