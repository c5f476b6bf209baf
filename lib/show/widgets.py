"""Sliders and exercises.  The only door to ipywidgets."""
from lib.show.players import in_notebook


def sliders(function, **controls):
    """Call function(**values) now, and again when a slider is let go; in a script call it once, with the start values.

    controls: name=(low, high, step, start), or name=[choices], of which the first is the start.
    """
    if not in_notebook():
        function(**{name: given[0] if isinstance(given, list) else given[3] for name, given in controls.items()})
        return
    import ipywidgets
    widgets = {}
    for name, given in controls.items():
        look = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
        if isinstance(given, list):
            widgets[name] = ipywidgets.Dropdown(options=given, value=given[0], **look)
            continue
        low, high, step, start = given
        kind = ipywidgets.IntSlider if all(isinstance(v, int) for v in given) else ipywidgets.FloatSlider
        widgets[name] = kind(min=low, max=high, step=step, value=start, continuous_update=False, layout={"width": "60%"}, **look)
    ipywidgets.interact(function, **widgets)


def exercise(number, answer, right, hint):
    """Tell a learner where an exercise stands: answer is None until it is tried, right(answer) judges it."""
    said = f"not answered yet. {hint}"
    if answer is not None:
        try:
            said = "right." if right(answer) else f"not yet. {hint}"
        except Exception as error:  # noqa: BLE001  a learner's function may raise anything
            said = f"not yet, it raised {type(error).__name__}: {error}. {hint}"
    print(f"Exercise {number}: {said}")
