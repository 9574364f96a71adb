use std::time::Duration;

use super::*;

#[test]
fn without_anything_the_defaults_are_in_force() {
    let config = Given::new().ok();
    assert_eq!(config.redis.url.expose(), "redis://127.0.0.1:6379");
    assert_eq!(config.namespace.as_str(), "wl");
    assert_eq!((config.worker.concurrency, config.worker.lease), (8, Duration::from_secs(10)));
    assert_eq!(config.worker.timeout, Duration::from_hours(1));
    assert_eq!(config.worker.workspace, std::env::temp_dir());
    assert_eq!(config.submit.max_payload, 1 << 20);
    assert_eq!((&config.llm.base_url, &config.llm.model, &config.llm.api_key), (&None, &None, &None));
    assert!(config.providers.is_empty() && config.budgets.is_empty());
    assert!(config.warnings.is_empty() && config.effective(Who::Both).iter().all(|e| e.origin == "default"));
}

#[test]
fn each_layer_wins_over_the_earlier_ones() {
    let mut given = Given::new();
    let concurrency = |given: &Given| given.effective()["worker.concurrency"].clone();
    let is = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(concurrency(&given), is("8", "default"));
    given = given.file("[worker]\nconcurrency = 2");
    assert_eq!(concurrency(&given), is("2", "windlass.toml"));
    given = given.env("WINDLASS_CONCURRENCY", "3");
    assert_eq!(concurrency(&given), is("3", "WINDLASS_CONCURRENCY"));
    given = given.flag("worker.concurrency", "--concurrency", "4");
    assert_eq!(concurrency(&given), is("4", "--concurrency"));
    assert_eq!(given.ok().worker.concurrency, 4);
}

#[test]
fn the_first_variable_that_is_set_wins_and_an_empty_one_is_not_set() {
    let given = Given::new().env("REDIS_URL", "redis://second").env("WINDLASS_REDIS_URL", "");
    assert_eq!(given.effective()["redis.url"], ("redis://second".into(), "REDIS_URL".into()));
    let given = given.env("WINDLASS_REDIS_URL", "redis://first");
    assert_eq!(given.effective()["redis.url"], ("redis://first".into(), "WINDLASS_REDIS_URL".into()));
}

#[test]
fn a_variable_of_another_tool_may_give_plain_seconds_and_ours_may_not() {
    assert_eq!(Given::new().env("OPENHANDS_TIMEOUT", "90").ok().worker.timeout, Duration::from_secs(90));
    let faults = Given::new().env("WINDLASS_TASK_TIMEOUT", "90").faults();
    assert!(faults[0].starts_with("WINDLASS_TASK_TIMEOUT: duration \"90\" is not valid"), "{faults:?}");
}

