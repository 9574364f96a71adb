//! What the end-to-end tests share: real servers to test against, fleets of real processes, and what they leave behind.

pub mod api;
pub mod clock;
pub mod cluster;
pub mod collector;
pub mod disk;
pub mod fleet;
pub mod http_stub;
pub mod ledger;
pub mod model;
pub mod netns;
pub mod old_redis;
pub mod previous;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod s3;
pub mod scrape;
pub mod sentinel;
pub mod stand_in;
pub mod terminal;
pub mod tls;
