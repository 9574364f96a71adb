//! Redis over TLS, with an authority of our own and with client certificates; and over a Unix socket.

use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    tls::Certificates,
};

use crate::look::{assert_completed_once, lines, secs};

/// A server that speaks nothing but TLS to clients that it knows, and the fleet's configuration to be one.
struct Secured {
    dir: tempfile::TempDir,
    port: u16,
}

impl Secured {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Certificates::make(dir.path());
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        Self { dir, port }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("a plain path").to_owned()
    }

    fn fleet(&self, auth_clients: &str, config: &str) -> Fleet {
        let (port, paths) =
            (self.port.to_string(), ["server.pem", "server.key", "ca.pem"].map(|n| self.path(n)));
        let redis = [
            "--tls-port",
            &port,
            "--tls-cert-file",
            &paths[0],
            "--tls-key-file",
            &paths[1],
            "--tls-ca-cert-file",
            &paths[2],
            "--tls-auth-clients",
            auth_clients,
        ];
        let url = format!("rediss://127.0.0.1:{port}");
        Fleet::start(&FleetOptions { redis: &redis, config, url: Some(&url), ..FleetOptions::default() })
    }

    fn config(&self, with_client: bool) -> String {
        let client =
            format!("tls_cert = {:?}\ntls_key = {:?}\n", self.path("client.pem"), self.path("client.key"));
        let client = if with_client { client } else { String::new() };
        format!("[redis]\ntls_ca = {:?}\n{client}", self.path("ca.pem"))
    }
}

fn runs_tasks(fleet: &Fleet) {
    fleet.submit_lines(&lines("t", 20, "noop", &json!(1)), &["--batch", "b"]);
    assert_completed_once(fleet, &fleet.finish_batch("b", secs(20)), 20);
    fleet.verify();
}

#[test]
fn a_fleet_speaks_tls_to_a_server_of_a_private_authority() {
    let secured = Secured::new();
    let fleet = secured.fleet("no", &secured.config(false));
    runs_tasks(&fleet);
    // Whoever does not know the authority does not trust the server.
    let stranger = fleet.windlass_with_config("", &["queues"]).expect_code(3);
    assert!(stranger.stderr.contains("ertificate"), "{stranger}");
}

#[test]
fn with_mutual_tls_only_who_shows_a_certificate_is_served() {
    let secured = Secured::new();
    let fleet = secured.fleet("yes", &secured.config(true));
    runs_tasks(&fleet);
    let nobody = fleet.windlass_with_config(&secured.config(false), &["queues"]).expect_code(3);
    assert!(!nobody.stderr.is_empty(), "{nobody}");
    let half = format!("[redis]\ntls_cert = {:?}\n", secured.path("client.pem"));
    let half = fleet.windlass_with_config(&half, &["queues"]).expect_code(3);
    assert!(half.stderr.contains("redis.tls_key"), "{half}");
}

#[test]
fn a_fleet_meets_over_a_unix_socket() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("redis.sock");
    let socket = socket.to_str().expect("a plain path");
    let url = format!("redis+unix://{socket}");
    let redis = ["--unixsocket", socket];
    runs_tasks(&Fleet::start(&FleetOptions { redis: &redis, url: Some(&url), ..FleetOptions::default() }));
}
