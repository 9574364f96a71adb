//! Workers: slots, leases, the admin port, Kubernetes, `http` tasks.

use std::{net::SocketAddr, time::Duration};

use super::{HOSTS, HOUR, LARGEST, SECOND, WORKER};
use crate::config::{
    kind::{FOREVER, Kind, check},
    setting::Setting,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "worker.queues",
        env: &["WINDLASS_QUEUES"],
        kind: Kind::Queues,
        default: "default",
        help: "The queues that are served, in weighted rotation.",
        ..WORKER
    },
    Setting {
        key: "worker.concurrency",
        env: &["WINDLASS_CONCURRENCY"],
        kind: Kind::Count(1, 10_000),
        default: "8",
        help: "How many tasks run at once.",
        ..WORKER
    },
    Setting {
        key: "worker.lease",
        env: &["WINDLASS_LEASE"],
        kind: Kind::Duration(SECOND, HOUR),
        default: "10s",
        help: "A node that does not renew its lease for this long is lost, and its tasks run elsewhere.",
        ..WORKER
    },
    Setting {
        key: "worker.drain_timeout",
        env: &["WINDLASS_DRAIN_TIMEOUT"],
        kind: Kind::Duration(Duration::ZERO, FOREVER),
        default: "30s",
        help: "How long a node that was asked to end lets its tasks finish before it gives them back.",
        ..WORKER
    },
    Setting {
        key: "worker.labels",
        env: &["WINDLASS_LABELS"],
        kind: Kind::Labels,
        help: "Shown with the node.",
        ..WORKER
    },
    Setting {
        key: "worker.admin",
        env: &["WINDLASS_ADMIN"],
        kind: Kind::Name("an address such as 127.0.0.1:9464", check::<SocketAddr>),
        help: "Where /livez, /readyz and /metrics are answered. Unless given, nowhere.",
        ..WORKER
    },
    Setting {
        key: "worker.workspace",
        env: &["WINDLASS_WORKSPACE", "OPENHANDS_WORKSPACE_ROOT"],
        kind: Kind::Path,
        help: "Where each attempt gets a folder of its own. Unless given, the system's temporary folder.",
        ..WORKER
    },
    Setting {
        key: "worker.max_result",
        env: &["WINDLASS_MAX_RESULT"],
        kind: Kind::Bytes(1, LARGEST),
        default: "1MiB",
        help: "Largest result that is kept.",
        ..WORKER
    },
    Setting {
        key: "worker.max_crashes",
        env: &["WINDLASS_MAX_CRASHES"],
        kind: Kind::Count(1, 100),
        default: "3",
        help: "A task whose node was lost this often fails, since it may be the cause.",
        ..WORKER
    },
    Setting {
        key: "worker.max_interruptions",
        env: &["WINDLASS_MAX_INTERRUPTIONS"],
        kind: Kind::Count(1, 1_000_000),
        default: "100",
        help: "A task that draining nodes gave back more often than this fails: it may need longer than nodes live.",
        ..WORKER
    },
    Setting {
        key: "worker.timeout",
        env: &["WINDLASS_TASK_TIMEOUT", "OPENHANDS_TIMEOUT"],
        kind: Kind::Duration(Duration::from_millis(1), FOREVER),
        default: "1h",
        help: "How long an attempt may take, where neither the task nor its type says so.",
        ..WORKER
    },
    Setting {
        key: "kubernetes.pod_deletion_cost",
        env: &["WINDLASS_POD_DELETION_COST"],
        kind: Kind::Flag,
        default: "false",
        help: "Tell Kubernetes how many tasks this pod runs, so that idle pods go first when a pool shrinks. Needs the variables POD_NAME and POD_NAMESPACE, and the right to patch pods: see docs/kubernetes.md.",
        ..WORKER
    },
    Setting {
        key: "kubernetes.api",
        env: &["WINDLASS_KUBERNETES_API"],
        kind: Kind::HttpUrl,
        help: "The API server of Kubernetes, if it is not the one that the pod is told of.",
        ..WORKER
    },
    Setting {
        key: "metrics.push_gateway",
        env: &["WINDLASS_PUSH_GATEWAY"],
        kind: Kind::HttpUrl,
        help: "A push gateway of Prometheus that is told the metrics every 15 s and at the end, for workers that do not live long enough to be scraped.",
        ..WORKER
    },
    Setting {
        key: "http.allow_hosts",
        env: &["WINDLASS_HTTP_ALLOW_HOSTS"],
        kind: HOSTS,
        help: "The hosts that http tasks may call. Unless given, any.",
        ..WORKER
    },
];
