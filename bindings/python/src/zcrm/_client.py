"""The client."""

from __future__ import annotations

import enum
import hashlib
import json
import logging
import numbers
import os
import pathlib
import sys
import weakref
from ctypes import byref, c_void_p
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Callable, Dict, Final, Iterable, Iterator, Literal, Mapping, Optional, Union

from . import _call, _failure, _hooks, _values
from ._batch import Batch, Step
from ._gate import Gate
from ._library import lib
from ._settings import SEPARATORS, Settings
from ._statuses import ArgumentError, ConfigError, StateError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._record import Record

IfExists = Literal["skip", "skip_same_bytes"]

LOGGER = logging.getLogger("zcrm")
LOGGER.addHandler(logging.NullHandler())  # or Python would print failures that the program handles


class _Shared(enum.Enum):
    SHARED = "a file in the user's cache folder"

    def __repr__(self) -> str:
        return "SHARED"


SHARED: Final = _Shared.SHARED
"""The token_file that a client has unless it is told otherwise."""


def version() -> str:
    """The version of the library, such as "0.1.0"."""
    return str(lib.zcrm_version().decode())


def describe() -> Dict[str, Any]:
    """The operations with the JSON Schemas of their steps and results, the settings, the statuses and the limits.

    An engine can draw its forms from it: `operations`, `settings`, `statuses`, `error` and `limits` say what there is.
    """
    described: Dict[str, Any] = json.loads(lib.zcrm_step_describe())
    return described


def settings_from_environment(environment: Optional[Mapping[str, str]] = None) -> Settings:
    """The settings that stand in the environment, for Client(**settings): ZCRM_API_DOMAIN is api_domain, ZCRM_PROFILE is profile, and so on."""
    own = ("ZCRM_LIBRARY", "ZCRM_EMULATOR", "ZCRM_MODULE", "ZCRM_RECORD_ID")  # not settings, but of the package and of examples
    given = os.environ if environment is None else environment
    return {name[5:].lower(): value for name, value in given.items() if name.startswith("ZCRM_") and name not in own}  # type: ignore[return-value]


def _written(key: str, value: Any) -> str:
    """A setting's value as the library takes it."""
    if value is None:
        raise TypeError(f"{key} is None; leave it out, or give its value")
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (list, tuple)) and key in SEPARATORS:
        items = [str(os.fspath(item) if isinstance(item, os.PathLike) else item) for item in value]
        for item in items:
            if SEPARATORS[key] in item:
                raise _failure.own(ConfigError, "config", f"{key}: {item!r} holds {SEPARATORS[key]!r}, which separates its items", key)
        return SEPARATORS[key].join(items)
    if not isinstance(value, (str, numbers.Number, os.PathLike)):
        raise TypeError(f"{key} must be a str, not {type(value).__name__}")
    return str(os.fspath(value) if isinstance(value, os.PathLike) else value)


def _whole(field: str, text: bytes) -> bytes:
    """A text that ends for C at its first NUL, where it would be another one."""
    if b"\0" in text:
        raise _failure.own(ArgumentError, "argument", f"{field}: {text!r} holds a NUL", field)
    return text


class Config:
    """Settings from which a client is made. Those of a profile come before `defaults` and behind `settings`."""

    def __init__(self, settings: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({}), profile: Optional[str] = None,
                 profiles: Union[str, os.PathLike[str], None] = None) -> None:
        self.handle = c_void_p()
        _call.check(lib.zcrm_config_new(byref(self.handle)))
        try:
            for key, value in defaults.items():
                if value is not None:
                    self._set(key, _written(key, value))
            if profile is not None or profiles is not None:
                self._load(profile, profiles)
            for key, value in settings.items():
                self._set(key, _written(key, value))
        except BaseException:
            self.free()
            raise

    def _set(self, key: str, value: str) -> None:
        error, text = c_void_p(), value.encode(errors="surrogateescape")
        _call.check(lib.zcrm_config_set(self.handle, _whole("key", key.encode()), text, len(text), byref(error)), error)

    def _load(self, profile: Optional[str], profiles: Union[str, os.PathLike[str], None]) -> None:
        error, path = c_void_p(), None if profiles is None else _whole("profiles", os.fsencode(profiles))
        name = _whole("profile", profile.encode()) if profile else None
        _call.check(lib.zcrm_config_load_profile(self.handle, path, name, byref(error)), error)

    def free(self) -> None:
        lib.zcrm_config_free(self.handle)


