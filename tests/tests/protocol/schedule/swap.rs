//! A network between a store and its server that swaps scripts: a call for one is a call for another. The store sends
//! scripts by their hash, and all hashes are of one length, so nothing else changes and production code needs no hook.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// A hash and the one that goes in its place.
pub(super) type Swaps = Vec<(String, String)>;

/// Starts the network, and gives the URL of the server behind it. It ends with the test's process.
pub(super) fn start(port: u16, swaps: Swaps) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
    let url = format!("redis://{}", listener.local_addr().expect("a bound socket has an address"));
    let swaps = Arc::new(swaps);
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
            for (from, to, swaps) in [(&near, &far, Arc::clone(&swaps)), (&far, &near, Arc::default())] {
                _ = from.set_nodelay(true);
                let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                thread::spawn(move || forward(from, to, &swaps));
            }
        }
    });
    url
}

fn forward(mut from: TcpStream, mut to: TcpStream, swaps: &Swaps) -> Option<()> {
    let (mut buffer, mut held) = (vec![0; 1 << 16], Vec::new());
    loop {
        let length = from.read(&mut buffer).ok()?;
        if length == 0 {
            _ = to.shutdown(std::net::Shutdown::Write);
            return None;
        }
        held.extend_from_slice(&buffer[..length]);
        swap(&mut held, swaps);
        // What may be the beginning of a hash waits for the rest: a command ends with a line break.
        let rest = held.split_off(held.len() - cut_hash(&held, swaps));
        to.write_all(&held).ok()?;
        held = rest;
    }
}

fn swap(bytes: &mut [u8], swaps: &Swaps) {
    for (old, new) in swaps {
        let mut from = 0;
        while let Some(at) = bytes[from..].windows(old.len()).position(|window| window == old.as_bytes()) {
            bytes[from + at..from + at + old.len()].copy_from_slice(new.as_bytes());
            from += at + old.len();
        }
    }
}

/// How many bytes at the end are the beginning of a hash.
fn cut_hash(bytes: &[u8], swaps: &Swaps) -> usize {
    let cut = |old: &String| (1..old.len()).rev().find(|length| bytes.ends_with(&old.as_bytes()[..*length]));
    swaps.iter().filter_map(|(old, _)| cut(old)).max().unwrap_or(0)
}
