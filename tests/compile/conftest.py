"""What the tests of compiled programs share."""

from __future__ import annotations

import pytest

import fungrad as fg


@pytest.fixture(params=["as planned", "loops of one block"])
def groups(request, monkeypatch):
    """Groups that would run as one block are taken apart; with this they run as loops as well."""
    if request.param != "as planned":
        monkeypatch.setattr("fungrad.compile.emit.without_single_blocks", list)
    fg.clear_caches()
    return request.param
