//! An answer as it grows: whole characters only, and nothing of a stop text.

/// Text from the bytes of tokens.
pub(crate) struct Output<'a> {
    stops: &'a [String],
    text: String,
    /// The first bytes of a character whose last ones are still to come.
    partial: Vec<u8>,
    /// Up to where `text` was given out.
    given: usize,
}

impl<'a> Output<'a> {
    pub(crate) fn new(stops: &'a [String]) -> Self {
        Self { stops, text: String::new(), partial: Vec::new(), given: 0 }
    }

    /// Adds the bytes of a token; true if a stop text was reached. The text ends before it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        self.partial.extend_from_slice(bytes);
        let from = self.text.len();
        loop {
            match str::from_utf8(&self.partial) {
                Ok(whole) => {
                    self.text.push_str(whole);
                    self.partial.clear();
                }
                Err(error) => {
                    let (valid, bad) = (error.valid_up_to(), error.error_len());
                    self.text.push_str(&String::from_utf8_lossy(&self.partial[..valid]));
                    self.partial.drain(..valid + bad.unwrap_or(0));
                    if bad.is_some() {
                        self.text.push(char::REPLACEMENT_CHARACTER);
                        continue;
                    }
                }
            }
            break;
        }
        self.cut(from)
    }

    /// Cuts the text at the first stop text that ends after `from`.
    fn cut(&mut self, from: usize) -> bool {
        let stops = self.stops.iter().filter(|stop| !stop.is_empty());
        let found = stops.filter_map(|stop| {
            let start = self.text.floor_char_boundary(from.saturating_sub(stop.len()));
            self.text[start..].find(stop.as_str()).map(|at| start + at)
        });
        let Some(end) = found.min() else { return false };
        self.text.truncate(end);
        self.partial.clear();
        true
    }

    /// What can be given out now: new text that is not the beginning of a stop text.
    pub(crate) fn ready(&mut self) -> &str {
        let held = |stop: &String| {
            (1..stop.len()).rev().find(|n| self.text.as_bytes().ends_with(&stop.as_bytes()[..*n]))
        };
        let held = self.stops.iter().filter_map(held).max().unwrap_or(0);
        let end = self.text.floor_char_boundary(self.text.len() - held).max(self.given);
        let start = std::mem::replace(&mut self.given, end);
        &self.text[start..end]
    }

    /// The rest, once the answer is over.
    pub(crate) fn rest(&mut self) -> &str {
        if !self.partial.is_empty() {
            self.partial.clear();
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
        let start = std::mem::replace(&mut self.given, self.text.len());
        &self.text[start..]
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(output: &mut Output, pieces: &[&[u8]]) -> Vec<String> {
        pieces
            .iter()
            .map(|piece| {
                output.push(piece);
                output.ready().to_owned()
            })
            .collect()
    }

    #[test]
    fn a_character_comes_whole() {
        let mut output = Output::new(&[]);
        assert_eq!(given(&mut output, &[b"a\xf0\x9f", b"\x98", b"\x80b"]), ["a", "", "😀b"]);
        assert_eq!(output.into_text(), "a😀b");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut output = Output::new(&[]);
        assert_eq!(given(&mut output, &[b"a\xff\xc3", b"b"]), ["a\u{fffd}", "\u{fffd}b"]);
        output.push(b"\xe2\x82");
        assert_eq!(output.rest(), "\u{fffd}");
    }

    #[test]
    fn nothing_of_a_stop_text_is_given_out() {
        let stops = ["END".to_owned(), "\n\n".to_owned()];
        let mut output = Output::new(&stops);
        assert_eq!(given(&mut output, &[b"one E", b"N", b"V", b" two\n"]), ["one ", "", "ENV", " two"]);
        assert!(output.push(b"\nthree END"), "the first one counts");
        assert_eq!(output.rest(), "");
        assert_eq!(output.into_text(), "one ENV two");
    }

    #[test]
    fn a_stop_text_of_long_characters_and_an_empty_one() {
        let stops = ["é😀".to_owned(), String::new()];
        let mut output = Output::new(&stops);
        assert_eq!(given(&mut output, &["xé".as_bytes(), "é".as_bytes()]), ["x", "é"]);
        assert!(output.push("😀".as_bytes()));
        assert_eq!(output.into_text(), "xé");
    }
}
