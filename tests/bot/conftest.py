"""Fixtures of the tests that run the whole bot."""

from tests.support.bot_harness import _fast_retries, _fast_status_edits, _warn_without_openapi, fork_server, harness
from tests.support.new_database import make_database

__all__ = ["_fast_retries", "_fast_status_edits", "_warn_without_openapi", "fork_server", "harness", "make_database"]
