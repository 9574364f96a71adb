//! `serve --check`: whether the server of this machine answers, for container health checks.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    context::Context,
    exit::{Done, Failure},
};

const PATIENCE: Duration = Duration::from_secs(4);

/// Exit code 0 if `/readyz` is well. With TLS, if the port takes connections: its certificate is for another name than ours.
pub(super) async fn run(context: &Context) -> Done {
    let mut address = context.config.serve.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let failed = |why: String| Failure::NotDone(format!("no server answers well at {address}: {why}"));
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        if context.config.serve.tls_cert.is_some() {
            return Ok("HTTP/1.1 200".to_owned());
        }
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    match timeout(PATIENCE, ask).await {
        Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200") => Ok(()),
        Ok(Ok(answer)) => Err(failed(answer.lines().next().unwrap_or("it said nothing").to_owned())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("it took too long".into())),
    }
}
