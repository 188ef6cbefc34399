"""Training: SFT and DPO with TRL on the merged data, with the solution or pair drawn anew at every visit."""

import os

# TRL reports each trainer start to its makers unless the first is set before huggingface_hub is imported; the others
# are for what trackers report about themselves. Processes that are started from here inherit them.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = os.environ["WANDB_ERROR_REPORTING"] = "False"
