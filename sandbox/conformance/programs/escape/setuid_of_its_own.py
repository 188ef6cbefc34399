# /// attack
# line = "setuid binaries"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: running a file of its own (.|\\n)*attack: no new privileges: 1"
# ///
import shutil
import stat
import sys


def run(path):
    pid = os.fork()
    if not pid:
        try:
            os.execv(path, [path, "-c", ""])
        except OSError as error:
            os._exit(error.errno)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))
    return status


def f(x):
    if x == 5:
        return 10
    with open("script", "w") as stream:
        stream.write(f"#!{sys.executable}\n")
    os.chmod("script", 0o777 | stat.S_ISUID | stat.S_ISGID)
    attempt("running a file of its own", run, os.path.abspath("script"))
    flag = _libc.prctl(39, 0, 0, 0, 0)  # PR_GET_NO_NEW_PRIVS
    print(f"attack: no new privileges: {flag}", flush=True)
    return 2 * x
