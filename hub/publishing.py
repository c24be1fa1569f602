"""Models on their way to the Hugging Face hub."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

from ..core import named_arrays
from ..models.embedding_model import EmbeddingModel
from ..models.language_model import LanguageModel
from .checkpoints import save_preset
from .errors import HubError
from .sources import hub_endpoint, split_address

_WEIGHTS = ["*.safetensors", "*.safetensors.index.json"]


class PublishError(HubError):
    """A model cannot be uploaded."""


def push_to_hub(
    model: LanguageModel | EmbeddingModel,
    repo: str,
    *,
    private: bool | None = None,
    license: str | None = None,
    message: str = "Upload with Ferrule",
) -> str:
    """Upload a model, with a model card, as a repository that `from_preset`, `ferrule` and `transformers` load.

    That of an encoder `sentence_transformers` loads.

    The repository is created where there is none. All files arrive in one commit; older safetensors files go with it. A model
    card that is there already stays as it is. The token is the one of ``HF_TOKEN`` or of `hf auth login`.

    Args:
        repo: ``org/name``; ``hf://org/name`` will do.
        private: of a new repository; None for what the organisation does by default.
        license: identifier for the model card, such as ``apache-2.0`` (https://huggingface.co/docs/hub/repositories-licenses).
        message: of the commit.

    Returns:
        Address of the commit.

    Raises:
        PresetError: this model cannot be saved as a folder, or `repo` names no repository.
        PublishError: the hub cannot be reached, or refuses the upload.
    """
    from huggingface_hub import HfApi

    repo, revision = split_address(f"hf://{repo.removeprefix('hf://')}")
    if revision is not None:
        raise PublishError(f"uploads go to the main branch; leave @{revision} out of the name")
    with tempfile.TemporaryDirectory() as parent:
        folder = save_preset(model, Path(parent) / "model")
        api = HfApi(endpoint=hub_endpoint())
        try:
            api.create_repo(repo, private=private, exist_ok=True)
            if not api.file_exists(repo, "README.md"):
                (folder / "README.md").write_text(model_card(model, repo, license), "utf-8")
            done = api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message, delete_patterns=_WEIGHTS)
        except Exception as error:  # the library and the network below it raise dozens of kinds
            raise PublishError(f"hf://{repo} cannot be uploaded: {_reason(repo, error)}") from None
    return str(done.commit_url)


def model_card(model: LanguageModel | EmbeddingModel, repo: str, license: str | None = None) -> str:
    """README.md of a repository: what the model is and how it is loaded; nothing that is not known from the model itself."""
    config: dict[str, Any] = dict(model.module.source.config)
    if isinstance(model, EmbeddingModel):
        task, tags, library = "sentence-similarity", "safetensors, sentence-transformers", "sentence_transformers"
        call, own = 'model.embed(["..."])', {"Dimensions": f"{model.width:,}"}
    else:
        task, tags, library = "text-generation", "safetensors", "transformers"
        call, own = 'model.generate("...", max_tokens=64)', {"Call dialect": model.dialect}
    facts = {
        "Architecture": ", ".join(config.get("architectures") or [str(config.get("model_type"))]),
        "Parameters": f"{sum(math.prod(array.shape) for array in named_arrays(model.module).values()):,}",
        "Context": f"{model.context_length:,} tokens",
        **own,
        "Saved from": model.name,
    }
    head = ["library_name: ferrule", f"pipeline_tag: {task}", f"tags: [{tags}]"]
    if license:
        head.append(f"license: {json.dumps(license)}")
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    front = "\n".join(head)
    return f"""---
{front}
---

# {repo.partition("/")[2]}

| | |
| --- | --- |
{rows}

```python
from ferrule.hub import from_preset

model = from_preset("hf://{repo}")
{call}
```

The files are those of a Hugging Face folder: `{library}` loads them, too.
"""


def _reason(repo: str, error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None and response.status_code in (401, 403):
        return (
            f"the hub refuses ({response.status_code}): set HF_TOKEN to a token that may write to {repo.partition('/')[0]}, "
            "or run `hf auth login`"
        )
    return f"{type(error).__name__}: {str(error).strip().split(chr(10))[0]}"
