"""Models of other people, from their hub.  The only door to transformers."""


def transformers():
    """Give the package.  Raises ValueError, with the remedy, where it is not installed."""
    try:
        import transformers as package
    except ImportError as error:
        raise ValueError("Models from the hub need an extra package: pip install transformers") from error
    return package
