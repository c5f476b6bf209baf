"""How much work a lesson may do: quick (minutes on two CPU cores) or full (a GPU)."""
import os


def current():
    """Name of the budget, "quick" or "full": DEMO_BUDGET if set, else full exactly when a GPU is there.

    Raises ValueError for any other value."""
    import torch
    name = os.environ.get("DEMO_BUDGET") or ("full" if torch.cuda.is_available() else "quick")
    if name not in ("quick", "full"):
        raise ValueError(f"DEMO_BUDGET is {name!r}: set it to 'quick' or 'full', or unset it.")
    return name


def pick(quick, full):
    """The amount for the current budget.  Amounts only: shapes and code paths are the same for both."""
    return quick if current() == "quick" else full


def device():
    """Name of what computes here, for cards and stamps: the GPU, or how many CPU cores."""
    import torch
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
