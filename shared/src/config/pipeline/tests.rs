//! The table as people write it, in TOML.

use super::*;

fn read(text: &str) -> Result<PipelineSpec, Vec<String>> {
    let table: toml::Table = toml::from_str(text).unwrap();
    PipelineSpec::read(&serde_json::to_value(table).unwrap())
}

#[test]
fn a_whole_pipeline_is_read() {
    let spec = read(
        r#"
        files = { max_file = "64KiB", max_total = 1000, max_files = 5 }
        preprocess = ["files", "redact", { stage = "fit", by = "sliding", reserve = 9 },
                      { stage = "template", prompt = "Test {{ target_file }}." },
                      { stage = "command", argv = ["python3", "prepare.py"], timeout = "1m30s" }]
        postprocess = [{ stage = "code", language = "py" }, "patch", "json", { stage = "write", to = "t.py" }]
        validate = ["test_names", "execution",
                    { validator = "syntax", language = "python" },
                    { validator = "forbidden", patterns = ["eval\\("], severity = "warning" },
                    { validator = "coverage", min = 0.8, weight = 3, name = "lines" },
                    { validator = "json_schema", schema = { type = "object" } },
                    { validator = "regex", pattern = "x", must = "not_match" },
                    { validator = "command", argv = ["./check"], directory = "source" },
                    { validator = "judge", prompt = "Is it good?", min = 0.5 },
                    { validator = "files_present", files = ["*.py"] },
                    { validator = "max_length", lines = 300 }]
        hooks = { before = [{ argv = ["a"] }], after = [{ argv = ["b"] }], error = [{ argv = ["c"] }] }
        threshold = 0.7
        "#,
    )
    .unwrap();
    assert_eq!(spec.files, FileLimits { max_file: 65_536, max_total: 1000, max_files: 5 });
    assert_eq!(
        spec.preprocess[2],
        StageSpec::Fit(FitStage { by: FitBy::Sliding, max_tokens: None, reserve: 9 })
    );
    assert!(
        matches!(&spec.preprocess[4], StageSpec::Command(c) if c.timeout == Some(Duration::from_secs(90)))
    );
    assert!(matches!(&spec.postprocess[0], StageSpec::Code(c) if c.language == Some(Language::Python)));
    let lines = &spec.validate[4];
    assert_eq!((lines.name.as_str(), lines.severity, lines.weight), ("lines", Severity::Error, 3.0));
    assert!(matches!(&spec.validate[1].kind, CheckKind::Execution(e) if e.argv[2] == "pytest"));
    assert_eq!((spec.validate.len(), spec.hooks.error.len(), spec.threshold), (11, 1, 0.7));
}

#[test]
fn nothing_said_is_the_default() {
    let spec = read("").unwrap();
    assert_eq!(spec, PipelineSpec::default());
    assert_eq!(spec.files, FileLimits { max_file: 65_536, max_total: 262_144, max_files: 50 });
}

#[test]
fn every_fault_is_told_with_its_key() {
    let faults = read(
        r#"
        tresholt = 1
        files = { max_file = "lots" }
        preprocess = ["fies", { stage = "fit", by = "luck" }, { stage = "command", argv = [] }, "code", 7]
        postprocess = ["fit", "write", { stage = "write", too = "x" }, { argv = ["x"] }]
        validate = [{ validator = "sintax" }, { validator = "coverage", min = 80 },
                    { validator = "judge", prompt = "x", timeout = "1s" }, { validator = "regex" },
                    { validator = "execution", timeout = "0s" }, "max_length",
                    { validator = "test_names", severity = "fatal" }, { validator = "test_names", weight = -1 }]
        hooks = { before = [{ argv = ["x"], timeout = "soon" }] }
        threshold = 2
        "#,
    )
    .unwrap_err();
    for said in [
        "unknown key tresholt; did you mean threshold?",
        "files.max_file: \"lots\" is not valid: use a size such as 64KiB",
        "preprocess[0]: unknown stage \"fies\"; did you mean \"files\"?",
        "preprocess[1].by: unknown variant `luck`, expected one of `sliding`, `importance`, `summary`",
        "preprocess[2].argv: it is empty: it needs at least the program's name",
        "preprocess[3]: stage \"code\" belongs into postprocess",
        "preprocess[4]: it must be the name of a stage, or a table with `stage`",
        "postprocess[0]: stage \"fit\" belongs into preprocess",
        "postprocess[2].too: unknown field `too`, expected `to`",
        "postprocess[3]: `stage` is missing: use one of template,",
        "validate[0]: unknown validator \"sintax\"; did you mean \"syntax\"?",
        "validate[1].min: 80 is not valid: use a number from 0 to 1",
        "validate[2].timeout: unknown field `timeout`",
        "validate[3]: missing field `pattern`",
        "validate[4].timeout: \"0s\" is not valid",
        "validate[5]: give `chars`, `lines` or `tokens`",
        "validate[6].severity: unknown variant `fatal`",
        "validate[7].weight: use a number from 0 to 1000",
        "hooks.before[0].timeout: duration \"soon\" is not valid",
        "threshold: 2 is not valid: use a number from 0 to 1",
    ] {
        assert!(
            faults.iter().any(|fault| fault.starts_with(said)),
            "{said}\nis not in\n{}",
            faults.join("\n")
        );
    }
    assert_eq!(faults.len(), 20, "{}", faults.join("\n"));
}

#[test]
fn languages_are_known_by_fence_and_by_file() {
    assert_eq!(Language::of_fence("Python3"), Some(Language::Python));
    assert_eq!(Language::of_fence("sh"), None);
    assert_eq!(Language::of_path("a/b.test.ts"), Some(Language::Typescript));
    assert_eq!((Language::of_path("Makefile"), Language::Tsx.as_str()), (None, "tsx"));
}
