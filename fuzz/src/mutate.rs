//! Inputs: an example, changed a little in ways that parsers dislike.

use fastrand::Rng;

use crate::{Target, json};

/// Most bytes of an input; one in some thousands may have [`LARGE`].
const USUAL: usize = 16 << 10;
const LARGE: usize = 512 << 10;

/// Numbers at the edges of what types hold.
const NUMBERS: [&str; 26] = [
    "0",
    "-0",
    "-1",
    "1",
    "127",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e309",
    "-1e999",
    "1e-400",
    "0.1",
    "99999999999999999999999999999999999999999999",
    "NaN",
];

/// Bytes and characters that text handling trips over.
const ODD: [&[u8]; 22] = [
    b"\0",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    "\u{feff}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{202e}".as_bytes(),
    "e\u{301}".as_bytes(),
    "\u{1f469}\u{200d}\u{1f4bb}".as_bytes(),
    "\u{130}".as_bytes(),
    "\u{df}".as_bytes(),
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\t",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"\"",
    b"'",
];

/// What opens and closes in one language or another.
const NESTS: [(&str, &str); 12] = [
    ("[", "]"),
    ("{\"a\":", "}"),
    ("(", ")"),
    ("{", "}"),
    ("{{", "}}"),
    ("((", "))"),
    ("```\n", "\n```"),
    ("<a>", "</a>"),
    ("{% if 1 %}", "{% endif %}"),
    ("not ", ""),
    ("-", ""),
    ("a.", ""),
];

/// Makes inputs for a target.
pub struct Mutator {
    corpus: Vec<Vec<u8>>,
    words: Vec<&'static str>,
    seed: u64,
}

impl Mutator {
    /// For this target. The same seed makes the same inputs.
    pub fn new(target: &Target, seed: u64) -> Self {
        let name = target.name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { corpus: (target.corpus)(), words: target.words.to_vec(), seed: mixed(seed ^ name) }
    }

    /// How many examples there are; the first inputs are these, unchanged.
    pub fn examples(&self) -> u64 {
        self.corpus.len() as u64
    }

    /// An input by its number.
    pub fn input(&self, number: u64) -> Vec<u8> {
        if let Some(example) = usize::try_from(number).ok().and_then(|number| self.corpus.get(number)) {
            return example.clone();
        }
        let mut random = Rng::with_seed(mixed(self.seed.wrapping_add(number)));
        let mut input = match random.u8(..) {
            0..2 => Vec::new(),
            2..6 => (0..random.usize(..64)).map(|_| random.u8(..)).collect(),
            _ => self.example(&mut random).to_vec(),
        };
        if random.u8(..) < 96
            && let Some(changed) = json::changed(&input, &self.words, &mut random)
        {
            input = changed;
        }
        for _ in 0..=random.u8(..8).min(random.u8(..8)) {
            self.change(&mut input, &mut random);
        }
        input.truncate(if random.u16(..4096) == 0 { LARGE } else { USUAL });
        input
    }

    fn example(&self, random: &mut Rng) -> &[u8] {
        random.choice(&self.corpus).map_or(&[], Vec::as_slice)
    }

    fn change(&self, input: &mut Vec<u8>, random: &mut Rng) {
        let (start, end) = span(input.len(), random);
        match random.u8(..16) {
            0 => {
                if let Some(byte) = input.get_mut(start) {
                    *byte ^= 1 << random.u8(..8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(start) {
                    *byte = random.u8(..);
                }
            }
            2 => drop(input.splice(start..end, [])),
            3 => {
                let again = input[start..end].to_vec();
                drop(input.splice(end..end, again));
            }
            4 => input.truncate(start),
            5 | 6 => drop(input.splice(start..start, self.word(random))),
            7 => drop(input.splice(start..end, self.word(random))),
            8 => number(input, random),
            9 => drop(input.splice(start..start, random.choice(ODD).unwrap_or(b"").iter().copied())),
            10 => nest(input, start, end, random),
            11 => {
                let other = self.example(random);
                let (from, to) = span(other.len(), random);
                drop(input.splice(start..end, other[from..to].iter().copied()));
            }
            12 => lines(input, random),
            13 => {
                let longest = if random.u8(..32) == 0 { 15 } else { 8 };
                let long = 1 << random.u32(1..longest);
                let byte = input.get(start).copied().unwrap_or(b'a');
                drop(input.splice(start..start, std::iter::repeat_n(byte, long)));
            }
            14 => {
                let (other, to) = span(input.len(), random);
                let moved = input[other..to].to_vec();
                drop(input.splice(start..end, moved));
            }
            _ => drop(input.splice(start..end, (0..random.usize(..8)).map(|_| random.u8(..)))),
        }
    }

    fn word(&self, random: &mut Rng) -> Vec<u8> {
        let word = random.choice(&self.words).copied();
        word.unwrap_or_else(|| edge(random)).as_bytes().to_vec()
    }
}

/// A short span more often than a long one.
fn span(length: usize, random: &mut Rng) -> (usize, usize) {
    let start = random.usize(..=length);
    let most = (length - start).min(if random.u8(..4) == 0 { usize::MAX } else { 16 });
    (start, start + random.usize(..=most))
}

/// Replaces a number by another.
fn number(input: &mut Vec<u8>, random: &mut Rng) {
    let from = random.usize(..=input.len());
    let Some(start) = input[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
    let end =
        input[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(input.len(), |at| start + at);
    let number = random.choice(NUMBERS).unwrap_or("0");
    drop(input.splice(start..end, number.bytes()));
}

/// Puts a part into brackets, many of them now and then, some without their ends.
fn nest(input: &mut Vec<u8>, start: usize, end: usize, random: &mut Rng) {
    let depth = match random.u8(..64) {
        0 => random.usize(1000..4000),
        1..8 => random.usize(16..256),
        _ => random.usize(1..4),
    };
    let (open, close) = random.choice(NESTS).unwrap_or(("", ""));
    if random.u8(..4) > 0 {
        drop(input.splice(end..end, close.repeat(depth).into_bytes()));
    }
    drop(input.splice(start..start, open.repeat(depth).into_bytes()));
}

/// Doubles, drops or moves a line.
fn lines(input: &mut Vec<u8>, random: &mut Rng) {
    let mut lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.is_empty() {
        return;
    }
    let (from, to) = (random.usize(..lines.len()), random.usize(..lines.len()));
    match random.u8(..3) {
        0 => drop(lines.remove(from)),
        1 => lines.insert(to, lines[from]),
        _ => lines.swap(from, to),
    }
    *input = lines.concat();
}

/// Spreads the bits of a number (SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from the edge of some type.
pub(crate) fn edge(random: &mut Rng) -> &'static str {
    random.choice(NUMBERS).unwrap_or("0")
}