def _cache() -> pathlib.Path:
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return pathlib.Path.home() / "Library" / "Caches"
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    return cache if cache.is_absolute() else pathlib.Path.home() / ".cache"  # XDG ignores a relative one: it is another in each working directory


def _shared_token_file(settings: Mapping[str, Any], *profile: Any) -> Optional[str]:
    """Zoho gives ten tokens in ten minutes: all processes that use these credentials share one. None: there is no place for it."""
    account = [settings.get(key, "") for key in ("client_id", "data_center", "environment", "accounts_url", "soid")]
    name = f"token-{hashlib.sha256(chr(0).join(map(str, [*account, *profile])).encode(errors='surrogateescape')).hexdigest()[:24]}.json"
    try:
        folder = _cache() / "zcrm"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} can't be written")
    except (OSError, RuntimeError) as error:
        LOGGER.warning("no token is shared with other processes, of which Zoho gives ten in ten minutes: %s; name a token_file", error)
        return None
    return str(folder / name)


def _made(config: Config, token: Optional[Callable[[bool], str]], logger: Optional[logging.Logger]) -> c_void_p:
    """The handle of a client, for which the config is used up."""
    handle, error = c_void_p(), c_void_p()
    try:
        if token is not None:
            _call.check(_hooks.set_token(config.handle, token))
        if logger is not None:
            _call.check(_hooks.set_logger(config.handle, logger))
        _call.check(lib.zcrm_client_new(config.handle, byref(handle), byref(error)), error)
    finally:
        config.free()
    return handle


