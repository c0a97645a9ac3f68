"""Find out whether CuPy has a GPU here; if not, what is missing and what to install (see ``doctor``).

Only ``backends.smoke_test`` shows whether CuPy can use it: no file tells whether the toolkit fits.
"""

from importlib import metadata
from typing import Any

from backends.errors import BackendUnavailable, install_command
from backends.nvidia import find_extra, query_cards

INSTALL = (
    f"{install_command('cuda12')} (NVIDIA driver 525 or newer), or .[cuda13] (driver 580, capability 7.5)"
)


def fitting_install_command() -> str:
    """Return the install command for this machine's GPUs; for any GPU if nvidia-smi reports none."""
    extra = find_extra(query_cards())
    return INSTALL if extra is None else install_command(extra)


def _unavailable(why: str, cure: str) -> BackendUnavailable:
    return BackendUnavailable(f"backend 'cupy' cannot run: {why}; {cure}")


def installed_wheels() -> list[str]:
    """Return the installed distributions that contain ``cupy``; two of them overwrite each other's files."""
    names = {str(d.metadata["Name"]).lower() for d in metadata.distributions()}
    return sorted(n for n in names if n == "cupy" or n.startswith(("cupy-cuda", "cupy-rocm")))


def _format_version(version: int) -> str:
    """Return 12040 as "12.4"."""
    return f"{version // 1000}.{version % 1000 // 10}"


def count_usable_devices() -> int:
    """Return the number of CUDA devices that CuPy can use, at least 1.

    Raises BackendUnavailable: no device, or CuPy or the driver is missing, broken or too old.
    """
    wheels = installed_wheels()
    if len(wheels) > 1:
        why = f"{' and '.join(wheels)} are both installed and overwrite each other's files"
        raise _unavailable(why, f"pip uninstall -y {' '.join(wheels)}, then {fitting_install_command()}")
    try:
        import cupy
    except OSError as error:  # CuPy cannot create its folder of compiled kernels
        cure = "set CUPY_CACHE_DIR to a writable folder"
        raise _unavailable(f"CuPy cannot be imported ({error})", cure) from None
    except Exception as error:  # the second import fails in other ways than the first
        missing = isinstance(error, ModuleNotFoundError) and error.name == "cupy"
        why = "CuPy is not installed" if missing else f"CuPy cannot be imported ({error})"
        raise _unavailable(why, fitting_install_command()) from None
    runtime = cupy.cuda.runtime
    driver = _version(runtime.driverGetVersion)
    if driver == 0:
        why = f"CuPy {cupy.__version__} is installed but no NVIDIA driver is loaded"
        raise _unavailable(why, "install the driver and check it with nvidia-smi")
    built_for = _version(runtime.runtimeGetVersion)
    # The driver may be older than the toolkit within the same major version.
    if driver // 1000 < built_for // 1000:
        made = f"CuPy {cupy.__version__} was built for {_format_version(built_for)}"
        why = f"the NVIDIA driver is too old: it supports CUDA {_format_version(driver)}, and {made}"
        raise _unavailable(why, f"update the driver, or {fitting_install_command()}")
    try:
        count = int(runtime.getDeviceCount())
    except runtime.CUDARuntimeError as error:
        cure = "check nvidia-smi and CUDA_VISIBLE_DEVICES"
        raise _unavailable(f"no CUDA device can be used ({error})", cure) from None
    if count == 0:
        raise _unavailable("no CUDA device is visible", "check nvidia-smi and CUDA_VISIBLE_DEVICES")
    if built_for >= 13000 and int(cupy.cuda.Device(0).compute_capability) < 75:
        raise _unavailable(
            "CUDA 13 needs a card of compute capability 7.5 or newer", install_command("cuda12")
        )
    return count


def _version(get_version: Any) -> int:
    """Return a version in CUDA's numbering (12040 is 12.4); 0 if unknown."""
    try:
        return int(get_version())
    except Exception:  # CuPy raises its own CUDARuntimeError, and without a driver library others
        return 0
