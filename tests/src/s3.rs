//! A stand-in for a service that speaks S3: just what an object store is asked, in memory. It checks that requests are
//! signed by the right key id, and not the signature.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// The bucket that there is.
pub const BUCKET: &str = "tasks";
/// The key id that is taken.
pub const KEY_ID: &str = "AKIATEST";

type Held = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The service. It ends with the test's process.
#[derive(Debug)]
pub struct S3StandIn {
    /// Its address.
    pub url: String,
    objects: Held,
    away: Arc<AtomicBool>,
}

impl S3StandIn {
    /// Starts it with an empty bucket.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let (objects, away) = (Held::default(), Arc::new(AtomicBool::new(false)));
        let (held, is_away) = (Arc::clone(&objects), Arc::clone(&away));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (held, is_away) = (Arc::clone(&held), Arc::clone(&is_away));
                thread::spawn(move || serve(&stream, &held, &is_away));
            }
        });
        Self { url, objects, away }
    }

    /// What it holds, by key.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.objects.lock().expect("no handler panics while it holds the lock").clone()
    }

    /// From now on every request fails, or no longer.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }
}

struct Request {
    method: String,
    target: String,
    headers: String,
    body: Vec<u8>,
}

/// Requests of one connection, until it is closed.
fn serve(stream: &TcpStream, objects: &Held, away: &AtomicBool) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let (status, headers, body) = if away.load(Ordering::SeqCst) {
            ("503 Service Unavailable", String::new(), Vec::new())
        } else {
            answer(&request, objects)
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
        let body = if request.method == "HEAD" { &[][..] } else { &body };
        if { stream }.write_all(&[head.as_bytes(), body].concat()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let (mut headers, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        headers.push_str(&header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, headers, body })
}

const DATE: &str = "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\nETag: \"x\"\r\n";

fn answer(request: &Request, objects: &Held) -> (&'static str, String, Vec<u8>) {
    let signed = format!("AWS4-HMAC-SHA256 Credential={KEY_ID}/");
    if !request.headers.contains(&signed) || !request.headers.contains("Signature=") {
        return ("403 Forbidden", String::new(), b"<Error><Code>AccessDenied</Code></Error>".to_vec());
    }
    let mut objects = objects.lock().expect("no handler panics while it holds the lock");
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let Some(key) = path.strip_prefix(&format!("/{BUCKET}")) else {
        return ("404 Not Found", String::new(), b"<Error><Code>NoSuchBucket</Code></Error>".to_vec());
    };
    let key = decode(key.trim_start_matches('/'));
    match request.method.as_str() {
        "PUT" => {
            objects.insert(key, request.body.clone());
            ("200 OK", DATE.to_owned(), Vec::new())
        }
        "DELETE" => {
            objects.remove(&key);
            ("204 No Content", String::new(), Vec::new())
        }
        _ if query.contains("list-type=2") => ("200 OK", String::new(), list(&objects, query).into_bytes()),
        _ => match objects.get(&key) {
            Some(body) => ("200 OK", DATE.to_owned(), body.clone()),
            None => ("404 Not Found", String::new(), b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
        },
    }
}

fn list(objects: &BTreeMap<String, Vec<u8>>, query: &str) -> String {
    let prefix =
        query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).map(decode).unwrap_or_default();
    let entry = |(key, body): (&String, &Vec<u8>)| {
        let when = "2025-01-01T00:00:00.000Z";
        let size = body.len();
        format!(
            "<Contents><Key>{key}</Key><LastModified>{when}</LastModified><ETag>x</ETag><Size>{size}</Size></Contents>"
        )
    };
    let entries: String = objects.iter().filter(|(key, _)| key.starts_with(&prefix)).map(entry).collect();
    format!("<ListBucketResult>{entries}<IsTruncated>false</IsTruncated></ListBucketResult>")
}

/// Undoes what URLs do to some characters.
fn decode(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