class Client:
    """A connection to one CRM organisation.

        with zcrm.Client(client_id=…, client_secret=…, refresh_token=…, data_center="eu") as client:
            stored = client.record("Contacts", "3652397000000649013").upload("contract.pdf")

    Any number of threads may use it at once, and a child of a fork may use its parent's. Nothing is sent when it is made: wrong credentials show
    at the first operation.

    Every method that makes a call takes

        timeout   seconds that the whole call may take, with its retries; None: the setting call_timeout_ms
        cancel    a Cancel that ends the call
        trace_id  a text that stands in the log lines of the call

    and raises a subclass of Error, or what a file, a progress function or a token source of yours raised, as it is. The main thread can be
    interrupted by Ctrl-C, and by whatever else a signal handler raises: the call ends within a tenth of a second.
    """

    def __init__(self, *, profile: Optional[str] = None, profiles: Union[str, os.PathLike[str], None] = None,
                 token: Optional[Callable[[bool], str]] = None, token_file: Union[str, os.PathLike[str], _Shared, None] = SHARED,
                 logger: Optional[logging.Logger] = LOGGER, max_calls: int = 64, **settings: Unpack[Settings]) -> None:
        """Makes a client.

        profile     name of a login that `zcrm login` has written for this user, "" for "default"; other settings come before it
        profiles    another file of profiles
        token       gives the access tokens, instead of Zoho's accounts server: token(refused) is called for each operation, on any thread, and
                    refused says that Zoho refused the last one. It is expected to keep a token while it is good.
        token_file  the file in which processes share their access token (mode 0600), as Zoho gives ten in ten minutes. Without it a file in the
                    user's cache folder, named by a hash of client and data centre, where there are OAuth credentials. None: no file.
        logger      takes the log lines of the levels that are enabled for it when the client is made; None: none
        max_calls   calls in the library at once, each of which holds a thread; further ones wait. What Zoho is sent at once is the setting
                    max_in_flight.
        settings    those of zcrm.describe()["settings"]: see Settings

        Raises ConfigError, which names the setting that is wrong or missing.
        """
        if max_calls < 1:
            raise _failure.own(ConfigError, "config", f"max_calls: {max_calls} is less than 1", "max_calls")
        given: Dict[str, Any] = dict(settings)
        defaults: Dict[str, Any] = {}
        if token_file is SHARED:
            if token is None and ("client_secret" in given or profile is not None or profiles is not None):
                defaults["token_file"] = _shared_token_file(given, *([profile or "", profiles or ""] if "client_secret" not in given else []))
        else:
            given["token_file"] = token_file or ""  # none, of a profile neither
        self._gate = Gate(max_calls)
        self._handle: Optional[c_void_p] = _made(Config(given, defaults, profile, profiles), token, logger)
        # Not at exit: what C would call back then may be gone.
        self._free = weakref.finalize(self, lib.zcrm_client_free, self._handle)
        self._free.atexit = False

    def record(self, module: str, record_id: str) -> Record:
        """The record of a module (its API name, such as "Contacts") with this id (digits). Nothing is sent."""
        from ._record import Record

        return Record(self, module, record_id)

    def records(self, module: str, *, per_page: int = 200, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None,
                trace_id: Optional[str] = None) -> Iterator[Record]:
        """Goes over the records of a module, asking for a page when the loop gets there. Each page costs an API credit.

        `timeout` holds for each page. Zoho lists the first 100,000 records of a module: one that has more is PageError with the reason
        "pages_exhausted".

        https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
        """
        from ._record import record_pages

        return record_pages(self, module, per_page).walk(timeout, cancel, trace_id)

    def step(self, step: Union[Mapping[str, Any], str, bytes], *, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None,
             trace_id: Optional[str] = None) -> Dict[str, Any]:
        """Runs a step, one operation as a dict or as JSON, and gives its result, as describe() says.

        The input is taken as untrusted: it names files only below the directories of the setting allow_paths. One that isn't as described is
        ArgumentError with the reason "step_input", and details["json_path"] says where.
        """
        decoded: Dict[str, Any] = json.loads(self._step(_call.as_json(step), _call.Options(timeout, cancel, trace_id)).json)
        return decoded

    def _step(self, step: bytes, options: _call.Options, *, with_batch: bool = False) -> _call.Reply:
        return self._call(lib.zcrm_step_run, [step, len(step)], _call.Call(), options, with_batch=with_batch)

    def batch(self, steps: Iterable[Step], *, journal: Union[str, os.PathLike[str], None] = None, parallel: Optional[int] = None,
              credits: Optional[int] = None, sha256: bool = False, if_exists: Optional[IfExists] = None, again: bool = False,
              timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None, trace_id: Optional[str] = None) -> Batch:
        """Runs many steps, several at once, and gives an Outcome for each as it ends.

            with client.batch(steps, journal="photos.journal") as batch:
                for outcome in batch:
                    if outcome.error: …
            print(batch.summary)

        steps     pairs of a key and a step as Client.step takes it, asked for when there is room: any number of them takes little memory. They may
                  come from a generator that makes calls. A key is unique in the batch, and the same whenever it is run again.
        journal   path of a file that remembers what was begun and done, of one run of a job. Run again with it, after whatever end, nothing is sent
                  twice; begin a new one for the next run.
        parallel  steps at once, 256 at most; None: as many as the setting max_in_flight lets in, which holds beside it
        credits   API calls after which no further step is begun
        timeout   of the whole, as are cancel and trace_id; sha256, if_exists and again hold for each step

        A step that fails is an Outcome with an error, and the batch goes on. It is done when Summary.left is 0; else Summary.stopped says why.
        Leaving the loop early and the `with` ends it. A journal that can't be used is IoError, ProtocolError when it is broken, StateError when
        another batch has it. What `steps` raises comes out as itself when the steps under way have ended.
        """
        options = _call.Options(timeout, cancel, trace_id, sha256=sha256, if_exists=if_exists, again=again)
        return Batch(self, steps, options, journal, parallel, credits)

    def close(self) -> None:
        """Lets the client go. Calls that run in other threads go on to their end, later ones are StateError. It may be called more than once."""
        self._handle = None
        self._free()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._handle is None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a zcrm.Client can't be pickled: make one in each process, or before a fork")

    def _open(self) -> c_void_p:
        handle = self._handle
        if handle is None:
            raise _failure.own(StateError, "closed", "the client is closed")
        return handle

    def _call(self, function: Any, arguments: Any, call: _call.Call, options: _call.Options, *,
              with_data: bool = False, with_batch: bool = False) -> _call.Reply:
        reply = _call.run(function, [self._open(), *arguments], call, options, self._gate, with_data=with_data, with_batch=with_batch)
        assert reply is not None
        return reply


def exchange_grant_code(*, timeout: Optional[float] = None, cancel: Optional[_call.Cancel] = None, **settings: Unpack[Settings]) -> _values.Grant:
    """Exchanges a grant code, which is good for one use within minutes, for a refresh token to keep. Done once, when a connection is set up.

    It needs the settings grant_code, client_id and client_secret, data_center outside of the United States, and redirect_uri if the code was made
    with one. A code that is used up, expired or of another client is AuthError.

    https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html
    """
    config = Config(settings)
    try:
        reply = _call.run(lib.zcrm_auth_exchange, [config.handle], _call.Call(), _call.Options(timeout, cancel), Gate(1))
    finally:
        config.free()
    assert reply is not None
    return _values.grant(reply.decoded()["result"])
