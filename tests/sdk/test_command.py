"""`windlass scripted` as a command: what it prints, and how it ends."""

import subprocess

from conftest import WINDLASS


def run(*args):
    return subprocess.run([WINDLASS, "scripted", *args], capture_output=True, text=True, timeout=20)


def test_it_says_where_it_is_and_ends_after_its_time():
    done = run("--duration", "100ms")
    assert done.returncode == 0
    assert done.stdout.startswith("http://127.0.0.1:") and done.stdout.endswith("/v1\n")
    assert "no model's" in done.stderr


def test_a_scenario_is_checked(tmp_path):
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('[[rule]]\nanswer = { text = "x" }\n')
    bad.write_text('[[rule]]\nanswer = { txt = "x" }\n')
    done = run("--scenario", str(good), "--check")
    assert (done.returncode, done.stdout) == (0, "") and "1 rule" in done.stderr
    for args in (["--check"], []):
        done = run("--scenario", str(bad), *args)
        assert done.returncode == 2 and "line 2: unknown field `txt`" in done.stderr
    assert run("--scenario", str(tmp_path / "none.toml")).returncode == 2


def test_wrong_usage():
    for args in (["--listen", "0.0.0.0:0"], ["--listen", "here"], ["--duration", "soon"], ["--check"]):
        done = run(*args)
        assert done.returncode == 2 and done.stderr, args
