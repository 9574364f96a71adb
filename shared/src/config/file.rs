//! The TOML file: which settings it gives, and which of its keys are unknown.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value as Toml, de::DeTable};

use super::{
    fault::{join, unknown_key},
    kind::Kind,
    layers::{Entry, Values},
    setting::{Setting, Who, find},
    settings::SETTINGS,
};

/// Root keys of tables of tables; each is read with a table of settings of its own.
const DECLARED: [&str; 4] = ["types", "providers", "budgets", "tokens"];

/// Root key of the list of further files, which declare task types.
const INCLUDE: &str = "include";

/// A file that was read.
pub(super) struct ConfigFile {
    /// Its path, as it is given in messages.
    pub(super) name: String,
    folder: PathBuf,
    table: Table,
}

impl ConfigFile {
    /// Reads the file. If it is not TOML there is only that to say about it.
    pub(super) fn read(path: &Path, faults: &mut Vec<String>) -> Option<Self> {
        let name = path.display().to_string();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                faults.push(format!("{name}: cannot be read: {error}"));
                return None;
            }
        };
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        match text.parse() {
            Ok(table) => Some(Self { name, folder, table }),
            Err(error) => {
                faults.extend(syntax_faults(&name, &text, &error));
                None
            }
        }
    }

    /// What the file gives for [`SETTINGS`].
    pub(super) fn entries(&self, faults: &mut Vec<String>) -> Vec<Entry> {
        let mut table = self.table.clone();
        for declared in DECLARED {
            table.remove(declared);
        }
        table.remove(INCLUDE);
        self.scope(&SETTINGS, "").entries(&table, faults)
    }

    /// The files that this one includes: each is a file, or a folder of which every `*.toml` is taken, relative to this
    /// file. They declare task types and nothing else, so that a folder of types can be shared.
    pub(super) fn included(&self, faults: &mut Vec<String>) -> Vec<Self> {
        let listed = match self.table.get(INCLUDE) {
            None => return Vec::new(),
            Some(Toml::Array(listed)) => listed.iter().map(Toml::as_str).collect::<Option<Vec<&str>>>(),
            Some(_) => None,
        };
        let Some(listed) = listed else {
            faults.push(format!("{}: {INCLUDE} must be a list of files or folders", self.name));
            return Vec::new();
        };
        let mut files = Vec::new();
        for path in listed {
            match toml_files(&self.folder.join(path)) {
                Ok(paths) => files.extend(paths.iter().filter_map(|path| Self::read(path, faults))),
                Err(error) => {
                    faults.push(format!("{}: {INCLUDE}: {path} cannot be read: {error}", self.name));
                }
            }
        }
        for file in &files {
            for key in file.table.keys().filter(|key| *key != "types") {
                faults
                    .push(format!("{}: {key}: an included file declares types and nothing else", file.name));
            }
        }
        files
    }

    /// This file, those that it includes, and those that its keys `..._file` name.
    pub(super) fn private_files(&self) -> Vec<PathBuf> {
        let included = self.included(&mut Vec::new());
        let each = |file: &Self| {
            let mut files = vec![PathBuf::from(&file.name)];
            named_files(&file.table, &file.folder, &mut files);
            files
        };
        [self].into_iter().chain(&included).flat_map(each).collect()
    }

    /// Faults of whatever stands in the file besides these root keys.
    pub(super) fn only(&self, keys: &[&str]) -> Vec<String> {
        let others = self.table.keys().filter(|key| !keys.contains(&key.as_str()));
        others.map(|key| format!("{}: {key} has no place in this file", self.name)).collect()
    }

    /// The tables in the table `root`, such as those that declare task types.
    pub(super) fn tables(&self, root: &str, faults: &mut Vec<String>) -> Vec<(&str, &Table)> {
        let mut tables = Vec::new();
        let Some(declared) = self.table.get(root) else { return tables };
        let Toml::Table(declared) = declared else {
            faults.push(format!("{}: {root} must be a table", self.name));
            return tables;
        };
        for (name, value) in declared {
            match value {
                Toml::Table(table) => tables.push((name.as_str(), table)),
                _ => faults.push(format!("{}: {root}.{name} must be a table", self.name)),
            }
        }
        tables
    }

    /// What `table`, which stands at `root`, gives for a table of settings, over the defaults.
    pub(super) fn values(
        &self,
        settings: &'static [Setting],
        root: &str,
        table: &Table,
        program: Who,
        faults: &mut Vec<String>,
    ) -> Values {
        let mut values = Values::defaults(settings);
        for entry in self.scope(settings, root).entries(table, faults) {
            values.apply(entry, faults);
        }
        values.read_secrets(program, faults);
        values
    }

    /// For reading the part of the file at `root` with a table of settings.
    pub(super) fn scope<'a>(&'a self, settings: &'static [Setting], root: &'a str) -> Scope<'a> {
        Scope { file: self, settings, root }
    }
}

