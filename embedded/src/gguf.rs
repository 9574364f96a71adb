//! A GGUF file: figures, texts and tensors by name. Whatever the file holds, reading it ends in a value or an error.

use std::{
    fs,
    io::BufReader,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use candle_core::{
    Device, Tensor,
    quantized::gguf_file::{Content, Value},
};

use crate::Error;

/// An open file whose head was read.
pub(crate) struct File {
    path: PathBuf,
    content: Content,
    reader: BufReader<fs::File>,
}

impl File {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |reason: String| Error::Unreadable { path: path.to_owned(), reason };
        let kind = fs::metadata(path).map_err(|e| unreadable(e.to_string()))?;
        if !kind.is_file() {
            return Err(unreadable("it is no regular file".to_owned()));
        }
        let file = fs::File::open(path).map_err(|e| unreadable(e.to_string()))?;
        let mut reader = BufReader::new(file);
        let content = guarded(|| Content::read(&mut reader)).map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), content, reader })
    }

    /// The file is damaged, or not what it says it is.
    pub(crate) fn unreadable(&self, reason: impl Into<String>) -> Error {
        Error::Unreadable { path: self.path.clone(), reason: reason.into() }
    }

    /// The file is sound, and the model in it is of another kind.
    pub(crate) fn unsupported(&self, reason: impl Into<String>) -> Error {
        Error::Unsupported { path: self.path.clone(), reason: reason.into() }
    }

    fn get<T>(&self, key: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, Error> {
        match self.content.metadata.get(key) {
            None => Ok(None),
            Some(value) => {
                read(value).map(Some).ok_or_else(|| self.unreadable(format!("{key} is of a wrong type")))
            }
        }
    }

    fn missing(&self, key: &str) -> Error {
        self.unreadable(format!("{key} is missing"))
    }

    /// A whole number, if the file has it.
    pub(crate) fn number(&self, key: &str) -> Result<Option<usize>, Error> {
        self.get(key, |value| value.to_u64().ok().and_then(|n| usize::try_from(n).ok()))
    }

    /// A whole number from 1 to `most`.
    pub(crate) fn size(&self, key: &str, most: usize) -> Result<usize, Error> {
        let size = self.number(key)?.ok_or_else(|| self.missing(key))?;
        if size == 0 || size > most {
            return Err(self.unreadable(format!("{key} is {size}, not within 1 and {most}")));
        }
        Ok(size)
    }

    /// A positive number.
    pub(crate) fn real(&self, key: &str) -> Result<Option<f64>, Error> {
        self.get(key, |value| value.to_f32().ok().filter(|n| n.is_finite() && *n > 0.0).map(f64::from))
    }

    /// A text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, Error> {
        match self.content.metadata.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.unreadable(format!("{key} is of a wrong type"))),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, Error> {
        let texts =
            |value: &Value| value.to_vec().ok()?.iter().map(|text| text.to_string().ok().cloned()).collect();
        self.get(key, texts)?.ok_or_else(|| self.missing(key))
    }

    /// A list of small numbers, if the file has it.
    pub(crate) fn numbers(&self, key: &str) -> Result<Option<Vec<i64>>, Error> {
        let number = |value: &Value| match value {
            Value::I32(n) => Some(i64::from(*n)),
            other => other.to_u64().ok().and_then(|n| i64::try_from(n).ok()),
        };
        self.get(key, |value| value.to_vec().ok()?.iter().map(number).collect())
    }

    pub(crate) fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// The tensor `name`, which must have the shape `dims`, as 32-bit numbers.
    pub(crate) fn tensor(&mut self, name: &str, dims: &[usize]) -> Result<Tensor, Error> {
        let found = self.content.tensor_infos.get(name).map(|info| info.shape.dims().to_vec());
        match found {
            None => return Err(self.unreadable(format!("tensor {name} is missing"))),
            // Compared before anything is read, so that no size in the file decides how much memory is taken.
            Some(found) if found != dims => {
                return Err(self.unreadable(format!("tensor {name} has the shape {found:?}, not {dims:?}")));
            }
            Some(_) => {}
        }
        let (content, reader) = (&self.content, &mut self.reader);
        guarded(|| content.tensor(reader, name, &Device::Cpu)?.dequantize(&Device::Cpu))
            .map_err(|reason| self.unreadable(format!("tensor {name}: {reason}")))
    }
}

/// Reads with candle, whose reader answers some damage (an alignment of 0) with a panic.
fn guarded<T>(read: impl FnOnce() -> candle_core::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string().lines().next().unwrap_or_default().to_owned()),
        Err(_) => Err("it is damaged".to_owned()),
    }
}
