# /// attack
# line = "overwrites the interpreter or the runner"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: interpreter (.|\\n)*attack: [1-9][0-9]{2,} files and folders refused"
# ///
import json
import sys


def write(path):
    with open(path, "r+b") as stream:
        return stream.write(b"x")


def f(x):
    if x == 5:
        return 10
    attempt("interpreter", write, os.path.realpath(sys.executable))
    attempt("runner", write, sys.modules["guest.warden"].__file__ if "guest.warden" in sys.modules else "/opt/guest/warden.py")
    attempt("library", write, json.__file__)
    attempt("unlink", os.unlink, json.__file__)
    attempt("rename", os.rename, json.__file__, "json.py")
    attempt("chmod", os.chmod, json.__file__, 0o777)
    refused = 0
    for top in ("/opt", "/usr", "/etc", "/lib"):
        for folder, _, names in os.walk(top):
            for path in [folder + "/sitecustomize.py", *(os.path.join(folder, name) for name in names)]:
                try:
                    os.close(os.open(path, os.O_WRONLY | (os.O_CREAT if path.endswith("sitecustomize.py") else 0)))
                    print(f"REACHED: {path}", flush=True)
                except OSError:
                    refused += 1
    print(f"attack: {refused} files and folders refused", flush=True)
    return 2 * x
