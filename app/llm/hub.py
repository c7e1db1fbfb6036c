"""The Hugging Face hub: what a repository holds, and the bytes of one file of it.

huggingface-hub speaks to it and knows its address (HF_ENDPOINT) and the person's token (HF_TOKEN).
Its own `hf_hub_download` begins anew after an interrupted run and never compares the checksum
(2.4.0), so the file on the disk, its checksum and its name are ours (app/llm/pull.py).
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url, set_client_factory
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    disable_progress_bars,
)
from huggingface_hub.utils import (
    logging as hub_logging,
)
from huggingface_hub.utils._http import hf_request_event_hook

from app import __version__
from app.errors import ModelError
from app.proxies import Proxies

LISTING_TIMEOUT_S = 30.0
LISTING_S = 120.0
MAX_LISTING_BYTES = 16 * 2**20
"""A listing with checksums takes about 300 bytes a file."""
MAX_ERROR_BYTES = 65_536
_LIBRARY: dict[str, Any] = {"library_name": "phonepilot", "library_version": __version__}

Progress = Callable[[int], None]
"""Told the number of bytes that are there."""

# What came of a chunk is lost when the connection breaks. With the library's 10 MB a line that
# breaks more often than that would never get on.
constants.DOWNLOAD_CHUNK_SIZE = 1 << 16
# Without this the library first asks the hub for a list of programs that may have started it, and
# tells it the version of torch.
constants.HF_HUB_DISABLE_TELEMETRY = True
# Its warnings on retries would tear the progress bar, and hold addresses that are signed.
hub_logging.set_verbosity(logging.CRITICAL)
if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
    disable_progress_bars()


_listing: ContextVar[bool] = ContextVar("listing", default=False)


class _Bounded(httpx2.SyncByteStream):
    """A body that ends with an error once it has more than `limit` bytes or takes too long."""

    def __init__(self, body: httpx2.SyncByteStream, limit: int) -> None:
        self._body = body
        self._limit = limit
        self._until = time.monotonic() + LISTING_S

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._body:
            size += len(chunk)
            if size > self._limit or time.monotonic() > self._until:
                raise httpx2.ReadError("its answer is too long")
            yield chunk

    def close(self) -> None:
        self._body.close()


def _ask_uncompressed(request: httpx2.Request) -> None:
    request.headers["accept-encoding"] = "identity"


def _bound(response: httpx2.Response) -> None:
    """Nothing but a file's bytes may be long, and those are counted where they are written."""
    is_listing = _listing.get()
    if response.is_success and not is_listing:
        return
    if response.headers.get("content-encoding", "identity") != "identity":
        response.headers["content-encoding"] = "identity"  # garbage then, rather than gigabytes
    if isinstance(response.stream, httpx2.SyncByteStream):
        limit = MAX_LISTING_BYTES if is_listing else MAX_ERROR_BYTES
        response.stream = _Bounded(response.stream, limit)


class _ProxyTransport(httpx2.BaseTransport):
    """Sends each request directly or through its proxy."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies
        self._open: dict[str | None, httpx2.HTTPTransport] = {}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        proxy = self._proxies.for_url(httpx.URL(str(request.url)))
        if proxy not in self._open:
            self._open[proxy] = httpx2.HTTPTransport(proxy=proxy)
        return self._open[proxy].handle_request(request)

    def close(self) -> None:
        for transport in self._open.values():
            transport.close()


def _client() -> httpx2.Client:
    """A client like the library's own, with the two hooks above and our reading of the proxies.

    Raises ConfigError for a bad proxy in the environment.
    """
    return httpx2.Client(
        event_hooks={
            "request": [hf_request_event_hook, _ask_uncompressed],
            "response": [_bound],
        },
        follow_redirects=True,
        timeout=None,
        transport=_ProxyTransport(Proxies.from_environment()),
        trust_env=False,
    )


set_client_factory(_client)


@dataclass(frozen=True)
class HubFile:
    """`path` is the hub's word and may be anything; `sha256` is "" for a file that has none."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Listing:
    """A repository at one revision, a commit's hash."""

    repository: str
    revision: str
    files: tuple[HubFile, ...]


def list_files(repository: str, endpoint: str | None = None) -> Listing:
    """All files of the newest revision; raises ModelError."""
    with _explained(repository):
        api = HfApi(endpoint=endpoint, **_LIBRARY)
        token = _listing.set(True)
        try:
            info = api.model_info(repository, files_metadata=True, timeout=LISTING_TIMEOUT_S)
        finally:
            _listing.reset(token)
    files = tuple(
        HubFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else "")
        for file in info.siblings or ()
    )
    return Listing(repository, info.sha or "", files)


def download(
    listing: Listing,
    file: HubFile,
    part: Path,
    on_bytes: Progress,
    endpoint: str | None = None,
) -> None:
    """Bring `part` to the file's full size, from where it ends now; raises ModelError.

    A connection that breaks is taken up again as long as bytes come; what came stays in `part`.
    """
    url = hf_hub_url(listing.repository, file.path, revision=listing.revision, endpoint=endpoint)
    with _explained(listing.repository), part.open("ab") as target:
        here = target.tell()
        on_bytes(here)
        http_get(
            url,
            _Counted(target, file.size, on_bytes),  # type: ignore[arg-type]
            resume_size=here,
            headers=build_hf_headers(**_LIBRARY),
            expected_size=file.size,
        )


class _Counted:
    """A file that tells how much it holds after each write, and holds no more than `size`."""

    def __init__(self, file: IO[bytes], size: int, on_bytes: Progress) -> None:
        self._file = file
        self._size = size
        self._on_bytes = on_bytes

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._size:
            raise ModelError("the hub sends more bytes than the file has", "Try again later.")
        written = self._file.write(data)
        self._on_bytes(self._file.tell())
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """What the library, the network and the disk say, in our words.

    Its messages hold the address after redirects, which is signed; so only the status is quoted.
    """
    try:
        yield
    except GatedRepoError as exc:
        raise ModelError(
            f"the repository {repository} is gated",
            "Accept its licence on the hub's page, and set HF_TOKEN to a token of yours.",
        ) from exc
    except RepositoryNotFoundError as exc:
        raise ModelError(
            f"the hub has no repository {repository}, or does not show it to you",
            "It may have moved: give another one with --repository, or convert the original "
            "with `phonepilot models convert`. A private one needs HF_TOKEN.",
        ) from exc
    except HfHubHTTPError as exc:
        status = exc.response.status_code
        raise ModelError(
            f"the hub answered {status} for {repository}",
            "Check HF_TOKEN." if status in (401, 403) else "Try again later.",
        ) from exc
    except OfflineModeIsEnabled as exc:
        raise ModelError("HF_HUB_OFFLINE forbids access to the hub", "Unset it.") from exc
    except httpx2.HTTPError as exc:
        raise ModelError(
            f"the hub cannot be reached, or the connection broke off: {exc}",
            "Check the network, and HF_ENDPOINT where a mirror is used; give the command again, "
            "it goes on where it stopped.",
        ) from exc
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else f"the file could not be brought here: {exc}"
        raise ModelError(what, "Run the command again; it resumes where it stopped.") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ModelError(
            f"the server at the hub address did not send a listing of {repository}",
            "A proxy or a sign-in page of the network may be in between.",
        ) from exc
