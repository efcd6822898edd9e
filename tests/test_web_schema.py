"""easel's own REST against its OpenAPI schema: whatever is sent, every answer is one that the schema documents."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.web_studio import a_result, put_in
from tests.web_toy import Nap

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
EXAMPLES, RECIPES = 5, 25


def test_every_answer_is_a_documented_one(owner: Any) -> None:
    from easel.web import queue
    from easel.web.asgi import application
    from easel.web.models import Job, Token
    from easel.web.studio import hashed

    Token.objects.create(owner=owner, name="t", hash=hashed("known"), created=0)
    headers = {"Host": "localhost", "Authorization": "Bearer known"}
    a_result(owner)
    put_in(owner)
    queue.enqueue(owner, Nap())
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", application, headers=headers)
    tried = []
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=RECIPES if operation.label == "POST /api/jobs" else EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        def answers(case: Any) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS)

        answers()
        tried.append(operation.label)
    assert len(tried) > 8
    assert Job.objects.count() > 2  # some recipes that the schema made were taken
