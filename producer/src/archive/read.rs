//! Reading an export: first all of it, to know that it is whole, then key by key.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::{CLOSING, Closing, End, FORMAT, Header, Key};
use crate::exit::{Done, Failure};

fn open(path: &Path) -> Done<BufReader<File>> {
    let file = File::open(path).map_err(|error| Failure::NotDone(format!("{}: {error}", path.display())))?;
    Ok(BufReader::with_capacity(1 << 20, file))
}

fn header(path: &Path, line: &[u8]) -> Done<Header> {
    let header: Header = serde_json::from_slice(line)
        .map_err(|_| Failure::Usage(format!("{} is no export of `windlass export`", path.display())))?;
    if header.format > FORMAT {
        return Err(Failure::Usage(format!(
            "{} has format {}, this program reads {FORMAT}: install a newer Windlass",
            path.display(),
            header.format
        )));
    }
    Ok(header)
}

/// The first line of a file; none if not even that was written whole.
pub(crate) fn header_of(path: &Path) -> Done<Option<Header>> {
    let mut line = Vec::new();
    open(path)?.read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Ok(None);
    }
    header(path, &line).map(Some)
}

/// What is known of a file that is whole.
pub(crate) struct Checked {
    pub(crate) header: Header,
    pub(crate) end: End,
    /// The dump of the newest format in it: a server that reads this one reads them all.
    pub(crate) newest: Option<Vec<u8>>,
}

/// Bytes at the end of a dump: two that number its format, then a sum.
const FOOTER: usize = 10;
/// What they are in base64, and a bit of what comes before.
const FOOTER_TEXT: usize = 16;

/// The number of the format of the dump in a line; none if the line has no dump.
fn format_of(line: &[u8]) -> Option<u16> {
    let text = line.strip_suffix(b"\"}\n")?;
    let tail = BASE64_STANDARD.decode(text.get(text.len().checked_sub(FOOTER_TEXT)?..)?).ok()?;
    let footer = tail.get(tail.len().checked_sub(FOOTER)?..)?;
    Some(u16::from_le_bytes([footer[0], footer[1]]))
}

/// Reads all of a file, and refuses one that is not whole.
pub(crate) fn check(path: &Path) -> Done<Checked> {
    let damaged = |why: &str| Failure::Usage(format!("{} {why}", path.display()));
    let (mut reader, mut line, mut hasher) = (open(path)?, Vec::new(), blake3::Hasher::new());
    let (mut first, mut lines) = (None, 0_u64);
    let mut newest: Option<(u16, Vec<u8>)> = None;
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        if line.starts_with(CLOSING.as_bytes()) {
            break;
        }
        if line.last() != Some(&b'\n') {
            return Err(damaged(
                "is not complete: its export was interrupted. Finish it with `windlass export --resume`",
            ));
        }
        if first.is_none() {
            first = Some(header(path, &line)?);
        }
        if let Some(format) = format_of(&line)
            && newest.as_ref().is_none_or(|(known, _)| format > *known)
        {
            newest = Some((format, line.clone()));
        }
        hasher.update(&line);
        lines += 1;
    }
    let closing: Closing =
        serde_json::from_slice(&line).map_err(|_| damaged("is damaged at its last line"))?;
    let whole = closing.end.digest == hasher.finalize().to_string() && closing.end.keys + 2 == lines;
    let header = first.filter(|_| whole).ok_or_else(|| damaged("is damaged: its digest does not fit"))?;
    let shape = header.queues.iter().map(|queue| usize::from(queue.partitions));
    if !shape.eq(closing.end.settings.iter().map(Vec::len)) {
        return Err(damaged("is damaged: its first and last line do not fit"));
    }
    let dump = |(_, line): (_, Vec<u8>)| key(String::from_utf8(line).map_err(std::io::Error::other));
    let newest = newest.map(dump).transpose()?.and_then(|(_, dump)| dump);
    Ok(Checked { header, end: closing.end, newest })
}

/// The keys of a file that was [checked](check): what names each, and what `DUMP` gave for it.
pub(crate) fn keys(path: &Path) -> Done<impl Iterator<Item = Done<(Key, Option<Vec<u8>>)>>> {
    let lines = open(path)?.lines().skip(2);
    Ok(lines.map_while(|line| match line {
        Ok(line) if line.starts_with(CLOSING) => None,
        line => Some(key(line)),
    }))
}

fn key(line: std::io::Result<String>) -> Done<(Key, Option<Vec<u8>>)> {
    let damaged = |error: String| Failure::NotDone(format!("the file changed while it was read: {error}"));
    let mut key: Key = serde_json::from_str(&line?).map_err(|error| damaged(error.to_string()))?;
    let dump = key.dump.take().map(|text| BASE64_STANDARD.decode(text)).transpose();
    Ok((key, dump.map_err(|error| damaged(error.to_string()))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_a_dump_is_read_off_its_end() {
        for length in 10..20 {
            let mut dump = vec![7; length];
            dump[length - FOOTER] = 80;
            dump[length - FOOTER + 1] = 0;
            let text = BASE64_STANDARD.encode(&dump);
            let line = format!("{{\"queue\":0,\"partition\":0,\"key\":\"stats\",\"dump\":\"{text}\"}}\n");
            assert_eq!(format_of(line.as_bytes()), Some(80), "{length}");
        }
        for none in ["", "{\"key\":\"stats\",\"dump\":null}\n", "\"}\n", "{\"dump\":\"!!!!!!!!!!!!!!!!\"}\n"]
        {
            assert_eq!(format_of(none.as_bytes()), None, "{none}");
        }
    }
}
