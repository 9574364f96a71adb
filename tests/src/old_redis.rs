//! A stand-in for a Redis that is too old: it answers as version 6.2 would, as far as a client looks before it leaves.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

const INFO: &str = "# Server\r\nredis_version:6.2.14\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n";

/// Starts it on a free loopback port and gives its URL. It ends with the test's process.
pub fn start() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(&stream));
        }
    });
    format!("redis://{address}")
}

/// Answers until the client leaves.
fn serve(stream: &TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let mut out = stream;
    loop {
        // *COUNT, then for each word $LENGTH and the word.
        let count: usize = lines.next()?.ok()?.strip_prefix('*')?.parse().ok()?;
        let mut words = Vec::new();
        for _ in 0..count {
            lines.next()?.ok()?;
            words.push(lines.next()?.ok()?);
        }
        let answer = match words.first()?.to_ascii_uppercase().as_str() {
            "INFO" => format!("${}\r\n{INFO}\r\n", INFO.len()),
            "PING" => "+PONG\r\n".to_owned(),
            "CLIENT" | "SELECT" | "AUTH" => "+OK\r\n".to_owned(),
            "TIME" => "*2\r\n$10\r\n1800000000\r\n$1\r\n0\r\n".to_owned(),
            "EVALSHA" | "EVAL" => "-ERR this is no Redis that runs scripts\r\n".to_owned(),
            // It holds nothing.
            _ => "*0\r\n".to_owned(),
        };
        out.write_all(answer.as_bytes()).ok()?;
    }
}
