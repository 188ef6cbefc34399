"""The command line: one command for each stage, with the published option names."""
