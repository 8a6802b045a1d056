"""Models of the Hugging Face Hub: download one, and upload one."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from i2i.errors import UsageError, setting
from i2i.files import sha256_of
from i2i.optional import extra_module
from i2i.version import __version__

SCHEME = "hf://"
MODEL = "model.safetensors"
CARD = "README.md"


class HubFile(NamedTuple):
    """A file of a repository: `revision` is a branch, a tag or a commit, and None the newest."""

    repository: str
    revision: str | None = None
    name: str = MODEL

    @classmethod
    def parse(cls, uri: str) -> HubFile:
        """Read `hf://USER/NAME[@REVISION][/FILE]`.

        Raises:
            UsageError: it isn't of this form.
        """
        found = re.fullmatch(rf"{SCHEME}([\w.-]+/[\w.-]+)(?:@([^/\s]+))?(?:/(\S+))?", uri)
        if not found:
            raise UsageError(f"{uri}: expected {SCHEME}USER/NAME, or {SCHEME}USER/NAME@REVISION/FILE")
        return cls(found[1], found[2], found[3] or MODEL)


@functools.cache  # the newest revision is looked up once in a process
def file_of_uri(uri: str) -> Path:
    """The file that `hf://USER/NAME[@REVISION][/FILE]` means; see `fetch`."""
    return fetch(HubFile.parse(uri))


def fetch(
    wanted: HubFile,
    *,
    sha256: str | None = None,
    token: str | None = None,
    cache: str | Path | None = None,
    offline: bool = False,
) -> Path:
    """Download a file of a repository, or find it in the cache.

    A connection that is lost is resumed. The environment variables of huggingface_hub apply: `HF_HOME` for the cache,
    `HF_TOKEN`, `HF_ENDPOINT`, `HF_HUB_OFFLINE`.

    Args:
        wanted: the file.
        sha256: the SHA-256 sum that it must have, as hexadecimal digits.
        token: of a private repository; by default the one of `hf auth login`.
        cache: folder of the cache.
        offline: take it from the cache without asking the server.

    Raises:
        UsageError: huggingface_hub isn't installed, or there is no such repository, revision or file, or access to it
            is refused, or the server can't be reached and the cache doesn't have it, or the sum differs.
    """
    hub = _library()
    with _usage_errors(wanted):
        path = Path(
            hub.hf_hub_download(
                wanted.repository,
                wanted.name,
                revision=wanted.revision,
                token=token,
                cache_dir=cache,
                local_files_only=offline,
                library_name="i2i-toolkit",
                library_version=__version__,
            )
        )
    verify(path, sha256)
    return path


def upload(
    repository: str,
    files: Mapping[str, Path | bytes],
    *,
    message: str,
    card: bytes,
    replace_card: Callable[[bytes | None], bool],
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
) -> str:
    """Upload files in one commit, and return its address; the repository is made if there is none.

    Args:
        repository: `USER/NAME`.
        files: by their names there.
        message: of the commit.
        card: the model card.
        replace_card: whether to upload it, given the one that the repository has, or None.
        private: whether the repository is to be private.
        revision: the branch, which is made if there is none; the main one unless given.
        token: with which to write; by default the one of `hf auth login`.

    Raises:
        UsageError: huggingface_hub isn't installed, the server can't be reached or refuses, or the repository is public
            and should be private.
    """
    hub = _library()
    if revision and "/" in revision:
        raise UsageError(f"{setting('revision', revision)}: give a name without a slash, so that hf:// can name it")
    HubFile.parse(f"{SCHEME}{repository}")
    api = hub.HfApi(token=token, library_name="i2i-toolkit", library_version=__version__)
    with _usage_errors(HubFile(repository, revision)):
        api.create_repo(repository, private=private, exist_ok=True)
        if private and not api.repo_info(repository).private:
            raise UsageError(f"{repository} is public; make it private in its settings first, or choose another")
        if revision:
            api.create_branch(repository, branch=revision, exist_ok=True)
        if replace_card(_card_of(api, repository, revision)):
            files = {**files, CARD: card}
        added = [hub.CommitOperationAdd(name, _bytes_or_path(content)) for name, content in files.items()]
        return str(api.create_commit(repository, added, commit_message=message, revision=revision).commit_url)


def _card_of(api: Any, repository: str, revision: str | None) -> bytes | None:
    if not api.file_exists(repository, CARD, revision=revision):
        return None
    return Path(api.hf_hub_download(repository, CARD, revision=revision)).read_bytes()


def _bytes_or_path(content: Path | bytes) -> bytes | str:
    return content if isinstance(content, bytes) else str(content)


def _library() -> Any:
    return extra_module("huggingface_hub", extra="hub", needed_by="the Hugging Face Hub")


@functools.cache
def verify(path: Path, sha256: str | None) -> None:
    """Compare a file with its SHA-256 sum, and one of the cache with the name of its blob, which is that sum.

    Raises:
        UsageError: it differs.
    """
    blob = path.readlink() if path.is_symlink() else None  # of the snapshot; blobs may be links themselves
    named = blob.name if blob is not None and re.fullmatch("[0-9a-f]{64}", blob.name) else None
    for expected in {sha256.lower() if sha256 else None, named} - {None}:
        if sha256_of(path) != expected:
            advice = f"; to download it again, remove {path.parent / blob}" if blob is not None else ""
            raise UsageError(f"{path}: not the expected file (its SHA-256 differs){advice}")


@contextlib.contextmanager
def _usage_errors(wanted: HubFile) -> Iterator[None]:
    """Turn the errors of huggingface_hub into one line that says what to do."""
    errors: Any = extra_module("huggingface_hub.errors", extra="hub")
    repository, revision, name = wanted
    try:
        yield
    except errors.GatedRepoError:
        raise UsageError(
            f"{repository}: access is granted on its page; request it there, then: hf auth login"
        ) from None
    except errors.RepositoryNotFoundError:
        raise UsageError(f"{repository}: no such repository, or a private one; for that: hf auth login") from None
    except errors.RevisionNotFoundError:
        raise UsageError(f"{repository} has no revision {revision!r}") from None
    except errors.LocalEntryNotFoundError:  # also the cause of what happens without a network
        at = f" at {revision}" if revision else ""
        raise UsageError(f"{repository}{at}: {name} is not in the cache, and the server can't be reached") from None
    except errors.EntryNotFoundError:
        raise UsageError(f"{repository} has no file {name}; name one: {SCHEME}{repository}/FILE") from None
    except UsageError:
        raise
    except Exception as error:  # of the connection, which has several libraries, or an upload that failed
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"{repository}: {reason}") from None
