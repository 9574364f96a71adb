"""What LiteLLM adds to a call: `calls.py REDIS_PORT BASE_URL CALLS`, JSON Lines on stdout.

Its Router, within this process, and its proxy, one worker: each with two deployments of the server at BASE_URL, and
with limits, cooldowns, a budget and the cache in Redis. Each prompt is asked twice, one right after the other:
straight by OpenAI's client, which LiteLLM calls with, too, and through LiteLLM.
"""

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

# Else it reads prices from the internet.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOG"] = "ERROR"

import litellm
from openai import AsyncOpenAI

litellm.suppress_debug_info = True
logging.disable(logging.ERROR)

WARM_UP = 50
AT_ONCE = 16
KEY = "sk-bench"
PROXY_STARTS_WITHIN = 90
PROMPT = """Write unit tests for this function, with one test for each branch and a name that says what is expected. \
Answer with code alone.

def pages(total, size):
    if size <= 0:
        raise ValueError('size')
    return (total + size - 1) // size
"""
# Checked and never reached.
PLENTY = 100_000_000


def limits():
    """Settings of the Router; it changes what it is given."""
    return {
        "optional_pre_call_checks": ["enforce_model_rate_limits"],
        "provider_budget_config": {"openai": {"budget_limit": 1_000_000, "time_period": "1d"}},
        "num_retries": 2,
        "allowed_fails": 5,
        "cooldown_time": 60,
    }


class Prompts:
    """Prompts that were not asked before."""

    asked = 0

    def __call__(self):
        self.asked += 1
        return f"{PROMPT}# {self.asked}\n"


prompts = Prompts()


def deployments(base_url):
    params = {"api_base": base_url, "api_key": "bench", "rpm": PLENTY, "tpm": PLENTY}
    price = {"input_cost_per_token": 1e-7, "output_cost_per_token": 5e-7}
    return [
        {"model_name": "coder", "litellm_params": {"model": f"openai/{name}", **params, **price}}
        for name in ("one", "two")
    ]


async def ask(create, model, prompt, stream=False):
    """Microseconds of one call, its whole answer read."""
    start = time.perf_counter()
    answer = await create(
        model=model, messages=[{"role": "user", "content": prompt}], max_tokens=64, stream=stream
    )
    if stream:
        text = ""
        async for chunk in answer:
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    else:
        text = answer.choices[0].message.content
    took = (time.perf_counter() - start) * 1e6
    if not text:
        raise SystemExit("an answer without text")
    return took


def percentiles(micros):
    ordered = sorted(micros)
    at = lambda share: round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 1)
    return at(0.5), at(0.99)


def line(what, pairs):
    raw, through = percentiles(r for r, _ in pairs), percentiles(t for _, t in pairs)
    added = percentiles(t - r for r, t in pairs)
    names = ("raw_p50_us", "raw_p99_us", "through_p50_us", "through_p99_us", "added_p50_us", "added_p99_us")
    figures = dict(zip(names, raw + through + added))
    print(json.dumps({"what": what, "calls": len(pairs), "concurrency": 1, **figures}), flush=True)


async def alone(what, straight, through, calls, stream=False):
    """Calls one after the other, each prompt both ways."""
    pairs = []
    for call in range(WARM_UP + calls):
        prompt = prompts()
        raw = await ask(straight, "one", prompt, stream)
        took = await ask(through, "coder", prompt, stream)
        if call >= WARM_UP:
            pairs.append((raw, took))
    line(what, pairs)


async def known(what, through, calls, counted):
    """The same prompt again and again: the server must hear of it but once."""
    prompt = prompts()
    await ask(through, "coder", prompt)
    # The answer is put into the cache beside the work.
    await asyncio.sleep(0.5)
    before = counted()
    took = [(0.0, await ask(through, "coder", prompt)) for _ in range(calls)]
    if counted() > before:
        raise SystemExit(f"{what}: the cache is not at work")
    line(what, took)


async def together(what, through, calls):
    """Many at once."""
    left, took = iter(range(calls)), []

    async def caller():
        for _ in left:
            took.append(await ask(through, "coder", prompts()))

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    seconds = time.perf_counter() - start
    p50, p99 = percentiles(took)
    figures = {"through_p50_us": p50, "through_p99_us": p99, "calls_per_second": round(len(took) / seconds)}
    print(json.dumps({"what": what, "calls": len(took), "concurrency": AT_ONCE, **figures}), flush=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@contextlib.contextmanager
def proxy(redis_port, base_url):
    """The proxy as its own process; gives its URL."""
    port = free_port()
    config = {
        "model_list": deployments(base_url),
        "router_settings": {**limits(), "redis_host": "127.0.0.1", "redis_port": redis_port},
        "litellm_settings": {
            "cache": True,
            "cache_params": {"type": "redis", "host": "127.0.0.1", "port": redis_port},
        },
        "general_settings": {"master_key": KEY},
    }
    with tempfile.TemporaryDirectory() as folder:
        # JSON is YAML.
        file = pathlib.Path(folder, "config.yaml")
        file.write_text(json.dumps(config))
        command = [pathlib.Path(sys.executable).with_name("litellm"), "--config", file, "--host", "127.0.0.1"]
        command += ["--port", str(port), "--num_workers", "1"]
        log = pathlib.Path(folder, "log")
        with log.open("wb") as out:
            child = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent
            )
        try:
            wait_until_up(child, f"http://127.0.0.1:{port}/health/liveliness", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def wait_until_up(child, url, log):
    for _ in range(PROXY_STARTS_WITHIN * 10):
        if child.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"LiteLLM's proxy does not answer:\n{log.read_text(errors='replace')[-4000:]}")


def counter(base_url):
    """How many calls the server was asked."""

    def counted():
        with urllib.request.urlopen(base_url.removesuffix("/v1") + "/__calls", timeout=10) as answer:
            return json.load(answer)["all"]["calls"]

    return counted


async def main(redis_port, base_url, calls):
    counted = counter(base_url)
    straight = AsyncOpenAI(base_url=base_url, api_key="bench", max_retries=0).chat.completions.create
    router = litellm.Router(
        model_list=deployments(base_url), redis_host="127.0.0.1", redis_port=redis_port, cache_responses=True, **limits()
    ).acompletion
    await alone("litellm router", straight, router, calls)
    await alone("litellm router, streamed", straight, router, calls, stream=True)
    await known("litellm router, answer known", router, calls, counted)
    await together("litellm router", router, calls)
    with proxy(redis_port, base_url) as url:
        through = AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0).chat.completions.create
        await alone("litellm proxy", straight, through, calls)
        await alone("litellm proxy, streamed", straight, through, calls, stream=True)
        await known("litellm proxy, answer known", through, calls, counted)
        await together("litellm proxy", through, calls)


asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
