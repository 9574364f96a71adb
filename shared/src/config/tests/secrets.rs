use super::*;

const KEY: &str = "hunter2";

#[test]
fn no_secret_is_printed() {
    let given = Given::new()
        .file("redis.password = 'hunter2'\n[types.a]\nexecutor = 'llm'\nllm.api_key = 'hunter2'")
        .env("REDIS_URL", "redis://app:hunter2@db")
        .flag("llm.api_key", "--api-key", KEY);
    let config = given.ok();
    assert_eq!(config.llm.api_key.as_ref().map(Secret::expose), Some(KEY));
    assert_eq!(config.redis.url.expose(), "redis://app:hunter2@db");
    let listing = serde_json::to_string(&config.effective(Who::Both)).unwrap();
    let printed = format!("{config:?}{config:#?}{listing}");
    assert!(printed.contains("***") && !printed.contains(KEY), "{printed}");
    assert_eq!(given.effective()["llm.api_key"], ("***".into(), "--api-key".into()));
    assert_eq!(given.effective()["redis.url"].0, "redis://app:***@db");
}

#[test]
fn no_fault_holds_a_secret() {
    let given = Given::new()
        .file("redis.password = ['hunter2']\nredis.url = 'hunter2'\n[types.a]\nexecutor = 'llm'\nllm.api_key = {a = 'hunter2'}")
        .env("REDIS_URL", "ftp://app:hunter2@db")
        .env("WINDLASS_LLM_API_KEY", "hunter2\nhunter2")
        .env("WINDLASS_LLM_BASE_URL", "https://app:hunter2@host");
    assert_eq!(given.faults().len(), 6, "{:#?}", given.faults());
    assert!(!given.faults().join("\n").contains(KEY), "{:#?}", given.faults());
    let faults = Given::new().file("llm.api_key = hunter2\nredis.password = \"hunter2\n").faults();
    assert!(!faults.join("\n").contains(KEY), "{faults:#?}");
}

#[test]
fn a_secret_may_stand_in_a_file_of_its_own() {
    let given =
        Given::new().file("llm.api_key_file = 'key'\n[types.a]\nexecutor = 'llm'\nllm.api_key_file = 'key'");
    let path = given.write("key", "hunter2\r\n");
    let config = given.ok();
    assert_eq!(config.llm.api_key.as_ref().map(Secret::expose), Some(KEY));
    let of_type = config.type_spec(&TypeName::new("a").unwrap()).unwrap().llm.api_key;
    assert_eq!(of_type.as_ref().map(Secret::expose), Some(KEY));

    let given = Given::new().env("WINDLASS_LLM_API_KEY_FILE", &path.display().to_string());
    assert_eq!(given.ok().llm.api_key.as_ref().map(Secret::expose), Some(KEY));
    assert_eq!(given.effective()["llm.api_key"], ("***".into(), "WINDLASS_LLM_API_KEY_FILE".into()));
}

#[test]
fn the_url_of_redis_may_hold_a_password_and_stand_in_a_file_too() {
    let given = Given::new().file("redis.url_file = 'url'").env("REDIS_URL", "redis://other");
    given.write("url", "redis://app:hunter2@db\n");
    assert_eq!(given.effective()["redis.url"].0, "redis://other", "a variable counts more than the file");
    let given = Given::new().file("redis.url_file = 'url'");
    let path = given.write("url", "redis://app:hunter2@db\n");
    assert_eq!(given.ok().redis.url.expose(), "redis://app:hunter2@db");
    assert_eq!(given.effective()["redis.url"], ("***".into(), "windlass.toml".into()));

    let given = Given::new()
        .env("WINDLASS_REDIS_URL_FILE", &path.display().to_string())
        .env("REDIS_URL", "redis://other");
    assert_eq!(given.ok().redis.url.expose(), "redis://app:hunter2@db");
    std::fs::write(&path, "ftp://app:hunter2@db").unwrap();
    let faults = Given::new().env("WINDLASS_REDIS_URL_FILE", &path.display().to_string()).faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
}

#[test]
fn a_file_of_a_secret_that_is_missing_or_empty_is_a_fault() {
    let given = Given::new().file("redis.password_file = 'gone'\nllm.api_key_file = 'empty'");
    given.write("empty", "\n");
    let faults = given.faults();
    assert_eq!(faults[0], "windlass.toml: llm.api_key_file: empty is empty");
    assert!(faults[1].starts_with("windlass.toml: redis.password_file: gone cannot be read: "), "{faults:?}");
}

#[test]
fn a_secret_by_value_and_by_file_in_one_layer_is_a_fault() {
    let given = Given::new()
        .file("llm = { api_key = 'a', api_key_file = 'b' }")
        .env("WINDLASS_REDIS_PASSWORD", "a")
        .env("WINDLASS_REDIS_PASSWORD_FILE", "b");
    let faults = given.faults().join("\n");
    assert!(faults.contains("windlass.toml: llm.api_key and llm.api_key_file are both given"), "{faults}");
    assert!(
        faults.contains("WINDLASS_REDIS_PASSWORD and WINDLASS_REDIS_PASSWORD_FILE are both set"),
        "{faults}"
    );
}

#[test]
fn a_file_that_a_later_layer_replaces_is_not_read() {
    let given = Given::new().file("llm.api_key_file = '/gone'").env("WINDLASS_LLM_API_KEY", KEY);
    assert_eq!(given.ok().llm.api_key.as_ref().map(Secret::expose), Some(KEY));
}

#[test]
fn the_producer_does_not_need_the_keys_of_workers() {
    let toml = "llm.api_key_file = '/gone'\n[types.a]\nexecutor = 'llm'\nllm.api_key_file = '/gone'";
    assert_eq!(Given::new().file(toml).read_by(Who::Producer).ok().llm.api_key, None);
    assert_eq!(Given::new().file(toml).read_by(Who::Worker).faults().len(), 2);
    assert_eq!(Given::new().file("redis.password_file = '/gone'").read_by(Who::Producer).faults().len(), 1);
}

#[test]
fn the_variable_of_the_key_implies_the_service() {
    let url = |given: &Given| given.effective()["llm.base_url"].clone();
    let mut given = Given::new().env("OPENAI_API_KEY", "a");
    assert_eq!(url(&given), ("https://api.openai.com/v1".into(), "OPENAI_API_KEY".into()));
    given = given.env("OPENROUTER_API_KEY", "b");
    assert_eq!(given.ok().llm.base_url.as_deref(), Some("https://openrouter.ai/api/v1"));
    assert_eq!(given.ok().llm.api_key.as_ref().map(Secret::expose), Some("b"));
    given = given.env("WINDLASS_LLM_BASE_URL", "http://127.0.0.1:1234/v1");
    assert_eq!(given.ok().llm.base_url.as_deref(), Some("http://127.0.0.1:1234/v1"));
    given = Given::new().env("OPENAI_API_KEY", "a").env("WINDLASS_LLM_API_KEY", "c");
    assert_eq!(given.ok().llm.base_url, None);
}

#[test]
fn a_key_of_the_environment_that_replaces_one_of_the_file_is_a_warning() {
    let given = Given::new().file("llm = { api_key = 'a', base_url = 'http://inside/v1' }");
    assert!(given.ok().warnings.is_empty());
    let warnings = given.env("OPENAI_API_KEY", "b").ok().warnings;
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("OPENAI_API_KEY replaces llm.api_key of "),
        "{warnings:?}"
    );
}
