"""What runs inside the sandbox container. Standard library only; nothing here imports anything outside this folder.

The modules import each other by plain name, because the image holds them as scripts in one folder.
"""
