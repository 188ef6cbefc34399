"""Where completions come from: `origin` is the one place that chooses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.fingerprint import model_fingerprint
from harness.progress import Reporter
from harness.sampling.address import checked, is_address
from harness.sampling.models import resolve_model
from harness.sampling.settings import SamplingSettings, ServerSettings
from harness.sampling.written import Backend, Origin


def origin(model_path: str, settings: SamplingSettings, reporter: Reporter) -> Origin:
    """The model that --model_path names: a built-in one, a folder, a Hub id, or one behind an address."""
    if is_address(model_path):
        return Served(checked(model_path), settings.server, reporter)
    return Local(resolve_model(model_path, reporter), Path(model_path).name, settings.dtype, reporter)


class Local:
    """A model that is loaded into this process."""

    def __init__(self, model: Path | str, name: str, dtype: str, reporter: Reporter) -> None:
        self._model, self._name, self._dtype, self._reporter = model, name, dtype, reporter

    @property
    def name(self) -> str:
        return self._name

    def recorded(self) -> dict[str, Any]:
        return {"model_fingerprint": model_fingerprint(self._model), "dtype": self._dtype}

    def open(self, _: Mapping[str, Any]) -> Backend[Any]:
        from harness.sampling.backend import TransformersSampler  # noqa: PLC0415  (torch takes seconds to import)

        return TransformersSampler(self._model, dtype=self._dtype, warn=self._reporter.warn)


class Served:
    """A model behind an address. The server is asked nothing until it has to be."""

    def __init__(self, address: str, server: ServerSettings, reporter: Reporter) -> None:
        self._address, self._server, self._reporter = address, server, reporter
        self._served = server.served_model

    @property
    def name(self) -> str:
        return Path(self._model()).name

    def recorded(self) -> dict[str, Any]:
        """The address is not among them: a server may move. Nor is its version, which the facts have."""
        tokenizer = self._server.tokenizer
        known = model_fingerprint(resolve_model(tokenizer, self._reporter)) if tokenizer else None
        return {"model_fingerprint": f"served:{self._model()}", "tokenizer": known, "api": self._server.api}

    def open(self, recorded: Mapping[str, Any]) -> Backend[Any]:
        from harness.sampling.endpoint import EndpointSampler  # noqa: PLC0415  (an HTTP client, and transformers)

        tokenizer = self._tokenizer()
        return EndpointSampler(self._address, self._model(), self._server, tokenizer, self._reporter, recorded)

    def _model(self) -> str:
        """Its name there: as given, or that of the only one."""
        if self._served is None:
            from harness.sampling.endpoint import only_model  # noqa: PLC0415

            self._served = only_model(self._address, self._server, self._reporter)
        return self._served

    def _tokenizer(self) -> Any:
        if self._server.tokenizer is None:
            return None
        from harness.tokenizer import load_tokenizer  # noqa: PLC0415  (transformers)

        return load_tokenizer(resolve_model(self._server.tokenizer, self._reporter), option="--tokenizer")
