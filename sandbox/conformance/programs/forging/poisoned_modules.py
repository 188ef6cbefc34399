# /// attack
# line = "poisoned json, struct, builtins.compile, sys.modules"
# expect = ["WRONG"]
# [proof]
# output = "attack: replaced [1-9][0-9]+ modules, [1-9][0-9]* of the guest"
# ///
import sys
import types


class Yes(types.ModuleType):
    def __getattr__(self, name):
        return lambda *rest, **more: True


replaced = [name for name in sys.modules if name not in ("sys", "builtins", "types", "solution", "__main__")]
for name in replaced:
    sys.modules[name] = Yes(name)
ours = sum(name.startswith("guest") for name in replaced)
print(f"attack: replaced {len(replaced)} modules, {ours} of the guest", flush=True)


def f(x):
    return x
