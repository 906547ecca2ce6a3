"""Problems as answers: which status each has, and the one shape they come in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from safelight.host.queue import without_details
from safelight.protocol.common import Problems
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.unicode import encode_json

_STATUS = {
    "run_missing": 404,
    "model_missing": 404,
    "download_missing": 404,
    "host_not_allowed": 403,
    "workflow_missing": 404,
    "revision_missing": 404,
    "output_missing": 404,
    "batch_missing": 404,
    "board_missing": 404,
    "preset_missing": 404,
    "vote_missing": 404,
    "workflow_conflict": 409,
    "name_taken": 409,
    "run_ended": 409,
    "run_busy": 409,
    "run_not_waiting": 409,
    "not_json": 400,
    "bad_name": 400,
    "bad_tag": 400,
    "too_deep": 400,
    "duplicate_key": 400,
    "bad_path": 400,
    "not_ours": 403,
    "upload_type": 415,
    "upload_empty": 400,
    "image_too_large": 413,
    "embedded_text_too_large": 413,
    "shutting_down": 503,
    "database_failed": 503,
    "no_workers": 503,
    "cannot_write": 503,
}


class Refused(ProblemError):
    """A request that cannot be served, with the status it is answered with."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        *,
        value: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(Problem(code=code, message=message, hint=hint, value=value))
        self.status = status
        self.headers = dict(headers or {})


def answer_to(error: ProblemError) -> web.Response:
    """The answer to a request that raised."""
    return problem_response(status_of(error), error.problems, error.headers if isinstance(error, Refused) else None)


def status_of(error: ProblemError) -> int:
    """The status that a request which raised is answered with."""
    if isinstance(error, Refused):
        return error.status
    first = error.problems[0] if error.problems else None
    # What is said of a node is wrong in the document, also where the same code means something else of an address.
    return 422 if first is None or first.node is not None else _STATUS.get(first.code, 422)


def problem_response(
    status: int, problems: Iterable[Problem], headers: Mapping[str, str] | None = None
) -> web.Response:
    body = encode_json(Problems(problems=tuple(without_details(problem) for problem in problems)))
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def plain(
    status: int, code: str, message: str, hint: str = "", headers: Mapping[str, str] | None = None
) -> web.Response:
    return problem_response(status, [Problem(code=code, message=message, hint=hint)], headers)
