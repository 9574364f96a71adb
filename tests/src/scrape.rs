//! Scraping metrics as Prometheus does, and reading a page.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};

/// What Prometheus 3 sends.
pub const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    free.local_addr().expect("an address").port()
}

/// A page of metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Scraped {
    /// Its content type.
    pub content_type: String,
    /// Its text.
    pub text: String,
}

impl Scraped {
    /// Reads `/metrics` of a port on this machine.
    pub fn of(port: u16, accept: &str) -> Self {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the port is open");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: me\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).expect("a type");
        Self { content_type: content_type.to_owned(), text: body.to_owned() }
    }

    /// The value of each series, by its name and labels as they are written.
    pub fn samples(&self) -> BTreeMap<&str, f64> {
        let sample = |line: &'_ str| -> Option<(usize, f64)> {
            let end = line.rfind('}').map_or_else(|| line.find(' '), |at| Some(at + 1))?;
            Some((end, line[end..].trim().parse().ok()?))
        };
        let lines = self.text.lines().filter(|line| !line.starts_with('#'));
        // Exemplars hold braces, too.
        let lines = lines.map(|line| line.split_once(" # {").map_or(line, |(sample, _)| sample));
        lines.map(|line| sample(line).map(|(end, value)| (&line[..end], value)).expect(line)).collect()
    }

    /// The value of a series; 0 if it is not there.
    pub fn value(&self, series: &str) -> f64 {
        self.samples().get(series).copied().unwrap_or(0.0)
    }

    /// The sum of all series of a name.
    pub fn sum(&self, name: &str) -> f64 {
        let of_name = |series: &str| series.split('{').next() == Some(name);
        self.samples().into_iter().filter(|(series, _)| of_name(series)).map(|(_, value)| value).sum()
    }
}
