# /// attack
# line = "sys.exit(0) at import, in the function"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: exits while loading"
# termination = "exited"
# ///
import sys

print("attack: exits while loading", flush=True)
sys.exit(0)
