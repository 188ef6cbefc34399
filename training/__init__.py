"""Training: SFT and DPO with TRL on the merged data, with the solution or pair drawn anew at every visit."""

import os

# TRL reports each trainer start to its makers unless this is set before huggingface_hub is imported.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
