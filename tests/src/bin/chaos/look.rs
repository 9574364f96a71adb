//! Looking into the Redis that holds a queue, whichever of the servers that is now, without ever waiting long.

use std::time::{Duration, Instant};

use redis::{Cmd, Connection, FromRedisValue, Pipeline};
use windlass_tests::{fleet::Fleet, redis::RedisServer, sentinel::Sentinels};

/// A Redis that does not answer within this is away.
const PATIENCE: Duration = Duration::from_millis(500);
/// One that is away is not asked again before.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a queue is looked at.
#[derive(Default)]
pub(crate) struct Look {
    connection: Option<Connection>,
    not_before: Option<Instant>,
    /// For long answers, such as those of the last accounting.
    pub(crate) patience: Option<Duration>,
}

impl Look {
    /// The answer; none if Redis is away.
    pub(crate) fn ask<T: FromRedisValue>(&mut self, fleet: &Fleet, queue: &str, command: &Cmd) -> Option<T> {
        self.with(fleet, queue, |connection| command.query(connection))
    }

    /// The same of many commands.
    pub(crate) fn ask_all<T: FromRedisValue>(
        &mut self,
        fleet: &Fleet,
        queue: &str,
        commands: &Pipeline,
    ) -> Option<T> {
        self.with(fleet, queue, |connection| commands.query(connection))
    }

    fn with<T>(
        &mut self,
        fleet: &Fleet,
        queue: &str,
        ask: impl FnOnce(&mut Connection) -> redis::RedisResult<T>,
    ) -> Option<T> {
        if self.not_before.is_some_and(|moment| Instant::now() < moment) {
            return None;
        }
        if self.connection.is_none() {
            self.connection = home(fleet, queue, self.patience.unwrap_or(PATIENCE));
        }
        let answer = self.connection.as_mut().and_then(|connection| ask(connection).ok());
        if answer.is_none() {
            self.connection = None;
            self.not_before = Some(Instant::now() + PAUSE);
        }
        answer
    }
}

/// All servers of a fleet.
pub(crate) fn servers(fleet: &Fleet) -> impl Iterator<Item = &RedisServer> {
    std::iter::once(&fleet.redis).chain(&fleet.others)
}

/// A connection to the server that has the queue.
fn home(fleet: &Fleet, queue: &str, patience: Duration) -> Option<Connection> {
    if let Some(sentinels) = &fleet.sentinels {
        let port = Sentinels::primary(sentinels)?;
        return open(servers(fleet).find(|server| server.port() == port)?, patience);
    }
    let mut probe = redis::cmd("ZCARD");
    probe.arg(fleet.queue_keys(queue).running());
    // Of a cluster, all but the home answer that the slot is elsewhere.
    servers(fleet).filter(|server| server.is_running()).find_map(|server| {
        let mut connection = open(server, patience)?;
        probe.query::<u64>(&mut connection).ok().map(|_| connection)
    })
}

/// A connection on which nothing waits for long.
pub(crate) fn open(server: &RedisServer, patience: Duration) -> Option<Connection> {
    let connection = redis::Client::open(server.url()).ok()?.get_connection_with_timeout(patience).ok()?;
    connection.set_read_timeout(Some(patience)).ok()?;
    connection.set_write_timeout(Some(patience)).ok()?;
    Some(connection)
}
