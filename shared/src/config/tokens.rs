//! Who may use the HTTP API: a token's hash and its roles. The token itself is known to its owner alone.

use std::path::Path;

use super::{
    fault::ConfigFaults,
    file::ConfigFile,
    kind::Kind,
    setting::{Setting, Who},
};

/// What a token begins with, so that people and scanners of secrets know one when they see it.
const MARK: &str = "wlt_";
/// Random bytes of a token.
const BYTES: usize = 32;

/// Every key of a table `[tokens.NAME]`.
pub const TOKEN_SETTINGS: &[Setting] = &[
    Setting {
        key: "hash",
        env: &[],
        kind: Kind::Name("blake3: and 64 hexadecimal digits", check_hash),
        default: "",
        help: "The token's hash, as `windlass tokens generate` prints it. Required.",
        who: Who::Producer,
    },
    Setting {
        key: "roles",
        env: &[],
        kind: Kind::List("submit, read or operate", check_role),
        default: "",
        help: "What its owner may do: submit tasks, read everything, operate (which includes read). Required.",
        who: Who::Producer,
    },
];

/// What the owner of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Submit tasks.
    Submit,
    /// Look at everything.
    Read,
    /// Change the fleet.
    Operate,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Submit, Self::Read, Self::Operate];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("role {text:?} is not valid: use submit, read or operate"))
    }
}

/// A token that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpec {
    /// Its name, for the operators' log.
    pub name: String,
    /// What the token hashes to.
    pub hash: TokenHash,
    /// What its owner may do.
    pub roles: Vec<Role>,
}

/// The hash of a token. A token is random and long, so that a fast hash without salt hides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHash(blake3::Hash);

impl TokenHash {
    /// Of a token.
    pub fn of(token: &str) -> Self {
        Self(blake3::hash(token.as_bytes()))
    }

    /// Whether it is the hash of this token, in a time that does not tell how much of it is right.
    pub fn is_of(&self, token: &str) -> bool {
        self.0 == blake3::hash(token.as_bytes())
    }

    fn parse(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text.strip_prefix("blake3:")?).ok().map(Self)
    }
}

impl std::fmt::Display for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "blake3:{}", self.0.to_hex())
    }
}

fn check_hash(text: &str) -> Result<(), String> {
    TokenHash::parse(text)
        .map(drop)
        .ok_or_else(|| "it is not the hash of a token: `windlass tokens generate NAME` prints one".to_owned())
}

fn check_role(text: &str) -> Result<(), String> {
    text.parse::<Role>().map(drop)
}

/// Makes a token.
pub fn new_token() -> std::io::Result<String> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bytes = [0_u8; BYTES];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Says what is wrong with the name of a token, if anything is: it stands in tables and in the operators' log.
pub fn check_token_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if !name.is_empty() && name.len() <= 64 && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!("{name:?} is not the name of a token: use up to 64 letters, digits, '.', '_', '-' or '@'"))
}

/// The tokens that a file declares as `[tokens.NAME]`.
pub(super) fn read(file: Option<&ConfigFile>, program: Who, faults: &mut Vec<String>) -> Vec<TokenSpec> {
    let mut tokens = Vec::new();
    let Some(file) = file else { return tokens };
    for (name, table) in file.tables("tokens", faults) {
        let root = format!("tokens.{name}");
        if let Err(why) = check_token_name(name) {
            faults.push(format!("{}: {root}: {why}", file.name));
        }
        let values = file.values(TOKEN_SETTINGS, &root, table, program, faults);
        let hash = values.get::<Option<String>>("hash").as_deref().and_then(TokenHash::parse);
        let roles: Vec<Role> =
            values.get::<Vec<String>>("roles").iter().filter_map(|role| role.parse().ok()).collect();
        match hash {
            Some(hash) if !roles.is_empty() => tokens.push(TokenSpec { name: name.to_owned(), hash, roles }),
            _ => faults.push(format!("{}: {root} needs a hash and roles", file.name)),
        }
    }
    tokens
}

/// Reads a file that holds tokens and nothing else.
pub fn read_tokens_file(path: &Path) -> Result<Vec<TokenSpec>, ConfigFaults> {
    let mut faults = Vec::new();
    let file = ConfigFile::read(path, &mut faults);
    if let Some(file) = &file {
        faults.extend(file.only(&["tokens"]));
    }
    let tokens = read(file.as_ref(), Who::Producer, &mut faults);
    if faults.is_empty() { Ok(tokens) } else { Err(ConfigFaults(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let (token, other) = (new_token().unwrap(), new_token().unwrap());
        assert!(token.starts_with("wlt_") && token.len() == 47, "{token}");
        let hash = TokenHash::of(&token);
        assert!(hash.is_of(&token) && !hash.is_of(&other));
        assert!(!hash.to_string().contains(&token[4..]));
        assert_eq!(TokenHash::parse(&hash.to_string()), Some(hash));
    }

    #[test]
    fn a_file_of_tokens_holds_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        let hash = TokenHash::of("wlt_x");
        let write = |text: String| std::fs::write(&path, text).unwrap();
        write(format!("[tokens.ci]\nhash = \"{hash}\"\nroles = [\"submit\", \"read\"]\n"));
        let tokens = read_tokens_file(&path).unwrap();
        assert_eq!(tokens[0].roles, [Role::Submit, Role::Read]);
        assert!(tokens[0].hash.is_of("wlt_x"));
        for bad in [
            "namespace = \"x\"\n".to_owned(),
            format!("[tokens.ci]\nhash = \"{hash}\"\nroles = [\"admin\"]\n"),
            format!("[tokens.ci]\nhash = \"{hash}\"\n"),
            "[tokens.ci]\nhash = \"wlt_x\"\nroles = [\"read\"]\n".to_owned(),
            format!("[tokens.\"c i\"]\nhash = \"{hash}\"\nroles = [\"read\"]\n"),
        ] {
            write(bad.clone());
            assert!(read_tokens_file(&path).is_err(), "{bad}");
        }
    }
}
