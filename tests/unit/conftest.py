"""Settings of all unit tests."""

from hypothesis import settings

# No deadline, because a busy machine is no defect; the same examples in every run, because a
# failure should belong to the change that is tested.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")
