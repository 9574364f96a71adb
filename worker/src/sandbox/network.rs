//! No network: a filter of system calls refuses sockets of every family, also of Unix, since a socket in a folder may
//! lead to a service with more rights. Pairs of sockets, which lead nowhere else, are made by another call.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The bit of calls in the x32 form, which some kernels of this architecture take too.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Refuses `socket`, and `io_uring_setup`, by which sockets can be had without it.
pub(super) fn shut_off() -> Result<(), String> {
    let calls = [libc::SYS_socket, libc::SYS_io_uring_setup];
    #[cfg(target_arch = "x86_64")]
    let calls = calls.into_iter().flat_map(|call| [call, call | X32]);
    let rules: BTreeMap<_, _> = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(rustix::io::Errno::PERM.raw_os_error().unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().map_err(|error| format!("{error}"))?;
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(|error| error.to_string())?;
    let program: BpfProgram = filter.try_into().map_err(|error| format!("{error}"))?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}
