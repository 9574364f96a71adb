//! A network between a worker and its Redis that can be frozen: nothing gets through, and no connection breaks.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// A forwarder on a free loopback port. It ends with the test's process.
#[derive(Debug)]
pub struct Proxy {
    /// The URL of the Redis behind it.
    pub url: String,
    frozen: Arc<AtomicBool>,
}

impl Proxy {
    /// Forwards to a port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
        let url = format!("redis://{}", listener.local_addr().expect("a bound socket has an address"));
        let frozen = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&frozen);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone(), to.try_clone());
                    let flag = Arc::clone(&flag);
                    thread::spawn(move || forward(from.ok()?, to.ok()?, &flag));
                }
            }
        });
        Self { url, frozen }
    }

    /// Lets nothing through until [`thaw`](Self::thaw).
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
    }

    /// Lets everything through, what was held back first.
    pub fn thaw(&self) {
        self.frozen.store(false, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, frozen: &AtomicBool) -> Option<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut buffer).ok().filter(|length| *length > 0);
        while frozen.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        let Some(length) = length else {
            _ = to.shutdown(std::net::Shutdown::Write);
            return None;
        };
        to.write_all(&buffer[..length]).ok()?;
    }
}