/// What the keys `..._file` name, wherever they stand.
fn named_files(table: &Table, folder: &Path, into: &mut Vec<PathBuf>) {
    for (key, value) in table {
        match value {
            Toml::String(path) if key.ends_with("_file") => into.push(folder.join(path)),
            Toml::Table(table) => named_files(table, folder, into),
            _ => {}
        }
    }
}

/// The file itself, or the files of a folder in the order of their names.
fn toml_files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files =
        fs::read_dir(path)?.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

/// Faults that are told of a file that is not TOML. Each takes a look at all of the text before it.
const MOST_FAULTS: usize = 20;

/// Says where the file is not TOML. The parser's own text is not used, since it quotes the line, and with it a key.
fn syntax_faults(name: &str, text: &str, first: &toml::de::Error) -> Vec<String> {
    let (_, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        errors.push(first.clone());
    }
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let line = |error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        before.matches('\n').count() + 1
    };
    let more = errors.len().saturating_sub(MOST_FAULTS);
    let told = errors.iter().take(MOST_FAULTS);
    told.map(|e| format!("{name}: line {} is not valid TOML: {}", line(e), e.message()))
        .chain((more > 0).then(|| format!("{name}: {more} more such faults")))
        .collect()
}

/// A part of a file that is read with a table of settings.
pub(super) struct Scope<'a> {
    file: &'a ConfigFile,
    settings: &'static [Setting],
    root: &'a str,
}

