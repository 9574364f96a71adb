//! The reference of all settings, made from the tables that read them.

use super::{
    providers::{BUDGET_SETTINGS, KEY_SETTINGS, PROVIDER_SETTINGS},
    setting::{Setting, Who},
    settings::SETTINGS,
    tokens::TOKEN_SETTINGS,
    type_settings::TYPE_SETTINGS,
};

/// Markdown tables for `docs/configuration.md`: the settings, and the keys of task types, providers, budgets and tokens.
pub fn reference_markdown() -> String {
    let mut text = String::from(
        "# Configuration\n\nGenerated from `shared/src/config/settings.rs` by `make docs`; do not edit.\n\nA value comes from its default, \
         then the file (`--config`, else `WINDLASS_CONFIG`, else `./windlass.toml`), then the environment, then the command \
         line; each later one wins. Of several variables the first that is set counts. `windlass config` and \
         `windlass-worker config` show what is in force and where it came from. Secrets are given by value or by file, and \
         never shown.\n\n## Settings\n\n| Key | Environment | Default | Read by | Meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    text.extend(SETTINGS.iter().map(setting_row));
    text.push_str("\n## Task types\n\n| Key | Default | Meaning |\n| --- | --- | --- |\n");
    text.extend(TYPE_SETTINGS.iter().map(|setting| row(setting, "types.NAME.")));
    text.push_str("\n## Providers of models\n\n| Key | Default | Meaning |\n| --- | --- | --- |\n");
    text.extend(PROVIDER_SETTINGS.iter().map(|setting| row(setting, "providers.NAME.")));
    text.extend(KEY_SETTINGS.iter().map(|setting| row(setting, "providers.NAME.keys.KEY.")));
    text.push_str("\n## Budgets\n\n| Key | Default | Meaning |\n| --- | --- | --- |\n");
    text.extend(BUDGET_SETTINGS.iter().map(|setting| row(setting, "budgets.NAME.")));
    text.push_str("\n## Tokens of the HTTP API\n\n| Key | Default | Meaning |\n| --- | --- | --- |\n");
    text.extend(TOKEN_SETTINGS.iter().map(|setting| row(setting, "tokens.NAME.")));
    text
}

fn setting_row(setting: &Setting) -> String {
    let variables: Vec<_> = setting.variables().into_iter().map(|(name, _)| format!("`{name}`")).collect();
    let reader = match setting.who {
        Who::Both => "both",
        Who::Producer => "producer",
        Who::Worker => "worker",
    };
    let (key, default, meaning) = (keys(setting, ""), default(setting), meaning(setting));
    format!("| {key} | {} | {default} | {reader} | {meaning} |\n", variables.join(", "))
}

fn row(setting: &Setting, root: &str) -> String {
    format!("| {} | {} | {} |\n", keys(setting, root), default(setting), meaning(setting))
}

fn keys(setting: &Setting, root: &str) -> String {
    let file_key = setting.file_key().map(|key| format!(", `{root}{key}`"));
    format!("`{root}{}`{}", setting.key, file_key.unwrap_or_default())
}

fn default(setting: &Setting) -> String {
    if setting.default.is_empty() { "none".into() } else { format!("`{}`", setting.default) }
}

fn meaning(setting: &Setting) -> String {
    // A bar or an asterisk would be read as Markdown.
    format!("{} Allowed: {}.", setting.help, setting.kind.describe()).replace('|', "\\|").replace('*', "\\*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_setting_and_every_variable() {
        let text = reference_markdown();
        for setting in SETTINGS.iter() {
            assert!(text.contains(&format!("| `{}`", setting.key)), "{}", setting.key);
            for (variable, _) in setting.variables() {
                assert!(text.contains(&format!("`{variable}`")), "{variable}");
            }
        }
        for setting in TYPE_SETTINGS {
            assert!(text.contains(&format!("| `types.NAME.{}`", setting.key)), "{}", setting.key);
        }
        assert!(text.contains("`llm.api_key`, `llm.api_key_file`"));
    }

    #[test]
    fn every_row_has_as_many_cells_as_its_head() {
        for table in reference_markdown().split("\n\n") {
            let cells = |row: &str| row.replace("\\|", "").matches('|').count();
            let counts: Vec<_> = table.lines().filter(|line| line.starts_with('|')).map(cells).collect();
            assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
        }
    }
}

#[cfg(test)]
mod drift {
    #[test]
    fn the_page_in_docs_is_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page.trim_end() == super::reference_markdown().trim_end(),
            "docs/configuration.md has drifted from SETTINGS: run `make docs`"
        );
    }
}
