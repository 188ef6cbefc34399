# /// attack
# line = "a message left for the next solution by any channel"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "attack: left messages in [1-9][0-9]* places"
# [runsc]
# reaches = ["abstract", "loopback"]
# ///
import builtins
import socket
import sys
import time

MESSAGE = "message-for-the-next"
PLACES = []


def leave(action):
    try:
        action()
        PLACES.append(action.__name__)
    except OSError:
        pass


def file():
    with open(MESSAGE, "w") as stream:
        stream.write(MESSAGE)


def environment():
    os.environ[MESSAGE] = MESSAGE


def interpreter():
    builtins.message = sys.message = MESSAGE
    sys.modules["guest.candidate"].message = sys.modules["guest.codec"].message = MESSAGE


def umask():
    os.umask(0o777)


def shared_file_times():
    os.utime("/opt/guest/candidate.py")
    print("REACHED: the times of a shared file", flush=True)


def extended_attribute():
    os.setxattr(".", "user.message", MESSAGE.encode())


def daemon():
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for family, address in ((socket.AF_UNIX, "\0" + MESSAGE), (socket.AF_INET, ("127.0.0.1", 40_404))):
        try:
            globals()[f"held{family}"] = one = socket.socket(family)
            one.bind(address)
            one.listen()
        except OSError:
            pass
    while True:
        time.sleep(1)


def f(x):
    if x == 5:
        time.sleep(0.05)
        return 10
    for action in (file, environment, interpreter, umask, shared_file_times, extended_attribute, daemon):
        leave(action)
    print(f"attack: left messages in {len(PLACES)} places", flush=True)
    return 2 * x
