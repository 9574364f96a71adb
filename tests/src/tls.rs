//! Certificates for a test: an authority of its own, a server on the loopback, and a client that it vouches for.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Files in PEM.
#[derive(Debug)]
pub struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// Makes them in `dir`.
    pub fn make(dir: &Path) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).expect("an authority has no names");
        // Its name must not be that of those for whom it vouches: they would look as if they vouched for themselves.
        authority.distinguished_name.push(DnType::CommonName, "authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key()).expect("it signs itself");
        fs::write(dir.join("ca.pem"), authority.pem()).expect("a file can be written");
        for (name, host) in [("server", "127.0.0.1"), ("client", "windlass")] {
            let mut params = CertificateParams::new([host.to_owned()]).expect("a valid name");
            params.distinguished_name.push(DnType::CommonName, name);
            let key = key();
            let signed = params.signed_by(&key, &authority).expect("the authority signs");
            fs::write(dir.join(format!("{name}.pem")), signed.pem()).expect("a file can be written");
            fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).expect("a file can be written");
        }
        Self { dir: dir.to_owned() }
    }

    /// The path of `ca.pem`, `server.pem`, `server.key`, `client.pem` or `client.key`.
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().expect("a plain path").to_owned()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}
