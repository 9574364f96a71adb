//! `coverage`: enough of the code is run by its tests. The score is the coverage itself.
//!
//! Without `argv` and `report`, pytest runs under coverage.py, which then reports; of the target file, if there is
//! one, else of all but the tests. The tests' own success is for `execution` to judge.

use windlass_shared::{
    config::pipeline::{CoverageCheck, Directory},
    model::ErrorClass,
};

use super::{
    super::{
        Draft, Env, paths,
        program::{self, MAX_OUTPUT, Program},
        shorten,
        template::Template,
    },
    execution::{output, run},
    finding::Finding,
    report,
};
use crate::{
    executor::{Failure, command::blocking},
    sandbox::Author,
};

const DATA: &str = ".windlass-coverage";

#[derive(Debug)]
pub(super) struct Coverage {
    min: f64,
    /// What is run first.
    first: Option<Program>,
    from: From,
}

/// Where the number comes from.
#[derive(Debug)]
enum From {
    /// What the command wrote.
    Output,
    /// A file in the workspace.
    File(Template),
    /// What coverage.py says of its data.
    CoveragePy(Program),
}

impl Coverage {
    pub(super) fn new(spec: &CoverageCheck) -> Result<Self, Vec<String>> {
        let program = |argv: &[String]| {
            let mut program = Program::new(argv, &spec.env, spec.timeout, Directory::Workspace)?;
            program.author = Some(Author::Model);
            Ok::<_, Vec<String>>(program)
        };
        let file = |text: &String| {
            Template::new(text).map(From::File).map_err(|fault| vec![format!("report: {fault}")])
        };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let python = || {
            let run = format!("python3 -m coverage run --data-file={DATA} -m pytest -q");
            let mut told = words(&format!("python3 -m coverage json -q -o - --data-file={DATA}"));
            told.push("{% if target_file is defined %}--include={{ target_file }}{% else %}--omit=test_*,*/test_*,*_test.py{% endif %}".into());
            Ok::<_, Vec<String>>((Some(program(&words(&run))?), From::CoveragePy(program(&told)?)))
        };
        let (first, from) = match (&spec.argv, &spec.report) {
            (None, None) => python()?,
            (argv, None) => (argv.as_deref().map(program).transpose()?, From::Output),
            (argv, Some(report)) => (argv.as_deref().map(program).transpose()?, file(report)?),
        };
        Ok(Self { min: spec.min, first, from })
    }

    pub(super) async fn find(&self, draft: &Draft, env: &Env<'_>) -> Result<Finding, Failure> {
        let mut written = String::new();
        if let Some(program) = &self.first {
            match run(program, draft, env).await? {
                Ok(ended) => written = output(&ended),
                Err(finding) => return Ok(finding),
            }
        }
        let (report, place) = match &self.from {
            From::Output => (written, "what it wrote".to_owned()),
            From::File(path) => {
                let path = path.render("`report`", &draft.scope())?;
                match read(env, &path).await? {
                    Some(text) => (text, path),
                    None => {
                        return Ok(Finding::failed(format!(
                            "{path:?} was not written: there is no coverage to read"
                        )));
                    }
                }
            }
            From::CoveragePy(program) => match run(program, draft, env).await? {
                Ok(ended) if ended.status.success() => {
                    (String::from_utf8_lossy(&ended.stdout).into_owned(), "coverage json".to_owned())
                }
                Ok(ended) => {
                    let why = format!(
                        "coverage could not be measured: {}\n{}",
                        program::ending(&ended),
                        shorten::tail(&written, 2000)
                    );
                    return Ok(Finding::failed(why));
                }
                Err(finding) => return Ok(finding),
            },
        };
        Ok(self.judge(&report, &place))
    }

    fn judge(&self, report: &str, place: &str) -> Finding {
        let Some(part) = report::coverage(report) else {
            return Finding::failed(format!(
                "{place} holds no coverage that can be read:\n{}",
                shorten::tail(report, 1000)
            ));
        };
        if part + 1e-9 >= self.min {
            return Finding::scored(true, part, format!("{:.1} % of the lines are run", part * 100.0));
        }
        let message = format!(
            "only {:.1} % of the lines are run, and {:.1} % are needed",
            part * 100.0,
            self.min * 100.0
        );
        Finding::scored(false, part, message)
    }
}

