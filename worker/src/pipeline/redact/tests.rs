use super::*;

fn redacted(text: &str) -> (String, Vec<String>) {
    let mut found = Found::new();
    let clean = Redactor::default().redact(text, &mut found).into_owned();
    (clean, found.iter().map(|(kind, count)| format!("{count} {kind}")).collect())
}

#[test]
fn every_shape_compiles() {
    assert_eq!(BUILT_IN.len(), SHAPES.len());
    assert!(RANDOM.is_some());
}

#[test]
fn secrets_are_found_by_their_shape() {
    let alnum = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
    for (text, kind) in [
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----".to_owned(), "private_key"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEabc cut off".into(), "private_key"),
        ("AKIAIOSFODNN7EXAMPLE".into(), "aws_key"),
        (format!("ghp_{alnum}"), "github_token"),
        (format!("x = 'glpat-{}'", &alnum[..20]), "gitlab_token"),
        (format!("sk-ant-api03-{alnum}"), "api_key"),
        (format!("sk-or-v1-{alnum}"), "api_key"),
        (format!("sk_live_{}", &alnum[..24]), "stripe_key"),
        (format!("AIza{}", &alnum[..35]), "google_key"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.sig-na_ture".into(), "jwt"),
        ("Authorization: Bearer abcdefgh.ijklmnop".into(), "bearer"),
        ("redis://app:hunter2@db:6379".into(), "url_password"),
        ("password = \"hunter2\"".into(), "password"),
        ("  \"api_key\": 'hunter2hunter'".into(), "password"),
        ("token: str = 'hunter2'".into(), "password"),
        ("export DB_PASSWORD=hunter2".into(), "password"),
    ] {
        let (clean, found) = redacted(&format!("before\n{text}\nafter"));
        assert_eq!(found, [format!("1 {kind}")], "{text}\n{clean}");
        assert!(
            clean.starts_with("before\n") && !clean.contains("hunter2") && !clean.contains("MIIE"),
            "{clean}"
        );
    }
}

#[test]
fn only_the_secret_itself_is_replaced() {
    assert_eq!(
        redacted("url = 'postgres://me:hunter2@h/db'").0,
        "url = 'postgres://me:[redacted:url_password]@h/db'"
    );
    assert_eq!(redacted("PASSWORD = 'hunter2'  # x").0, "PASSWORD = '[redacted:password]'  # x");
    let once = redacted("password = 'hunter2'").0;
    assert_eq!(redacted(&once), (once.clone(), vec![]));
}

#[test]
fn code_that_only_speaks_of_secrets_stays() {
    for text in [
        "password = get_password()",
        "def login(user: str, password: str) -> Token:",
        "if token == expected_token:",
        "PASSWORD=$OTHER",
        "api_key = os.environ['OPENROUTER_API_KEY']",
        "token = '${TOKEN}'",
        "password: '********'",
        "https://example.org:8080/a@b",
        "commit e16170b7c3e1f2a4b5c6d7e8f901234567890abc",
        "blake3 af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        "550e8400-e29b-41d4-a716-446655440000",
        "src/player_experience/api/routers/AuthenticationRouterFactory2.py",
        "test_that_a_very_long_function_name_with_42_words_is_no_secret_at_all",
        "AbstractSingletonProxyFactoryBeanConfigurationTest2",
    ] {
        assert_eq!(redacted(text), (text.to_owned(), vec![]));
    }
}

#[test]
fn long_random_strings_are_found_by_the_rule() {
    let (clean, found) = redacted("key: q7Zx0PdLw3VbN8tYhU2sKfJ5mRcE9aGi4oTn= end");
    assert_eq!(
        (clean.as_str(), found),
        ("key: [redacted:high_entropy] end", vec!["1 high_entropy".to_owned()])
    );
    let without = Redactor::new(&BTreeMap::new(), false).unwrap();
    let text = "q7Zx0PdLw3VbN8tYhU2sKfJ5mRcE9aGi4oTn";
    assert_eq!(without.redact(text, &mut Found::new()), text);
}

#[test]
fn own_patterns_come_first_and_bad_ones_are_told() {
    let own = BTreeMap::from([("ticket".to_owned(), "ACME-[0-9]+".to_owned())]);
    let mut found = Found::new();
    assert_eq!(Redactor::new(&own, true).unwrap().redact("see ACME-12", &mut found), "see [redacted:ticket]");
    let bad = BTreeMap::from([("a".to_owned(), "(".to_owned()), ("b".to_owned(), "x*".to_owned())]);
    assert_eq!(Redactor::new(&bad, true).unwrap_err().len(), 2);
}

#[test]
fn json_is_searched_to_the_bottom() {
    let mut value = serde_json::json!({"a": [{"b": "password = 'hunter2'"}], "n": 1});
    let mut found = Found::new();
    Redactor::default().redact_json(&mut value, &mut found);
    assert_eq!((value["a"][0]["b"].as_str(), found.len()), (Some("password = '[redacted:password]'"), 1));
}

#[test]
fn a_hostile_text_takes_linear_time() {
    let started = std::time::Instant::now();
    for text in [
        "password=".repeat(100_000),
        "-----BEGIN PRIVATE KEY-----".repeat(20_000),
        "a:".repeat(500_000),
        "eyJaaaaaaaa.".repeat(80_000),
    ] {
        redacted(&text);
    }
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
