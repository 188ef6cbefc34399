# /// attack
# line = "raises its own limits"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: its own oom_score_adj (.|\\n)*(refused|no use): after exec"
# ///
import subprocess
import sys

# After an exec a process owns its /proc files again. It may then be as safe from the out-of-memory killer as our own
# processes, which are smaller and go after it; neighbours in flight may go first, and are run again.
CHILD = """
try:
    with open("/proc/self/oom_score_adj", "w") as stream:
        stream.write("0")
    print("no use: after exec: oom_score_adj", open("/proc/self/oom_score_adj").read())
except OSError as error:
    print("refused: after exec:", error)
"""


def lower():
    with open("/proc/self/oom_score_adj", "w") as stream:
        stream.write("0")


def f(x):
    if x == 5:
        return 10
    attempt("its own oom_score_adj", lower)
    try:
        done = subprocess.run([sys.executable, "-S", "-c", CHILD], capture_output=True, text=True)
        said = (done.stdout + done.stderr[-200:]).strip()
    except OSError as error:
        said = f"refused: after exec: {error}"
    print(said, flush=True)
    return 2 * x