/// The text of a file in the workspace, if it is there.
async fn read(env: &Env<'_>, path: &str) -> Result<Option<String>, Failure> {
    let path = paths::relative(path).map_err(|why| Failure::bad_request(format!("`report`: {why}")))?;
    let workspace = env.workspace.to_owned();
    blocking(move || match paths::read(&workspace, &path, MAX_OUTPUT as u64) {
        Ok(bytes) if bytes.len() > MAX_OUTPUT => Err(Failure::new(
            ErrorClass::ResultTooLarge,
            format!("{path:?} holds more than {MAX_OUTPUT} bytes"),
        )),
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(_) => Ok(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::{Value, json};

    use super::*;
    use crate::pipeline::{
        testing::{World, validator},
        verdict::Check,
    };

    async fn check(world: &World, mut entry: Value) -> Result<Check, Failure> {
        entry["validator"] = json!("coverage");
        let draft = Draft::of_payload(&json!({"target_file": "calc.py"})).unwrap();
        Ok(validator(&entry).validate(&draft, &world.env()).await?.checks.remove(0))
    }

    #[tokio::test]
    async fn a_number_that_a_command_writes_is_enough_or_not() {
        let world = World::new();
        let entry = |min: f64| json!({"min": min, "argv": ["sh", "-c", "echo '{\"totals\": {\"percent_covered\": 80}}'"]});
        let enough = check(&world, entry(0.8)).await.unwrap();
        assert_eq!(
            (enough.passed, enough.score, enough.message.as_str()),
            (true, 0.8, "80.0 % of the lines are run")
        );
        let low = check(&world, entry(0.81)).await.unwrap();
        assert!(
            (low.passed, low.score) == (false, 0.8) && low.message.contains("81.0 % are needed"),
            "{}",
            low.message
        );
    }

    #[tokio::test]
    async fn a_report_is_read_from_the_workspace_and_from_nowhere_else() {
        let world = World::new();
        let write = json!(["sh", "-c", "mkdir cov; printf 'LF:4\\nLH:3\\nend_of_record\\n' > cov/lcov.info"]);
        let found =
            check(&world, json!({"min": 0.5, "argv": write, "report": "cov/lcov.info"})).await.unwrap();
        assert_eq!((found.passed, found.score), (true, 0.75));
        let none = check(&world, json!({"min": 0.5, "report": "none.json"})).await.unwrap();
        assert!(!none.passed && none.message.contains("was not written"));
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("x"), "99").unwrap();
        std::os::unix::fs::symlink(outside.path().join("x"), world.workspace().join("link")).unwrap();
        assert!(!check(&world, json!({"min": 0.5, "report": "link"})).await.unwrap().passed);
        assert!(check(&world, json!({"min": 0.5, "report": "../x"})).await.is_err());
        let text = check(&world, json!({"min": 0.5, "argv": ["echo", "done"]})).await.unwrap();
        assert!(text.message.contains("no coverage that can be read"), "{}", text.message);
    }

    #[tokio::test]
    async fn coverage_py_measures_the_target_or_is_named_as_missing() {
        let world = World::new();
        std::fs::write(
            world.workspace().join("calc.py"),
            "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n",
        )
        .unwrap();
        std::fs::write(
            world.workspace().join("test_calc.py"),
            "from calc import add\n\ndef test_add():\n    assert add(1, 2) == 3\n",
        )
        .unwrap();
        let installed = Command::new("python3")
            .args(["-c", "import pytest, coverage"])
            .output()
            .unwrap()
            .status
            .success();
        let found = check(&world, json!({"min": 0.5})).await;
        if installed {
            let found = found.unwrap();
            assert!((found.passed, found.score) == (true, 0.75), "{found:?}");
        } else {
            assert_eq!(found.unwrap_err().class, ErrorClass::Spawn);
        }
    }
}
