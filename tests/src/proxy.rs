//! A network between a program and its Redis that can be hurt: frozen, cut, slow, deaf, or broken in the middle of a reply.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// What the network does to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Fair,
    /// Nothing passes, and no connection breaks; what was held back passes afterwards.
    Frozen,
    /// Each piece is late by so much.
    Late(Duration),
    /// So many bytes a second.
    Thin(usize),
    /// What is sent is swallowed, both ways, and no connection breaks: the peer is gone and nobody says so.
    Swallowed,
    /// After so many further bytes of replies, on whichever connection, that connection breaks. Then it is fair again.
    CutAfter(usize),
    /// New connections are refused.
    Closed,
}

/// A forwarder on a free loopback port. It ends with the test's process.
#[derive(Debug)]
pub struct Proxy {
    /// The URL of the Redis behind it.
    pub url: String,
    /// Its own port.
    pub port: u16,
    network: Arc<Network>,
}

#[derive(Debug)]
struct Network {
    weather: Mutex<Weather>,
    open: Mutex<Vec<TcpStream>>,
    /// Connections of earlier generations are dead, and nobody says so.
    generation: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Forwards to a port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let network = Arc::new(Network {
            weather: Mutex::new(Weather::Fair),
            open: Mutex::default(),
            generation: AtomicU64::new(0),
        });
        let shared = Arc::clone(&network);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if shared.weather() != Weather::Closed {
                    shared.join(&near, port);
                }
            }
        });
        Self { url: format!("redis://{address}"), port: address.port(), network }
    }

    /// From now on.
    pub fn set(&self, weather: Weather) {
        *locked(&self.network.weather) = weather;
    }

    /// What it is now.
    pub fn weather(&self) -> Weather {
        self.network.weather()
    }

    /// From now on whatever is sent by the connections that are open is swallowed, and none of them breaks; new ones are
    /// as they were. So it is when a peer, or a router on the way, was replaced.
    pub fn orphan(&self) {
        self.network.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Breaks every connection, now.
    pub fn cut(&self) {
        for stream in locked(&self.network.open).drain(..) {
            _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Network {
    fn weather(&self) -> Weather {
        *locked(&self.weather)
    }

    fn join(self: &Arc<Self>, near: &TcpStream, port: u16) {
        let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
        let generation = self.generation.load(Ordering::SeqCst);
        for (from, to, is_reply) in [(near, &far, false), (&far, near, true)] {
            let (Ok(mut from), Ok(mut to), Ok(kept)) = (from.try_clone(), to.try_clone(), from.try_clone())
            else {
                return;
            };
            locked(&self.open).push(kept);
            let network = Arc::clone(self);
            thread::spawn(move || {
                network.forward(&mut from, &mut to, is_reply, generation);
                _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            });
        }
    }

    /// Until either side is gone.
    fn forward(
        &self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        is_reply: bool,
        generation: u64,
    ) -> Option<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = from.read(&mut buffer).ok().filter(|length| *length > 0)?;
            let mut piece = &buffer[..length];
            while self.weather() == Weather::Frozen {
                thread::sleep(Duration::from_millis(5));
            }
            if self.generation.load(Ordering::SeqCst) != generation {
                continue;
            }
            match self.weather() {
                Weather::Swallowed => continue,
                Weather::Late(by) => thread::sleep(by),
                Weather::Thin(rate) => {
                    let step = (rate / 50).max(1);
                    while piece.len() > step {
                        to.write_all(&piece[..step]).ok()?;
                        piece = &piece[step..];
                        thread::sleep(Duration::from_millis(20));
                    }
                }
                Weather::CutAfter(_) if is_reply => {
                    let cut = self.cut_at(length);
                    if let Some(at) = cut {
                        to.write_all(&piece[..at]).ok()?;
                        return None;
                    }
                }
                _ => {}
            }
            to.write_all(piece).ok()?;
        }
    }

    /// Where in a reply of this length the connection breaks, if here.
    fn cut_at(&self, length: usize) -> Option<usize> {
        let mut weather = locked(&self.weather);
        let Weather::CutAfter(left) = *weather else { return None };
        *weather = if left < length { Weather::Fair } else { Weather::CutAfter(left - length) };
        (left < length).then_some(left)
    }
}
