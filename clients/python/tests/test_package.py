"""What the package promises of itself."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import windlass_client
from windlass_client import AsyncClient, Client, errors

ROOT = Path(__file__).resolve().parents[1]


def public(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    assert public(Client) - {"close"} == public(AsyncClient) - {"aclose"}
    for name in public(Client) - {"close"}:
        one, other = (inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient))
        assert list(one.parameters.values()) == list(other.parameters.values()), name


def test_the_asyncio_client_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_method_says_what_it_does() -> None:
    assert not [name for name in public(Client) if not inspect.getdoc(getattr(Client, name))]


def test_every_error_is_one_of_ours() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert all(issubclass(kind, errors.WindlassError) for kind in kinds)
    named = [kind.problem_type for kind in errors.ApiError.__subclasses__()]
    assert len(named) == len(set(named)) == 16


def test_the_package_is_typed_and_all_names_are_there() -> None:
    assert (Path(windlass_client.__file__).parent / "py.typed").exists()
    assert all(hasattr(windlass_client, name) for name in windlass_client.__all__)
