# /// attack
# line = "kill parent, PID 1, −1"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: kill parent (.|\\n)*refused: kill 1 (.|\\n)*attack: kill -1 (.|\\n)*attack: [1-9][0-9]* processes"
# ///
import signal


def f(x):
    if x == 5:
        return 10
    attempt("kill parent", os.kill, os.getppid(), signal.SIGKILL)
    attempt("kill 1", os.kill, 1, signal.SIGKILL)
    # It reports success even where every process was refused: whether it hit one, the neighbours will tell.
    try:
        os.kill(-1, signal.SIGKILL)
        print("attack: kill -1 done", flush=True)
    except OSError as error:
        print(f"attack: kill -1 {errno.errorcode[error.errno]}", flush=True)
    others = processes()
    for pid in others:
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, 0):
            try:
                os.kill(pid, number)
                print(f"REACHED: signal {number} to {pid}", flush=True)
            except OSError:
                pass
        try:
            signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL)
            print(f"REACHED: pidfd signal to {pid}", flush=True)
        except OSError:
            pass
    print(f"attack: {len(others)} processes", flush=True)
    return 2 * x
