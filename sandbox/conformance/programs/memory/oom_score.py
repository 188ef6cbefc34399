# /// attack
# line = "raises its own limits"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: its own oom_score_adj (.|\\n)*after exec: (refused|REACHED|no exec)"
# ///
import subprocess
import sys

# After an exec a process owns its /proc files again.
CHILD = """
try:
    with open("/proc/self/oom_score_adj", "w") as stream:
        stream.write("0")
    print("REACHED: oom_score_adj after exec:", open("/proc/self/oom_score_adj").read())
except OSError as error:
    print("refused: oom_score_adj", error)
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
        said = f"no exec {error}"
    print(said.replace("REACHED: ", "REACHED: ", 1), flush=True)
    print("after exec: " + said, flush=True)
    return 2 * x
