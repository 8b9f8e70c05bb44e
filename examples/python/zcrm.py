"""Files and pictures of Zoho CRM records, from Python: one file, the standard library and libzcrm.so.

    import zcrm
    client = zcrm.Client(access_token="...", data_center="eu", allow_paths="/srv/files")
    stored = client.run_step({"operation": "attachment.upload", "module": "Contacts", "record_id": "3652397000000649013",
                              "source": {"path": "/srv/files/contract.pdf"}})
    print(stored["result"]["id"])

zcrm.describe() gives the operations with the JSON Schema of what goes in and comes out, and the settings. A client may be used by any
number of threads; Python runs other threads during a call. Load the library in the process that uses it, not before a fork.

As a command, `python3 zcrm.py [-n threads] < steps.ndjson > results.ndjson` runs one step a line and keeps their order; settings come from
the environment (ZCRM_API_DOMAIN is api_domain, and so on), the library from ZCRM_LIBRARY. A step that fails is a line {"error": {...}}.
Exit code: 0 every step was done; 1 some failed; 2 nothing could be started, or output couldn't be written; 3 ended by a signal; 4 none failed,
and nobody knows of some whether they were done.
"""

import argparse
import concurrent.futures
import ctypes
import json
import os
import queue
import signal
import sys
import threading
import time
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_void_p, sizeof

ABI_VERSION = 1

_text = c_char_p
_out = POINTER(c_void_p)


def _fn(result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)


class _Plugin(ctypes.Structure):
    """zcrm_plugin_v1 of zcrm.h."""

    _fields_ = [
        ("struct_size", c_size_t),
        ("abi", c_uint32),
        ("reserved", c_uint32),
        ("version", _fn(_text)),
        ("describe", _fn(_text)),
        ("status_name", _fn(_text, c_int32)),
        ("config_new", _fn(c_int32, _out)),
        ("config_set", _fn(c_int32, c_void_p, _text, _text, c_size_t, _out)),
        ("config_free", _fn(None, c_void_p)),
        ("client_new", _fn(c_int32, c_void_p, _out, _out)),
        ("client_free", _fn(None, c_void_p)),
        ("cancel_new", _fn(c_int32, _out)),
        ("cancel_fire", _fn(None, c_void_p)),
        ("cancel_free", _fn(None, c_void_p)),
        ("step_run", _fn(c_int32, c_void_p, _text, c_size_t, c_void_p, _out, _out)),
        ("result_json", _fn(_text, c_void_p, c_void_p)),
        ("result_free", _fn(None, c_void_p)),
        ("error_code", _fn(c_int32, c_void_p)),
        ("error_reason", _fn(_text, c_void_p)),
        ("error_message", _fn(_text, c_void_p)),
        ("error_http_status", _fn(c_int32, c_void_p)),
        ("error_api_code", _fn(_text, c_void_p)),
        ("error_retryable", _fn(c_int32, c_void_p)),
        ("error_retry_after_ms", _fn(c_int64, c_void_p)),
        ("error_json", _fn(_text, c_void_p)),
        ("error_free", _fn(None, c_void_p)),
        ("config_load_profile", _fn(c_int32, c_void_p, c_char_p, c_char_p, c_void_p)),
    ]


class _Str(ctypes.Structure):
    _fields_ = [("ptr", _text), ("len", c_size_t)]


class _Call(ctypes.Structure):
    """zcrm_call of zcrm.h, as far as it is used here: a shorter struct is filled up with zeros."""

    _fields_ = [("struct_size", c_size_t), ("cancel", c_void_p), ("timeout_ms", c_int64)]


class Error(Exception):
    """A failure. `name` is such as ZCRM_E_NOT_FOUND, `detail` has every field of the library's error."""

    def __init__(self, detail):
        super().__init__(detail["message"])
        self.detail = detail
        self.name = detail["name"]
        self.reason = detail["reason"]
        self.http_status = detail["http_status"]
        self.api_code = detail["api_code"]
        self.retryable = detail["retryable"]
        self.retry_after_ms = detail["retry_after_ms"]


_loaded = None


def _zcrm():
    """The library's functions; loads it at the first use."""
    global _loaded
    if _loaded is None:
        path = os.environ.get("ZCRM_LIBRARY", "libzcrm.so.0")
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            raise OSError(f"{error}. Set ZCRM_LIBRARY to the path of libzcrm.so") from None
        table = _Plugin()
        if not hasattr(library, "zcrm_plugin_init"):
            raise OSError(f"{path} is not zcrm")
        status = library.zcrm_plugin_init(c_uint32(ABI_VERSION), byref(table), c_size_t(sizeof(table)))
        if status != 0 or table.struct_size < sizeof(table):
            raise OSError(f"this zcrm.py needs ABI {ABI_VERSION}; the library has another (status {status})")
        _loaded = table
    return _loaded


def _check(status, error):
    if status == 0:
        return
    try:
        detail = json.loads(_zcrm().error_json(error)) if error else None
    finally:
        _zcrm().error_free(error)
    name = _zcrm().status_name(status).decode()
    raise Error(detail or {"name": name, "reason": "", "message": name, "http_status": 0, "api_code": "", "retryable": False, "retry_after_ms": -1})