impl Scope<'_> {
    /// What `table` gives for the settings.
    pub(super) fn entries(&self, table: &Table, faults: &mut Vec<String>) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.walk("", table, &mut entries, faults);
        self.refuse_both(&entries, faults);
        entries
    }

    fn walk(&self, at: &str, table: &Table, entries: &mut Vec<Entry>, faults: &mut Vec<String>) {
        for (name, value) in table {
            let key = join(at, name);
            let known = self.names(&key);
            match (find(self.settings, &key), value) {
                (Some((setting, is_file)), value) => match self.entry(setting, is_file, &key, value) {
                    Ok(entry) => entries.push(entry),
                    Err(fault) => faults.push(fault),
                },
                (None, _) if known.is_empty() => {
                    let known: Vec<_> = self.names(at).into_iter().collect();
                    let known: Vec<_> = known.iter().map(String::as_str).collect();
                    faults.push(format!(
                        "{}: {}",
                        self.file.name,
                        unknown_key(&join(self.root, at), name, &known)
                    ));
                }
                (None, Toml::Table(inner)) => self.walk(&key, inner, entries, faults),
                (None, _) => faults.push(format!("{} must be a table", self.place(&key))),
            }
        }
    }

    /// The names that may stand in the table `at`.
    fn names(&self, at: &str) -> BTreeSet<String> {
        let keys = self.settings.iter().flat_map(|s| [Some(s.key.to_owned()), s.file_key()]).flatten();
        let below = |key: String| match at {
            "" => Some(key),
            _ => Some(key.strip_prefix(at)?.strip_prefix('.')?.to_owned()),
        };
        let mut names: BTreeSet<_> =
            keys.filter_map(below).filter_map(|key| Some(key.split('.').next()?.to_owned())).collect();
        if self.root.is_empty() && at.is_empty() {
            names.extend(DECLARED.map(str::to_owned));
            names.insert(INCLUDE.to_owned());
        }
        names
    }

    fn place(&self, key: &str) -> String {
        format!("{}: {}", self.file.name, join(self.root, key))
    }

    fn entry(
        &self,
        setting: &'static Setting,
        is_file: bool,
        key: &str,
        value: &Toml,
    ) -> Result<Entry, String> {
        let place = self.place(key);
        let mut text = text_of(setting.kind, value).map_err(|why| format!("{place}: {why}"))?;
        if (is_file || matches!(setting.kind, Kind::Path)) && !text.is_empty() {
            text = self.file.folder.join(&text).display().to_string();
        }
        Ok(Entry { setting, text, is_file, origin: self.file.name.clone(), place })
    }

    fn refuse_both(&self, entries: &[Entry], faults: &mut Vec<String>) {
        for entry in entries.iter().filter(|e| e.is_file) {
            if entries.iter().any(|e| e.setting.key == entry.setting.key && !e.is_file) {
                let key = join(self.root, entry.setting.key);
                faults.push(format!(
                    "{}: {key} and {key}_file are both given: give one of them",
                    self.file.name
                ));
            }
        }
    }
}

/// The text that would say the same in an environment variable.
fn text_of(kind: Kind, value: &Toml) -> Result<String, String> {
    match (kind, value) {
        (Kind::Table, Toml::Table(_)) => to_json(value).map(|json| json.to_string()),
        (kind, Toml::Array(items)) if kind.is_list() || matches!(kind, Kind::KeyRing) => items
            .iter()
            .map(|item| scalar(kind, item))
            .collect::<Result<Vec<_>, _>>()
            .map(|items| items.join(",")),
        (kind, Toml::Table(pairs)) if kind.is_pairs() => pairs
            .iter()
            .map(|(name, value)| Ok(format!("{name}={}", scalar(kind, value)?)))
            .collect::<Result<Vec<_>, _>>()
            .map(|pairs| pairs.join(",")),
        (Kind::Table, _) => Err(not_this(kind, value)),
        _ => scalar(kind, value),
    }
}

fn scalar(kind: Kind, value: &Toml) -> Result<String, String> {
    match value {
        Toml::String(text) => Ok(text.clone()),
        Toml::Array(_) | Toml::Table(_) => Err(not_this(kind, value)),
        plain => Ok(plain.to_string()),
    }
}

fn not_this(kind: Kind, value: &Toml) -> String {
    let article = if value.type_str().starts_with(['a', 'i']) { "an" } else { "a" };
    format!("use {}, not {article} {}", kind.describe(), value.type_str())
}

fn to_json(value: &Toml) -> Result<serde_json::Value, String> {
    Ok(match value {
        Toml::String(text) => text.as_str().into(),
        Toml::Integer(number) => (*number).into(),
        Toml::Float(number) if number.is_finite() => (*number).into(),
        Toml::Float(number) => return Err(format!("{number} cannot be said in JSON: use a finite number")),
        Toml::Boolean(flag) => (*flag).into(),
        Toml::Datetime(time) => time.to_string().into(),
        Toml::Array(items) => items.iter().map(to_json).collect::<Result<Vec<_>, _>>()?.into(),
        Toml::Table(table) => serde_json::Value::Object(
            table
                .iter()
                .map(|(name, value)| Ok((name.clone(), to_json(value)?)))
                .collect::<Result<_, String>>()?,
        ),
    })
}
