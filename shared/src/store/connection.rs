//! The shared connection: to one server, to the primary that Sentinels name, or to a cluster. Each mends itself.

use redis::{
    Cmd, Pipeline, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, ConnectionManager},
    cluster_async::ClusterConnection,
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};

use super::{followed::Followed, mended::Mended, timing::round_trip};

/// Clones share the connection.
#[derive(Clone)]
pub(super) enum Connection {
    Single(Mended),
    /// Speaks to whichever server is the primary.
    Followed(Followed),
    /// Speaks to whichever node has the slot of a command's first key.
    Cluster(ClusterConnection),
}

impl Connection {
    /// Runs a command that names no key, such as `SCAN`, where `key` is.
    pub(super) async fn beside(&mut self, key: &str, command: Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(server) => {
                server.send(async |c| c.send_packed_command(&command).await?.extract_error()).await
            }
            Self::Followed(primary) => {
                primary.send(async |c| c.send_packed_command(&command).await?.extract_error()).await
            }
            Self::Cluster(connection) => {
                let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
                connection.route_command(command, RoutingInfo::SingleNode(route)).await
            }
        }
    }

    /// Runs a command on every primary; gives each one's address, if it is one of several, and its reply.
    pub(super) async fn everywhere(&mut self, command: Cmd) -> RedisResult<Vec<(String, Value)>> {
        use redis::cluster_routing::MultipleNodeRoutingInfo::AllMasters;
        match self {
            Self::Single(server) => {
                let reply =
                    server.send(async |c| c.send_packed_command(&command).await?.extract_error()).await?;
                Ok(vec![(String::new(), reply)])
            }
            Self::Followed(primary) => {
                let reply =
                    primary.send(async |c| c.send_packed_command(&command).await?.extract_error()).await?;
                Ok(vec![(String::new(), reply)])
            }
            Self::Cluster(connection) => {
                let route = RoutingInfo::MultiNode((AllMasters, None));
                match connection.route_command(command, route).await? {
                    Value::Map(by_node) => by_node
                        .into_iter()
                        .map(|(node, reply)| Ok((redis::from_redis_value(node)?, reply)))
                        .collect(),
                    one => Ok(vec![(String::new(), one)]),
                }
            }
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(server) => {
                Box::pin(round_trip(server.send(async |c| c.send_packed_command(cmd).await?.extract_error())))
            }
            Self::Followed(primary) => Box::pin(round_trip(
                primary.send(async |c| c.send_packed_command(cmd).await?.extract_error()),
            )),
            Self::Cluster(connection) => Box::pin(round_trip(connection.req_packed_command(cmd))),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(server) => {
                Box::pin(round_trip(server.send(async move |c| replies(c, cmd, offset, count).await)))
            }
            Self::Followed(primary) => {
                Box::pin(round_trip(primary.send(async move |c| replies(c, cmd, offset, count).await)))
            }
            Self::Cluster(connection) => {
                Box::pin(round_trip(connection.req_packed_commands(cmd, offset, count)))
            }
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(server) => server.db(),
            Self::Followed(primary) => primary.info().redis_settings().db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// The replies to a pipeline, none of which may be an error.
async fn replies(
    connection: &mut ConnectionManager,
    pipeline: &Pipeline,
    offset: usize,
    count: usize,
) -> RedisResult<Vec<Value>> {
    let replies = connection.send_packed_commands(pipeline, offset, count).await?;
    replies.into_iter().map(Value::extract_error).collect()
}
