"""Anthropic's client understands all that the stand-in says in its format."""

import time

import anthropic
import pytest

MARK = "[scripted stand-in]"
HELLO = [{"role": "user", "content": "Hello there"}]
TOOL = {
    "name": "read_file",
    "description": "Reads a file",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}


def ask(client, model="m", **options):
    return client.messages.create(**({"model": model, "max_tokens": 200, "messages": HELLO} | options))


def test_message(stand_in):
    message = ask(stand_in().anthropic(), system="Be brief.")
    assert message.content[0].text.startswith(MARK)
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == 6 and message.usage.output_tokens > 0
    assert message._request_id.startswith("req_")


def test_stream(stand_in):
    client = stand_in().anthropic()
    whole = ask(client)
    with client.messages.stream(model="m", max_tokens=200, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", whole.usage.output_tokens)
    kinds = [event.type for event in ask(client, stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and "content_block_delta" in kinds


def test_tools_and_their_results(stand_in):
    client = stand_in().anthropic()
    message = ask(client, tools=[TOOL], tool_choice={"type": "any"})
    assert message.stop_reason == "tool_use"
    (block,) = message.content
    assert (block.type, block.name, block.input) == ("tool_use", "read_file", {"path": MARK})
    result = {"type": "tool_result", "tool_use_id": block.id, "content": "done"}
    turns = HELLO + [{"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    assert ask(client, tools=[TOOL], messages=turns).content[0].text.endswith("done")
    with client.messages.stream(
        model="m", max_tokens=200, messages=HELLO, tools=[TOOL], tool_choice={"type": "tool", "name": "read_file"}
    ) as stream:
        assert stream.get_final_message().content[0].input == {"path": MARK}


def test_thinking_and_refusal_and_length(stand_in):
    client = stand_in(
        """
        [[rule]]
        when = { model = "thinks" }
        answer = { text = "x", thinking = "Let me see." }
        [[rule]]
        when = { model = "refuses" }
        answer = { fault = "refusal" }
        """
    ).anthropic()
    with client.messages.stream(model="thinks", max_tokens=200, messages=HELLO) as stream:
        blocks = stream.get_final_message().content
    assert [block.type for block in blocks] == ["thinking", "text"] and blocks[0].thinking == "Let me see."
    assert ask(client, "refuses").stop_reason == "refusal"
    assert ask(client, max_tokens=5).stop_reason == "max_tokens"


def test_the_cache_is_written_once_and_then_read(stand_in):
    client = stand_in().anthropic()
    system = [{"type": "text", "text": "x" * 400, "cache_control": {"type": "ephemeral"}}]
    first, second = ask(client, system=system).usage, ask(client, system=system).usage
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens) == (100, 0)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 100)


def test_models_and_token_counts(stand_in):
    client = stand_in('models = ["one", "two"]').anthropic()
    assert [model.id for model in client.models.list()] == ["one", "two"]
    assert client.models.retrieve("two").type == "model"
    assert client.messages.count_tokens(model="one", messages=HELLO).input_tokens == 3


@pytest.mark.parametrize(
    ("model", "error", "kind"),
    [
        ("error-400", anthropic.BadRequestError, "invalid_request_error"),
        ("error-401", anthropic.AuthenticationError, "authentication_error"),
        ("error-402", anthropic.APIStatusError, "billing_error"),
        ("error-403", anthropic.PermissionDeniedError, "permission_error"),
        ("error-404", anthropic.NotFoundError, "not_found_error"),
        ("error-413", anthropic.APIStatusError, "request_too_large"),
        ("error-429", anthropic.RateLimitError, "rate_limit_error"),
        ("error-500", anthropic.InternalServerError, "api_error"),
        ("error-503", anthropic.InternalServerError, "api_error"),
        ("error-529", anthropic.InternalServerError, "overloaded_error"),
        ("error-context", anthropic.BadRequestError, "invalid_request_error"),
    ],
)
def test_every_error_is_the_clients_own(stand_in, model, error, kind):
    with pytest.raises(error) as caught:
        ask(stand_in().anthropic(), model)
    assert caught.value.body["error"]["type"] == kind
    assert caught.value.request_id.startswith("req_")


def test_lost_connections_and_stalls(stand_in):
    server = stand_in()
    with pytest.raises(anthropic.APIConnectionError):
        ask(server.anthropic(), "error-hang-up")
    with pytest.raises(anthropic.APITimeoutError):
        ask(server.anthropic(timeout=0.5), "error-stall")


def test_the_client_waits_as_long_as_it_is_told(stand_in):
    server = stand_in('[[rule]]\nanswers = [{ fault = 429, retry_after = "2s" }, { text = "ok" }]')
    start = time.monotonic()
    assert ask(server.anthropic(max_retries=2)).content[0].text == "ok"
    assert 2.0 <= time.monotonic() - start <= 4.0
    assert server.calls()["all"]["calls"] == 2


@pytest.mark.parametrize("fault", ["cut", "error_chunk"])
def test_a_stream_that_breaks_raises(stand_in, fault):
    client = stand_in('[[rule]]\nanswer = { fault = "%s", after = 4 }' % fault).anthropic()
    seen = []
    with pytest.raises(Exception):
        for event in ask(client, stream=True):
            seen.append(event.type)
    assert seen[0] == "message_start" and "message_stop" not in seen
