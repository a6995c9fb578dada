"""Every mutant (faults.md, harness 4, and what else a promise hangs on).

"No tenant filter" is shown on row-level security and on the agencies of a session: the stream of state changes,
which the list of mutants names, does not exist yet.
"""

from tests.mutants.mutant import Mutant

_CALLBACK = "tests/service/payment/test_callback.py"
_EXCHANGE_LOG = "tests/service/gateway/test_exchange_log.py"
_IDEMPOTENCY = "tests/service/shared/test_idempotency.py"
_INTAKE = "tests/service/dossier/test_intake.py"
_LATE = "tests/service/sync_national/test_late_writes.py"
_LIFE = "tests/service/dossier/test_life.py"
_LOST = "tests/service/shared/test_lost_records.py"
_MESSAGING = "tests/service/shared/test_messaging.py"
_POISON = "tests/service/shared/test_poison.py"
_WIRE = "tests/unit/payment/test_platform_wire.py"

MESSAGING = (
    Mutant(
        "the inbox takes everything for new",
        "shared/shared/inbox.py",
        (("        if (event.origin, event.id) in new:\n", "        if True:\n"),),
        (f"{_MESSAGING}::test_the_same_event_twice_has_one_effect",),
    ),
    Mutant(
        "offsets are committed before the effect",
        "shared/shared/reader.py",
        (
            (
                '        """Apply what came at once, and note how far that is."""\n',
                "        await self._consumer.commit({it: got[-1].offset + 1 for it, got in batches.items()})\n",
            ),
        ),
        (f"{_MESSAGING}::test_a_crash_between_effect_and_commit_repeats_the_batch",),
    ),
    Mutant(
        "the relay takes ids above the last one",
        "shared/shared/outbox.py",
        (
            ("FROM outbox ORDER BY id LIMIT $1", "FROM outbox WHERE id > $2 ORDER BY id LIMIT $1"),
            (
                "            rows = await connection.fetch(_NEXT, _BATCH)\n",
                "            rows = await connection.fetch(_NEXT, _BATCH, getattr(self, '_last', 0))\n"
                "            self._last = rows[-1]['id'] if rows else getattr(self, '_last', 0)\n",
            ),
        ),
        (f"{_MESSAGING}::test_a_late_commit_with_a_smaller_id_is_not_skipped",),
    ),
    Mutant(
        "the receipt check publishes nothing again",
        "shared/shared/receipts.py",
        (("                    await tx.execute(_AGAIN, topic=topic, source=source, ids=ids)\n", ""),),
        ("tests/service/shared/test_receipts.py::test_what_a_reader_never_saw_is_published_again",),
    ),
    Mutant(
        "a reader that is away ends the round of the receipt check",
        "shared/shared/receipts.py",
        (("                faults.append(fault)\n", "                raise\n"),),
        ("tests/service/shared/test_receipts.py::test_a_reader_that_is_away_keeps_nothing_from_the_others",),
    ),
    Mutant(
        "what cannot be published cannot be parked either",
        "shared/shared/inbox.py",
        (("[events.written(park.event).decode() for park", "[events.encode(park.event).decode() for park"),),
        (f"{_POISON}::test_an_event_that_has_become_larger_than_it_came_is_parked_all_the_same",),
    ),
    Mutant(
        "nobody looks where a partition cannot be read",
        "shared/shared/reader.py",
        (("        if self._unreadable >= TRIES:\n", "        if self._unreadable < 0:\n"),),
        (f"{_LOST}::test_a_batch_that_the_broker_s_disk_has_damaged_is_stepped_over_and_comes_again",),
    ),
    Mutant(
        "NUL passes the reader of events",
        "shared/shared/events.py",
        (("            strict_json.loads(value)\n", "            pass\n"),),
        (f"{_POISON}::test_every_kind_of_poison_is_parked_with_its_reason_and_what_follows_it_passes",),
    ),
)

MONEY = (
    Mutant(
        "the callback's checksum is compared with ==",
        "services/payment/payment/platform.py",
        (("not hmac.compare_digest(given.lower().encode(), expected.encode())", "given.lower() != expected"),),
        (f"{_WIRE}::test_the_checksum_is_compared_in_constant_time",),
    ),
    Mutant(
        "a callback is believed when its JSON looks signed",
        "services/payment/payment/platform.py",
        (("not hmac.compare_digest(given.lower().encode(), expected.encode())", "len(given) != len(expected)"),),
        (f"{_WIRE}::test_whatever_was_changed_after_signing_is_refused",),
    ),
    Mutant(
        "the callback's amount is not compared with the charge",
        "services/payment/payment/charge.py",
        (
            (
                'return "confirm" if amount_vnd == expected_vnd and currency == "VND" else "other_amount"',
                'return "confirm"',
            ),
        ),
        (f"{_CALLBACK}::test_another_amount_goes_to_review",),
    ),
)

