//! Texts and numbers, byte by byte.

/// The most digits before the point, after it, and in the exponent: no number is too large to read.
const DIGITS: [u8; 3] = [15, 15, 2];

/// Where in a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Inside {
    Plain,
    /// After a backslash.
    Escape,
    /// In a character of several bytes: how many are missing, and what the next one may be.
    Character {
        missing: u8,
        low: u8,
        high: u8,
    },
}

/// Where in a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
    Start { negative: bool },
    Sign,
    Zero,
    Whole,
    Point,
    Fraction,
    E,
    ESign,
    Exponent,
}

impl Inside {
    /// After `byte`, which is not the closing quote; none if it cannot come.
    pub(super) fn after(self, byte: u8) -> Option<Self> {
        let character = |missing, low, high| Some(Self::Character { missing, low, high });
        match (self, byte) {
            (Self::Plain, b'\\') => Some(Self::Escape),
            (Self::Plain, 0x20..=0x7f)
            | (Self::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Some(Self::Plain),
            (Self::Plain, 0xc2..=0xdf) => character(1, 0x80, 0xbf),
            (Self::Plain, 0xe0) => character(2, 0xa0, 0xbf),
            (Self::Plain, 0xed) => character(2, 0x80, 0x9f),
            (Self::Plain, 0xe1..=0xef) => character(2, 0x80, 0xbf),
            (Self::Plain, 0xf0) => character(3, 0x90, 0xbf),
            (Self::Plain, 0xf1..=0xf3) => character(3, 0x80, 0xbf),
            (Self::Plain, 0xf4) => character(3, 0x80, 0x8f),
            (Self::Character { missing, low, high }, byte) if (low..=high).contains(&byte) => {
                if missing == 1 { Some(Self::Plain) } else { character(missing - 1, 0x80, 0xbf) }
            }
            _ => None,
        }
    }
}

impl Part {
    /// After `byte`; none if it cannot come.
    pub(super) fn after(self, byte: u8, whole: bool) -> Option<Self> {
        match (self, byte) {
            (Self::Start { negative: true }, b'-') => Some(Self::Sign),
            (Self::Start { .. } | Self::Sign, b'0') => Some(Self::Zero),
            (Self::Start { .. } | Self::Sign, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Some(Self::Whole),
            (Self::Zero | Self::Whole, b'.') if !whole => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') if !whole => Some(Self::E),
            (Self::E, b'+' | b'-') => Some(Self::ESign),
            (Self::E | Self::ESign | Self::Exponent, b'0'..=b'9') => Some(Self::Exponent),
            _ => None,
        }
    }

    pub(super) fn complete(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Exponent)
    }

    /// The most digits of this part.
    pub(super) fn most(self) -> u8 {
        match self {
            Self::Whole => DIGITS[0],
            Self::Fraction => DIGITS[1],
            Self::Exponent => DIGITS[2],
            _ => u8::MAX,
        }
    }
}
