//! `tokens`: who may use the HTTP API.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use serde::Serialize;
use windlass_shared::config::{Role, TokenHash, check_token_name, new_token, read_tokens_file};

use crate::{
    cli::TokensCommand,
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
};

/// `windlass tokens generate`.
pub(crate) fn generate(name: &str, roles: &[String], append: Option<&Path>) -> Done {
    check_token_name(name).map_err(Failure::Usage)?;
    let parse = |role: &String| role.parse::<Role>().map_err(|why| Failure::Usage(format!("--roles: {why}")));
    let roles = roles.iter().map(parse).collect::<Done<Vec<Role>>>()?;
    let token = new_token()?;
    let quoted: Vec<String> = roles.iter().map(|role| format!("\"{}\"", role.as_str())).collect();
    let lines = format!(
        "[tokens.\"{name}\"]\nhash = \"{}\"\nroles = [{}]\n",
        TokenHash::of(&token),
        quoted.join(", ")
    );
    match append {
        Some(path) => add(path, name, &lines)?,
        None => {
            say!("windlass: into the configuration (or the file that serve.tokens_file names):\n\n{lines}");
        }
    }
    say!("windlass: the token, which is shown this once:");
    output::line(&token)
}

fn add(path: &Path, name: &str, lines: &str) -> Done {
    if path.exists() {
        let known = read_tokens_file(path)?;
        if known.iter().any(|token| token.name == name) {
            return Err(Failure::Refused(format!(
                "{} has a token {name:?} already: choose another name, or take that one out",
                path.display()
            )));
        }
    }
    // Hashes are no secret to fear for, but nobody else needs them.
    let mut file = OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
    file.write_all(format!("\n{lines}").as_bytes())?;
    say!("windlass: {} knows it now; servers that read it do within seconds", path.display());
    Ok(())
}

#[derive(Serialize)]
struct Line {
    name: String,
    roles: Vec<&'static str>,
    from: String,
}

/// `windlass tokens list`.
pub(crate) fn list(context: &Context) -> Done {
    let mut lines: Vec<Line> = Vec::new();
    let mut add = |tokens: Vec<windlass_shared::config::TokenSpec>, from: &str| {
        for token in tokens {
            let roles = token.roles.iter().map(|role| role.as_str()).collect();
            lines.push(Line { name: token.name, roles, from: from.to_owned() });
        }
    };
    add(context.config.tokens.clone(), "configuration");
    if let Some(path) = &context.config.serve.tokens_file {
        add(read_tokens_file(path)?, &path.display().to_string());
    }
    output::list(context.format.unwrap_or(Format::Table), &lines, &["TOKEN", "ROLES", "FROM"], |line| {
        vec![line.name.clone(), line.roles.join(","), line.from.clone()]
    })?;
    if lines.is_empty() {
        say!("windlass: there is no token here: `windlass tokens generate NAME --roles read` makes one");
    }
    Ok(())
}

/// Commands that need a configuration.
pub(crate) fn run(context: &Context, command: &TokensCommand) -> Done {
    match command {
        TokensCommand::Generate { name, roles, append } => generate(name, roles, append.as_deref()),
        TokensCommand::List => list(context),
    }
}
