"""Is this machine fit for isolated runs and honest timings? Facts (gather), judgements (checks), words (show)."""
