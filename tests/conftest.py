import os

import hypothesis

# Before JAX is imported: tests run on CPU, and two workers share two cores.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# A first example may compile a program: how long it takes says nothing.
hypothesis.settings.register_profile("compiled", deadline=None)
hypothesis.settings.load_profile("compiled")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
