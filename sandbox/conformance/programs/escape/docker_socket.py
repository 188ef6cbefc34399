# /// attack
# line = "docker.sock"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: /var/run/docker.sock (.|\\n)*attack: looked for sockets in [1-9][0-9]* folders"
# ///
import socket
import stat


def connect(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(path)
        one.sendall(b"GET /info HTTP/1.0\r\n\r\n")
        return one.recv(20)


def f(x):
    if x == 5:
        return 10
    for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock"):
        attempt(path, connect, path)
    folders = 0
    for folder, _, names in os.walk("/"):
        if folder.startswith(("/proc", "/sys")):
            continue
        folders += 1
        for name in names:
            if stat.S_ISSOCK(os.lstat(os.path.join(folder, name)).st_mode):
                print(f"REACHED: a socket, {folder}/{name}", flush=True)
    print(f"attack: looked for sockets in {folders} folders", flush=True)
    return 2 * x
