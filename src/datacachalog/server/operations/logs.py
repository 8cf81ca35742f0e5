"""How the server logs: lines of JSON for programs, or lines for people at a terminal."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO

# An API key's secret, tokens, the password of an address, what signs an address.
_SECRETS = (
    (re.compile(r"(dlk_[A-Za-z0-9]{12}_)[A-Za-z0-9_-]+"), r"\1***"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), "eyJ***"),
    (re.compile(r"(?i)(bearer\s+)[^\s\"']+"), r"\1***"),
    (re.compile(r"(://[^\s/:@]*:)[^\s/@]+@"), r"\1***@"),
    (re.compile(r"(?i)((?:x-amz-)?(?:signature|credential|security-token)=)[^&\s\"']+"), r"\1***"),
)


class JsonLines(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, and what a record tells."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return without_secrets(json.dumps(line, ensure_ascii=False, default=str))


class Lines(logging.Formatter):
    """One line for people."""

    def format(self, record: logging.LogRecord) -> str:
        told = getattr(record, "told", {})
        more = " ".join(
            f"{name}={told[name]}" for name in ("ms", "principal", "request_id") if told.get(name)
        )
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        line = f"{at} {record.levelname.lower():7} {record.getMessage()} {more}".rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return without_secrets(line)


def without_secrets(text: str) -> str:
    """The text with what looks like a credential taken out.

    >>> without_secrets("postgresql://ann:pass@db/x")
    'postgresql://ann:***@db/x'
    """
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def use_logs(form: str, stream: TextIO = sys.stderr) -> None:
    """Has everything logged to `stream`: as `json`, as `text`, or as `auto` finds there."""
    is_text = form == "text" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines() if is_text else JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        theirs = logging.getLogger(name)
        theirs.handlers, theirs.propagate = [], True
    for name in ("botocore", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
