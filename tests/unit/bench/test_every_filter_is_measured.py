"""A filter added to a list is measured by `make bench-lists`, or this fails."""

import dossier.main
import dossier.settings
import sync_national.main
import sync_national.settings
from tests.bench import lists


def test_every_filter_of_the_lists_has_values_in_the_bench() -> None:
    filing = dossier.settings.Settings.model_construct()
    syncing = sync_national.settings.Settings.model_construct()
    paths = (
        dossier.main.create_app(filing).openapi()["paths"] | sync_national.main.create_app(syncing).openapi()["paths"]
    )
    assert lists.unknown_filters({"paths": paths}) == []
