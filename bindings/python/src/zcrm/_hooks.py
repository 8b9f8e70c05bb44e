"""What a client calls back on any thread, as long as it lives: its source of tokens, and its log."""

from __future__ import annotations

import ctypes
import itertools
import logging
from collections import OrderedDict
from typing import Any, Callable, Dict, Optional

from . import _abi
from ._library import lib

LEVELS = {
    _abi.LOG_ERROR: logging.ERROR,
    _abi.LOG_WARN: logging.WARNING,
    _abi.LOG_INFO: logging.INFO,
    _abi.LOG_DEBUG: logging.DEBUG,
    _abi.LOG_TRACE: 5,
}

_numbers = itertools.count(1)
_hooks: Dict[int, Any] = {}

# Calls that wait for a token while another one asks share its failure: so what was raised can't be found through the call, and goes by the number
# that the callback gave. They begin above every status.
_failures: OrderedDict[int, BaseException] = OrderedDict()
_failure_numbers = itertools.count(1000)
_KEPT = 256


def raised(number: int) -> Optional[BaseException]:
    """What a source of tokens raised, which gave this number to the library."""
    return _failures.get(number)


def _drop(user: int) -> None:
    _hooks.pop(user, None)


def _token(user: int, force_refresh: int, buffer: int, capacity: int, n: Any) -> int:
    try:
        token = _hooks[user](bool(force_refresh)).encode()
        if len(token) > capacity:
            raise ValueError(f"the source of tokens gave {len(token)} bytes, and a token has at most {capacity}")
        ctypes.memmove(buffer, token, len(token))
        n[0] = len(token)
        return 0
    except BaseException as error:  # noqa: BLE001 - it goes on where the call ends, as C can't pass it
        number = next(_failure_numbers)
        _failures[number] = error
        while len(_failures) > _KEPT:
            _failures.popitem(last=False)
        return number


def _log(user: int, level: int, line: bytes, _length: int) -> None:
    logger = _hooks.get(user)
    if logger is not None:
        logger.log(LEVELS.get(level, logging.ERROR), "%s", line.decode("utf-8", "replace"))


_on_drop, _on_token, _on_log = _abi.zcrm_drop_fn(_drop), _abi.zcrm_token_fn(_token), _abi.zcrm_log_fn(_log)


def set_token(config: Any, source: Callable[[bool], str]) -> int:
    """Gives the status."""
    return _set(source, lambda number: lib.zcrm_config_set_token_fn(config, _on_token, number, _on_drop))


def set_logger(config: Any, logger: logging.Logger) -> int:
    """Lines of the levels that are enabled now go to the logger. Gives the status."""
    enabled = [level for level, meant in LEVELS.items() if logger.isEnabledFor(meant)]
    return _set(logger, lambda number: lib.zcrm_config_set_log_fn(config, max(enabled), _on_log, number, _on_drop)) if enabled else 0


def _set(hook: Any, give: Callable[[int], int]) -> int:
    number = next(_numbers)
    _hooks[number] = hook
    status = give(number)
    if status != 0:
        _hooks.pop(number, None)
    return status
