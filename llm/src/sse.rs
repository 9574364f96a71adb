//! Server-sent events, as far as providers use them: what counts is the data of each event.
//!
//! Comment lines, names of events, ids and empty events are passed over. Lines may end in LF, CRLF or CR, the space
//! after the colon may be missing, data of several lines is joined, and bytes may arrive in any pieces.

/// An event is larger than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Reads a stream of events. Holds no more than the event that is being read.
#[derive(Debug)]
pub(crate) struct Events {
    /// A line whose end has not arrived.
    line: Vec<u8>,
    /// Data of an event whose end has not arrived.
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a CR: an LF now would be the same line end.
    after_cr: bool,
    first_line: bool,
    limit: usize,
}

impl Events {
    /// No event may be larger than `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let (line, data) = (Vec::new(), Vec::new());
        Self { line, data, has_data: false, after_cr: false, first_line: true, limit }
    }

    /// Takes the next bytes and gives the data of each event that they complete to `each`, until it fails or says
    /// that it has enough.
    pub(crate) fn feed<E: From<TooLarge>>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if rest[0] == b'\r' {
                self.after_cr = bytes.is_empty();
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            if self.ends(line)? {
                let enough = each(&self.data)?;
                self.data.clear();
                self.has_data = false;
                if enough {
                    return Ok(());
                }
            }
        }
        self.fits(self.line.len() + bytes.len())?;
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// A line is complete with these bytes. Says whether an event is.
    fn ends(&mut self, rest: &[u8]) -> Result<bool, TooLarge> {
        let kept = std::mem::take(&mut self.line);
        if kept.is_empty() {
            return self.line(rest);
        }
        let mut line = kept;
        line.extend_from_slice(rest);
        let complete = self.line(&line);
        line.clear();
        self.line = line;
        complete
    }

    fn line(&mut self, mut line: &[u8]) -> Result<bool, TooLarge> {
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.has_data);
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        // Old llama.cpp servers send the error of a stream as a field of that name.
        if matches!(&line[..colon], b"data" | b"error") {
            let value = line.get(colon + 1..).unwrap_or_default();
            self.add(value.strip_prefix(b" ").unwrap_or(value))?;
        }
        Ok(false)
    }

    fn add(&mut self, value: &[u8]) -> Result<(), TooLarge> {
        self.fits(self.data.len() + value.len())?;
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn fits(&self, size: usize) -> Result<(), TooLarge> {
        if size > self.limit { Err(TooLarge) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::new(1000);
        let mut seen = Vec::new();
        for piece in pieces {
            let take = |data: &[u8]| {
                seen.push(String::from_utf8_lossy(data).into_owned());
                Ok::<_, TooLarge>(false)
            };
            events.feed(piece, take).unwrap();
        }
        seen
    }

    const STREAM: &str = "\u{feff}: OPENROUTER PROCESSING\n\n: ping\r\n\r\nevent: odd\ndata: one ünï\n\ndata:two\r\n\
                          id: 7\r\n\r\n\n\ndata: a\ndata: b\ndata\n\nretry: 3\n\ndata:  spaced\r\rerror: {}\n\n\
                          data: [DONE]\n\n data: no field\n\ndata: unfinished";

    #[test]
    fn only_data_counts_wherever_the_bytes_are_split() {
        let expected = ["one ünï", "two", "a\nb\n", " spaced", "{}", "[DONE]"];
        let stream = STREAM.as_bytes();
        assert_eq!(read(&[stream]), expected);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(read(&[head, tail]), expected, "split at {at}");
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read(&single), expected);
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let none = |_: &[u8]| Ok::<_, TooLarge>(false);
        let mut events = Events::new(10);
        assert_eq!(events.feed(b"data: 123456789", none), Err(TooLarge));
        let mut events = Events::new(20);
        assert_eq!(events.feed(b"data: 1234567890\ndata: 1234567890\ndata: 1\n", none), Err(TooLarge));
        let mut events = Events::new(20);
        let many = b"data: 1234567890\n\n".repeat(100);
        assert_eq!(events.feed(&many, none), Ok(()));
    }

    #[test]
    fn nothing_is_given_once_it_is_enough() {
        let mut seen = 0;
        let mut take = |_: &[u8]| {
            seen += 1;
            Ok::<_, TooLarge>(true)
        };
        Events::new(100).feed(b"data: 1\n\ndata: 2\n\n", &mut take).unwrap();
        assert_eq!(seen, 1);
    }
}
