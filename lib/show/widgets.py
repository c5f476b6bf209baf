"""Sliders and exercises.  The only door to ipywidgets."""
from lib.show.players import in_notebook


def sliders(function, **controls):
    """Call function(**values) now, and again when a slider is let go; in a script only once.

    controls: name=(low, high, step, start), or name=[choices], of which the first is the start."""
    if in_notebook():
        import ipywidgets
        ipywidgets.interact(function, **{name: widget(name, given) for name, given in controls.items()})
    else:
        function(**{name: start(given) for name, given in controls.items()})


def start(given):
    """Where a control starts."""
    return given[0] if isinstance(given, list) else given[3]


def widget(name, given):
    """A drop-down for a list of choices, a slider for (low, high, step, start)."""
    import ipywidgets
    look = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(given, list):
        return ipywidgets.Dropdown(options=given, value=given[0], **look)
    low, high, step, value = given
    whole = all(isinstance(number, int) for number in given)
    slider = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return slider(min=low, max=high, step=step, value=value, continuous_update=False,
                  layout={"width": "60%"}, **look)


def exercise(number, answer, right, hint):
    """Tell a learner where an exercise stands: answer is None until it is tried, right(answer) judges it."""
    print(f"Exercise {number}: {verdict(answer, right, hint)}")


def verdict(answer, right, hint):
    """What to say about an answer."""
    if answer is None:
        return f"not answered yet. {hint}"
    try:
        if right(answer):
            return "right."
    except Exception as error:  # noqa: BLE001  a learner's function may raise anything
        return f"not yet, it raised {type(error).__name__}: {error}. {hint}"
    return f"not yet. {hint}"
