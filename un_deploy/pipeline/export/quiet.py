"""Silences torch's exporters; exceptions and what the tracer froze are still told."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from un_deploy.errors import one_line


@contextmanager
def quiet() -> Iterator[None]:
    """Drop prints, log records and warnings of the body; exceptions come through.

    So do TracerWarnings, once each: they say that the TorchScript tracer froze a value of the
    example inputs into the graph.
    """
    from torch.jit import TracerWarning

    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(record=True) as caught,
            _no_stdout_of_libraries(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("always")
            yield
    finally:
        logging.disable(disabled)
    for message in dict.fromkeys(
        str(warning.message) for warning in caught if issubclass(warning.category, TracerWarning)
    ):
        warnings.warn(one_line(message), TracerWarning, stacklevel=2)


@contextmanager
def _no_stdout_of_libraries() -> Iterator[None]:
    """Send file descriptor 1 nowhere: the TorchScript exporter prints a failing graph from C++."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
