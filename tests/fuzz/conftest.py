"""Tells how many executions were made."""

import pytest
from harness import executions, report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if executions:
        terminalreporter.section("fuzzing")
        for line in report():
            terminalreporter.write_line(line)
