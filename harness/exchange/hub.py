"""A written folder onto the Hugging Face Hub: private, unless said otherwise."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError

from harness.errors import UserError
from harness.exchange.shards import DATA

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def check_target(repo: str) -> None:
    """Refuse, before any work is done, what `push` would refuse after it."""
    if not _REPO.fullmatch(repo):
        raise UserError(f"{repo!r} is not the name of a repository", where="--push_to", fix="give OWNER/NAME")
    if not get_token():
        raise UserError(
            "there is no token for the Hub",
            where="--push_to",
            fix="log in with `hf auth login`, or set HF_TOKEN to a token that may write",
        )


def push(folder: Path, repo: str, *, public: bool) -> str:
    """Upload the folder as a data set repository, made if it is not there; its address.

    Parquet files of an earlier upload go. Raises UserError where the Hub refuses or can't be reached, and where a
    repository is there already that is public though `public` was not asked for.
    """
    api = HfApi()
    try:
        url = api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        # Of a repository that is there already, `private` above changes nothing.
        if not public and not api.repo_info(repo, repo_type="dataset").private:
            raise UserError("this repository is public", where=repo, fix="add --public, or name another repository")
        api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            delete_patterns=f"{DATA}/*.parquet",
            commit_message="Data exported by code-optimise",
        )
    except UserError:
        raise
    except HfHubHTTPError as error:
        fix = "check the name, and that the token may write there"
        raise UserError(f"the Hub refused: {_first_line(error)}", where=repo, fix=fix) from error
    except Exception as error:  # the Hub client's network library, which has changed before, raises its own
        raise UserError(
            f"the upload did not work ({type(error).__name__}: {error})",
            where=api.endpoint,
            fix=f"check the connection and upload {folder} later",
        ) from error
    return str(url)


def _first_line(error: HfHubHTTPError) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
