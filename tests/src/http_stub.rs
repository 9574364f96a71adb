//! A tiny service for `http` and `llm` tasks to call.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Request {
    /// When.
    pub at: Instant,
    /// Method and path.
    pub line: String,
    /// Headers as they came, one a line.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// An answer: the status line's rest (`200 OK`), further headers, each with its line end, and the body.
pub type Answer = (&'static str, &'static str, String);

/// A service on a free loopback port. It ends with the test's process.
#[derive(Debug)]
pub struct HttpStub {
    /// Its base URL.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl HttpStub {
    /// Starts it; `answer` is given the number of the request, from 1, and the request.
    pub fn start(answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(&stream, &log, answer.as_ref()));
            }
        });
        Self { url, requests }
    }

    /// What came in so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no handler panics while it holds the lock").clone()
    }
}

fn serve(
    stream: &TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &dyn Fn(usize, &Request) -> Answer,
) -> Option<()> {
    let request = read(stream)?;
    let number = {
        let mut log = log.lock().ok()?;
        log.push(request.clone());
        log.len()
    };
    let (status, headers, body) = answer(number, &request);
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n");
    let mut out = stream;
    out.write_all(format!("{head}{body}").as_bytes()).ok()
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (mut headers, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
        headers.push_str(&header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = line.trim_end_matches("HTTP/1.1\r\n").trim().to_owned();
    Some(Request { at: Instant::now(), line, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
