//! What every command may read and run: the system's programs and libraries, and those that `PATH` leads to.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Programs, libraries and what they need to know of the machine.
const SYSTEM: [&str; 14] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/proc",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
];

/// What programs read in `/etc`: no keys, no passwords, no settings of services.
const ETC: [&str; 44] = [
    "alternatives",
    "bash.bashrc",
    "bindresvport.blacklist",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "inputrc",
    "java",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "login.defs",
    "magic",
    "mailcap",
    "mime.types",
    "mtab",
    "networks",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "perl",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "profile",
    "protocols",
    "python3",
    "resolv.conf",
    "rpc",
    "services",
    "shells",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
];

/// Beside a folder of `PATH`: what its programs need. Not the rest of such a prefix, which may be someone's home.
const PREFIX: [&str; 8] =
    ["bin", "include", "lib", "lib64", "libexec", "ssl", "pyvenv.cfg", "share/zoneinfo"];

/// Devices that anybody may use.
pub(super) const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What is there of all this.
pub(super) fn readable() -> Vec<PathBuf> {
    let system = SYSTEM.iter().map(PathBuf::from);
    let etc = ETC.iter().map(|name| Path::new("/etc").join(name));
    let search = env::var_os("PATH").unwrap_or_default();
    let home = env::var_os("HOME").map(PathBuf::from);
    let of_path = env::split_paths(&search).filter(|folder| folder.is_absolute()).collect::<Vec<_>>();
    let of_path = of_path.iter().flat_map(|folder| of_search_folder(folder, home.as_deref()));
    let mut all: Vec<PathBuf> = Vec::new();
    for path in system.chain(etc).chain(of_path).filter(|path| path.exists()) {
        if !all.iter().any(|known| path.starts_with(known)) {
            all.push(path);
        }
    }
    all
}

/// For a program that the operator names by its whole path: its folder and its libraries, and those of what it links to.
pub(crate) fn of_program(program: &str) -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let named = Path::new(program);
    let places = [Some(named.to_owned()), named.canonicalize().ok()].into_iter().flatten();
    let folders = places.filter_map(|place| place.parent().filter(|f| f.is_absolute()).map(Path::to_owned));
    folders.flat_map(|folder| of_search_folder(&folder, home.as_deref())).collect()
}

fn of_search_folder(folder: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let holds_home = |path: &Path| home.is_some_and(|home| home.starts_with(path));
    if holds_home(folder) {
        return Vec::new();
    }
    let mut paths = vec![folder.to_owned()];
    if let Some(prefix) = folder.parent().filter(|prefix| !holds_home(prefix) && prefix.parent().is_some()) {
        paths.extend(PREFIX.iter().map(|name| prefix.join(name)));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_path_brings_its_libraries_and_never_a_home() {
        let home = Some(Path::new("/home/a"));
        let paths = of_search_folder(Path::new("/home/a/venv/bin"), home);
        assert!(paths.contains(&"/home/a/venv/lib".into()) && !paths.contains(&"/home/a/venv".into()));
        assert_eq!(of_search_folder(Path::new("/home/a/bin"), home), [PathBuf::from("/home/a/bin")]);
        assert!(of_search_folder(Path::new("/home/a"), home).is_empty());
        assert!(of_search_folder(Path::new("/"), home).is_empty());
    }

    #[test]
    fn what_every_command_may_read_leaves_out_keys_and_homes() {
        let all = readable();
        for secret in ["/etc/shadow", "/etc/ssl/private", "/root", "/home", "/var", "/tmp", "/run", "/etc"] {
            assert!(!all.iter().any(|path| Path::new(secret).starts_with(path)), "{secret}");
        }
        assert!(all.contains(&"/usr".into()));
    }
}
