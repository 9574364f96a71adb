//! HTTP/1.1 on one connection, as little as it takes: what is measured is the server.

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A call, written out.
pub(crate) struct Call(Vec<u8>);

impl Call {
    pub(crate) fn get(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes())
    }

    pub(crate) fn post(path: &str, body: &str) -> Self {
        let length = body.len();
        Self(format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes())
    }
}

/// A connection that is kept.
pub(crate) struct Connection {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        Ok(Self { read: BufReader::new(read), write })
    }

    /// Calls, reads the whole answer, gives its status.
    pub(crate) async fn call(&mut self, call: &Call) -> Result<u16> {
        self.write.write_all(&call.0).await?;
        let (status, length) = self.head().await?;
        let mut body = vec![0; length.context("an answer of unknown length")?];
        self.read.read_exact(&mut body).await?;
        Ok(status)
    }

    /// Sends a body in pieces while it reads the answer.
    pub(crate) async fn bulk(&mut self, path: &str, body: &[u8]) -> Result<String> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let (write, read) = (&mut self.write, &mut self.read);
        let send = async {
            write.write_all(head.as_bytes()).await?;
            write.write_all(body).await
        };
        let mut answer = String::new();
        let (sent, got) = tokio::join!(send, read.read_to_string(&mut answer));
        sent?;
        got?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // The lines stand between the sizes of chunks.
        Ok(answer.lines().filter(|line| line.starts_with('{')).collect::<Vec<_>>().join("\n"))
    }

    async fn head(&mut self) -> Result<(u16, Option<usize>)> {
        let mut line = String::new();
        self.read.read_line(&mut line).await?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|text| text.parse().ok())
            .with_context(|| format!("no status: {line:?}"))?;
        let mut length = None;
        loop {
            line.clear();
            self.read.read_line(&mut line).await?;
            let text = line.trim_end();
            if text.is_empty() {
                return Ok((status, length));
            }
            if let Some(("content-length", value)) = text.to_ascii_lowercase().split_once(':') {
                length = value.trim().parse().ok();
            }
        }
    }
}
