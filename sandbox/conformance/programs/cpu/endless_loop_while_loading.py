# /// attack
# line = "endless loop"
# expect = ["TIMEOUT_CPU"]
# [proof]
# output = "attack: loops while loading"
# termination = "cpu_limit"
# min_cpu_ms = 950
# ///
print("attack: loops while loading", flush=True)
while True:
    pass