WALLS = (
    Mutant(
        "every session works for all agencies",
        "shared/shared/db.py",
        (('_quoted(",".join(agencies))', '"*"'),),
        (f"{_LIFE}::test_another_agencys_dossier_is_404_on_every_route", f"{_LIFE}::test_lists_filter_and_page"),
    ),
    Mutant(
        "row-level security lets everything pass",
        "shared/shared/schema.py",
        (("TO {service}_api USING (hub_covers({agency_column}))", "TO {service}_api USING (true)"),),
        (f"{_LIFE}::test_the_database_itself_hides_other_agencies",),
    ),
    Mutant(
        "a token for another audience opens the hub",
        "shared/shared/auth.py",
        (('claims["iss"] != self._issuer or self._audience not in audiences', 'claims["iss"] != self._issuer'),),
        ("tests/unit/shared/test_auth.py::test_a_forgery_is_refused",),
    ),
)

NATION = (
    Mutant(
        "a half-open breaker lets everybody probe",
        "shared/shared/http.py",
        (("if self._probing or self.wait_seconds > 0:", "if self.wait_seconds > 0:"),),
        ("tests/unit/shared/test_breaker.py::test_one_of_fifty_concurrent_calls_probes",),
    ),
    Mutant(
        "the synchronisation takes a time-out for an acknowledgement",
        "services/sync-national/sync_national/batch.py",
        (
            (
                "        for code in call.codes:\n"
                "            self.results[code] = Result(False, self._told.get(code), answer.trouble)\n",
                "        self._accept(call.codes)\n",
            ),
        ),
        ("tests/service/sync_national/test_faults.py::test_a_lost_answer_is_unknown_until_the_portal_was_asked",),
    ),
    Mutant(
        "a late write is forgotten with the acknowledgement of a newer one",
        "services/sync-national/sync_national/change.py",
        (('        return "raise"\n', '        return "keep"\n'),),
        (f"{_LATE}::test_a_late_write_over_a_newer_one_is_found_and_healed",),
    ),
    Mutant(
        "late progress rows are sent again to a portal that keeps both",
        "services/sync-national/sync_national/change.py",
        (("        return self.state is State.IN_FLIGHT or self.doubt is Doubt.OPEN\n", "        return False\n"),),
        (f"{_LATE}::test_late_progress_rows_are_neither_lost_nor_doubled",),
    ),
    Mutant(
        "nobody looks at the late write of a worker without a lease",
        "services/sync-national/sync_national/syncing.py",
        (("        if fenced:\n", "        if False:\n"),),
        (f"{_LATE}::test_what_a_worker_sent_after_its_lease_had_passed_on_is_looked_at",),
    ),
)

EVIDENCE = (
    Mutant(
        "requests pass while the exchange log cannot be written",
        "services/gateway/gateway/recording.py",
        (("        if not (self.is_available and self.is_sealed):\n", "        if False:\n"),),
        (f"{_EXCHANGE_LOG}::test_without_the_log_nothing_is_exchanged_and_nothing_is_lost",),
    ),
    Mutant(
        "answers leave without a record",
        "services/gateway/gateway/recording.py",
        (
            (
                "        await self._group.submit(exchange)\n",
                "        with suppress(ExchangeLogUnavailable):\n            await self._group.submit(exchange)\n",
            ),
        ),
        (f"{_EXCHANGE_LOG}::test_without_the_log_nothing_is_exchanged_and_nothing_is_lost",),
    ),
    Mutant(
        "the verifier does not look for a cut tail",
        "services/gateway/gateway/exchange.py",
        (("        if self.seq < head_seq:\n", "        if False:\n"),),
        (f"{_EXCHANGE_LOG}::test_tampering_is_found_and_the_first_bad_record_named",),
    ),
    Mutant(
        "the verifier does not look at the seals",
        "services/gateway/gateway/proving.py",
        (("        by_chain[sealed.chain][sealed.seq] = sealed\n", "        pass\n"),),
        ("tests/service/gateway/test_sealing.py::test_what_only_a_seal_can_tell",),
    ),
    Mutant(
        "the checker of effects without a record looks at nothing",
        "services/gateway/gateway/store_recovery.py",
        (('return frozenset(row["id"] for row in await rx.raw.fetch(_MISSING, list(ids)))', "return frozenset()"),),
        ("tests/service/gateway/test_recovering.py::test_an_effect_without_a_record_gets_one_marked_recovered",),
    ),
)

REQUESTS = (
    Mutant(
        "a key used for another body replays the first answer",
        "shared/shared/idempotency.py",
        (('    if row["body_sha256"] != body_sha256:\n', "    if False:\n"),),
        (f"{_IDEMPOTENCY}::test_another_body_is_refused_and_another_client_is_not_concerned",),
    ),
    Mutant(
        "intake replays the first answer for another body",
        "services/dossier/dossier/intake.py",
        (('if stored is not None and stored["body_sha256"] != sha:', "if False:"),),
        (f"{_INTAKE}::test_another_body_under_the_key_is_refused",),
    ),
    Mutant(
        "one bad line of a batch fails its neighbours",
        "services/dossier/dossier/intake.py",
        (
            (
                "                    except HubError as refusal:\n"
                "                        entry.answer = ndjson.refusal(refusal)\n",
                "                    except HubError:\n                        raise\n",
            ),
        ),
        (f"{_INTAKE}::test_a_batch_stores_the_good_lines",),
    ),
)

MUTANTS = (*MESSAGING, *MONEY, *WALLS, *NATION, *EVIDENCE, *REQUESTS)
