"""Starts `windlass scripted` for a test, and ends it with the test."""

import json
import os
import subprocess
import urllib.request

import anthropic
import openai
import pytest

WINDLASS = os.environ["WINDLASS"]


class StandIn:
    """A running stand-in, and the official clients pointed at it."""

    def __init__(self, process, base_url):
        self.process = process
        self.base_url = base_url
        self.origin = base_url.removesuffix("/v1")

    def openai(self, **options):
        options = {"max_retries": 0, "timeout": 20} | options
        return openai.OpenAI(base_url=self.base_url, api_key="a-key", **options)

    def anthropic(self, **options):
        options = {"max_retries": 0, "timeout": 20} | options
        return anthropic.Anthropic(base_url=self.origin, api_key="a-key", **options)

    def calls(self):
        with urllib.request.urlopen(self.origin + "/__calls") as answer:
            return json.load(answer)


@pytest.fixture
def stand_in(tmp_path):
    """A function that starts one, with the text of a scenario or without."""
    processes = []

    def start(scenario=None):
        command = [WINDLASS, "scripted", "--duration", "5m"]
        if scenario is not None:
            path = tmp_path / "scenario.toml"
            path.write_text(scenario)
            command += ["--scenario", str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        processes.append(process)
        base_url = process.stdout.readline().strip()
        assert base_url.startswith("http://127.0.0.1:"), base_url
        return StandIn(process, base_url)

    yield start
    for process in processes:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()
