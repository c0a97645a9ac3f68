"""Find out whether CuPy has a GPU here; if not, what is missing and what to install (see ``doctor``).

Only ``backends.smoke_test`` shows whether CuPy can use it: no file tells whether the toolkit fits.
"""

from backends.errors import BackendUnavailable, install_command
from backends.nvidia import find_extra, find_obstacle, query_cards
from backends.processor import has_gpu_driver

INSTALL = (
    f"{install_command('cuda12')} (NVIDIA driver 525 or newer), or .[cuda13] (driver 580, capability 7.5)"
)


def fitting_install_command() -> str:
    """Return the install command for this machine's GPUs; for any GPU if nvidia-smi reports none."""
    extra = find_extra(query_cards())
    return INSTALL if extra is None else install_command(extra)


def _unavailable(why: str, cure: str) -> BackendUnavailable:
    return BackendUnavailable(f"backend 'cupy' cannot run: {why}; {cure}")


def require_usable_device() -> None:
    """Check that CuPy has a CUDA device.

    Raises BackendUnavailable: no device, or CuPy, the driver or the card is missing, broken or too old.
    """
    try:
        import cupy
    except OSError as error:  # CuPy cannot create its folder of compiled kernels
        cure = "set CUPY_CACHE_DIR to a writable folder"
        raise _unavailable(f"CuPy cannot be imported ({error})", cure) from None
    except Exception as error:  # the second import fails in other ways than the first
        missing = isinstance(error, ModuleNotFoundError) and error.name == "cupy"
        why = "CuPy is not installed" if missing else f"CuPy cannot be imported ({error})"
        raise _unavailable(why, fitting_install_command()) from None
    toolkit = 0
    try:
        toolkit = int(cupy.cuda.runtime.runtimeGetVersion()) // 1000
        if cupy.cuda.runtime.getDeviceCount() == 0:
            raise RuntimeError("none is visible")
    except Exception as error:  # without a driver's library CuPy raises other types than CUDARuntimeError
        if not has_gpu_driver():
            why = f"CuPy {cupy.__version__} is installed but no NVIDIA driver is loaded"
            raise _unavailable(why, "install the driver and check it with nvidia-smi") from None
        if obstacle := find_obstacle(toolkit, query_cards()):
            raise _unavailable(obstacle, f"update the driver, or {fitting_install_command()}") from None
        cure = "check nvidia-smi and CUDA_VISIBLE_DEVICES"
        raise _unavailable(f"no CUDA device can be used ({error})", cure) from None
    if toolkit >= 13 and int(cupy.cuda.Device(0).compute_capability) < 75:
        why = "CUDA 13 needs a card of compute capability 7.5 or newer"
        raise _unavailable(why, install_command("cuda12"))
