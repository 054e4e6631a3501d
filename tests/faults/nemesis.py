"""All that is done to a cluster under load: FAULTS by name (harm.py tells what a fault is)."""
import damage  # noqa: F401
import disks  # noqa: F401
import links  # noqa: F401
import membership  # noqa: F401
import power  # noqa: F401
import processes  # noqa: F401
from harm import BACKDROPS, BESIDE, FAULTS, LOSING, OF_DISKS, NoEffect  # noqa: F401