def version():
    """Version of the library."""
    return _zcrm().version().decode()


def describe():
    """The operations, their schemas, the settings and the statuses."""
    return json.loads(_zcrm().describe())


class Cancel:
    """Ends the calls it is given to: fire() may be called from any thread."""

    _handle = None

    def __init__(self):
        self._handle = c_void_p()
        _check(_zcrm().cancel_new(byref(self._handle)), None)

    def fire(self):
        _zcrm().cancel_fire(self._handle)

    def __del__(self):
        if self._handle:
            _zcrm().cancel_free(self._handle)


class Client:
    """A connection to one CRM organisation. Settings are those of describe()["settings"]; a wrong one is an Error.

    `profile` is the name of a login that `zcrm login` has written, "" the default one; `profiles` is another file of them. Settings come before it."""

    _handle = None

    def __init__(self, *, profile=None, profiles=None, **settings):
        zcrm, config, error = _zcrm(), c_void_p(), c_void_p()
        self._handle = c_void_p()
        _check(zcrm.config_new(byref(config)), None)
        try:
            if profile is not None or profiles is not None:
                named = [text.encode() if text else None for text in (profiles, profile)]
                _check(zcrm.config_load_profile(config, *named, byref(error)), error)
            for key, value in settings.items():
                if value is None:
                    raise TypeError(f"{key} is None; leave it out, or give its value")
                value = ({True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)).encode()
                _check(zcrm.config_set(config, key.encode(), value, len(value), byref(error)), error)
            _check(zcrm.client_new(config, byref(self._handle), byref(error)), error)
        finally:
            zcrm.config_free(config)

    def run_step(self, step, cancel=None, timeout=None):
        """Runs one step, a dict, and gives its result, a dict. `timeout` is in seconds. A failure is raised as Error."""
        return json.loads(self.run_json(json.dumps(step), cancel, timeout))

    def run_json(self, step, cancel=None, timeout=None):
        """The same with JSON in, as text or UTF-8 bytes, and JSON text out."""
        zcrm, result, error = _zcrm(), c_void_p(), c_void_p()
        call = _Call(sizeof(_Call), cancel._handle if cancel else None, max(1, round(timeout * 1000)) if timeout is not None else 0)
        step = step.encode() if isinstance(step, str) else step
        _check(zcrm.step_run(self._handle, step, len(step), byref(call), byref(result), byref(error)), error)
        try:
            return zcrm.result_json(result, None).decode()
        finally:
            zcrm.result_free(result)

    def __del__(self):
        if self._handle:
            _zcrm().client_free(self._handle)


def settings_from_environment():
    """ZCRM_API_DOMAIN is api_domain, and so on."""
    own = ("ZCRM_LIBRARY", "ZCRM_MODULE", "ZCRM_RECORD_ID")  # not settings, but the examples' own
    return {name[5:].lower(): value for name, value in os.environ.items() if name.startswith("ZCRM_") and name not in own}


def main():
    parser = argparse.ArgumentParser(description="Runs steps, one JSON object a line, and writes their results in order.")
    parser.add_argument("-n", "--threads", type=int, default=4, help="steps at a time (4)")
    parser.add_argument("-d", "--describe", action="store_true", help="print what steps there are")
    arguments = parser.parse_args()
    if arguments.threads < 1:
        parser.error("-n: give at least 1")
    if sys.stdin is None or sys.stdout is None:
        return 2  # closed, and there is nowhere to say so
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    try:
        if arguments.describe:
            return print(json.dumps(describe(), indent=2))
        client = Client(**settings_from_environment())
    except (Error, OSError) as error:
        print(f"zcrm: {error}", file=sys.stderr)
        return 2
    stop, signals = Cancel(), {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before any thread: a handler would wait for the main one, which may be blocked
    threading.Thread(target=end_by_signal, args=(signals, stop), daemon=True).start()
    return run_lines(client, sys.stdin.buffer, sys.stdout, arguments.threads, stop)


def end_by_signal(signals, stop):
    """What runs is cancelled, and has a second to be printed."""
    signal.sigwait(signals)
    stop.fire()
    time.sleep(1)
    os._exit(3)


def run_lines(client, lines, to, threads, stop):
    """Runs a step a line, `threads` at a time, and prints the results in order, each as soon as it is the next one. Gives the exit code."""
    codes = set()
    # Bounded, so that lines aren't read faster than they are done.
    running = queue.Queue(threads)

    def run(number, line):
        try:
            return client.run_json(line, stop)
        except Error as error:
            codes.add(4 if error.name == "ZCRM_E_OUTCOME_UNKNOWN" else 1)
            return json.dumps({"line": number, "error": error.detail}, ensure_ascii=False)

    def show():
        try:
            while (result := running.get()) is not None:
                print(result.result(), file=to, flush=True)
        except OSError as error:  # nobody reads any more, or the disk is full: what is done can't be told
            print(f"zcrm: output can't be written: {error}", file=sys.stderr)
            os._exit(2)

    showing = threading.Thread(target=show)
    showing.start()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    running.put(pool.submit(run, number, line.rstrip(b"\r\n")))
        except OSError as error:
            print(f"zcrm: input can't be read: {error}", file=sys.stderr)
            os._exit(2)
        running.put(None)
        showing.join()
    return min(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
