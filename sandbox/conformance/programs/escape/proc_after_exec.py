# /// attack
# line = "/proc/PID/mem, environ, fd, maps of judge and warden"
# expect = ["PASSED"]
# [proof]
# output = "attack: after exec: own memory .*, [1-9][0-9]* others refused"
# [runsc]
# proof = { output = "attack: after exec: own memory closed, 0 others refused" }
# ///
import subprocess
import sys

# A program that was started with exec may be looked at by its own uid; that must be all it gains.
CHILD = """
import os
try:
    open("/proc/self/mem", "rb").close()
    own = "open"
except OSError as error:
    own = "closed"
refused, parent = 0, os.getppid()
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) in (os.getpid(), parent):
        continue
    for name in ("mem", "environ", "maps", "fd/3"):
        try:
            open(f"/proc/{pid}/{name}", "rb").close()
            print(f"REACHED: /proc/{pid}/{name}")
        except OSError:
            refused += 1
print(f"attack: after exec: own memory {own}, {refused} others refused")
"""


def f(x):
    if x == 4:
        done = subprocess.run([sys.executable, "-I", "-S", "-c", CHILD], capture_output=True, text=True)
        print(done.stdout + done.stderr[-300:], flush=True)
    return 2 * x