#[test]
fn a_list_is_a_text_an_array_or_a_table() {
    let read = |toml: &str| {
        let worker = Given::new().file(toml).ok().worker;
        (
            worker
                .queues
                .iter()
                .map(|(name, weight)| format!("{name}={weight}"))
                .collect::<Vec<_>>()
                .join(","),
            worker.labels,
        )
    };
    let labels: BTreeMap<_, _> =
        [("pod", "b"), ("zone", "a")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let expected = ("default=1,other=3".to_owned(), labels);
    assert_eq!(read("worker = { queues = 'default,other=3', labels = 'zone=a,pod=b' }"), expected);
    assert_eq!(
        read("worker = { queues = ['default', 'other=3'], labels = { zone = 'a', pod = 'b' } }"),
        expected
    );
    assert_eq!(
        read("worker = { queues = { default = 1, other = 3 }, labels = ['zone=a', 'pod=b'] }"),
        expected
    );
}

#[test]
fn all_faults_are_told_at_once_with_their_places() {
    let given = Given::new()
        .file("namespace = 'a b'\nworker.concurency = 3\nworker.lease = '2h'\nworker.labels = 3\nredis = 1\n[wroker]\nx = 1")
        .env("WINDLASS_CONCURRENCY", "0")
        .env("WINDLASS_LOG", "inof")
        .flag("worker.queues", "--queues", "a=1000");
    let faults = given.faults();
    for (start, said) in [
        ("windlass.toml: namespace: ", "' ' is not allowed"),
        ("windlass.toml: unknown key worker.concurency", "; did you mean worker.concurrency?"),
        ("windlass.toml: worker.lease: ", "from 1s to 1h"),
        ("windlass.toml: worker.labels: ", "name=value"),
        ("windlass.toml: redis must be a table", ""),
        ("windlass.toml: unknown key wroker", "; did you mean worker?"),
        ("WINDLASS_CONCURRENCY: ", "from 1 to 10000"),
        ("WINDLASS_LOG: ", "trace"),
        ("--queues: ", "from 1 to 100"),
    ] {
        let found = faults.iter().filter(|f| f.starts_with(start) && f.contains(said)).count();
        assert_eq!(found, 1, "{start} in {faults:#?}");
    }
    assert_eq!(faults.len(), 9, "{faults:#?}");
    assert_eq!(given.load().unwrap_err().to_string().lines().count(), 9);
}

#[test]
fn a_fault_in_a_layer_that_loses_is_still_told() {
    let given = Given::new().file("worker.concurrency = 0").flag("worker.concurrency", "--concurrency", "4");
    assert_eq!(given.faults().len(), 1);
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_a_fault_beside_the_others() {
    let mut given = Given::new().env("WINDLASS_CONCURRENCY", "0");
    given.sources.file = Some(given.folder.join("gone.toml"));
    let faults = given.faults();
    assert!(faults.len() == 2 && faults[0].starts_with("gone.toml: cannot be read: "), "{faults:?}");
    let faults = given.file("namespace = 'a'\nworker = \n").faults();
    assert!(
        faults.len() == 2 && faults[0].starts_with("windlass.toml: line 2 is not valid TOML: "),
        "{faults:?}"
    );
}

#[test]
fn a_path_in_a_file_is_relative_to_it() {
    let given = Given::new().file("worker.workspace = 'work'");
    assert_eq!(given.ok().worker.workspace, given.folder.join("work"));
    assert_eq!(Given::new().env("WINDLASS_WORKSPACE", "work").ok().worker.workspace, PathBuf::from("work"));
}

#[test]
fn a_variable_that_is_nearly_ours_is_a_warning_and_a_strange_one_is_nothing() {
    let given = Given::new()
        .env("WINDLASS_CONCURENCY", "3")
        .env("WINDLASS_HELM_RELEASE", "x")
        .env("WINDLASS_CONFIG", "");
    assert_eq!(
        given.ok().warnings,
        ["WINDLASS_CONCURENCY is not a setting; did you mean WINDLASS_CONCURRENCY?"]
    );
}

#[test]
fn a_flag_without_a_setting_is_told() {
    assert!(Given::new().flag("worker.colour", "--colour", "x").faults()[0].starts_with("--colour: "));
}

#[test]
fn each_program_lists_its_own_settings() {
    let config = Given::new().ok();
    let keys = |who| config.effective(who).into_iter().map(|e| e.key).collect::<Vec<_>>();
    let (producer, worker) = (keys(Who::Producer), keys(Who::Worker));
    assert!(producer.contains(&"submit.queue") && !producer.contains(&"worker.lease"));
    assert!(worker.contains(&"worker.lease") && !worker.contains(&"submit.queue"));
    assert!(producer.contains(&"redis.url") && worker.contains(&"redis.url"));
    assert_eq!(keys(Who::Both).len(), SETTINGS.len());
}

#[test]
fn every_setting_can_be_given_in_the_environment() {
    for setting in SETTINGS.iter() {
        let value = if setting.default.is_empty() { sample(setting.key) } else { setting.default };
        // The id of a key is nothing without the keys.
        let given = Given::new().env("WINDLASS_SEALING_KEYS", RING).env(setting.env[0], value);
        assert_eq!(given.effective()[setting.key].1, setting.env[0], "{}", setting.key);
    }
}

const RING: &str = "text:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn sample(key: &str) -> &'static str {
    match key {
        "worker.admin" => "127.0.0.1:9464",
        "claim_check.url" => "s3://bucket/prefix",
        "llm.base_url" | "claim_check.endpoint" | "kubernetes.api" | "metrics.push_gateway" => {
            "https://example.org/v1"
        }
        "serve.cors_origins" => "https://ops.example.com",
        "sealing.keys" => RING,
        "sandbox.network" => "true",
        "sandbox.read" | "sandbox.write" => "/data",
        "worker.labels" => "zone=a",
        _ => "text",
    }
}

#[test]
fn a_file_that_is_wrong_throughout_is_told_of_in_short() {
    let started = std::time::Instant::now();
    let faults = Given::new().file(&"```\n".repeat(50_000)).faults();
    assert_eq!(faults.len(), 21, "{faults:?}");
    assert!(faults[20].contains("more such faults"), "{}", faults[20]);
    // Each of them once took a look at all of the text before it: minutes.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
