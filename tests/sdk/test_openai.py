"""OpenAI's client understands all that the stand-in says in its format."""

import json
import time

import openai
import pytest

MARK = "[scripted stand-in]"
HELLO = [{"role": "user", "content": "Hello there"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def test_chat(stand_in):
    answer = stand_in().openai().chat.completions.create(model="m", messages=HELLO)
    assert answer.choices[0].message.content.startswith(MARK)
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert usage.completion_tokens_details.reasoning_tokens == 0
    assert answer._request_id.startswith("req_")


def test_stream_with_usage(stand_in):
    client = stand_in().openai()
    whole = client.chat.completions.create(model="m", messages=HELLO)
    stream = client.chat.completions.create(
        model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]


def test_stream_helper_puts_it_together(stand_in):
    with stand_in().openai().chat.completions.stream(model="m", messages=HELLO, tools=[WEATHER], tool_choice="required") as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    assert final.choices[0].message.tool_calls[0].function.parsed_arguments == {"city": MARK, "days": 0}


def test_tools_and_their_results(stand_in):
    client = stand_in().openai()
    asked = [{"role": "user", "content": "use get_weather"}]
    first = client.chat.completions.create(model="m", messages=asked, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls
    assert call.function.name == "get_weather" and json.loads(call.function.arguments)["days"] == 0
    asked += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    second = client.chat.completions.create(model="m", messages=asked, tools=[WEATHER])
    assert second.choices[0].message.content.endswith("sunny")


def test_json_schema_is_parsed_into_the_model(stand_in):
    from pydantic import BaseModel

    class Note(BaseModel):
        line: int
        text: str

    class Review(BaseModel):
        score: float
        notes: list[Note]
        first: Note

    answer = stand_in().openai().chat.completions.parse(model="m", messages=HELLO, response_format=Review)
    review = answer.choices[0].message.parsed
    assert isinstance(review, Review) and review.first.text == MARK


def test_scenario_answers(stand_in):
    client = stand_in(
        """
        [[rule]]
        when = { last = "refuse" }
        answer = { fault = "refusal", message = "No." }
        [[rule]]
        when = { last = "length" }
        answer = { text = "half", finish = "length" }
        [[rule]]
        answer = { json = { a = 1 }, usage = { input = 10, output = 9, cached = 8, reasoning = 7 }, cost = 0.5 }
        """
    ).openai()
    ask = lambda text: client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
    assert ask("refuse").choices[0].message.refusal == "No."
    assert ask("length").choices[0].finish_reason == "length"
    answer = ask("other")
    assert json.loads(answer.choices[0].message.content) == {"a": 1}
    usage = answer.usage
    assert (usage.prompt_tokens_details.cached_tokens, usage.completion_tokens_details.reasoning_tokens) == (8, 7)
    assert usage.cost == 0.5


def test_embeddings_on_the_clients_usual_way_and_as_floats(stand_in):
    client = stand_in().openai()
    usual = client.embeddings.create(model="e", input=["one two", "three"])
    floats = client.embeddings.create(model="e", input=["one two", "three"], encoding_format="float")
    assert [item.index for item in usual.data] == [0, 1]
    for one, other in zip(usual.data, floats.data):
        assert len(one.embedding) == 64
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)


def test_models(stand_in):
    client = stand_in('models = ["a", { id = "b/c", context_length = 8000 }]').openai()
    assert [model.id for model in client.models.list()] == ["a", "b/c"]
    assert client.models.retrieve("b/c").context_length == 8000
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("d")


@pytest.mark.parametrize(
    ("model", "error", "code"),
    [
        ("error-400", openai.BadRequestError, None),
        ("error-401", openai.AuthenticationError, "invalid_api_key"),
        ("error-402", openai.APIStatusError, "402"),
        ("error-403", openai.PermissionDeniedError, None),
        ("error-404", openai.NotFoundError, "model_not_found"),
        ("error-408", openai.APIStatusError, "timeout"),
        ("error-409", openai.ConflictError, None),
        ("error-413", openai.APIStatusError, None),
        ("error-422", openai.UnprocessableEntityError, None),
        ("error-429", openai.RateLimitError, "rate_limit_exceeded"),
        ("error-quota", openai.RateLimitError, "insufficient_quota"),
        ("error-500", openai.InternalServerError, None),
        ("error-502", openai.InternalServerError, None),
        ("error-503", openai.InternalServerError, None),
        ("error-504", openai.InternalServerError, None),
        ("error-529", openai.InternalServerError, None),
        ("error-context", openai.BadRequestError, "context_length_exceeded"),
        ("error-content-filter", openai.BadRequestError, "content_filter"),
        ("error-hang-up", openai.APIConnectionError, None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_every_error_is_the_clients_own(stand_in, model, error, code, stream):
    with pytest.raises(error) as caught:
        stand_in().openai().chat.completions.create(model=model, messages=HELLO, stream=stream)
    assert caught.value.code == code
    if isinstance(caught.value, openai.APIStatusError):
        assert caught.value.request_id.startswith("req_")


def test_a_stall_is_the_clients_time_out(stand_in):
    with pytest.raises(openai.APITimeoutError):
        stand_in().openai(timeout=0.5).chat.completions.create(model="error-stall", messages=HELLO)


@pytest.mark.parametrize(
    ("how", "least", "most"),
    [
        ('retry_after = "2s"', 2.0, 4.0),
        ('retry_after = "700ms", retry_after_as = "milliseconds"', 0.7, 2.0),
        ('retry_after = "2s", retry_after_as = "date"', 1.0, 4.5),
    ],
)
def test_the_client_waits_as_long_as_it_is_told(stand_in, how, least, most):
    server = stand_in("[[rule]]\nanswers = [{ fault = 429, " + how + ' }, { text = "ok" }]')
    start = time.monotonic()
    answer = server.openai(max_retries=2).chat.completions.create(model="m", messages=HELLO)
    assert answer.choices[0].message.content == "ok"
    assert least <= time.monotonic() - start <= most
    assert server.calls()["all"]["calls"] == 2


def test_a_limit_is_kept_by_who_honours_retry_after(stand_in):
    server = stand_in('[[rule]]\nlimit = { requests = 3, per = "1s" }\nanswer = { text = "ok" }')
    client = server.openai(max_retries=5)
    for _ in range(7):
        client.chat.completions.create(model="m", messages=HELLO)
    raw = client.chat.completions.with_raw_response.create(model="m", messages=HELLO)
    assert raw.headers["x-ratelimit-limit-requests"] == "3"


@pytest.mark.parametrize("fault", ["cut", "error_chunk", "malformed"])
def test_a_stream_that_breaks_raises(stand_in, fault):
    client = stand_in('[[rule]]\nanswer = { fault = "%s", after = 2 }' % fault).openai()
    seen = []
    with pytest.raises(Exception) as caught:
        for chunk in client.chat.completions.create(model="m", messages=HELLO, stream=True):
            seen.append(chunk)
    assert len(seen) == 2, caught.value


def test_comments_of_openrouter_are_no_events(stand_in):
    client = stand_in('[[rule]]\nanswer = { text = "ok", style = "openrouter", cost = 0.001 }').openai()
    chunks = list(client.chat.completions.create(model="m", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "ok"
    assert chunks[-1].usage.cost == 0.001
