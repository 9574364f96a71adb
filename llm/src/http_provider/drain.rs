//! What remains of an answer after its end.

use std::time::Duration;

use futures_util::FutureExt;
use reqwest::Response;

/// A server that does not end its answer by then keeps no connection of ours.
const LONGEST: Duration = Duration::from_secs(1);

/// More pieces after the end are not waited for.
const MOST: usize = 16;

/// Reads what follows the end marker, without making the answer wait for it: only a connection whose answer was read
/// to the end can be used again.
pub(super) fn drain(mut response: Response) {
    if let Some(Ok(None) | Err(_)) = response.chunk().now_or_never() {
        return;
    }
    tokio::spawn(tokio::time::timeout(LONGEST, async move {
        for _ in 0..MOST {
            if !matches!(response.chunk().await, Ok(Some(_))) {
                return;
            }
        }
    }));
}
