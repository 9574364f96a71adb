//! What commands may do.

use super::{CPU_TIME, FILE_SIZE, MEMORY, MODE, OPEN_FILES, PATHS, PROCESSES, WORKER};
use crate::config::{kind::Kind, setting::Setting};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "sandbox.mode",
        env: &["WINDLASS_SANDBOX_MODE"],
        kind: MODE,
        default: "best",
        help: "How commands and produced code are shut in: not at all, as well as the host can, or as configured, without which the types that run them are not offered. See docs/sandbox.md.",
        ..WORKER
    },
    Setting {
        key: "sandbox.read",
        env: &["WINDLASS_SANDBOX_READ"],
        kind: PATHS,
        help: "What they may read and run, besides the system's own folders and those of PATH.",
        ..WORKER
    },
    Setting {
        key: "sandbox.write",
        env: &["WINDLASS_SANDBOX_WRITE"],
        kind: PATHS,
        help: "What they may change, besides their workspace.",
        ..WORKER
    },
    Setting {
        key: "sandbox.network",
        env: &["WINDLASS_SANDBOX_NETWORK"],
        kind: Kind::Flag,
        help: "Whether they have a network. Unless given, commands have one and code that a model wrote has none.",
        ..WORKER
    },
    Setting {
        key: "sandbox.bubblewrap",
        env: &["WINDLASS_SANDBOX_BUBBLEWRAP"],
        kind: Kind::Choice(&["auto", "off"]),
        default: "auto",
        help: "Whether bubblewrap (bwrap), where it is installed and works, gives them namespaces of their own.",
        ..WORKER
    },
    Setting {
        key: "sandbox.cpu_time",
        env: &["WINDLASS_SANDBOX_CPU_TIME"],
        kind: CPU_TIME,
        default: "1h",
        help: "CPU time that each of their processes may use.",
        ..WORKER
    },
    Setting {
        key: "sandbox.memory",
        env: &["WINDLASS_SANDBOX_MEMORY"],
        kind: MEMORY,
        default: "4GiB",
        help: "Memory that each of their processes may allocate.",
        ..WORKER
    },
    Setting {
        key: "sandbox.processes",
        env: &["WINDLASS_SANDBOX_PROCESSES"],
        kind: PROCESSES,
        default: "512",
        help: "Processes that a command may have at once. One that has more is ended.",
        ..WORKER
    },
    Setting {
        key: "sandbox.file_size",
        env: &["WINDLASS_SANDBOX_FILE_SIZE"],
        kind: FILE_SIZE,
        default: "1GiB",
        help: "Largest file that they may write.",
        ..WORKER
    },
    Setting {
        key: "sandbox.open_files",
        env: &["WINDLASS_SANDBOX_OPEN_FILES"],
        kind: OPEN_FILES,
        default: "1024",
        help: "Files that each of their processes may have open.",
        ..WORKER
    },
];
