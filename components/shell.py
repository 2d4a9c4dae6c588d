"""The decorator that all component shells share."""

import functools
import os

from kfp import dsl

IMAGE = os.environ.get("MMEDAGENT_IMAGE", "mmedagent-python:dev")
"""The image a task runs in on a cluster, named by digest there; a laptop runs it as a process."""

component = functools.partial(
    dsl.component, base_image=IMAGE, packages_to_install=[], install_kfp_package=False
)
"""A lightweight component that installs nothing when it starts: its image holds the library."""
