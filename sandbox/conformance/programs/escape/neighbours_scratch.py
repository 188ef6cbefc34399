# /// attack
# line = "a message left for the next solution by any channel"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "attack: looked beside its own folder: [1-9][0-9]* denied"
# ///


# Others in flight have folders of their own beside this one's.
def f(x):
    if x == 5:
        return 10
    mine = os.getcwd()
    denied = 0
    for folder in {os.path.dirname(mine), "/scratch"} - {"/", mine}:
        for name in [str(number) for number in range(40)]:
            path = f"{folder}/{name}"
            if path == mine:
                continue
            for action in (lambda: os.listdir(path), lambda: open(f"{path}/message-for-the-next", "w").close(),
                           lambda: os.chdir(path)):  # fmt: skip
                try:
                    action()
                    print(f"REACHED: {path}", flush=True)
                except PermissionError:
                    denied += 1
                except OSError:
                    pass  # nobody has that one just now
        for action in (lambda: open(f"{folder}/message-for-the-next", "w").close(), lambda: os.chmod(folder, 0o777)):
            try:
                action()
                print(f"REACHED: {folder}", flush=True)
            except PermissionError:
                denied += 1
            except OSError:
                pass
    os.chdir(mine)
    print(f"attack: looked beside its own folder: {denied} denied", flush=True)
    return 2 * x
