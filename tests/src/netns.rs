//! Machines that a network connects: each is a network namespace of its own with a cable (a `veth` pair) to this one, which
//! can be pulled. Then packets vanish, and nobody is told.

use std::{
    fs,
    net::Ipv4Addr,
    process::{Command, Stdio},
};

/// Begins the name of every namespace that this module makes; the process id and a number follow.
const PREFIX: &str = "windlass-test";
/// Two networks that are kept for measurements between machines (RFC 2544), so nobody else's: 198.18.0.0/15.
const FIRST_OF_OURS: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// Networks of four addresses in it.
const NETWORKS: u32 = 1 << 15;

/// A machine. It is taken apart when it goes out of scope.
#[derive(Debug)]
pub struct Machine {
    name: String,
    /// The end of the cable that is here.
    cable: String,
    /// Our address on the cable.
    ours: Ipv4Addr,
    /// The cable's network, which must not leave this machine by another way when the cable is pulled.
    network: String,
}

impl Machine {
    /// So many machines, or none where we may not make them; then it says so.
    #[allow(clippy::print_stderr, reason = "whoever runs the test should know that it tested nothing")]
    pub fn several(count: u32) -> Option<Vec<Self>> {
        take_apart_what_is_left();
        let machines: Result<Vec<Self>, String> = (0..count).map(Self::new).collect();
        machines
            .inspect_err(|why| eprintln!("NOT TESTED: no network of our own can be made here: {why}"))
            .ok()
    }

    fn new(number: u32) -> Result<Self, String> {
        let id = std::process::id();
        let first = FIRST_OF_OURS + 4 * ((id * 4 + number) % NETWORKS);
        let [ours, theirs] = [1, 2].map(|n| Ipv4Addr::from(first + n));
        let machine = Self {
            name: format!("{PREFIX}-{id}-{number}"),
            cable: format!("wl{id}n{number}"),
            ours,
            network: format!("{}/30", Ipv4Addr::from(first)),
        };
        let Self { name, cable, network, .. } = &machine;
        ip(&["netns", "add", name])?;
        ip(&["link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["address", "add", &format!("{ours}/30"), "dev", cable])?;
        ip(&["-n", name, "address", "add", &format!("{theirs}/30"), "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        ip(&["link", "set", cable, "up"])?;
        ip(&["route", "add", "blackhole", network, "metric", "9999"])?;
        Ok(machine)
    }

    /// What a program is started through, to run there.
    pub fn through(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// Where it finds this machine.
    pub fn sees_us_at(&self) -> Ipv4Addr {
        self.ours
    }

    /// Pulls its cable.
    pub fn unplug(&self) {
        ip(&["link", "set", &self.cable, "down"]).expect("the cable is ours");
    }

    /// Puts its cable back.
    pub fn plug_in(&self) {
        ip(&["link", "set", &self.cable, "up"]).expect("the cable is ours");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Some of it may never have come about. The namespace lives until the last process in it ends.
        _ = ip(&["route", "del", "blackhole", &self.network]);
        _ = ip(&["link", "del", &self.cable]);
        _ = ip(&["netns", "del", &self.name]);
    }
}

/// A test that was killed could not clean up.
fn take_apart_what_is_left() {
    let names = fs::read_dir("/var/run/netns").into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        let Some((id, number)) =
            name.strip_prefix(&format!("{PREFIX}-")).and_then(|rest| rest.split_once('-'))
        else {
            continue;
        };
        if !fs::exists(format!("/proc/{id}")).unwrap_or(true) {
            _ = ip(&["link", "del", &format!("wl{id}n{number}")]);
            _ = ip(&["netns", "del", &name]);
        }
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("`ip {}`: {said}", args.join(" "))) }
}
