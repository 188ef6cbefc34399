"""A reward for model-written code: what it is worth (rule, pure), and how that is found out (judging, the sandbox)."""
