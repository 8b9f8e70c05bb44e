"""Runs steps, one JSON object a line of the standard input, and writes their results in order, one a line.

    python -m zcrm [-n THREADS] < steps.ndjson > results.ndjson
    python -m zcrm --describe

The settings come from the environment: ZCRM_API_DOMAIN is api_domain, and so on; ZCRM_PROFILE names a profile. A step that fails is a
line {"line": 7, "error": {…}}; blank lines are passed over. Text is UTF-8 whatever the locale says.

Exit code: 0 every step was done; 1 some failed; 2 nothing could be started, or input couldn't be read, or results couldn't be written; 3 ended by
SIGTERM or SIGINT, which cancels what runs; 4 none failed, and nobody knows of some whether they were done.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import io
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import BinaryIO, Iterator, NoReturn, Optional, Set, TextIO

import zcrm
from zcrm import _abi, _call

FAILED, NOT_STARTED, ENDED, UNKNOWN = 1, 2, 3, 4


def main() -> int:
    about, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser("python -m zcrm", description=about, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--threads", type=int, default=4, help="steps at a time (4)")
    parser.add_argument("-d", "--describe", action="store_true", help="print what steps, settings and statuses there are")
    arguments = parser.parse_args()
    if arguments.threads < 1:
        parser.error("-n: give at least 1")
    if sys.stdin is None or sys.stdout is None:
        if sys.stderr is not None:
            print("zcrm: standard input or output is closed", file=sys.stderr)
        return NOT_STARTED
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    try:
        if arguments.describe:
            return _describe()
        client = zcrm.Client(max_calls=arguments.threads, **zcrm.settings_from_environment())
    except (zcrm.Error, ImportError, OSError) as error:
        print(f"zcrm: {error}", file=sys.stderr)
        return NOT_STARTED
    stop, signals = zcrm.Cancel(), {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before any thread: a handler would wait for the main one, which may be blocked
    threading.Thread(target=_end_by_signal, args=(signals, stop), daemon=True).start()
    code = run_lines(client, sys.stdin.buffer, sys.stdout, arguments.threads, stop)
    return ENDED if stop.fired else code


def _describe() -> int:
    description = json.dumps(zcrm.describe(), indent=2)
    try:
        print(description, flush=True)
    except OSError as error:
        _end("output can't be written", error)
    return 0


def _end_by_signal(signals: Set[signal.Signals], stop: zcrm.Cancel) -> None:
    """What runs is cancelled, and has a second to be printed."""
    signal.sigwait(signals)
    stop.fire()
    time.sleep(1)
    os._exit(ENDED)


def _end(what: str, error: Exception) -> NoReturn:
    print(f"zcrm: {what}: {error}", file=sys.stderr, flush=True)
    os._exit(NOT_STARTED)


def _codes(batch: _abi.zcrm_batch_summary) -> Iterator[int]:
    if batch.failed > batch.unknown or batch.left:
        yield FAILED
    if batch.unknown:
        yield UNKNOWN


def run_lines(client: zcrm.Client, lines: BinaryIO, to: TextIO, threads: int, stop: zcrm.Cancel) -> int:
    """Runs a step a line, `threads` at a time, and prints the results in order, each as soon as it is the next one. Gives the exit code."""
    codes: Set[int] = set()
    # Bounded, so that lines aren't read faster than they are done.
    running: queue.Queue[Optional[concurrent.futures.Future[str]]] = queue.Queue(threads)

    def run(number: int, line: bytes) -> str:
        try:
            reply = client._step(line, _call.Options(cancel=stop), with_batch=True)
            if reply.batch:  # it is done itself, whatever became of its steps
                codes.update(_codes(reply.batch))
            return bytes(reply.json).decode()
        except zcrm.Error as error:
            codes.add(UNKNOWN if isinstance(error, zcrm.OutcomeUnknownError) else FAILED)
            return json.dumps({"line": number, "error": error.detail}, ensure_ascii=False)

    def show() -> None:
        try:
            while (result := running.get()) is not None:
                print(result.result(), file=to, flush=True)
        except OSError as error:  # nobody reads any more, or the disk is full: what is done can't be told
            _end("output can't be written", error)
        except Exception as error:  # noqa: BLE001 - or the main thread would wait for room for ever
            _end("a result is lost", error)

    showing = threading.Thread(target=show)
    showing.start()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    running.put(pool.submit(run, number, line.rstrip(b"\r\n")))
        except OSError as error:
            _end("input can't be read", error)
        running.put(None)
        showing.join()
    return min(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
